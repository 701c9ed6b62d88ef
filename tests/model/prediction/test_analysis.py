"""A trained run as the scorer of videos: the same probabilities as `predict` gives on shards."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glee.cli import run as glee
from glee.errors import DataError
from glee.fitting.morphable_model.model_file import load_model, model_digest
from glee.model.checkpoint import CHECKPOINT_FILE, Checkpoint, save_checkpoint
from glee.model.data.provenance import Provenance
from glee.model.network.build_glee_net import build_glee_net
from glee.model.network.config import GLEENetConfig
from glee.model.options import train_options
from glee.model.packed_run import pack_run
from glee.model.prediction.analysis import RunScorer
from glee.model.prediction.predict import load_run, predict
from glee.model.training.training import train
from glee.pipeline.analysis.face_fit import ANALYSIS_FIT, Identity
from glee.pipeline.shards.shard import list_shards, read_shard
from glee.pipeline.synthesis.clips import synthesise


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


def test_a_packed_run_scores_as_its_folder(run, tmp_path):
    pack_run(run, load_run(run), tmp_path / "run.zip", "CC0")
    whole, packed = RunScorer(run), RunScorer(tmp_path / "run.zip")
    for name in ("au_names", "detector", "fit"):
        assert getattr(packed, name) == getattr(whole, name), name
    random = np.random.default_rng(0)
    crops = random.integers(0, 255, (3, 200, 200, 3), dtype=np.uint8)
    f_exp = random.random((3, 51)).astype(np.float32)
    person = Identity(np.zeros(60, "f4"), f_exp[0], 50)
    assert np.array_equal(packed.score(crops, f_exp, person), whole.score(crops, f_exp, person))


def test_an_analysis_with_a_packed_run_is_that_with_its_folder(tmp_path, capsys):
    """A network of random weights, whose training frames were fitted with the embedded model."""
    config = GLEENetConfig(("AU4", "AU12"), expression="none", classifier="mlp", token_hidden=8)
    weights = build_glee_net(config).state_dict()
    model = load_model()
    made = Provenance("mesh", {}, {}, model.name, model_digest(model)).as_dict()
    checkpoint = Checkpoint(
        config, weights, ("A",), ("B",), "folder", model.name, torch.zeros(51), True, {}, made
    )
    save_checkpoint(tmp_path / "run" / "fold1" / CHECKPOINT_FILE, checkpoint)
    synthesise(tmp_path / "data", subjects=1, frames=12, size=(320, 240), seed=4)
    assert glee(["run", "pack", str(tmp_path / "run"), "-o", str(tmp_path / "run.zip")]) == 0
    video = next((tmp_path / "data").rglob("*.avi"))
    tables = []
    for run in ("run", "run.zip"):
        words = ["analyze", str(video), "-o", str(tmp_path / f"out-{run}"), "--run"]
        assert glee([*words, str(tmp_path / run)]) == 0
        tables.append(next((tmp_path / f"out-{run}").glob("*.csv")).read_text())
    assert tables[0] == tables[1]
    assert "AU12" in tables[0].splitlines()[0].split(",")


def test_another_model_is_refused(run):
    with pytest.raises(DataError, match="morphable model"):
        RunScorer(run).check("none", ANALYSIS_FIT, load_model())


def test_no_run(tmp_path):
    with pytest.raises(DataError, match="no fold is trained"):
        RunScorer(tmp_path)
