"""Full disks, folders that cannot be written, few file handles, two runs at once, wrong clocks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time

import pytest

from glee.pipeline.shards.shard import list_shards

pytestmark = pytest.mark.campaign

STAGES = ("preprocess", "fit3d")
YEAR = 365 * 24 * 3600


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a given size in a folder; `resize` changes its options."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if (
            os.geteuid() != 0
            or subprocess.run(command, check=False, capture_output=True).returncode
        ):
            pytest.skip("file systems can only be mounted by root")
        return place

    def resize(options):
        subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)

    mount.resize = resize
    yield mount
    subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("workers", [1, 2])
def test_full_disk(stage, workers, stages, small_disk, tally, undisturbed):
    # Room for the shards before the fit, not for those after it.
    size = sum(path.stat().st_size for path in list_shards(undisturbed["preprocess"]))
    place = small_disk(f"size={size // 2 if stage == 'preprocess' else size + 65536}")
    work = stages.fresh(stage, place / "work")
    if stage == "fit3d":
        fill(place)
    said = stages.refused(stage, work, "--workers", workers)
    assert "No space left on device" in said
    (place / "filling").unlink(missing_ok=True)
    small_disk.resize("size=50m")
    stages.finish(stage, work, "--workers", 1)
    tally[f"{stage}: disk full"] += 1


def fill(place):
    handle = os.open(place / "filling", os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(handle, b"0" * 4096)
    except OSError:
        os.close(handle)


@pytest.mark.parametrize("stage", STAGES)
def test_limit_of_a_files_size(stage, stages, tally, undisturbed, tmp_path):
    largest = max(path.stat().st_size for path in list_shards(undisturbed["preprocess"]))
    work = stages.fresh(stage, tmp_path / "work")
    said = stages.refused(stage, work, "--workers", 1, "--file-bytes", largest - 100)
    assert "cannot write" in said
    stages.finish(stage, work, "--workers", 1)
    tally[f"{stage}: limit of a file's size"] += 1


@pytest.mark.parametrize("stage", STAGES)
def test_read_only_file_system(stage, stages, small_disk, tally):
    place = small_disk("size=50m")
    work = stages.fresh(stage, place / "work")
    small_disk.resize("ro")
    said = stages.refused(stage, work, "--workers", 1)
    assert str(work) in said
    small_disk.resize("rw")
    stages.finish(stage, work, "--workers", 1)
    tally[f"{stage}: read-only folder"] += 1


@pytest.mark.parametrize(("workers", "handles"), [(1, 4), (1, 6), (2, 16), (2, 60)])
def test_few_file_handles(workers, handles, stages, tally, tmp_path):
    work = tmp_path / "work"
    said = stages.refused("preprocess", work, "--workers", workers, "--open-files", handles)
    if workers > 1:
        assert "open files" in said
        assert "ulimit -n" in said
    stages.finish("preprocess", work, "--workers", 1)
    tally["preprocess: few file handles"] += 1


@pytest.mark.parametrize("stage", STAGES)
def test_two_runs_in_one_folder(stage, stages, tally, wait_until, tmp_path):
    work = stages.fresh(stage, tmp_path / "work")
    begin = time.time_ns()
    first = stages.start(stage, work, "--workers", 1)
    assert wait_until(lambda: (work / "glee.toml").exists() and changed(work, begin), 60)
    first.send_signal(signal.SIGSTOP)  # so that it is not over before the second has begun
    said = stages.refused(stage, work, "--workers", 1)
    first.send_signal(signal.SIGCONT)
    assert "another run is at work in this folder" in said
    said = first.communicate(timeout=120)[1]
    assert first.returncode == 0, said
    stages.compare(stage, work)
    tally[f"{stage}: second run in the folder"] += 1


def changed(work, since):
    return (work / "glee.toml").stat().st_mtime_ns >= since


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("shift", [-30 * YEAR, 5 * YEAR], ids=["past", "future"])
def test_wrong_clock(stage, shift, stages, undisturbed, run_preprocess, disfa, tally, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(undisturbed[stage], work)
    moment = time.time() + shift
    for path in (*disfa.rglob("*"), *work.rglob("*")):
        os.utime(path, (moment, moment))
    list_shards(work)[0].unlink()
    assert run_preprocess(disfa, work).kept == len(list_shards(work)) - 1
    if stage == "fit3d":
        stages.finish("fit3d", work, "--workers", 1)
    else:
        stages.compare("preprocess", work)
    tally[f"{stage}: files of another time"] += 1
