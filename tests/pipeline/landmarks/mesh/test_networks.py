"""The mesh detector's networks against MediaPipe's own output, recorded once.

See mesh_reference/record_reference.py for how; what needs the real videos is skipped without them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from convert_mesh_weights import read_constants

from glee.errors import WeightsError
from glee.pipeline.landmarks.detector import TurnedBox
from glee.pipeline.landmarks.mesh import weights
from glee.pipeline.landmarks.mesh.backend import MeshDetector
from glee.pipeline.landmarks.mesh.networks import CROP_SIDE, FaceDetector, FaceMesh

REFERENCE = Path(__file__).parent / "mesh_reference" / "mediapipe_reference.npz"
VIDEOS = ("single_face.jpg", "single_face.mp4", "WolfgangLanger_Pexels.mp4")


@pytest.fixture(scope="module")
def reference():
    with np.load(REFERENCE) as file:
        return dict(file)


@pytest.fixture(scope="module")
def detector():
    return MeshDetector()


@pytest.fixture(autouse=True)
def one_thread():
    """As on a worker."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network(kind, prefix):
    made = kind()
    weights.load_into(made, weights.read_weights(), prefix)
    return made.eval()


def as_batch(*images):
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()


@pytest.fixture(scope="module")
def stills(reference, real_folder):
    """Images, MediaPipe's region, points and detection of each."""
    images = {}
    for number, name in enumerate(VIDEOS):
        wanted = reference["still_frames"]
        wanted = set(wanted[wanted[:, 0] == number, 1])
        video = cv2.VideoCapture(str(real_folder / name))
        for frame in range(max(wanted) + 1):
            image = video.read()[1]
            if frame in wanted:
                images[number, frame] = np.ascontiguousarray(image[..., ::-1])
    return [
        (images[tuple(frame)], region, points, detection)
        for frame, region, points, detection in zip(
            *(reference[f"still_{part}"] for part in ("frames", "regions", "points", "detections")),
            strict=True,
        )
    ]


@torch.inference_mode()
def test_mesh_of_a_crop(reference):
    found = network(FaceMesh, "mesh")(as_batch(reference["picture"]) / 255)
    difference = np.abs(found.points[0].numpy() - reference["picture_points"])
    assert difference.max() < 0.001
    assert found.presence.item() == pytest.approx(float(reference["picture_presence"]), abs=1e-4)


@torch.inference_mode()
def test_detector_of_an_image(reference):
    found = network(FaceDetector, "detector")(as_batch(reference["small_picture"]) / 127.5 - 1)
    numbers, scores = found.numbers[0, ::4].numpy(), found.scores[0, ::4].numpy()
    np.testing.assert_allclose(numbers, reference["detector_numbers"], atol=0.002)
    np.testing.assert_allclose(scores, reference["detector_scores"], atol=0.002)


@torch.inference_mode()
def test_a_batch_gives_what_single_crops_give(reference):
    mesh = network(FaceMesh, "mesh")
    picture = reference["picture"]
    crops = [picture, picture[:, ::-1], np.zeros_like(picture)]
    together = mesh(as_batch(*crops) / 255)
    for number, crop in enumerate(crops):
        alone = mesh(as_batch(crop) / 255)
        torch.testing.assert_close(together.points[number], alone.points[0], atol=1e-3, rtol=0)
        torch.testing.assert_close(together.presence[number], alone.presence[0], atol=1e-4, rtol=0)


def test_points_in_the_regions_that_mediapipe_took(stills, detector):
    for image, (x, y, side, _, angle), points, _ in stills:
        half = float(side) / 3.0
        box = TurnedBox(x - half, y - half, x + half, y + half, float(angle))
        found, presence = detector.landmarks_dense(image, box)
        distance = np.linalg.norm(found - points, axis=1)[:468] * CROP_SIDE / side
        assert distance.mean() < 0.1
        assert distance.max() < 0.4
        assert presence > 0.9


def test_faces_where_mediapipe_detects_them(stills, detector):
    for image, _, _, detection in stills:
        (box, score), *others = detector.detect(image)
        assert not others
        corners, points = detection[:4], detection[4:16].reshape(6, 2)
        assert np.abs(np.array(box[:4]) - corners).max() < 0.025 * (corners[2] - corners[0])
        x, y = points[1] - points[0]
        assert box.angle == pytest.approx(np.arctan2(y, x), abs=0.06)
        assert score == pytest.approx(detection[16], abs=0.03)


def altered(tmp_path, **changes):
    """A weights file with other arrays; None leaves one out."""
    with np.load(weights.WEIGHTS_PATH) as file:
        arrays = {**dict(file), **changes}
    path = tmp_path / "weights.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_broken_weights_are_named(tmp_path):
    with pytest.raises(WeightsError, match=r"nowhere\.npz: missing; install glee again"):
        weights.read_weights(tmp_path / "nowhere.npz")
    cut = tmp_path / "cut.npz"
    for length in (0, 1000, weights.WEIGHTS_PATH.stat().st_size - 500):
        cut.write_bytes(weights.WEIGHTS_PATH.read_bytes()[:length])
        with pytest.raises(WeightsError, match=r"cut\.npz: cannot be read"):
            weights.read_weights(cut)
    damaged = bytearray(weights.WEIGHTS_PATH.read_bytes())
    damaged[len(damaged) // 2] ^= 255
    cut.write_bytes(damaged)
    with pytest.raises(WeightsError, match=r"cut\.npz: cannot be read"):
        weights.read_weights(cut)
    newer = altered(tmp_path, format=np.int64(weights.FORMAT + 1))
    with pytest.raises(WeightsError, match=r"format 2, this glee reads 1"):
        weights.read_weights(newer)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mesh.presence.bias": None}, r"mesh\.presence\.bias is missing"),
        ({"mesh.more.bias": np.zeros(3, np.float16)}, r"mesh\.more\.bias is unknown"),
        ({"mesh.presence.bias": np.zeros(3, np.float16)}, r"\(3,\) float16, \(1,\) is needed"),
        ({"mesh.presence.bias": np.zeros(1, np.int64)}, r"\(1,\) int64, \(1,\) is needed"),
    ],
)
def test_weights_that_do_not_fit(tmp_path, changes, message):
    parameters = weights.read_weights(altered(tmp_path, **changes))
    with pytest.raises(WeightsError, match=message):
        weights.load_into(FaceMesh(), parameters, "mesh")


def test_the_converter_refuses_other_files():
    with pytest.raises(WeightsError, match=r"other\.bin: not a TensorFlow Lite model"):
        read_constants(b"\0" * 100, "other.bin")


def test_the_pipeline_does_not_import_torch_for_other_detectors():
    code = (
        "import sys, glee.pipeline.preprocess; from glee.pipeline.landmarks import load_detector;"
        "load_detector('dlib'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
