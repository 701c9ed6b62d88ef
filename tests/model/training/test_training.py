"""The trainer: learns, resumes with the same bits, keeps test subjects out, stops on trouble."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from glee.errors import DataError, OptionsError, UsageError
from glee.model.checkpoint import load_checkpoint
from glee.model.data.au_dataset import make_batch
from glee.model.distributed import World
from glee.model.options import read_options, train_options
from glee.model.prediction.evaluation import evaluate
from glee.model.prediction.predict import predict
from glee.model.prediction.predictions import load_predictions
from glee.model.training import steps, training
from glee.model.training.state import new_network, new_state
from glee.model.training.steps import RuntimeOptions, take_step
from glee.model.training.training import add_au_gradient, train

# The classifier alone: a step takes milliseconds, and dropout uses the random state.
QUICK = {"ablation": "no-gb-lb", "batch": 16, "epochs": 2, "ema": 0.9, "person_specific": False}


class Killed(BaseException):
    """Stands for a signal that ends the process at once."""


def kill_at(monkeypatch, step):
    """Let training die before a step; how often `take_step` ran is counted."""
    take, calls = steps.take_step, []

    def dying(*arguments):
        if len(calls) == step:
            raise Killed
        calls.append(None)
        return take(*arguments)

    monkeypatch.setattr(steps, "take_step", dying)
    return calls


def same_bits(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.fixture(scope="module")
def run(work, tmp_path_factory):
    """An undisturbed run of all folds."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("runs") / "run"
    return out, train(work, out, train_options("compact", **QUICK))


def test_run_holds_all_that_came_of_it(run):
    out, summary = run
    assert [fold.name for fold in summary.folds] == ["1", "2", "3"]
    assert all((fold.frames, fold.test_frames) == (92, 46) for fold in summary.folds)
    assert read_options(out) == train_options("compact", **QUICK)
    split = json.loads((out / "split.json").read_text())
    assert split == {"1": ["SN001", "SN002"], "2": ["SN006", "SN011"], "3": ["SN003", "SN004"]}
    for fold in "123":
        rows = list(csv.DictReader((out / f"fold{fold}/log.csv").open()))
        assert [int(row["step"]) for row in rows] == list(range(10))
        assert [int(row["epoch"]) for row in rows] == [0] * 5 + [1] * 5
        checkpoint = load_checkpoint(out / f"fold{fold}/checkpoint.pt")
        assert checkpoint.finished
        assert checkpoint.test_subjects == tuple(split[fold])
        assert set(checkpoint.train_subjects) == {s for f in split if f != fold for s in split[f]}
        predictions = load_predictions(out / f"fold{fold}/predictions.npz")
        assert set(predictions.subject) == set(split[fold])
        assert len(predictions.labels) == 46


def test_statistics_and_r_come_from_the_training_subjects(run, work):
    out, _ = run
    frames = training.load_frames(work, size=100)
    network = load_checkpoint(out / "fold1/checkpoint.pt").network()
    mine = frames.f_exp[frames.of_subjects(["SN006", "SN011", "SN003", "SN004"])]
    expected = (mine.mean(0) + mine[:, frames.mirrored].mean(0)) / 2
    assert network.coefficient_branch.mean.numpy() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("step", [0, 3, 5, 9])
def test_killed_at_any_step_and_resumed_gives_the_same_bits(run, work, tmp_path, monkeypatch, step):
    options = train_options("compact", **QUICK, checkpoint_steps=2)
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        with pytest.raises(Killed):
            train(work, tmp_path, options, fold="2")
    torch.manual_seed(1234)
    calls = kill_at(monkeypatch, 1000)
    train(work, tmp_path, options, fold="2")
    assert len(calls) <= 10 - step + 1
    one = load_checkpoint(run[0] / "fold2/checkpoint.pt")
    other = load_checkpoint(tmp_path / "fold2/checkpoint.pt")
    assert same_bits(one.weights, other.weights)
    probability = load_predictions(tmp_path / "fold2/predictions.npz").probability
    undisturbed = load_predictions(run[0] / "fold2/predictions.npz").probability
    assert np.array_equal(probability, undisturbed)
    columns = ("step", "epoch", "loss", "learning_rate", "gradient_norm")
    logs = [
        [[row[c] for c in columns] for row in csv.DictReader((out / "fold2/log.csv").open())]
        for out in (run[0], tmp_path)
    ]
    assert logs[0] == logs[1]


