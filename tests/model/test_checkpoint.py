"""Checkpoints that cannot be used: one line each, from the command line too."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from glee.cli import run as run_glee
from glee.errors import DataError, WeightsError
from glee.model.checkpoint import load_checkpoint
from glee.model.options import train_options
from glee.model.prediction.predict import predict, run_provenance
from glee.model.training.training import train

QUICK = {"ablation": "no-gb-lb", "batch": 16, "epochs": 1, "ema": 0.0, "person_specific": False}


@pytest.fixture(scope="module")
def trained(work, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    train(work, out, train_options("compact", **QUICK), fold="1", device="cpu")
    return out


def without_a_weight(content):
    content["weights"].pop("classifier.joint.weight")


def with_another_shape(content):
    content["weights"]["classifier.joint.weight"] = torch.zeros(3, 3)


def with_a_weight_too_many(content):
    content["weights"]["classifier.other"] = torch.zeros(3)


def with_a_choice_too_many(content):
    content["config"]["another_option"] = 1


def with_an_impossible_width(content):
    content["config"]["heads"] = 5


def of_a_later_format(content):
    content["version"] = 99


def of_other_landmarks(content):
    content["version"] = 1


def of_something_else(content):
    content.clear()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_a_weight, r"another version of glee's network \(classifier.joint.weight differs"),
        (with_another_shape, r"another version of glee's network \(classifier.joint.weight"),
        (with_a_weight_too_many, r"another version of glee's network \(classifier.other"),
        (with_a_choice_too_many, "damaged checkpoint"),
        (with_an_impossible_width, "damaged checkpoint"),
        (of_a_later_format, "checkpoint version 99, this glee reads 2"),
        (of_other_landmarks, "landmarks of another definition .*train again"),
        (of_something_else, "is not a glee checkpoint"),
    ],
)
def test_changed_checkpoints_are_refused(trained, work, tmp_path, capsys, change, said):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    path = run / "fold1/checkpoint.pt"
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    with pytest.raises(WeightsError, match=said):
        load_checkpoint(path)
    assert run_glee(["predict", str(run), str(work), "-o", str(tmp_path / "out.csv")]) == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith(f"glee: error: {path}: ")
    assert complaint.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()


def test_cut_missing_and_malicious_files(trained, work, tmp_path):
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(WeightsError, match="no such checkpoint"):
        load_checkpoint(path)
    path.write_bytes((trained / "fold1/checkpoint.pt").read_bytes()[:-100])
    with pytest.raises(WeightsError, match="cut or damaged"):
        load_checkpoint(path)
    # a pickle that runs code when it is read
    script = "import os, torch\nclass Bad:\n    def __reduce__(self): return os.mkdir, ('pwned',)\n"
    script += "torch.save({'format': Bad()}, 'checkpoint.pt')"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
    with pytest.raises(WeightsError, match="cut or damaged"):
        load_checkpoint(path)
    assert not (tmp_path / "pwned").exists()
    with pytest.raises(DataError, match="no fold is trained"):
        predict(tmp_path, work)


def test_frames_of_a_later_version(trained):
    checkpoint = load_checkpoint(trained / "fold1/checkpoint.pt")
    later = replace(checkpoint, provenance={**checkpoint.provenance, "lens": "wide"})
    with pytest.raises(DataError, match="another version of glee .*lens"):
        run_provenance(later)
