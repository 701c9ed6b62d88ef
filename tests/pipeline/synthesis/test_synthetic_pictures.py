"""Clips with parts left out or added: other pictures, the same truth and labels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from glee.cli import run
from glee.errors import UsageError
from glee.fitting.render.appearance import ADDITIONS, PARTS, render_parts
from glee.pipeline.synthesis.clips import TRUTH, VIDEO, read_truth, synthetic_clip
from glee.pipeline.synthesis.dataset import synthesise_dataset

SIZE = (160, 120)


def written(folder: Path, *arguments: str) -> Path:
    line = ["-q", "synth", str(folder), "--subjects", "SN002", "--frames", "3", "--size", "160x120"]
    assert run([*line, "--workers", "1", *arguments]) == 0
    return folder


def test_truth_and_labels_stay_and_the_truth_tells(tmp_path: Path) -> None:
    plain = written(tmp_path / "plain")
    other = written(
        tmp_path / "o", "--without", "lashes", "--without", "hair", "--with", "face-cloth"
    )
    one, two = (read_truth(root / TRUTH.format(subject="SN002")) for root in (plain, other))
    for name in ("f_exp", "f_shape", "pose", "intensity"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert one.parts == render_parts()
    assert two.parts == render_parts(("hair", "lashes"), ("face-cloth",))
    for label in plain.glob("ActionUnit_Labels/*/*.txt"):
        assert label.read_bytes() == (other / label.relative_to(plain)).read_bytes()
    video = VIDEO.format(subject="SN002")
    assert (plain / video).read_bytes() != (other / video).read_bytes()


@pytest.mark.parametrize("layout", ["bp4d", "fec"])
def test_in_other_layouts_too(tmp_path: Path, layout: str) -> None:
    line = ["--layout", layout, "--subjects", "2", "--frames", "3"]
    plain, bald = (
        sorted(written(tmp_path / name, *line, *more).rglob("*.jpg"))
        for name, more in (("plain", []), ("bald", ["--without", "hair", "--without", "codec"]))
    )
    assert [path.name for path in plain] == [path.name for path in bald]
    assert all(
        one.read_bytes() != two.read_bytes() and one.stat().st_size <= two.stat().st_size
        for one, two in zip(plain, bald, strict=True)
    )


def test_too_few_photographs_for_a_triplet(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 people with 2 photographs each: a triplet takes three"):
        synthesise_dataset(tmp_path / "out", layout="fec", subjects=2, frames=2, size=SIZE)
    assert not (tmp_path / "out").exists()


def pictures(added: tuple[str, ...] = ()) -> list[np.ndarray]:
    options = {"frames": 12, "size": SIZE, "seed": 5, "fps": 20.0}
    parts = render_parts(("noise",), added)
    _, drawn = synthetic_clip("SN001", (1, 12, 26), parts=parts, **options)
    return [picture.astype(float) for picture in drawn]


def test_an_open_shutter_blurs_what_moves_and_stays_in_the_middle() -> None:
    sharp, moved = pictures(), pictures(("motion-blur",))
    detail = [
        np.mean([cv2.Laplacian(p, cv2.CV_64F).var() for p in clip]) for clip in (sharp, moved)
    ]
    assert detail[1] < 0.99 * detail[0]  # the background does not move
    # Each blurred picture is nearest to the sharp one of its own moment.
    for number in range(1, 11):
        near = [np.abs(moved[number] - sharp[number + step]).mean() for step in (-1, 0, 1)]
        assert np.argmin(near) == 1


def test_compression_leaves_blocks() -> None:
    plain, lossy = pictures()[0], pictures(("compression",))[0]
    assert 1.0 < np.abs(plain - lossy).mean() < 12.0
    steps = np.abs(np.diff(lossy.mean(-1), axis=1)).mean(0)
    at_borders = steps[7::8].mean() / np.delete(steps, np.s_[7::8]).mean()
    before = np.abs(np.diff(plain.mean(-1), axis=1)).mean(0)
    assert at_borders > 1.2 * before[7::8].mean() / np.delete(before, np.s_[7::8]).mean()


def test_the_command_knows_the_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["synth", str(tmp_path / "out"), "--without", "ears"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "--without 'ears' is unknown; known are: lids, lashes" in lines[0]
    assert not (tmp_path / "out").exists()
    run(["synth", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert all(f"{name}," in said or f"{name}." in said for name in (*PARTS, *ADDITIONS))
