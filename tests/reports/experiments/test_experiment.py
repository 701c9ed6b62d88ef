"""Each experiment from end to end on rendered people: quick, and with a tiny network."""

import csv
import json
import shutil
from dataclasses import replace
from importlib import import_module

import cv2
import pytest
import torch
from click.testing import CliRunner

from glee.commands.experiment import NAMES
from glee.commands.experiment import experiment as command
from glee.errors import UsageError
from glee.model import options
from glee.model.network import config
from glee.model.prediction.predict import predict as predict_shards
from glee.model.training import steps
from glee.pipeline.shards.shard import add_fit, list_shards, read_shard
from glee.reports.experiments import trainings
from glee.reports.experiments.experiment import run_experiment
from glee.reports.experiments.rows import EXPERIMENTS, TABLE5_ROWS

TINY = {
    "image_size": 44,
    "global_size": 44,
    "local_size": 16,
    "backbone_widths": (8, 16),
    "local_channels": (4, 4, 8, 8),
    "local_hidden": 16,
}
NEEDED = {
    "table1": ("bp4d",),
    "table2": ("disfa", "fec"),
    "table3": ("bp4d-plus",),
    "table4": ("bp4d", "bp4d-plus"),
    "table5": ("bp4d", "fec"),
    "figure1": ("bp4d", "fec"),
    "figure4": ("bp4d", "fec"),
    "figure5": ("bp4d", "fec"),
}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setitem(config.PRESETS, "compact", {**config.PRESETS["compact"], **TINY})
    # The embedding is of the network as it is shipped.
    monkeypatch.setitem(options.RECIPES, "compact", {**options.RECIPES["compact"], "init": ""})


def run(name, works, out, **more):
    folders = [works[dataset] for dataset in NEEDED[name]]
    return run_experiment(name, folders, out, preset="compact", quick=True, device="cpu", **more)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """One folder for all: runs that experiments share are trained once."""
    return tmp_path_factory.mktemp("out")


