"""A trained run as the scorer of videos: the same probabilities as `predict` gives on shards."""

from __future__ import annotations

import numpy as np
import pytest

from glee.errors import DataError
from glee.fitting.morphable_model.model_file import load_model
from glee.model.options import train_options
from glee.model.prediction.analysis import RunScorer
from glee.model.prediction.predict import predict
from glee.model.training.training import train
from glee.pipeline.analysis.face_fit import ANALYSIS_FIT, Identity
from glee.pipeline.shards.shard import list_shards, read_shard


@pytest.fixture
def run(work, tiny, tmp_path):
    """One fold with f_exp relative to the person."""
    options = train_options("compact", epochs=1, batch=16, seed=3, person_specific=True)
    train(work, tmp_path / "run", options, fold="1", device="cpu")
    return tmp_path / "run"


def test_probabilities_are_those_of_predict(run, work):
    expected = predict(run, work)["1"]
    scorer = RunScorer(run)
    assert scorer.au_names == tuple(expected.au_names)
    for path in list_shards(work):
        shard = read_shard(path)
        rows = np.flatnonzero(expected.subject == shard.header.subject)
        if not len(rows):
            continue
        valid = np.flatnonzero(shard.frames.valid)
        f_exp = shard.fit.f_exp[valid]
        person = Identity(np.zeros(60, "f4"), np.median(f_exp, axis=0).astype("f4"), len(valid))
        crops = np.stack([shard.crop(int(i)) for i in valid])
        given = scorer.score(crops, f_exp, person)
        assert given == pytest.approx(expected.probability[rows], abs=1e-5)
        # The blocks in which frames come change nothing.
        parts = [scorer.score(crops[i : i + 5], f_exp[i : i + 5], person) for i in range(0, 20, 5)]
        assert np.concatenate(parts) == pytest.approx(given[:20], abs=1e-5)


def test_another_model_is_refused(run):
    with pytest.raises(DataError, match="morphable model"):
        RunScorer(run).check("none", ANALYSIS_FIT, load_model())


def test_no_run(tmp_path):
    with pytest.raises(DataError, match="no fold is trained"):
        RunScorer(tmp_path)
