"""Analyses of many clips and long ones that are stopped, killed and started again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib import import_module
from itertools import cycle, islice
from pathlib import Path

import pytest

from glee.errors import UsageError
from glee.pipeline.analysis.batch import journal as journal_module
from glee.pipeline.options import AnalyzeOptions

module = import_module("glee.pipeline.analysis.analyze")

LONG = 420
PLACE = Path(module.__file__).parents[3]


def contents(folder):
    """Name -> bytes of tables and pictures; records tell the same of each run."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def started(*words):
    environment = {**os.environ, "PYTHONPATH": str(PLACE), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "glee.cli", "-q", "analyze", *map(str, words)]
    return subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def wait_for(condition, process, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def journals(out):
    return [path for path in out.glob(".*journal*") if path.stat().st_size > 100_000]


def workers_of(process):
    """Process ids of the workers, by Linux's own account."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    found = set()
    for task in listed.parents[1].iterdir():
        found |= set((task / "children").read_text().split())
    return sorted(map(int, found))


@pytest.fixture(scope="module")
def long_video(frames_of, save_video, tmp_path_factory):
    """Three groups of frames and some more."""
    path = tmp_path_factory.mktemp("long") / "long.avi"
    return save_video(path, list(islice(cycle(frames_of[0]), LONG)), codec="MJPG")


@pytest.fixture(scope="module")
def uninterrupted(long_video, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    module.analyze([long_video], out, progress=False)
    return contents(out)


@pytest.fixture(scope="module")
def clips(frames_of, save_video, tmp_path_factory):
    """Six short videos of two people."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(6):
        frames = frames_of[number % 2][number : number + 12]
        save_video(folder / f"c{number}.avi", frames, codec="MJPG")
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signals")
def test_a_killed_long_video_goes_on_and_ends_the_same(long_video, uninterrupted, tmp_path):
    """It asks the detector for the frames only that the killed run had not noted."""
    running = started(long_video, "-o", tmp_path)
    wait_for(lambda: journals(tmp_path), running)
    running.kill()
    running.communicate()
    assert not (tmp_path / "long.csv").exists()
    asked = 0
    found = journal_module.IrisDetector.landmarks

    def counted(self, *given):
        nonlocal asked
        asked += type(self) is journal_module.IrisDetector
        return found(self, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_module.IrisDetector, "landmarks", counted)
        module.analyze([long_video], tmp_path, progress=False)
    assert 0 < asked <= LONG + module.SAMPLE_FRAMES - journal_module.GROUP_FRAMES
    assert contents(tmp_path) == uninterrupted


def test_a_torn_or_foreign_journal_does_no_harm(long_video, uninterrupted, tmp_path):
    running = started(long_video, "-o", tmp_path)
    wait_for(lambda: journals(tmp_path), running)
    running.kill()
    running.communicate()
    (path,) = journals(tmp_path)
    torn = bytearray(path.read_bytes())
    torn[-1000] ^= 255
    path.write_bytes(torn)
    module.analyze([long_video], tmp_path, progress=False)
    assert contents(tmp_path) == uninterrupted


def test_what_is_whole_is_kept_and_what_differs_is_made_anew(clips, tmp_path):
    (first,) = module.analyze([clips / "c0.avi"], tmp_path, progress=False)
    assert not first.kept
    made = contents(tmp_path)
    (again,) = module.analyze([clips / "c0.avi"], tmp_path, progress=False)
    assert again.kept
    assert (again.frames, again.reasons, again.remarks) == (12, first.reasons, first.remarks)
    assert "kept" in again.line()
    (tmp_path / "c0.csv").write_bytes(made["c0.csv"][:-100])
    (again,) = module.analyze([clips / "c0.avi"], tmp_path, progress=False)
    assert not again.kept
    assert contents(tmp_path) == made
    for options in (AnalyzeOptions(overwrite=True), AnalyzeOptions(visibility=False)):
        (again,) = module.analyze([clips / "c0.avi"], tmp_path, options=options, progress=False)
        assert not again.kept
    record = json.loads((tmp_path / "c0.analysis.json").read_text())
    assert record["options"]["visibility"] is False
    assert record["files"]["c0.csv"] == (tmp_path / "c0.csv").stat().st_size
    assert (record["frames"], record["size"], record["fps"]) == (12, [320, 240], 20.0)


def test_another_video_of_the_same_name_is_made_anew(clips, tmp_path):
    video = tmp_path / "c.avi"
    for source in ("c0.avi", "c1.avi"):
        video.write_bytes((clips / source).read_bytes())
        (done,) = module.analyze([video], tmp_path / "o", progress=False)
        assert not done.kept


def test_the_tables_of_another_input_are_not_replaced(clips, tmp_path):
    """Two videos called alike in folders of their own; one that was only moved is the same."""
    for name, source in (("first", "c0.avi"), ("second", "c1.avi")):
        (tmp_path / name).mkdir()
        shutil.copy2(clips / source, tmp_path / name / "talk.avi")
    out = tmp_path / "o"
    module.analyze([tmp_path / "first" / "talk.avi"], out, progress=False)
    before = contents(out)
    with pytest.raises(UsageError, match="is the analysis of .*first.*--overwrite"):
        module.analyze([tmp_path / "second" / "talk.avi"], out, progress=False)
    assert contents(out) == before
    shutil.move(tmp_path / "first", tmp_path / "moved")
    (done,) = module.analyze([tmp_path / "moved" / "talk.avi"], out, progress=False)
    assert done.kept


def test_any_number_of_workers_gives_the_same(clips, tmp_path):
    options = AnalyzeOptions(video=True, format="arkit", faces=2)
    for workers in (1, 2):
        done = module.analyze(
            [clips], tmp_path / str(workers), options=options, workers=workers, progress=False
        )
        assert [item.name for item in done] == [f"c{number}" for number in range(6)]
    one, two = (contents(tmp_path / name) for name in "12")
    assert len(one) >= 3 * 6  # a video, a record, and a table a face
    assert sorted(one) == sorted(two)
    for name in one:
        if name.endswith(".csv"):
            assert one[name] == two[name], name


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers as on Linux")
def test_a_killed_worker_is_its_clips_error(long_video, clips, tmp_path):
    running = started(long_video, *sorted(clips.iterdir()), "-o", tmp_path, "--workers", 2)
    wait_for(lambda: journals(tmp_path), running)
    (path,) = journals(tmp_path)
    with_journal = [
        pid
        for pid in workers_of(running)
        if any(str(path) == os.path.realpath(link) for link in Path(f"/proc/{pid}/fd").iterdir())
    ]
    os.kill(with_journal[0], signal.SIGKILL)
    said, errors = running.communicate(timeout=200)
    assert running.returncode == 1
    (line,) = [line for line in errors.splitlines() if "worker" in line]
    assert line.startswith("long: its worker was ended by SIGKILL")
    assert [line.partition(":")[0] for line in said.splitlines()] == [f"c{n}" for n in range(6)]
    assert not (tmp_path / "long.csv").exists()
    (again,) = module.analyze([long_video], tmp_path, progress=False)
    assert not again.error


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_tells_what_stays(long_video, clips, tmp_path, workers):
    given = [clips / "c0.avi", long_video]
    running = started(*given, "-o", tmp_path, "--workers", workers)
    wait_for(lambda: journals(tmp_path), running)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert f"glee: interrupted; 1 of 2 clips are whole in {tmp_path} and stay" in errors
    assert "Traceback" not in errors
    names = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")}
    assert names == {"c0.analysis.json", "c0.csv", "c0.parquet"}
    assert not [
        path
        for path in tmp_path.iterdir()
        if path.suffix in (".csv", ".parquet") and path.name.startswith(".")
    ]
    first, second = module.analyze(given, tmp_path, progress=False)
    assert first.kept
    assert not second.kept