def test_the_command_knows_every_experiment():
    assert tuple(EXPERIMENTS) == NAMES == tuple(NEEDED)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_runs_from_end_to_end(name, works, out, monkeypatch):
    place = out / "without-fec" if name in ("table1", "table4") else out / "with"
    summary = run(name, works, place)
    data = json.loads((place / f"{name}.json").read_text())
    assert data["synthetic"]
    assert data["quick"]
    assert not data["comparable_with_published"]
    if name.startswith("table"):
        kinds = ("people: rendered", "subjects: ", "fit3d ", "preset: compact", "network: ")
        for kind in (*kinds, "training: epochs 1", "weights: random"):
            assert any(kind in line for line in data["departures"]), kind
    for text in (summary.text, (place / f"{name}.md").read_text()):
        assert "SYNTHETIC" in text
        assert "QUICK" in text
    assert cv2.imread(str(place / f"{name}.png")).std() > 5
    with (place / f"{name}.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) > 3
    if name.startswith("table"):
        assert "measured" not in data
        measured = data["measured_on_synthetic_people"]["f1_percent"]
        assert set(measured) >= {"GLEE-Net"}
        assert data["published"]["table"] == int(name[-1])
    if name == "table1":
        assert set(measured) == {
            *("linear SVM on landmarks", "linear SVM on f_exp"),
            *("ResNet baseline", "GLEE-Net"),
        }
        assert any("NOT PRE-TRAINED" in note for note in data["notes"])
    if name == "table4":
        assert "bp4d-plus (3 subjects" in data["measured_on_synthetic_people"]["on"]
    if name == "table5":
        assert list(measured) == [row.name for row in TABLE5_ROWS]
        starts = sorted(path.name for path in (place / "pretraining").iterdir())
        assert starts == ["full", "no-attention", "no-lb"]
        assert any("w/o self-attention is no row of the paper's" in note for note in data["notes"])
        assert not any("NOT PRE-TRAINED" in note for note in data["notes"])
    if name in ("figure1", "figure4"):
        # four people with four frames each have no combination in ten frames
        (few,) = (line for line in data["warnings"] if line.startswith("FEW SAMPLES"))
        assert all(f"{one} ({count})" in few for one, count in data["combinations"].items())
        assert few in summary.text
    if name == "figure1":
        assert data["centres"]
        for centre in data["centres"]:
            own, *others = (frame.split("/")[0] for frame in centre["frames"])
            assert others
            assert own not in others
    if name == "figure4":
        assert all(0 <= value < 1.5 for value in data["ave_var"].values())
    if name == "figure5":
        assert all(0 <= value <= 1 for value in data["agreement"].values())
        own, *others = (frame.rsplit("/", 1)[0] for frame in data["frames"]["GB"])
        # each of another clip, of other people
        assert 1 <= len(others) == len(set(others)) <= 5
        assert own.split("/")[0] not in {clip.split("/")[0] for clip in others}
    # started again, it trains nothing and shows the same
    monkeypatch.setattr(steps, "take_step", None)
    assert run(name, works, place).data == summary.data


@pytest.mark.slow
def test_goes_on_where_it_was_killed(works, tmp_path, monkeypatch):
    """What stands in the folder stays as it is; only what is missing is trained."""
    first = run("table1", works, tmp_path)
    checkpoint = tmp_path / "runs/bp4d/full/fold1/checkpoint.pt"
    kept, again = checkpoint.stat().st_mtime_ns, tmp_path / "runs/bp4d/resnet-alone/fold1"
    (again / "checkpoint.pt").unlink()
    (again / "log.csv").unlink()
    (tmp_path / "table1.json").unlink()
    second = run("table1", works, tmp_path)
    assert checkpoint.stat().st_mtime_ns == kept
    assert (again / "checkpoint.pt").exists()
    assert second.data == first.data


@pytest.mark.slow
def test_table4_keeps_its_predictions_until_the_shards_change(works, tmp_path, monkeypatch, caplog):
    tested = tmp_path / "bp4d-plus"
    shutil.copytree(works["bp4d-plus"], tested)
    devices = []

    def watched(run, work, **more):
        devices.append(more["device"])
        return predict_shards(run, work, **more)

    monkeypatch.setattr(trainings, "predict", watched)
    given = {**works, "bp4d-plus": tested}
    first = run("table4", given, tmp_path / "out")
    assert run("table4", given, tmp_path / "out").data == first.data
    assert devices == ["cpu"]
    assert "changed since" not in caplog.text
    path = list_shards(tested)[0]
    fit = read_shard(path).fit
    add_fit(path, replace(fit, f_exp=1 - fit.f_exp))
    run("table4", given, tmp_path / "out")
    assert devices == ["cpu", "cpu"]
    assert "changed since; predicted again" in caplog.text


@pytest.mark.slow
def test_table4_goes_on_with_the_next_subject(works, tmp_path, monkeypatch):
    """Killed in its predictions, it takes those that are there."""
    predict = import_module("glee.model.prediction.predict")
    seen, predict_frames = [], predict.predict_frames

    def watched(network, frames, index, *, subjects, **more):
        seen.append(tuple(subjects))
        if len(seen) == 2:
            raise KeyboardInterrupt
        return predict_frames(network, frames, index, subjects=subjects, **more)

    whole = run("table4", works, tmp_path / "whole")
    monkeypatch.setattr(predict, "predict_frames", watched)
    with pytest.raises(KeyboardInterrupt):
        run("table4", works, tmp_path / "killed")
    first, killed = seen
    assert run("table4", works, tmp_path / "killed").data == whole.data
    assert first not in seen[2:]
    assert seen[2] == killed
    assert len(set(seen)) == len(seen) - 1 == 3
    (kept,) = (tmp_path / "killed/runs/bp4d").glob("*-on-bp4d-plus")
    assert sorted(path.name for path in kept.iterdir()) == ["foldunseen", "source.json"]


def test_says_which_dataset_is_missing(works, tmp_path):
    with pytest.raises(UsageError, match="table4 needs shards of bp4d-plus"):
        run_experiment("table4", [works["bp4d"]], tmp_path)
    with pytest.raises(UsageError, match="both hold disfa"):
        run_experiment("table2", [works["disfa"], works["disfa"]], tmp_path)
    with pytest.raises(UsageError, match="unknown experiment 'table6'"):
        run_experiment("table6", [works["disfa"]], tmp_path)


@pytest.mark.slow
def test_the_command_writes_where_it_is_told(works, tmp_path):
    words = ["table2", "--work", str(works["disfa"]), "-o", str(tmp_path), "--quick"]
    words += ["--preset", "compact", "--device", "cpu", "--batch", "6"]
    done = CliRunner().invoke(command, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert "SYNTHETIC DATA" in done.output
    assert (tmp_path / "table2.csv").exists()