def test_all_three_branches_resume_with_the_same_bits(work, tmp_path, monkeypatch, tiny):
    options = train_options("compact", epochs=2, batch=30, checkpoint_steps=1, aus=(1, 12))
    train(work, tmp_path / "whole", options, fold="1")
    with monkeypatch.context() as patch:
        kill_at(patch, 4)
        with pytest.raises(Killed):
            train(work, tmp_path / "killed", options, fold="1")
    train(work, tmp_path / "killed", options, fold="1")
    one, other = (
        load_checkpoint(tmp_path / name / "fold1/checkpoint.pt") for name in ("whole", "killed")
    )
    assert same_bits(one.weights, other.weights)


def test_finished_folds_are_not_trained_again(run, work, monkeypatch):
    calls = kill_at(monkeypatch, 1000)
    train(work, run[0], train_options("compact", **QUICK))
    assert not calls


def test_other_options_or_folds_are_refused(run, work):
    with pytest.raises(OptionsError, match="seed"):
        train(work, run[0], train_options("compact", **{**QUICK, "seed": 7}))
    with pytest.raises(UsageError, match="'4'"):
        train(work, run[0], train_options("compact", **QUICK), fold="4")


def test_other_data_is_refused(run, work):
    with pytest.raises(OptionsError, match="f_exp"):
        train(
            work,
            run[0],
            train_options("compact", **QUICK),
            f_exp_source=lambda path: np.zeros((24, 51), np.float32),
        )


def test_unknown_options_are_refused():
    with pytest.raises(OptionsError, match="preset"):
        train_options("huge")
    with pytest.raises(OptionsError, match="schedule"):
        train_options("paper", schedule="steps")
    with pytest.raises(OptionsError, match="accumulate"):
        train_options("paper", batch=32, accumulate=5)
    with pytest.raises(OptionsError, match="epochs"):
        train_options("paper", epochs=0)


def test_published_recipe():
    options = train_options("paper")
    assert (options.momentum, options.learning_rate, options.epochs) == (0.9, 2e-3, 10)
    assert (options.schedule, options.clip, options.ema) == ("constant", 0.0, 0.0)
    assert not options.person_specific


def test_loss_that_is_not_finite_stops_with_the_frames_names(work, tmp_path, monkeypatch):
    network_input = training.network_input

    def with_nan(batch, device):
        image, f_exp = network_input(batch, device)
        return image, torch.where(torch.tensor(batch.index == 60)[:, None], 1e30, f_exp)

    monkeypatch.setattr(training, "network_input", with_nan)
    named = r"fold 1, step \d+: .* SN003/LeftVideoSN003_comp/000000.h5 frame 16; look"
    with pytest.raises(DataError, match=named):
        train(work, tmp_path, train_options("compact", **QUICK), fold="1")
    assert not (tmp_path / "fold1/predictions.npz").exists()


def test_accumulated_gradient_is_the_batchs(work, tmp_path):
    # without batch normalisation and dropout, parts and whole give the same gradient
    plain = {**QUICK, "ema": 0.0, "epochs": 1}
    exact = {"dropout": 0.0, "coefficient_noise": 0.0}
    weights = []
    for accumulate in (1, 4):
        options = train_options("compact", **plain, accumulate=accumulate)
        frames = training.load_frames(work, size=100)
        config = training.preset_config("compact", frames.au_names, "no-gb-lb", **exact)
        folder = tmp_path / str(accumulate)
        where = torch.device("cpu")
        training.train_fold(frames, config, options, "1", ("SN001", "SN002"), folder, where)
        weights.append(load_checkpoint(folder / "checkpoint.pt").weights)
    for name, value in weights[0].items():
        assert torch.allclose(value, weights[1][name], atol=1e-5), name


def test_worker_processes_change_no_bit(run, work, tmp_path):
    options = train_options("compact", **QUICK)
    train(work, tmp_path, options, fold="2", runtime=RuntimeOptions(workers=1))
    one = load_checkpoint(run[0] / "fold2/checkpoint.pt")
    assert same_bits(one.weights, load_checkpoint(tmp_path / "fold2/checkpoint.pt").weights)


def test_tensorboard_holds_the_log(work, tmp_path, monkeypatch):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    options = train_options("compact", **QUICK, checkpoint_steps=2)
    with monkeypatch.context() as patch:
        kill_at(patch, 5)
        with pytest.raises(Killed):
            train(work, tmp_path, options, fold="1", runtime=RuntimeOptions(tensorboard=True))
    train(work, tmp_path, options, fold="1", runtime=RuntimeOptions(tensorboard=True))
    events = accumulator.EventAccumulator(str(tmp_path / "fold1/tensorboard")).Reload()
    rows = list(csv.DictReader((tmp_path / "fold1/log.csv").open()))
    assert sorted(events.Tags()["scalars"]) == [
        "gradient_norm", "learning_rate", "loss", "seconds",
    ]  # fmt: skip
    loss = events.Scalars("loss")
    assert [event.step for event in loss] == list(range(10))
    written = [float(row["loss"]) for row in rows]
    assert [event.value for event in loss] == pytest.approx(written, rel=1e-5)


