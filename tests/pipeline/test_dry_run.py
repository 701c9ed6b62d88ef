"""--dry-run says what a stage would do, which is what it then does; nothing is written."""

from __future__ import annotations

import shutil

import pytest

from glee.cli import run
from glee.errors import UsageError
from glee.pipeline.cluster.cluster import open_cluster
from glee.pipeline.cluster.options import ClusterOptions, read_cluster_options
from glee.pipeline.shards.shard import list_shards

OPTIONS = ["--chunk-frames", "10"]


def said(capsys, *words):
    assert run(["-q", *map(str, words)]) == 0
    return capsys.readouterr().out


def test_what_is_said_is_what_is_done(disfa, tmp_path, capsys):
    work = tmp_path / "work"
    words = ["preprocess", "--dataset", "disfa", "--root", disfa, "--out", work, *OPTIONS]
    before = said(capsys, *words, "--workers", 1, "--dry-run")
    assert not work.exists()
    assert "disfa: 2 subjects, 2 clips, 72 frames" in before
    assert "8 chunks of at most 10 frames, 0 shards there already" in before
    assert "on this machine: 1 workers" in before
    said(capsys, *words, "--workers", 1)
    shards = list_shards(work)
    assert len(shards) == 8
    claimed = float(before.partition("about ")[2].split()[0]) * 1e3  # kB
    assert "kB in" in before
    size = sum(path.stat().st_size for path in shards)
    assert size / 3 < claimed < size * 3
    list_shards(work)[3].unlink()
    again = said(capsys, *words, "--dry-run", "--quality", 50)
    assert "7 shards there already" in again
    assert "would stop: preprocess ran here with other quality" in again
    fit = said(capsys, "fit3d", work, "--dry-run")
    assert "2 subjects, 7 shards, 66 frames; 0 shards fitted already" in fit


def test_clips_that_cannot_be_used_and_jobs(disfa, tmp_path, capsys):
    next(disfa.rglob("*SN001*.avi")).write_bytes(b"")
    config = tmp_path / "site.toml"
    config.write_text('[cluster]\nkind = "slurm"\ncores = 8\nmaximum_jobs = 4\nqueue = "cpu"\n')
    words = ["preprocess", "--dataset", "disfa", "--root", disfa, "--out", tmp_path / "work"]
    lines = said(capsys, *words, *OPTIONS, "--dry-run", "--cluster-config", config)
    assert "1 clips cannot be used" in lines
    assert "on slurm: 0 to 4 jobs of 8 cores, 8GB and 04:00:00, partition cpu" in lines
    lines = said(capsys, *words, *OPTIONS, "--dry-run", "--cluster", "tcp://node1:8786")
    assert "on the workers of tcp://node1:8786" in lines


def test_the_table_says_where_tasks_run(tmp_path):
    (tmp_path / "glee.toml").write_text('[cluster]\nkind = "cloud"\nworkers = 3\n')
    options = read_cluster_options(tmp_path)
    with pytest.raises(UsageError, match="'cloud' is unknown"), open_cluster(None, None, options):
        pass
    with open_cluster("local", 1, options) as here:
        assert type(here).__name__ == "_InProcess"
    with open_cluster(None, None, ClusterOptions(workers=1)) as here:
        assert [outcome.result for outcome in here.run(abs, [-2])] == [2]


def test_too_little_room_is_said(disfa, tmp_path, capsys, monkeypatch):
    words = ["preprocess", "--dataset", "disfa", "--root", disfa, "--out", tmp_path / "work"]
    assert "too little room" not in said(capsys, *words, *OPTIONS, "--dry-run")
    free = shutil.disk_usage(tmp_path)._replace(free=10_000)
    monkeypatch.setattr("shutil.disk_usage", lambda place: free)
    lines = said(capsys, *words, *OPTIONS, "--dry-run")
    assert "too little room: 10 kB free there; free space, or choose another folder" in lines
