"""The stages with the refiner: stated in the shards, and the fit whitens by its own noise."""

from __future__ import annotations

import numpy as np
import pytest

from glee.errors import UsageError
from glee.fitting.morphable_model.landmark_scheme import nme
from glee.pipeline.fit3d import fit3d
from glee.pipeline.landmarks.refiner import weights
from glee.pipeline.options import Fit3dOptions, PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import list_shards, read_shard
from glee.pipeline.synthesis.clips import read_truth


@pytest.fixture(scope="module")
def work(synthetic_disfa, tmp_path_factory):
    out = tmp_path_factory.mktemp("work")
    options = PreprocessOptions(detector="mesh", refine=True)
    preprocess("disfa", synthetic_disfa, out, options=options, workers=1, progress=False)
    return out


def test_shards_state_it_and_hold_better_landmarks(work, synthetic_disfa):
    for path in list_shards(work):
        shard = read_shard(path)
        assert shard.header.detector.startswith("mesh+refiner ")
        assert shard.header.options["detector"] == "mesh+refiner"
        assert shard.header.options["refine"] is True
        truth = read_truth(synthetic_disfa / "truth" / f"{shard.header.subject}.h5")
        landmarks = shard.frames.landmarks[shard.frames.valid]
        assert len(landmarks) > 30
        assert nme(landmarks, truth.landmarks["anatomical"][shard.frames.valid]) < 0.025


def test_the_fit_whitens_by_the_refiners_noise(work, monkeypatch):
    options = Fit3dOptions(whiten=True, prior=True)
    fit3d(work, options=options, workers=1, progress=False)
    for path in list_shards(work):
        found = read_shard(path).fit
        assert found.converged.mean() > 0.9
        assert np.isfinite(found.f_exp[found.converged]).all()


def test_a_backend_without_such_noise_is_refused(work, monkeypatch):
    monkeypatch.setattr(weights, "noise_of", lambda detector: None)
    with pytest.raises(UsageError, match=r"mesh\+refiner"):
        fit3d(work, options=Fit3dOptions(whiten=True), workers=1, progress=False, overwrite=True)
