"""`glee synth --dry-run` says what is then made, and makes nothing."""

from __future__ import annotations

import cv2
import pytest

from glee.cli import run
from glee.errors import UsageError
from glee.pipeline.datasets import open_dataset
from glee.pipeline.synthesis.dataset import synthesis_dry_run


def test_what_is_said_is_what_is_made(tmp_path, capsys):
    root = tmp_path / "data"
    words = ["-q", "synth", root, "--layout", "disfa", "--subjects", 2, "--frames", 4]
    words = [*map(str, words), "--size", "160x120", "--workers", "1"]
    assert run([*words, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert not root.exists()
    assert "disfa: 2 subjects, 2 clips, 8 labelled frames of 160x120, seed 0" in said
    assert run(words) == 0
    clips = open_dataset("disfa", root)
    assert len(clips) == 2
    counts = [cv2.VideoCapture(str(c.source)).get(cv2.CAP_PROP_FRAME_COUNT) for c in clips]
    assert sum(counts) == 8


@pytest.mark.parametrize(
    ("layout", "clips"), [("disfa", 3), ("bp4d", 6), ("bp4d-plus", 6), ("disfa-plus", 6)]
)
def test_clips_of_each_layout(tmp_path, layout, clips):
    first, _ = synthesis_dry_run(tmp_path / "x", layout=layout, subjects=3, frames=10)
    assert f"3 subjects, {clips} clips, {10 * clips} labelled frames" in first


def test_bad_arguments_are_refused(tmp_path):
    with pytest.raises(UsageError, match="unknown"):
        synthesis_dry_run(tmp_path, layout="cinema")
    with pytest.raises(UsageError, match="0 frames"):
        synthesis_dry_run(tmp_path, frames=0)
