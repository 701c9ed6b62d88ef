"""Batches made ahead: the same from a thread, from processes, and however these are started."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass, fields

import numpy as np
import pytest

from glee.errors import ShardError
from glee.model.data.au_dataset import load_frames
from glee.model.data.batches import TrainingBatches, batches_ahead
from glee.model.distributed import World
from glee.model.options import Schedule, train_options
from glee.pipeline.shards.shard import list_shards

from ..conftest import SUBJECTS, write_subject


def batches_of(work):
    frames = load_frames(work, size=100, memory_limit=0)
    options = train_options("compact", batch=20, seed=4)
    schedule = Schedule(options, len(frames))
    return TrainingBatches(frames, np.arange(len(frames)), 88, options, schedule, World())


def contents(made):
    return [[getattr(batch, item.name) for item in fields(batch)] for batch in made]


def same(one, other):
    pairs = zip(one, other, strict=True)
    return all(np.array_equal(a, b) for x, y in pairs for a, b in zip(x, y, strict=True))


@pytest.fixture(scope="module")
def by_thread(work):
    return contents(batches_ahead(batches_of(work).of_step, 2, 9))


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_make_the_batches_of_a_thread(work, by_thread, workers):
    made = contents(batches_ahead(batches_of(work).of_step, 2, 9, workers=workers, start="fork"))
    assert len(made) == 7
    assert same(made, by_thread)


@pytest.mark.parametrize("workers", [1, 3])
def test_memory_that_is_used_again_holds_one_batch_at_a_time(work, workers):
    """Many batches, used slowly and in haste: each is whole while it is the last one given."""
    batches = batches_of(work)
    made = batches_ahead(batches.of_step, 0, 40, workers=workers, one_at_a_time=True)
    addresses = set()
    for step, batch in enumerate(made):
        if step % 7 == 0:
            time.sleep(0.05)
        assert same(contents([batch]), contents([batches.of_step(step)])), step
        addresses.add(batch.image.ctypes.data)
    assert len(addresses) <= 5 * workers


def test_memory_grows_with_the_batches():
    """As triplets', whose steps have more or fewer faces."""
    made = batches_ahead(of_length, 0, 30, workers=2, one_at_a_time=True)
    for step, item in enumerate(made):
        assert item.value.shape == (1 + 37 * step % 101 * 1000,)
        assert (item.value == step).all()


@dataclass
class Item:
    value: np.ndarray


def of_length(step):
    return Item(np.full(1 + 37 * step % 101 * 1000, step))


AFTER_OPENCV = """
from dataclasses import dataclass
import cv2, numpy as np
from glee.model.data.batches import batches_ahead

@dataclass
class Item:
    value: np.ndarray

def smoothed(step):
    return Item(cv2.GaussianBlur(np.full((600, 600, 3), step, np.uint8), (31, 31), 3))

cv2.setNumThreads(4)
smoothed(0), cv2.resize(np.zeros((2000, 2000, 3), np.uint8), (4000, 4000))
print([int(item.value[0, 0, 0]) for item in batches_ahead(smoothed, 0, 6, workers=2)])
print(cv2.getNumThreads(), smoothed(7).value[0, 0, 0])
"""


def test_processes_begin_where_opencv_has_used_its_threads():
    """As in a notebook, and in a benchmark that draws its crops: they waited for ever."""
    done = subprocess.run(
        [sys.executable, "-c", AFTER_OPENCV], capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("[0, 1, 2, 3, 4, 5]\n4 7\n", "")


@pytest.mark.slow
def test_spawned_processes_make_the_same(work, by_thread):
    made = batches_ahead(batches_of(work).of_step, 2, 9, workers=1, start="spawn")
    assert same(contents(made), by_thread)


def test_a_resumed_run_sees_the_rest(work, by_thread):
    assert same(contents(batches_ahead(batches_of(work).of_step, 6, 9)), by_thread[4:])
    assert not list(batches_ahead(batches_of(work).of_step, 9, 9))


@pytest.mark.parametrize("workers", [0, 1])
def test_trouble_with_a_file_arrives_as_it_is(tmp_path, workers):
    for subject in SUBJECTS[:2]:
        write_subject(tmp_path, subject)
    batches = batches_of(tmp_path)
    for path in list_shards(tmp_path):
        path.write_bytes(path.read_bytes()[: -600 * 1024])
    with pytest.raises(ShardError, match="cut while it was in use"):
        list(batches_ahead(batches.of_step, 0, 2, workers=workers))
