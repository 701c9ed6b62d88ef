"""Smoothing of a clip's landmarks: the same whatever its chunks are, and used by fit3d."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from glee.pipeline.fit3d import Fit3dOptions, fit3d
from glee.pipeline.preprocess import PreprocessOptions, preprocess
from glee.pipeline.shards import list_shards, read_shard
from glee.pipeline.smoothing import Stretch, noise_by_clip, runs, smoothed_chunk
from glee.pipeline.synthesis import synthesise


@pytest.fixture(scope="module")
def works(tmp_path_factory):
    """One clip of 90 frames in one chunk, and in chunks of 20."""
    folder = tmp_path_factory.mktemp("smoothing")
    synthesise(folder / "data", subjects=1, frames=90, size=(320, 240), seed=77)
    made = {}
    for size in (1024, 20):
        made[size] = folder / str(size)
        options = PreprocessOptions(detector="dlib", chunk_frames=size)
        preprocess("disfa", folder / "data", made[size], options=options, workers=1, progress=False)
    return made


def smoothed(work):
    paths = list_shards(work)
    noise = noise_by_clip(paths)
    parts = [smoothed_chunk(path, read_shard(path), noise[path.parent.name]) for path in paths]
    return np.concatenate(parts)


@pytest.mark.slow
def test_chunks_make_no_difference(works):
    one, many = smoothed(works[1024]), smoothed(works[20])
    assert len(list_shards(works[20])) == 5
    np.testing.assert_array_equal(one, many)
    raw = read_shard(list_shards(works[1024])[0]).frames.landmarks
    assert 0.01 < np.nanmedian(np.abs(one - raw)) < 2.0
    shakes = [np.nanmedian(np.abs(np.diff(x, 2, axis=0))) for x in (one, raw.astype(float))]
    assert shakes[0] < 0.8 * shakes[1]


@pytest.mark.slow
def test_fit3d_smooths_only_what_it_is_told_to(works, tmp_path):
    found = {}
    for smooth in (False, True, None):
        work = tmp_path / str(smooth)
        shutil.copytree(works[20], work)
        fit3d(work, options=Fit3dOptions(smooth=smooth), workers=1, progress=False)
        shards = [read_shard(path) for path in list_shards(work)]
        found[smooth] = np.concatenate([shard.fit.f_exp for shard in shards])
        assert shards[0].fit.options["smooth"] is (smooth is not False)
    assert not np.array_equal(found[False], found[True])
    np.testing.assert_array_equal(found[True], found[None])


def test_runs_end_where_frames_are_missing_or_the_shot_changes():
    landmarks = np.random.default_rng(1).normal(0, 1, (1, 68, 2)) * 5 + 100
    landmarks = np.repeat(landmarks, 12, axis=0)
    landmarks[3] = np.nan
    landmarks[8:] += 500.0
    frame_id = np.arange(12)
    frame_id[6:] += 1
    found = [(run.start, run.stop) for run in runs(Stretch(landmarks, frame_id))]
    assert found == [(0, 3), (4, 6), (6, 8), (8, 12)]
