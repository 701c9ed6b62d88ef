"""Batches of triplets: of a table, or drawn among faces that a step's triplets share."""

from __future__ import annotations

import numpy as np
import pytest

from glee.errors import DataError
from glee.model.data.au_dataset import load_frames
from glee.model.data.triplets import (
    TripletBatches,
    draw_triplets,
    faces_to_draw_from,
    find_triplets,
)
from glee.model.distributed import World
from glee.model.options import Schedule, pretrain_options
from glee.model.training.pretraining import pretrain

OPTIONS = pretrain_options("compact", batch=10, triplets=60, shared_triplets=200, seed=3)


@pytest.fixture(scope="module")
def frames(work):
    return load_frames(work, size=50)


def batches_of(work, frames, *, shared, world=None):
    triplets, _ = find_triplets(work, frames, count=OPTIONS.triplets, seed=OPTIONS.seed)
    pool = faces_to_draw_from(frames, OPTIONS.seed) if shared else None
    schedule = Schedule(OPTIONS, len(triplets))
    return TripletBatches(frames, triplets, pool, 44, schedule, world or World())


def triplets_of(batch):
    """Frames of the triplets, as pairs of (n, 3) index and margin rows that compare."""
    return np.c_[batch.faces.index[batch.face_index], batch.margin]


def test_shared_triplets_are_those_of_their_labels(work, frames):
    batches = batches_of(work, frames, shared=True)
    batch = batches.of_step(4)
    index = batch.faces.index[batch.face_index]
    assert index.shape == (200, 3)
    # a face is there once, and stands in many triplets
    assert len(batch.faces.image) == len(np.unique(index)) <= 30
    label = frames.labels[index].astype(int)
    alike = np.abs(label[:, 0] - label[:, 1]).sum(1)
    for one in (0, 1):
        assert (alike < np.abs(label[:, one] - label[:, 2]).sum(1)).all()
    assert set(frames.subject[index].ravel()) <= set(batches.subjects)
    _, held_out = find_triplets(work, frames, count=OPTIONS.triplets, seed=OPTIONS.seed)
    assert not set(frames.subject[held_out.index].ravel()) & set(batches.subjects)


def test_a_step_has_its_own_faces_and_always_the_same(work, frames):
    batches = batches_of(work, frames, shared=True)
    again = batches_of(work, frames, shared=True)
    one, other = batches.of_step(7), again.of_step(7)
    assert np.array_equal(triplets_of(one), triplets_of(other))
    assert np.array_equal(one.faces.image, other.faces.image)
    assert set(batches.of_step(8).faces.index) != set(one.faces.index)


@pytest.mark.parametrize("shared", [False, True])
def test_processes_share_a_steps_triplets(work, frames, shared):
    whole = triplets_of(batches_of(work, frames, shared=shared).of_step(5))
    parts = [
        triplets_of(batches_of(work, frames, shared=shared, world=World(rank, 2)).of_step(5))
        for rank in range(2)
    ]
    assert len(parts[0]) == len(parts[1]) == len(whole) // 2
    assert np.array_equal(np.sort(np.concatenate(parts), 0), np.sort(whole, 0))


def test_names_of_a_triplets_faces(work, frames):
    batch = batches_of(work, frames, shared=True).of_step(0)
    chosen = np.arange(200) == 9
    names = batches_of(work, frames, shared=True).frame_names(batch, chosen)
    expected = {frames.frame_name(int(i)) for i in batch.faces.index[batch.face_index[9]]}
    assert set(names) == expected
    assert len(names) == 3


def test_no_triplet_has_a_frame_twice(frames):
    triplets = draw_triplets(frames, np.arange(8), 300, [1])
    assert all(len(set(row)) == 3 for row in triplets.index.tolist())
    with pytest.raises(DataError, match="2 labelled frames"):
        draw_triplets(frames, np.arange(2), 10, [1])


def test_what_is_learnt_holds_for_other_people(work, tmp_path, tiny):
    """Bright bars show the AUs; people held out are told apart by them far above chance."""
    options = pretrain_options("compact", batch=20, triplets=240, epochs=5, seed=1)
    summary = pretrain(work, tmp_path, options, device="cpu")
    assert summary.steps == 60
    assert summary.triplets == 60 * 600
    assert summary.accuracy > 0.5
