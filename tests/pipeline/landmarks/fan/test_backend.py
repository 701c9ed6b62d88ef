"""The fan backend through face-alignment's own loading code, with weights files made here."""

from __future__ import annotations

import importlib.util
import sys

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("face_alignment", reason="face-alignment (extra fan) is not installed")

from glee.cli import run
from glee.errors import WeightsError
from glee.fitting.morphable_model.landmark_scheme import inter_ocular_distance
from glee.fitting.morphable_model.model_file import load_model
from glee.pipeline.landmarks.backends import load_detector
from glee.pipeline.landmarks.detector import Box
from glee.pipeline.landmarks.fan import backend as fan_module
from glee.pipeline.landmarks.fan import weights_files
from glee.pipeline.landmarks.fan.backend import FanDetector
from glee.pipeline.landmarks.fan.heatmaps import MAP_SIDE, crop_of, crop_transform, landmark_box
from glee.pipeline.landmarks.lookahead import Lookahead, batched
from glee.pipeline.landmarks.tracking import FaceTracker
from glee.pipeline.options import PreprocessOptions, TrackingOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import REASONS, list_shards, read_shard

from . import fan_weights

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    folder = tmp_path_factory.mktemp("video")
    writer = cv2.VideoWriter(
        str(folder / "noise.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 256)
    )
    rng = np.random.default_rng(0)
    for _ in range(3):
        writer.write(rng.integers(0, 255, (256, 320, 3), np.uint8))
    writer.release()
    return folder


def test_end_to_end_on_the_command_line(weights, video, tmp_path, capsys):
    """Untrained weights see a face, and landmarks that are none: every frame is there, invalid."""
    arguments = ["--dataset", "folder", "--root", str(video), "--out", str(tmp_path / "w")]
    arguments += ["--detector", "fan", "--weights", str(weights), "--no-flip", "--workers", "1"]
    assert run(["-q", "preprocess", *arguments]) == 0
    assert "3 frames" in capsys.readouterr().out
    (path,) = list_shards(tmp_path / "w")
    shard = read_shard(path)
    assert not shard.frames.valid.any()
    reasons = {REASONS[reason] for reason in shard.frames.reason}
    assert reasons <= {"implausible", "low_confidence"}
    assert np.isfinite(shard.frames.landmarks).all()
    digest = weights_files.digest(weights / weights_files.LANDMARK_FILE)
    assert shard.header.detector.startswith(f"fan face-alignment-1.5.0 2dfan4-{digest} sfd-")
    assert shard.header.options["flip"] is False
    assert str(weights) not in str(shard.header)


@pytest.mark.parametrize(
    "variant", ["blazeface", "scrfd", pytest.param("dlib", marks=pytest.mark.dlib)]
)
def test_every_face_detector_loads_its_files_and_runs(variant, weights, real_folder):
    if variant == "scrfd":
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    detector = FanDetector(variant, str(weights), flip=False)
    image = cv2.imread(str(real_folder / "single_face.jpg"))[..., ::-1]
    image = np.ascontiguousarray(image)
    for box, score in detector.detect(image, thorough=True):
        assert box.right - box.left == pytest.approx(box.bottom - box.top)
        assert 0 <= score <= 1
    assert FaceTracker(detector).follow(image).reason in REASONS
    for side in range(180, 200):
        detector.detect(image[:side, :side])
    tiny = np.zeros((5, 3, 3), np.uint8)
    assert FaceTracker(detector).follow(tiny).reason != "ok"


@pytest.mark.dlib
def test_dlib_as_face_detector_finds_the_face(weights, real_folder):
    image = np.ascontiguousarray(cv2.imread(str(real_folder / "single_face.jpg"))[..., ::-1])
    ((box, score),) = FanDetector("dlib", str(weights)).detect(image)
    points, _ = load_detector("dlib").landmarks(image, box)
    assert score == 1.0
    assert box.left < points[36, 0] < points[45, 0] < box.right


def test_dlib_as_face_detector_names_the_extra_where_it_is_not_installed(weights, monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    monkeypatch.delitem(sys.modules, "face_alignment.detection.dlib", raising=False)
    monkeypatch.delitem(sys.modules, "face_alignment.detection.dlib.dlib_detector", raising=False)
    with pytest.raises(WeightsError, match=r"the extra dlib: pip install '\.\[dlib\]'"):
        FanDetector("dlib", str(weights))


def test_retinaface(weights):
    pytest.importorskip("torchvision", reason="torchvision is not installed")
    fan_weights.retinaface(weights)
    detector = FanDetector("retinaface", str(weights), flip=False)
    assert isinstance(detector.detect(np.zeros((128, 160, 3), np.uint8)), list)


def test_retinaface_says_what_it_needs(weights, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.delitem(sys.modules, "face_alignment.detection.retinaface", raising=False)
    (weights / fan_weights.RETINAFACE).write_bytes(b"")
    with pytest.raises(WeightsError, match=r"fan:retinaface needs the package torchvision.*pip"):
        FanDetector("retinaface", str(weights))


@pytest.mark.parametrize("size", [-60.0, 0.0, float("nan")])
def test_boxes_that_are_none_do_not_hang_blazeface(size, weights, tmp_path):
    """The package would compare such a box with itself for ever."""
    (tmp_path / weights_files.LANDMARK_FILE).symlink_to(weights / weights_files.LANDMARK_FILE)
    fan_weights.blazeface(tmp_path, size)
    detector = FanDetector("blazeface", str(tmp_path), flip=False)
    assert detector.detect(np.zeros((128, 160, 3), np.uint8)) == []


def test_scrfd_gives_the_face_that_its_network_sees(weights):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    detector = FanDetector("scrfd", str(weights))
    ((box, score),) = detector.detect(np.zeros((640, 640, 3), np.uint8))
    assert score == pytest.approx(0.9)
    # 200 pixels about (320, 320), widened as face-alignment does for this detector.
    assert box.right - box.left == pytest.approx(200 * 195 / 165)
    assert (box.left + box.right) / 2 == pytest.approx(320)


class Maps(torch.nn.Module):
    """In place of the network: 68 heat maps of where the crop is red, the last as all others."""

    def forward(self, crops):
        red = torch.nn.functional.avg_pool2d(crops[:, :1] - crops[:, 1:2], 4)
        return [red.expand(-1, 68, -1, -1)]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("side", [90.0, 700.0])
def test_landmarks_come_back_to_a_part_of_a_pixel(weights, monkeypatch, flip, side):
    """A blob at a known place of a large image, seen through a box that is not in its middle."""
    detector = FanDetector("blazeface", str(weights), flip=flip)
    monkeypatch.setattr(detector, "_network", Maps())
    y, x = np.mgrid[0:900, 0:1000]
    width = 2.2 * side / MAP_SIDE
    blob = 255 * np.exp(-((x - 421.3) ** 2 + (y - 388.6) ** 2) / (2 * width**2))
    image = np.zeros((900, 1000, 3), np.uint8)
    image[..., 0] = blob
    box = Box(400 - side / 2, 380 - side / 2, 400 + side / 2, 380 + side / 2)
    points, confidence = detector.landmarks(image, box)
    assert points.shape == (68, 2)
    assert points.dtype == np.float32
    assert np.abs(points - [421.3, 388.6]).max() < 0.1 * side / MAP_SIDE
    assert confidence > 0.8


def test_the_view_is_the_one_of_face_alignment(weights, real_folder):
    """Against the package's own crop, which is rounded to whole pixels."""
    from face_alignment.utils import crop

    image = np.ascontiguousarray(cv2.imread(str(real_folder / "single_face.jpg"))[..., ::-1])
    left, top, side = 60.0, 70.0, 128.0
    theirs = crop(image, np.array([left + side / 2, top + side / 2 - 0.12 * side]), 2 * side / 195)
    ours = crop_of(image, crop_transform(Box(left, top, left + side, top + side)))
    inside = (slice(40, 216), slice(40, 216))
    shift, _ = cv2.phaseCorrelate(
        theirs[inside].mean(2).astype(np.float64), ours[inside].mean(2).astype(np.float64)
    )
    # A source pixel is two of the crop's.
    assert np.abs(shift).max() < 2.5


def test_boxes_do_not_follow_the_noise_of_landmarks():
    model = load_model()
    points = model.landmarks["anatomical"].on(model.mean)[:, :2] * [60, -60] + [300, 500]
    rng = np.random.default_rng(0)
    noise = 0.002 * inter_ocular_distance(points)
    boxes = {landmark_box(points + rng.normal(0, noise, (68, 2))) for _ in range(20)}
    assert len(boxes) <= 4
    box = boxes.pop()
    assert box.left < points[:, 0].min() + 10
    assert box.right > points[:, 0].max() - 10


class Recorded:
    """A backend that follows a face which it is told, and counts how it is asked."""

    name, version, batch = "recorded", "1", 8

    def __init__(self, faces):
        self._faces, self.rounds = faces, []

    def detect(self, image, *, thorough=False):
        return [(self.box_of(self._faces[int(image[0, 0, 0])]), 1.0)]

    def landmarks(self, image, box):
        landmarks, confidences = self.landmarks_of_batch([image], [box])
        return landmarks[0], float(confidences[0])

    def landmarks_of_batch(self, images, boxes):
        self.rounds.append(len(images))
        found = [
            (self._faces[int(image[0, 0, 0])] + 0.01 * (box.left % 7)).astype(np.float32)
            for image, box in zip(images, boxes, strict=True)
        ]
        return np.stack(found), np.ones(len(found), np.float32)

    def box_of(self, landmarks):
        return landmark_box(landmarks)


@pytest.mark.parametrize("speed", [0.0, 1.5, 12.0])
def test_several_frames_at_once_give_what_one_by_one_gives(speed):
    model = load_model()
    face = model.landmarks["anatomical"].on(model.mean)[:, :2] * [60, -60] + [300, 500]
    faces = [face + speed * np.array([number, 0.0]) for number in range(24)]
    images = [np.full((800, 900, 3), number, np.uint8) for number in range(24)]
    alone, together = Recorded(faces), Recorded(faces)
    ahead = batched(together)
    assert isinstance(ahead, Lookahead)
    one, other = (
        FaceTracker(backend, TrackingOptions(detect_every=50)) for backend in (alone, ahead)
    )
    for start in range(0, 24, 8):
        ahead.show(images[start : start + 8])
        for image in images[start : start + 8]:
            expected, found = one.follow(image), other.follow(image)
            assert found.reason == expected.reason == "ok"
            assert np.array_equal(found.landmarks, expected.landmarks)
            assert found.confidence == expected.confidence
    assert len(together.rounds) < len(alone.rounds)
    assert sum(together.rounds) <= 5 * sum(alone.rounds)


@pytest.mark.dlib
def test_a_batch_gives_what_single_frames_give(weights, monkeypatch, video, tmp_path):
    monkeypatch.setitem(fan_module.BATCH, "cpu", 3)
    shards = []
    for name, batch in (("one", 1), ("three", 3)):
        monkeypatch.setitem(fan_module.BATCH, "cpu", batch)
        load_detector.cache_clear()
        preprocess(
            *("folder", video, tmp_path / name),
            options=PreprocessOptions(detector="fan:dlib", flip=False),
            weights=weights,
            workers=1,
            progress=False,
        )
        shards.append(read_shard(*list_shards(tmp_path / name)))
    load_detector.cache_clear()
    assert np.array_equal(shards[0].frames.reason, shards[1].frames.reason)
    assert np.allclose(
        shards[0].frames.landmarks, shards[1].frames.landmarks, atol=0.01, equal_nan=True
    )


def test_nothing_is_imported_before_it_is_asked_for():
    assert importlib.util.find_spec("glee.pipeline.landmarks.fan") is not None
    import subprocess

    code = "import sys, glee.pipeline.preprocess; sys.exit('face_alignment' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
