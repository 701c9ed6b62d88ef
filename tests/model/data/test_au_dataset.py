"""Frames from shards: labels as occurrence, crops, mirror; random choices from the seed alone."""

from __future__ import annotations

import numpy as np
import pytest

from glee.errors import DataError, ShardError
from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.model.data.au_dataset import load_frames, make_batch, occurrence
from glee.model.data.augmentation import draw_epoch, mirrored_expressions, stored_size
from glee.pipeline.shards import shard as shards


def test_only_valid_frames_with_their_labels_and_coefficients(work):
    frames = load_frames(work, size=200)
    paths = shards.list_shards(work)
    assert len(frames) == 6 * 23
    assert frames.au_names == ("AU1", "AU2", "AU4", "AU6", "AU9", "AU12", "AU25", "AU26")
    shard = shards.read_shard(paths[2])
    mine = frames.of_subjects([shard.header.subject])
    assert np.array_equal(frames.labels[mine], (shard.labels[1:] >= 2).astype(np.int8))
    assert np.array_equal(frames.f_exp[mine], shard.fit.f_exp[1:])
    assert np.array_equal(frames.crop(int(mine[4])), shard.crop(5))
    subject = shard.header.subject
    assert frames.frame_name(int(mine[4])) == f"{subject}/LeftVideo{subject}_comp/000000.h5 frame 6"


def test_decoded_and_lazy_crops_are_the_same(work):
    decoded = load_frames(work, size=100)
    lazy = load_frames(work, size=100, memory_limit=0)
    assert decoded.decoded is not None
    assert lazy.decoded is None
    assert all(np.array_equal(decoded.crop(i), lazy.crop(i)) for i in range(0, len(lazy), 13))


def test_intensity_becomes_occurrence_at_2(tmp_path, write_shard):
    shard = write_shard(tmp_path, [[0], [1], [2], [5], [-1]], "intensity")
    assert occurrence(shard, ("AU1", "AU2")).tolist() == [
        [0, -1],
        [0, -1],
        [1, -1],
        [1, -1],
        [-1, -1],
    ]


def test_occurrence_stays(tmp_path, write_shard):
    shard = write_shard(tmp_path, [[0], [1], [-1]], "occurrence")
    assert occurrence(shard, ("AU1",)).tolist() == [[0], [1], [-1]]


def test_chosen_aus_keep_their_order(work):
    frames = load_frames(work, size=100, aus=(12, 1))
    all_frames = load_frames(work, size=100)
    assert frames.au_names == ("AU12", "AU1")
    assert np.array_equal(frames.labels, all_frames.labels[:, [5, 0]])


def test_coefficients_can_come_from_elsewhere(work):
    def source(path):
        shard = shards.read_shard(path)
        return np.full((len(shard), 51), len(shard.header.subject), np.float32)

    assert (load_frames(work, size=100, f_exp_source=source).f_exp == 5).all()
    with pytest.raises(DataError, match="shape"):
        load_frames(work, size=100, f_exp_source=lambda path: np.zeros((1, 51)))


def test_folders_that_cannot_be_used(tmp_path, work, write_shard):
    with pytest.raises(ShardError, match="no shards"):
        load_frames(tmp_path, size=100)
    with pytest.raises(DataError, match="AU7"):
        load_frames(work, size=100, aus=(1, 7))
    write_shard(tmp_path / "unfitted", [[0], [1]], "occurrence")
    with pytest.raises(DataError, match="fit3d"):
        load_frames(tmp_path / "unfitted", size=100, aus=(1,))
    assert np.isnan(
        load_frames(tmp_path / "unfitted", size=100, aus=(1,), with_fit=False).f_exp
    ).all()
    write_shard(tmp_path / "unlabelled", np.empty((2, 0)), "none")
    with pytest.raises(DataError, match="no labels"):
        load_frames(tmp_path / "unlabelled", size=100, with_fit=False)


def test_mirror_swaps_sides_of_blendshapes():
    mirrored = mirrored_expressions(ARKIT_NAMES)
    for index, name in enumerate(ARKIT_NAMES):
        swapped = name.replace("Left", "*").replace("Right", "Left").replace("*", "Right")
        assert ARKIT_NAMES[mirrored[index]] == swapped
    assert np.array_equal(mirrored[mirrored], np.arange(51))


def test_mirror_of_a_statistical_basis_is_unknown():
    assert mirrored_expressions(("mode0", "mode1")) is None


def test_training_batch_is_cut_and_mirrored_as_drawn(work):
    frames = load_frames(work, size=200)
    index = np.array([3, 50, 77])
    draw = draw_epoch(len(frames), seed=1, epoch=2, margin=24)
    batch = make_batch(frames, index, 176, draw, index)
    assert {bool(draw.mirror[i]) for i in index} == {True, False}
    for item, frame in enumerate(index):
        top, left = draw.top[frame], draw.left[frame]
        cut = frames.crop(int(frame))[top : top + 176, left : left + 176]
        f_exp = frames.f_exp[frame]
        if draw.mirror[frame]:
            cut, f_exp = cut[:, ::-1], f_exp[mirrored_expressions(ARKIT_NAMES)]
        assert np.array_equal(batch.image[item], cut)
        assert np.array_equal(batch.f_exp[item], f_exp)


def test_test_batch_is_the_centre(work):
    frames = load_frames(work, size=200)
    batch = make_batch(frames, np.array([9]), 176)
    assert np.array_equal(batch.image[0], frames.crop(9)[12:188, 12:188])
    assert np.array_equal(batch.f_exp[0], frames.f_exp[9])


def test_stored_faces_keep_the_proportion_of_200_to_176():
    assert stored_size(176) == 200
    assert stored_size(88) == 100


def test_draws_depend_on_seed_and_epoch_alone_and_cover_their_range():
    draw = draw_epoch(4000, seed=5, epoch=1, margin=24, light=0.2)
    again = draw_epoch(4000, seed=5, epoch=1, margin=24, light=0.2)
    other = draw_epoch(4000, seed=5, epoch=2, margin=24, light=0.2)
    assert np.array_equal(draw.order, again.order)
    assert np.array_equal(draw.gain, again.gain)
    assert not np.array_equal(draw.order, other.order)
    assert sorted(draw.order) == list(range(4000))
    assert (draw.top.min(), draw.top.max(), draw.left.min(), draw.left.max()) == (0, 24, 0, 24)
    assert draw.mirror.mean() == pytest.approx(0.5, abs=0.03)
    assert not draw_epoch(9, seed=5, epoch=1, margin=24, mirror=False).mirror.any()
    assert (draw_epoch(9, seed=5, epoch=1, margin=24).gain == 1).all()