def test_tensorboard_that_is_missing_is_one_line(work, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    options = train_options("compact", **QUICK)
    with pytest.raises(UsageError, match=r"pip install '\.\[tensorboard\]'"):
        train(work, tmp_path, options, fold="1", runtime=RuntimeOptions(tensorboard=True))


def test_what_a_cpu_or_a_start_cannot_have(work, tmp_path):
    half = train_options("compact", **QUICK, precision="float16")
    with pytest.raises(UsageError, match="fp16 needs a CUDA device"):
        train(work, tmp_path, half, fold="1", device="cpu")
    with pytest.raises(OptionsError, match="give one of them"):
        train_options("paper", facenet="a.pt", init="run")


def test_deterministic_algorithms_last_as_long_as_the_training(run, work, tmp_path, monkeypatch):
    seen, take = [], steps.take_step

    def watching(*arguments):
        seen.append(torch.are_deterministic_algorithms_enabled())
        return take(*arguments)

    monkeypatch.setattr(steps, "take_step", watching)
    train(work, tmp_path, train_options("compact", **QUICK, deterministic=True), fold="1")
    assert set(seen) == {True}
    assert not torch.are_deterministic_algorithms_enabled()
    one = load_checkpoint(run[0] / "fold1/checkpoint.pt")
    assert same_bits(one.weights, load_checkpoint(tmp_path / "fold1/checkpoint.pt").weights)


def test_bfloat16_trains(work, tmp_path):
    options = replace(train_options("compact", **QUICK), precision="bfloat16")
    assert np.isfinite(train(work, tmp_path, options, fold="1").folds[0].loss)


def test_evaluation_of_a_run(run, work):
    evaluation = evaluate(run[0])
    assert json.loads((run[0] / "results.json").read_text()) == evaluation.results
    assert evaluation.results["frames"] == 6 * 23
    assert sorted(evaluation.results["subjects"]) == [
        "SN001", "SN002", "SN003", "SN004", "SN006", "SN011",
    ]  # fmt: skip
    assert "AU12" in evaluation.table
    again = evaluate(run[0], work)
    assert again.results == evaluation.results


def test_prediction_never_uses_a_network_that_saw_the_subject(run, work, tmp_path):
    out, _ = run
    parts = predict(out, work)
    assert {name: set(part.subject) for name, part in parts.items()} == {
        "1": {"SN001", "SN002"},
        "2": {"SN006", "SN011"},
        "3": {"SN003", "SN004"},
    }
    single = tmp_path / "single"
    (single / "fold1").mkdir(parents=True)
    (single / "fold1/checkpoint.pt").write_bytes((out / "fold1/checkpoint.pt").read_bytes())
    assert set(predict(single, work)) == {"1"}


def test_prediction_takes_the_person_specific_reference_along(work, tmp_path):
    options = train_options("compact", **{**QUICK, "person_specific": True, "epochs": 1})
    train(work, tmp_path, options)
    parts = predict(tmp_path, work)
    for fold in "123":
        own = load_predictions(tmp_path / f"fold{fold}/predictions.npz")
        assert np.array_equal(parts[fold].probability, own.probability)


def test_evaluation_without_a_trained_fold(tmp_path):
    with pytest.raises(DataError, match="no fold is trained"):
        evaluate(tmp_path)


@pytest.mark.parametrize("ablation", ["no-3dgb", "no-gb-lb", "resnet"])
def test_overfits_one_batch(work, tiny, ablation):
    """Images alone, coefficients alone, and other parts can be learnt by heart."""
    options = train_options("compact", ablation=ablation, ema=0.0)
    frames = training.load_frames(work, size=50)
    config = training.preset_config("compact", frames.au_names, ablation, dropout=0.0)
    index = np.arange(0, 138, 9)
    device = torch.device("cpu")
    subjects = {"train_subjects": (), "test_subjects": (), "dataset": "disfa", "fit_model": ""}
    network = new_network(config, options, frames.f_exp[index])
    state = new_state(network, config, options, device, World(), **subjects)
    batch = make_batch(frames, index, 44)
    ratio = torch.full((8,), 0.4)

    def add_gradient(state, batch):
        return add_au_gradient(state, batch, ratio, options, np.zeros(len(frames), np.int64))

    losses = [
        float(take_step(state, batch, add_gradient, options, 0.03)[0].mean()) for _ in range(40)
    ]
    assert losses[-1] < 0.2 * losses[0]
