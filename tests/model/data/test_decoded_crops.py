"""Decoded crops in a file: no bit changes, nothing is trusted wrongly, a full disk is borne."""

from __future__ import annotations

import csv
import errno
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple

import numpy as np
import pytest
import torch

from glee.errors import OptionsError
from glee.model.checkpoint import load_checkpoint
from glee.model.data import au_dataset, crop_file, decoded_crops
from glee.model.data.au_dataset import load_frames
from glee.model.data.batches import TrainingBatches, batches_ahead
from glee.model.data.decoded_crops import CropFileOptions, exact_crops, with_decoded_crops
from glee.model.distributed import World
from glee.model.options import Schedule, read_options, train_options
from glee.model.training.steps import RuntimeOptions
from glee.model.training.training import train
from glee.pipeline.shards.shard import add_fit, list_shards, read_shard

from ..conftest import make_tiny
from ..test_distributed import free_port

QUICK = {"epochs": 2, "batch": 30, "aus": (1, 12)}
COLUMNS = ("step", "loss", "gradient_norm")
Usage = namedtuple("Usage", "total used free")


def trained(work, out, crop_file, *, workers=0, fold="1", **changes):
    """Loss curve and weights of a run; what the folder of the file holds in the end."""
    options = train_options("compact", **{**QUICK, **changes})
    runtime = RuntimeOptions(workers=workers, crop_file=crop_file)
    train(work, out, options, fold=fold, device="cpu", runtime=runtime)
    rows = csv.DictReader((out / f"fold{fold}/log.csv").open())
    weights = load_checkpoint(out / f"fold{fold}/checkpoint.pt").weights
    return [[row[c] for c in COLUMNS] for row in rows], weights


def same(one, other):
    curves = one[0] == other[0]
    return curves and all(np.array_equal(one[1][name], other[1][name]) for name in one[1])


@pytest.fixture
def decoded(monkeypatch):
    """Frames decoded by this process, in order."""
    seen, decode = [], au_dataset.AUFrames.decode

    def counting(self, index):
        seen.append(index)
        return decode(self, index)

    monkeypatch.setattr(au_dataset.AUFrames, "decode", counting)
    return seen


@pytest.fixture
def place(tmp_path):
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


