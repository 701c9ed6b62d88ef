"""The kind of processor: what shards say of it, and what a mixture of kinds does and does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import h5py
import pytest

from glee.cli import run as glee
from glee.pipeline.cluster.processor import processor_kind
from glee.pipeline.fit3d import fit3d
from glee.pipeline.options import PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import (
    add_fit,
    content_digest,
    list_shards,
    read_shard,
    shard_path,
    write_shard,
)
from glee.pipeline.verification import verify_shards

PROGRAM = "from glee.pipeline.cluster.processor import processor_kind; print(processor_kind())"


def kind_in_a_process(first="", **environment):
    """What another process says, in which `first` came before."""
    ran = subprocess.run(
        [sys.executable, "-c", first + PROGRAM],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.strip()


def test_the_kind_does_not_depend_on_what_was_imported_before():
    assert kind_in_a_process() == kind_in_a_process("import scipy.linalg, sklearn; ")
    assert kind_in_a_process() == processor_kind()


@pytest.mark.parametrize(
    ("variable", "value"),
    [("NUMBA_CPU_NAME", "generic"), ("OPENBLAS_CORETYPE", "Nehalem")],
)
def test_other_code_is_another_kind(variable, value):
    kind = kind_in_a_process(**{variable: value})
    if "OpenBLAS" not in kind and variable.startswith("OPENBLAS"):
        pytest.skip("NumPy uses another library than OpenBLAS here")
    assert kind != processor_kind()
    assert value in kind


@pytest.fixture(scope="module")
def made(synthetic_disfa, tmp_path_factory):
    """Fitted shards, of this machine."""
    work = tmp_path_factory.mktemp("made")
    options = PreprocessOptions(chunk_frames=18)
    preprocess("disfa", synthetic_disfa, work, options=options, workers=1, progress=False)
    fit3d(work, workers=1, progress=False)
    return work


def copied(path, to, made_on, fitted_on):
    """Write a shard as another processor would have, had it come to the same numbers."""
    shard = read_shard(path)
    with h5py.File(path) as file:
        data = file["crops/data"][()].tobytes()
    edges = shard.crop_offset.tolist()
    crops = [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    header = replace(shard.header, processor=made_on)
    number = int(path.stem)
    copy = shard_path(to, header.subject, header.clip, number)
    write_shard(copy, header, shard.frames, crops, shard.labels, encoding=shard.encoding)
    add_fit(copy, replace(shard.fit, processor=fitted_on))
    return copy


def work_of(made, to, kinds):
    """A copy of a work folder whose shards come from these processors in turn."""
    (to / "glee.toml").write_bytes((made / "glee.toml").read_bytes())
    paths = list_shards(made)
    return [copied(path, to, *kinds[i % len(kinds)]) for i, path in enumerate(paths)]


def test_shards_state_where_they_were_made_and_fitted(made, capsys):
    for path in list_shards(made):
        shard = read_shard(path)
        assert shard.header.processor == shard.fit.processor == processor_kind()
    assert glee(["inspect", str(list_shards(made)[0])]) == 0
    assert processor_kind() in capsys.readouterr().out


def test_doctor_names_the_kind(tmp_path, capsys):
    glee(["doctor", str(tmp_path)])
    assert f"ok    processor: {processor_kind()}\n" in capsys.readouterr().out


def test_a_mixture_is_a_note_and_nothing_wrong(made, tmp_path, capsys):
    assert not [p for p in verify_shards(made).problems if p.kind == "processors"]
    work_of(made, tmp_path, [("a", "a"), ("b", "a"), ("a", "a")])
    report = verify_shards(tmp_path)
    (note,) = [problem for problem in report.problems if problem.kind == "processors"]
    assert note.text.startswith("shards were made on 2 kinds of processor: 3 on a; 1 on b;")
    assert not note.wrong
    assert glee(["verify", str(tmp_path), "--json"]) == (0 if report.ok else 1)
    assert json.loads(capsys.readouterr().out)["ok"] == report.ok


def test_where_it_was_made_does_not_count_when_shards_are_compared_or_kept(
    made, synthetic_disfa, tmp_path
):
    others = work_of(made, tmp_path, [("another", "another"), ("", "")])
    assert [content_digest(p) for p in others] == [content_digest(p) for p in list_shards(made)]
    before = [path.read_bytes() for path in others]
    options = PreprocessOptions(chunk_frames=18)
    summary = preprocess(
        "disfa", synthetic_disfa, tmp_path, options=options, workers=1, progress=False
    )
    assert (summary.made, summary.kept) == (0, len(others))
    assert fit3d(tmp_path, workers=1, progress=False).kept == len(others)
    assert [path.read_bytes() for path in others] == before
