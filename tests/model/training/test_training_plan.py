"""The plan of a training says what the training then does."""

from __future__ import annotations

import pytest

from glee.cli import run
from glee.errors import UsageError
from glee.model.options import train_options
from glee.model.training.training import training_plan


def test_folds_and_frames(work, tmp_path):
    lines = training_plan(work, tmp_path / "run", train_options("compact"))
    assert lines[0].startswith("disfa: 6 subjects, 138 valid frames; preset compact, ")
    assert [line.split(":")[0] for line in lines[1:]] == ["fold 1", "fold 2", "fold 3"]
    # Two of the six subjects are tested in each, 23 valid frames of each.
    assert all("train 4 subjects, 92 frames; test 2 subjects, 46 frames" in x for x in lines[1:])
    assert not (tmp_path / "run").exists()
    assert (
        "train 6 subjects, 138 frames"
        in training_plan(work, tmp_path, train_options("compact"), "every")[1]
    )
    with pytest.raises(UsageError, match="unknown fold"):
        training_plan(work, tmp_path, train_options("compact"), "9")


def test_the_command_writes_nothing(work, tmp_path, capsys):
    out = tmp_path / "run"
    assert run(["train", str(work), "--out", str(out), "--dry-run", "--fold", "2"]) == 0
    assert "fold 2: train 4" in capsys.readouterr().out
    assert not out.exists()
