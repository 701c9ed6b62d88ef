"""What is heavy and rarely used is not loaded; where an extra is missing, one line names it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import glee
from glee.errors import UsageError, require_extra
from glee.model.training.linear_svm import coefficient_features, run_linear_svm
from glee.reports.experiments.experiment import run_experiment

# Of the extra `figures`; and what tables alone need.
FIGURES = ("matplotlib", "sklearn")
RARE = (*FIGURES, "pandas", "pyarrow", "pympi")

# From a rendered dataset to a trained network, as the command line does it, in one process.
PATH = """
import sys
from glee.cli import run

def step(*words):
    status = run(list(words))
    loaded = [name for name in {rare!r} if name in sys.modules]
    assert not loaded, (words[0], loaded)
    assert status == 0, words

if __name__ == "__main__":
    for name in {rare!r}:
        assert name not in sys.modules, name
    step("--help")
    step("synth", "d", "--subjects", "3", "--frames", "4", "--size", "320x240", "--workers", "1")
    step("preprocess", "--dataset", "disfa", "--root", "d", "--out", "w", "--workers", "1")
    step("fit3d", "w", "--workers", "1")
    step("train", "w", "--out", "r", "--preset", "compact", "--epochs", "1", "--fold", "1",
         "--batch", "4", "--device", "cpu")
"""


@pytest.mark.slow
def test_from_a_video_to_a_network_without_what_is_rarely_used(tmp_path):
    script = tmp_path / "path.py"
    script.write_text(PATH.format(rare=RARE))
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def without(monkeypatch):
    """As if the extra `figures` were not installed."""
    for name in FIGURES:
        monkeypatch.setitem(sys.modules, name, None)


def test_an_extra_that_is_missing_is_named_in_one_line(without, tmp_path):
    named = r"pip install '\.\[figures\]'"
    with pytest.raises(UsageError, match=f"^glee experiment needs matplotlib and sklearn: {named}"):
        run_experiment("table1", [], tmp_path)
    with pytest.raises(UsageError, match=f"^glee.plot needs matplotlib: {named}"):
        _ = glee.plot
    with pytest.raises(UsageError, match=f"^a linear SVM needs sklearn: {named}"):
        run_linear_svm(None, coefficient_features, {}, tmp_path, seed=0)
    assert list(tmp_path.iterdir()) == []


def test_an_extra_that_is_there_is_not_loaded():
    before = "sklearn" in sys.modules
    require_extra("figures", FIGURES, "this")
    assert ("sklearn" in sys.modules) == before