@pytest.fixture(scope="module")
def without(work, tmp_path_factory):
    """A run that decodes each crop when it is used, on one thread as those of the tests."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        make_tiny(patch)
        return trained(work, tmp_path_factory.mktemp("without") / "run", CropFileOptions(False))


def test_the_loss_curve_is_the_same_and_each_crop_is_decoded_once(
    work, tmp_path, place, tiny, without, decoded
):
    assert len(without[0]) == 6
    assert same(trained(work, tmp_path / "run", CropFileOptions(folder=place)), without)
    assert len(decoded) == len(set(decoded)) == 138
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_share_the_file(work, tmp_path, place, tiny, without, workers, decoded):
    run = trained(work, tmp_path / "run", CropFileOptions(folder=place), workers=workers)
    assert same(run, without)
    # This process decodes what is tested alone: two subjects of 23 frames.
    assert len(decoded) == 46


def batches_of(frames):
    options = train_options("compact", batch=23, seed=4)
    schedule = Schedule(options, len(frames))
    return TrainingBatches(frames, np.arange(len(frames)), 88, options, schedule, World())


@pytest.mark.slow
def test_a_spawned_process_fills_the_same_file(work, place):
    frames = load_frames(work, size=100, memory_limit=0)
    with with_decoded_crops(frames, "rgb", CropFileOptions(folder=place), World()) as kept:
        assert list(place.iterdir()) == []
        list(batches_ahead(batches_of(kept).of_step, 0, 6, workers=1, start="spawn"))
        assert len(kept.kept.file.missing) == 0
        for index in range(0, len(frames), 11):
            assert np.array_equal(kept.crop(index), frames.crop(index))


def test_a_kept_file_serves_the_next_run(work, tmp_path, place, tiny, without, decoded):
    keep = CropFileOptions(folder=place, keep=True)
    assert same(trained(work, tmp_path / "one", keep), without)
    (file,) = place.iterdir()
    assert file.name.startswith("glee-crops-")
    assert file.stat().st_mode & 0o077 == 0
    decoded.clear()
    # It is taken whether or not the next run would keep one, and stays.
    assert same(trained(work, tmp_path / "two", CropFileOptions(folder=place)), without)
    assert same(trained(work, tmp_path / "three", keep, workers=1), without)
    assert decoded == []
    assert list(place.iterdir()) == [file]


def test_a_damaged_kept_file_is_not_trusted(work, tmp_path, place, tiny, without, decoded, caplog):
    keep = CropFileOptions(folder=place, keep=True)
    trained(work, tmp_path / "one", keep)
    (file,) = place.iterdir()
    whole = file.read_bytes()
    crop = crop_file.CropLayout(138, 50, "rgb", "")
    at = crop.begin + 5
    damage = {
        "a byte": whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :],
        "zeros": whole[: crop.begin] + bytes(len(whole) - crop.begin),
        "cut": whole[:-100],
        "not whole": whole.replace(b'"whole": true} ', b'"whole": false}', 1),
        "of others": whole.replace(b'"key": "', b'"key": "0', 1),
        "empty": b"",
    }  # fmt: skip
    expected = {"a byte": 1, "zeros": 138}
    for number, (name, content) in enumerate(damage.items()):
        file.write_bytes(content)
        decoded.clear()
        caplog.clear()
        out = tmp_path / f"run{number}"
        assert same(trained(work, out, CropFileOptions(folder=place)), without), name
        assert len(set(decoded)) == expected.get(name, 138), name
        said = [r.message for r in caplog.records if "decoded crops" in r.message]
        assert len(said) == 1, name
        assert ("checksum" if name in expected else "no whole file") in said[0]
    # One that is asked to keep its file puts a whole one in its place.
    trained(work, tmp_path / "again", keep)
    assert file.read_bytes() == whole


def test_other_shards_have_another_file(work, tmp_path, place, tiny):
    folder = tmp_path / "work"
    shutil.copytree(work, folder)
    keep = CropFileOptions(folder=place, keep=True)
    trained(folder, tmp_path / "one", keep)
    path = list_shards(folder)[0]
    fit = read_shard(path).fit
    fit.f_exp[:] *= 0.5
    add_fit(path, fit)
    trained(folder, tmp_path / "two", keep)
    assert len(list(place.iterdir())) == 2


KILLED = """
import os, signal, sys
from pathlib import Path
from glee.model.data.decoded_crops import CropFileOptions
from glee.model.options import train_options
from glee.model.training import steps
from glee.model.training.training import train

def dying(*_):
    os.kill(os.getpid(), signal.SIGKILL)

