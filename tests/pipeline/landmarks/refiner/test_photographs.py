"""Annotated photographs: read where they are right, named where they are not."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from glee.errors import DataError
from glee.pipeline.landmarks.refiner.photographs import (
    find_annotations,
    picture_of,
    read_photograph,
    read_photographs,
    read_pts,
)


@pytest.fixture
def one(annotated, tmp_path):
    """A photograph and its annotation that a test may damage."""
    path = find_annotations(annotated)[0]
    shutil.copy(path.with_suffix(".png"), tmp_path / "face.png")
    return shutil.copy(path, tmp_path / "face.pts")


def test_nested_folders_are_read_and_pixels_count_from_zero(annotated):
    photographs, bad = read_photographs(annotated)
    assert len(photographs) == 24
    assert not bad
    assert sum(photograph.name.startswith("more/") for photograph in photographs) == 12
    first = photographs[0]
    text = (annotated / f"{first.name}.pts").read_text().splitlines()[3]
    np.testing.assert_allclose(first.landmarks[0] + 1, [float(x) for x in text.split()])
    assert first.size == (320, 320)


def test_endings_of_any_case_are_found(one):
    one.with_suffix(".png").rename(one.with_suffix(".PNG"))
    assert read_photograph(one, one.parent).name == "face"


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda text: text.replace("{\n", "{\n#", 1), "cannot be read as a .pts file"),
        (lambda text: "\n".join([*text.splitlines()[:-2], "}"]), "has 67 points"),
        (lambda text: text[: len(text) // 2], "points, not the 68|cannot be read"),
        (lambda text: text.replace("n_points", "points"), "does not say n_points"),
        (lambda text: text.replace("{\n", "{\nnan nan\n", 1).replace("\n}", "", 1), "69|no face"),
        (lambda text: "", "does not say n_points"),
        (lambda text: text + " " * (1 << 20), "more than a megabyte"),
    ],
)
def test_wrong_annotations_are_named(one, damage, what):
    one.write_text(damage(one.read_text()))
    with pytest.raises(DataError, match=what) as told:
        read_pts(one)
    assert str(one) in str(told.value)
    assert "\n" not in str(told.value)


def test_the_annotation_of_another_image_is_named(one):
    head, _, points = one.read_text().partition("{\n")
    rows = [[float(x) + 200 for x in row.split()] for row in points.splitlines()[:-1]]
    one.write_text(head + "{\n" + "".join(f"{x} {y}\n" for x, y in rows) + "}\n")
    with pytest.raises(DataError, match="annotation of another image"):
        read_photograph(one, one.parent)


def test_a_missing_or_broken_photograph_is_named(one):
    image = one.with_suffix(".png")
    image.write_bytes(image.read_bytes()[:100])
    with pytest.raises(DataError, match=r"face\.png: cannot be read as an image"):
        read_photograph(one, one.parent)
    image.unlink()
    with pytest.raises(DataError, match="no photograph of its name"):
        read_photograph(one, one.parent)


def test_folders_without_annotations_are_named(tmp_path):
    with pytest.raises(DataError, match=r"holds no \.pts file"):
        find_annotations(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        find_annotations(tmp_path / "nowhere")


def test_faces_of_one_picture_are_known_by_their_names():
    assert picture_of("helen/232194_1") == picture_of("helen/232194_2")
    assert picture_of("ibug/image_003_1") == picture_of("ibug/image_003_2_mirror")
    assert picture_of("lfpw/image_0001") != picture_of("lfpw/image_0002")
    assert picture_of("indoor_001") != picture_of("indoor_002")
    assert picture_of("indoor_001") == picture_of("indoor_001_mirror")
    assert picture_of("a/12_1") != picture_of("b/12_1")
