"""Smoothing of a clip's landmarks: the same whatever its chunks are, and used by fit3d."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from glee.errors import ShardError
from glee.pipeline.clip_smoothing import (
    Stretch,
    clip_noise,
    noise_by_clip,
    runs,
    smoothed,
    smoothed_chunk,
    stretch_of,
)
from glee.pipeline.fit3d import fit3d
from glee.pipeline.options import Fit3dOptions, PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import list_shards, read_shard
from glee.pipeline.synthesis.clips import synthesise


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """One clip of 90 frames in chunks of 20."""
    folder = tmp_path_factory.mktemp("smoothing")
    synthesise(folder / "data", subjects=1, frames=90, size=(320, 240), seed=77)
    options = PreprocessOptions(chunk_frames=20)
    out = folder / "work"
    preprocess("disfa", folder / "data", out, options=options, workers=1, progress=False)
    return out


@pytest.mark.slow
def test_chunks_make_no_difference(work):
    paths = list_shards(work)
    assert len(paths) == 5
    shards = [read_shard(path) for path in paths]
    (noise,) = noise_by_clip(shards).values()
    whole = Stretch(*map(np.concatenate, zip(*map(stretch_of, shards), strict=True)))
    at_once = smoothed(whole, noise)
    parts = [smoothed_chunk(path, shard, noise) for path, shard in zip(paths, shards, strict=True)]
    np.testing.assert_allclose(np.concatenate(parts), at_once, atol=0.01)
    assert clip_noise([whole]).error == pytest.approx(noise.error)
    shakes = [np.median(np.abs(np.diff(x, 2, axis=0))) for x in (at_once, whole.landmarks)]
    assert shakes[0] < 0.8 * shakes[1]


@pytest.mark.slow
def test_a_shard_that_is_missing_within_a_clip_is_named(work, tmp_path):
    copy = tmp_path / "work"
    shutil.copytree(work, copy)
    paths = list_shards(copy)
    (noise,) = noise_by_clip(map(read_shard, paths)).values()
    paths[1].unlink()
    with pytest.raises(ShardError, match=rf"{paths[1]}: missing between"):
        smoothed_chunk(paths[2], read_shard(paths[2]), noise)


@pytest.mark.slow
def test_fit3d_smooths_only_what_it_is_told_to(work, tmp_path):
    found = {}
    for smooth in (False, True, None):
        copy = tmp_path / str(smooth)
        shutil.copytree(work, copy)
        fit3d(copy, options=Fit3dOptions(smooth=smooth), workers=1, progress=False)
        shards = [read_shard(path) for path in list_shards(copy)]
        found[smooth] = np.concatenate([shard.fit.f_exp for shard in shards])
        assert shards[0].fit.options["smooth"] is (smooth is not False)
    assert not np.array_equal(found[False], found[True])
    np.testing.assert_array_equal(found[True], found[None])


def test_runs_end_where_frames_are_missing_or_the_shot_or_what_is_hidden_changes():
    landmarks = np.random.default_rng(1).normal(0, 1, (1, 68, 2)) * 5 + 100
    landmarks = np.repeat(landmarks, 12, axis=0)
    landmarks[3] = np.nan
    landmarks[8:] += 500.0
    frame_id = np.arange(12)
    frame_id[6:] += 1
    hidden = np.zeros((12, 7), bool)
    hidden[10:, 5] = True
    found = [(run.start, run.stop) for run in runs(Stretch(landmarks, frame_id, hidden))]
    assert found == [(0, 3), (4, 6), (6, 8), (8, 10), (10, 12)]
