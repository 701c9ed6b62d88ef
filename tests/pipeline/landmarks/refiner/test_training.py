"""Training: it learns, a killed run comes to the same end, and other options are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from glee import cli
from glee.errors import DataError, UsageError
from glee.fitting.morphable_model.landmark_noise import LandmarkNoise
from glee.pipeline.landmarks.refiner import renders, training
from glee.pipeline.landmarks.refiner.augmentation import example
from glee.pipeline.landmarks.refiner.network import levelled, network_of
from glee.pipeline.landmarks.refiner.training import TrainOptions, normalised_error, train_landmarks
from glee.pipeline.landmarks.refiner.weights import read_weights

NOISE = LandmarkNoise(np.zeros((68, 2), np.float32), np.eye(136, dtype=np.float32))


class Killed(BaseException):
    """As a signal would end the run."""


@pytest.fixture
def small(monkeypatch, tmp_path, few_renders):
    """Blocks of few renders, states kept often, and the errors' measurement left out."""
    monkeypatch.setattr(training, "BLOCK", 6)
    monkeypatch.setattr(training, "KEEP_EVERY", 2)
    monkeypatch.setattr(training, "CHECKED", 8)
    monkeypatch.setattr(training, "refined_noise", lambda name, network: NOISE)
    monkeypatch.setattr(renders.RenderFolder, "block", lambda self, block: few_renders)
    return tmp_path / "refiner.npz"


OPTIONS = TrainOptions(("mesh",), renders=18, steps=6, batch=4, seed=2)


def test_a_killed_run_comes_to_the_same_weights(small, tmp_path):
    train_landmarks(small, OPTIONS)

    def kill(step, count=[0]):  # noqa: B006
        count[0] += step
        if count[0] == 5:
            raise Killed

    other = tmp_path / "killed" / "refiner.npz"
    with pytest.raises(Killed):
        train_landmarks(other, OPTIONS, stepped=kill)
    assert not other.exists()
    assert other.with_suffix(".training").exists()
    train_landmarks(other, OPTIONS)
    assert not other.with_suffix(".training").exists()
    assert small.read_bytes() == other.read_bytes()


def test_another_seed_gives_other_weights_and_other_options_no_state(small, tmp_path):
    train_landmarks(small, OPTIONS)
    path = tmp_path / "other" / "refiner.npz"
    other = TrainOptions(("mesh",), renders=18, steps=6, batch=4, seed=3)
    train_landmarks(path, other)
    assert read_weights(small).version != read_weights(path).version
    state = path.with_suffix(".training")
    run = training._Run(OPTIONS)
    state.write_bytes(run.state())
    with pytest.raises(UsageError, match="remove it to begin anew"):
        train_landmarks(path, other)
    state.write_bytes(run.state()[:2000])
    with pytest.raises(DataError, match="remove it to begin anew"):
        train_landmarks(path, other)


def test_it_learns(few_renders):
    """On the same few pictures again and again: errors fall below those of the first landmarks."""
    options = TrainOptions(("mesh",), renders=18, steps=120, batch=6, seed=1)
    run = training._Run(options)
    examples = [
        example(few_renders, place, np.random.default_rng(place), mouths=False)
        for place in range(6)
    ]
    crops = levelled(np.stack([one.crop for one in examples]))
    first, truth = (
        torch.from_numpy(np.stack([getattr(one, name) for one in examples]))
        for name in ("first", "truth")
    )
    before = float(normalised_error(first, truth).mean())
    while run.step < options.steps:
        run.advance(crops, first, truth)
    run.network.eval()
    with torch.inference_mode():
        points, factors = run.network(crops, first)
    assert float(normalised_error(points, truth).mean()) < 0.6 * before
    assert torch.isfinite(factors).all()


def test_average_is_of_the_network(small):
    trained = train_landmarks(small, OPTIONS)
    network = network_of(read_weights(small))
    assert trained.renders == 12
    assert len(trained.lines()) == 2
    assert all(torch.isfinite(p).all() for p in network.parameters())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--steps", "0"],
        ["--renders", "5"],
        ["--backend", "nobody"],
        ["--backend", "mesh", "--backend", "mesh"],
        ["--seed", "-1"],
    ],
)
def test_bad_usage_is_one_line(tmp_path, arguments):
    output = str(tmp_path / "weights.npz")
    result = CliRunner().invoke(cli.commands, ["train-landmarks", "-o", output, *arguments])
    assert isinstance(result.exception, UsageError)
    assert "\n" not in str(result.exception)
    assert not list(tmp_path.iterdir())
