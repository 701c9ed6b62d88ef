"""Training renders: true landmarks, blocks that are whole, folders that say of what they are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glee.errors import DataError, UsageError
from glee.fitting.morphable_model.landmark_scheme import nme
from glee.pipeline.landmarks.refiner import renders
from glee.pipeline.landmarks.refiner.renders import RenderFolder


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(renders, "PEOPLE", 1)
    monkeypatch.setattr(renders, "PER_PERSON", 2)


def test_detectors_see_the_face_where_its_landmarks_are(few_renders):
    # Mesh marks brows and jaw elsewhere; a face of another place would be off by far more.
    assert nme(few_renders.first["mesh"], few_renders.truth) < 0.09


def test_iris_and_mouth_lie_between_their_landmarks(few_renders):
    """Where an eye is open, what lies between the lids is not what lies on the cheek."""
    darker = []
    for jpeg, truth in zip(few_renders.jpegs, few_renders.truth, strict=True):
        grey = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
        for eye in (slice(36, 42), slice(42, 48)):
            upper, lower = truth[eye][1:3].mean(0), truth[eye][4:6].mean(0)
            if lower[1] - upper[1] < 4.0:
                continue
            x, y = np.rint((upper + lower) / 2).astype(int)
            below = int(round(float(lower[1]) + 14))
            darker.append(grey[y - 1 : y + 2, x - 1 : x + 2].mean() < grey[below, x])
    assert len(darker) >= 3
    assert np.mean(darker) > 0.7


def test_blocks_are_the_same_again_and_stay(small, tmp_path):
    one = RenderFolder(tmp_path / "a", 7, ("mesh",))
    first = one.block(0)
    path = tmp_path / "a" / "00000.npz"
    before = path.stat().st_mtime_ns
    one.block(0)
    assert path.stat().st_mtime_ns == before
    again = RenderFolder(tmp_path / "b", 7, ("mesh",)).block(0)
    assert first.jpegs == again.jpegs
    np.testing.assert_array_equal(first.truth, again.truth)
    np.testing.assert_array_equal(first.first["mesh"], again.first["mesh"])


def test_a_folder_of_another_seed_is_refused(tmp_path):
    RenderFolder(tmp_path, 7, ("mesh",))
    with pytest.raises(UsageError, match="renders-folder"):
        RenderFolder(tmp_path, 8, ("mesh",))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", None])
def test_a_cut_block_is_named(small, tmp_path, content):
    folder = RenderFolder(tmp_path, 7, ())
    folder.block(0)
    path = tmp_path / "00000.npz"
    path.write_bytes(path.read_bytes()[:-900] if content is None else content)
    with pytest.raises(DataError, match=r"00000\.npz: cannot be read"):
        folder.block(0)
