"""What is hidden, from the picture: things before rendered faces, and the frame's border."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from glee.errors import WeightsError
from glee.fitting.visibility import PARTS, REGIONS, by_region
from glee.pipeline.clips import Clip
from glee.pipeline.images.frames import index_frames, read_frames
from glee.pipeline.landmarks.backends import load_detector
from glee.pipeline.landmarks.dense_landmarks import DenseDetector
from glee.pipeline.landmarks.mesh.backend import MeshDetector
from glee.pipeline.landmarks.mesh.engines import ncnn_engine, torch_engine
from glee.pipeline.landmarks.mesh.weights import VISIBILITY_PATH, read_weights, write_weights
from glee.pipeline.landmarks.visibility import seen_parts
from glee.pipeline.synthesis.clips import synthetic_clip

SHARED = Path(__file__).resolve().parents[4] / "shared"
MASK = SHARED / "videos" / "mask.mp4"
PEXELS = SHARED / "real" / "WolfgangLanger_Pexels.mp4"
OF_REGION = {"lids": (36, 48), "brows": (17, 27), "nose": (27, 36), "mouth": (48, 68)}
PEOPLE = 3


@pytest.fixture(scope="module")
def detector():
    return load_detector("mesh")


@pytest.fixture(scope="module")
def faces(detector):
    """A picture of each of some rendered people, and the landmarks in it."""
    found = []
    for seed in range(PEOPLE):
        _, pictures = synthetic_clip(
            "someone", (12,), frames=1, size=(480, 360), seed=410 + seed, fps=20.0
        )
        picture = next(iter(pictures))
        box = detector.detect(picture)[0][0]
        found.append((picture, detector.landmarks(picture, box)[0]))
    return found


def regions_of(detector, picture, near):
    """How far each region is seen, by the detector as a tracker asks it."""
    points, _, seen = detector.landmarks_seen(picture, detector.box_of(near))
    size = picture.shape[1], picture.shape[0]
    parts = seen_parts(detector.landmarks_of(points), size, seen)
    return dict(zip(REGIONS, by_region(parts[None])[0].tolist(), strict=True))


def covered(picture, points, rng):
    """The picture with a box of any colour and grain over some landmarks."""
    low, high = points.min(0), points.max(0)
    margin = 0.15 * (high - low).max()
    (left, top), (right, bottom) = (low - margin).astype(int), (high + margin).astype(int)
    out = picture.copy()
    box = out[max(top, 0) : bottom, max(left, 0) : right]
    box[:] = np.clip(rng.uniform(0, 255, 3) + rng.normal(0, 12, box.shape), 0, 255)
    return out


@pytest.mark.parametrize("region", OF_REGION)
def test_what_is_covered_is_said(detector, faces, region):
    rng, said = np.random.default_rng(3), []
    for picture, landmarks in faces:
        spoilt = covered(picture, landmarks[slice(*OF_REGION[region])], rng)
        said.append(regions_of(detector, spoilt, landmarks)[region])
    assert np.median(said) < 0.5
    assert max(said) < 0.8


def test_a_face_that_nothing_hides_is_seen(detector, faces):
    for picture, landmarks in faces:
        assert min(regions_of(detector, picture, landmarks).values()) > 0.8


def test_clear_spectacles_hide_nothing(detector, faces):
    for picture, landmarks in faces:
        worn = picture.copy()
        wide = float(np.linalg.norm(landmarks[45] - landmarks[36]))
        for eye in (landmarks[36:42], landmarks[42:48]):
            centre = tuple(int(value) for value in eye.mean(0))
            axes = (int(0.32 * wide), int(0.24 * wide))
            cv2.ellipse(worn, centre, axes, 0, 0, 360, (30, 25, 20), 2, cv2.LINE_AA)
        assert regions_of(detector, worn, landmarks)["lids"] > 0.5


def test_the_frames_border_is_exact():
    landmarks = np.full((68, 2), 50.0, np.float32)
    landmarks[48:58] = (50.0, 99.6)
    landmarks[0] = (-0.6, 50.0)
    landmarks[1] = (-0.4, 50.0)
    parts = dict(zip(PARTS, seen_parts(landmarks, (100, 100), None).tolist(), strict=True))
    expected = dict.fromkeys(PARTS, 1.0) | {"mouth": 0.5, "jaw": 16 / 17}
    assert parts == pytest.approx(expected)
    half = np.full(68, 0.5, np.float32)
    assert seen_parts(landmarks, (100, 100), half) == pytest.approx(
        [0.5 * value for value in expected.values()]
    )
    landmarks[3] = np.nan
    assert np.isnan(seen_parts(landmarks, (100, 100), None)).all()


def test_a_face_cut_by_the_border(detector, faces):
    """The picture ends above the mouth: what lies beyond is not seen, the rest is."""
    for picture, landmarks in faces:
        cut = picture[: int(landmarks[50:53, 1].min() - 4)]
        said = regions_of(detector, cut, landmarks)
        assert said["mouth"] < 0.5
        assert said["brows"] > 0.8


def test_points_are_the_same_and_dense_detectors_pass_it_on(detector, faces):
    picture, landmarks = faces[0]
    box = detector.box_of(landmarks)
    points, confidence, seen = detector.landmarks_seen(picture, box)
    again, same = detector.landmarks_dense(picture, box)
    np.testing.assert_array_equal(points, again)
    assert confidence == same
    dense = DenseDetector(detector)
    own, _ = dense.landmarks(picture, box)
    np.testing.assert_array_equal(dense.seen_of(own), seen)
    assert dense.seen_of(own.copy()) is None


@pytest.mark.parametrize("engine", [ncnn_engine, torch_engine])
@pytest.mark.parametrize("spoil", ["missing", "cut", "shape"])
def test_spoilt_weights_are_named_in_one_line(spoil, engine, tmp_path, monkeypatch):
    path = tmp_path / "visibility_weights.npz"
    if spoil == "cut":
        path.write_bytes(VISIBILITY_PATH.read_bytes()[:900])
    if spoil == "shape":
        parameters = read_weights(VISIBILITY_PATH)
        parameters["visibility.places"] = parameters["visibility.places"][:60]
        write_weights(path, parameters, source="test")
    monkeypatch.setattr(engine, "VISIBILITY_PATH", path)
    with pytest.raises(WeightsError, match=r"tools/train_visibility\.py") as caught:
        MeshDetector(variant=engine.__name__.rpartition(".")[2].removesuffix("_engine"))
    assert "\n" not in str(caught.value)


def frames_of(path, wanted):
    clip = Clip("test", path.stem, path.stem, path.parent, path)
    index = index_frames(clip)
    for frame in wanted:
        yield next(iter(read_frames(clip, index, frame, frame + 1)))


def said_of(detector, path, wanted):
    found = []
    for picture in frames_of(path, wanted):
        box = detector.detect(picture, thorough=True)[0][0]
        found.append(regions_of(detector, picture, detector.landmarks(picture, box)[0]))
    return found


@pytest.mark.skipif(not MASK.is_file(), reason="../shared/videos/mask.mp4 is not there")
def test_a_mask(detector):
    for said in said_of(detector, MASK, (0, 10, 19)):
        assert max(said["mouth"], said["nose"], said["jaw"]) < 0.5
        assert min(said["lids"], said["brows"]) > 0.8


@pytest.mark.skipif(not PEXELS.is_file(), reason="../shared/real/ is not there")
def test_a_hand(detector):
    before, mouth, nose, after = said_of(detector, PEXELS, (10, 85, 115, 300))
    assert min((*before.values(), *after.values())) > 0.8
    assert mouth["mouth"] < 0.8
    assert nose["nose"] < 0.5
    assert min(mouth["brows"], nose["brows"]) > 0.8