steps.take_step = dying
crop_file = CropFileOptions(True, Path(sys.argv[3]), sys.argv[4] == "keep")
runtime = steps.RuntimeOptions(crop_file=crop_file)
options = train_options("compact", ablation="no-gb-lb", epochs=2, batch=30)
train(Path(sys.argv[1]), Path(sys.argv[2]), options, fold="1", device="cpu", runtime=runtime)
"""


@pytest.mark.parametrize("keep", ["keep", "remove"])
def test_a_killed_run_leaves_nothing_that_is_trusted(work, tmp_path, place, tiny, without, keep):
    words = [sys.executable, "-c", KILLED, str(work), str(tmp_path / "killed"), str(place), keep]
    assert subprocess.run(words, timeout=120).returncode == -signal.SIGKILL
    left = list(place.iterdir())
    assert len(left) == (keep == "keep")
    assert all(path.name.endswith(".partial") for path in left)
    for path in left:
        os.utime(path, (time.time() - 3600,) * 2)
    assert same(trained(work, tmp_path / "run", CropFileOptions(folder=place)), without)
    assert list(place.iterdir()) == []


def test_the_file_of_a_run_that_goes_on_is_no_leftover(work, place):
    frames = load_frames(work, size=50, memory_limit=0)
    keep = CropFileOptions(folder=place, keep=True)
    with with_decoded_crops(frames, "rgb", keep, World()):
        (path,) = place.iterdir()
        os.utime(path, (time.time() - 3600,) * 2)
        crop_file.remove_leftovers(place)
        assert list(place.iterdir()) == [path]


@pytest.mark.parametrize("keep", [True, False])
def test_a_disk_that_fills_up_costs_one_line(
    work, tmp_path, place, tiny, without, monkeypatch, caplog, keep
):
    written, pwrite = [], os.pwrite

    def full(handle, content, begin):
        if len(content) > 5000:
            written.append(begin)
            if len(written) > 40:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(handle, content, begin)

    monkeypatch.setattr(os, "pwrite", full)
    crops = CropFileOptions(folder=place, keep=keep)
    assert same(trained(work, tmp_path / "run", crops, workers=keep), without)
    assert list(place.iterdir()) == []
    if not keep:
        (record,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
        assert "No space left on device after 40 of 138" in record.message


def with_room(monkeypatch, room):
    """A disk on which so many bytes are free for crops."""
    monkeypatch.setattr(crop_file, "_file_system", lambda folder: "ext4")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(0, 0, room))


def test_no_room_is_one_line_and_the_same_bits(
    work, tmp_path, place, tiny, without, monkeypatch, caplog
):
    with_room(monkeypatch, 200_000)
    crops = CropFileOptions(folder=place)
    assert same(trained(work, tmp_path / "run", crops, crops="auto"), without)
    (record,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert "do not fit into" in record.message
    assert read_options(tmp_path / "run").crops == "rgb"


def test_half_the_space_is_chosen_and_stays_chosen(
    work, tmp_path, place, tiny, without, monkeypatch, caplog
):
    """138 crops of 50 x 50: 1.04 MB of RGB, 0.52 MB of I420."""
    with monkeypatch.context() as patch:
        with_room(patch, 700_000)
        first = trained(work, tmp_path / "run", CropFileOptions(folder=place), crops="auto")
    (record,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert "of I420 do" in record.message
    assert not same(first, without)
    assert read_options(tmp_path / "run").crops == "i420"
    # Without a file the network sees the same; and a run goes on as it was begun.
    assert same(trained(work, tmp_path / "again", CropFileOptions(False), crops="i420"), first)
    train_again = trained(work, tmp_path / "run", CropFileOptions(folder=place), crops="auto")
    assert same(train_again, first)
    with pytest.raises(OptionsError, match="crops = 'i420', now 'rgb'"):
        trained(work, tmp_path / "run", CropFileOptions(folder=place), crops="rgb")


def test_i420_is_for_training_alone(work, place):
    frames = load_frames(work, size=100, memory_limit=0)
    with with_decoded_crops(frames, "i420", CropFileOptions(folder=place), World()) as kept:
        coarse, tested = kept.crop(3).astype(int), exact_crops(kept).crop(3)
        assert np.array_equal(tested, frames.crop(3))
        assert 0 < np.abs(coarse - tested).mean() < 30
        assert np.array_equal(coarse, kept.crop(3))
        # Brightness keeps its resolution.
        grey = np.array([0.299, 0.587, 0.114])
        assert np.abs(coarse @ grey - tested @ grey).mean() < 6


def test_a_file_of_an_older_run_has_no_crops_in_its_options(tmp_path):
    (tmp_path / "options.toml").write_text('preset = "compact"\nepochs = 3\n')
    assert read_options(tmp_path).crops == "rgb"


SHARED = """
import sys
from pathlib import Path
from glee.model.data.au_dataset import load_frames
from glee.model.data.decoded_crops import CropFileOptions, with_decoded_crops
from glee.model.distributed import joined_world

frames = load_frames(Path(sys.argv[1]), size=50, memory_limit=0)
keep = CropFileOptions(folder=Path(sys.argv[2]), keep=sys.argv[3] == "keep")
with joined_world("cpu") as world, with_decoded_crops(frames, "rgb", keep, world) as kept:
    for index in range(world.rank, len(frames), 2):
        kept.crop(index)
    world.wait()
    assert len(kept.kept.file.missing) == 0
    world.wait()
"""


@pytest.mark.slow
@pytest.mark.parametrize("keep", ["keep", "remove"])
def test_ranks_share_one_file(work, place, keep):
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SHARED, str(work), str(place), keep],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    assert len(list(place.iterdir())) == (keep == "keep")


def test_a_folder_that_cannot_take_it(work, tmp_path, caplog):
    frames = load_frames(work, size=50, memory_limit=0)
    gone = CropFileOptions(folder=tmp_path / "gone")
    with with_decoded_crops(frames, "rgb", gone, World()) as kept:
        assert np.array_equal(kept.crop(0), frames.crop(0))
    assert "do not fit" in caplog.text


def test_a_folder_in_memory_takes_half_of_what_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(crop_file, "_file_system", lambda folder: "tmpfs")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1 << 50, 0, 1 << 50))
    room = decoded_crops.free_space(tmp_path)
    assert 0 < room < 0.6 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
