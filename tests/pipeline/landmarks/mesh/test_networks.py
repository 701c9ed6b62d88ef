"""The mesh detector's networks against MediaPipe's own output, recorded once, and LiteRT's.

See mesh_reference/record_reference.py for how it was recorded; what needs the real videos,
MediaPipe's bundle or LiteRT is skipped without them.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from glee.errors import WeightsError
from glee.pipeline.landmarks.detector import TurnedBox
from glee.pipeline.landmarks.mesh import weights
from glee.pipeline.landmarks.mesh.architecture import CROP_SIDE
from glee.pipeline.landmarks.mesh.backend import MeshDetector
from glee.pipeline.landmarks.mesh.blendshapes import BLENDSHAPES, INPUT_POINTS
from glee.pipeline.landmarks.mesh.networks import (
    BlendshapeNet,
    FaceDetector,
    FaceMesh,
    load_into,
)

ROOT = Path(__file__).parents[4]
BUNDLE = ROOT.parent / "shared" / "models" / "face_landmarker.task"
CONVERTER = ROOT / "tools" / "convert_mesh_weights.py"
REFERENCE = Path(__file__).parent / "mesh_reference" / "mediapipe_reference.npz"
VIDEOS = ("single_face.jpg", "single_face.mp4", "WolfgangLanger_Pexels.mp4")


@pytest.fixture(scope="module")
def reference():
    with np.load(REFERENCE) as file:
        return dict(file)


@pytest.fixture(scope="module")
def detector():
    return MeshDetector()


@pytest.fixture(scope="module")
def bundle():
    if not BUNDLE.is_file():
        pytest.skip(f"MediaPipe's bundle is not here: {BUNDLE.name}")
    return BUNDLE


@pytest.fixture(scope="module")
def converter():
    spec = importlib.util.spec_from_file_location("convert_mesh_weights", CONVERTER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def one_thread():
    """As on a worker."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network(kind, prefix):
    made = kind()
    load_into(made, weights.read_weights(), prefix)
    return made.eval()


def as_batch(*images):
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()


def enlarged(picture):
    """A picture (192, 192, 3) at 256 pixels, as the reference was recorded: exact in eighths."""
    place = np.clip((np.arange(CROP_SIDE) + 0.5) * 0.75 - 0.5, 0, len(picture) - 1)
    low = np.minimum(np.floor(place).astype(int), len(picture) - 2)
    part = (place - low)[:, None]
    rows = picture[low] * (1 - part[..., None]) + picture[low + 1] * part[..., None]
    return rows[:, low] * (1 - part) + rows[:, low + 1] * part


@pytest.fixture(scope="module")
def stills(reference, real_folder):
    """Images, MediaPipe's box and points of each, and its score."""
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
        (images[tuple(frame)], box, points, score)
        for frame, box, points, score in zip(
            *(reference[f"still_{part}"] for part in ("frames", "boxes", "points", "scores")),
            strict=True,
        )
    ]


@torch.inference_mode()
def test_mesh_of_a_crop(reference):
    found = network(FaceMesh, "mesh")(as_batch(enlarged(reference["picture"]) / 255))
    difference = np.abs(found.points[0].numpy() - reference["picture_points"])
    assert difference.max() < 0.001
    assert found.presence.item() == pytest.approx(float(reference["picture_presence"]), abs=1e-3)


@torch.inference_mode()
def test_detector_of_an_image(reference):
    found = network(FaceDetector, "detector")(as_batch(reference["small_picture"]) / 127.5 - 1)
    numbers, scores = found.numbers[0, ::4].numpy(), found.scores[0, ::4].numpy()
    np.testing.assert_allclose(numbers, reference["detector_numbers"], atol=0.002)
    np.testing.assert_allclose(scores, reference["detector_scores"], atol=0.002)


@torch.inference_mode()
def test_blendshapes_of_points(reference):
    points = torch.from_numpy(reference["picture_points"][None, :146, :2])
    found = network(BlendshapeNet, "blendshapes")(points)[0].numpy()
    np.testing.assert_allclose(found, reference["picture_blendshapes"], atol=1e-5)


def test_blendshapes_of_faces(reference, detector):
    """MediaPipe's own float32 loses the fifth decimal at coordinates of some hundred pixels."""
    points, expected = reference["still_points"], reference["still_blendshapes"]
    found = detector.blendshapes(points)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=3e-5)
    np.testing.assert_allclose(detector.blendshapes(points[0]), expected[0], atol=3e-5)
    assert list(reference["names"]) == list(BLENDSHAPES)
    assert expected.max() > 0.5


def test_blendshapes_do_not_depend_on_place_and_size(reference, detector):
    points = reference["still_points"][:, :, :2]
    moved = 0.37 * points + np.array([2000.0, 900.0], np.float32)
    np.testing.assert_allclose(detector.blendshapes(moved), detector.blendshapes(points), atol=2e-4)


def test_blendshapes_without_a_face_are_unknown(reference, detector):
    points = reference["still_points"][:2].copy()
    points[1] = np.nan
    found = detector.blendshapes(points)
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


@torch.inference_mode()
def test_a_batch_gives_what_single_crops_give(reference):
    mesh = network(FaceMesh, "mesh")
    picture = enlarged(reference["picture"])
    crops = [picture, picture[:, ::-1], np.zeros_like(picture)]
    together = mesh(as_batch(*crops) / 255)
    for number, crop in enumerate(crops):
        alone = mesh(as_batch(crop) / 255)
        torch.testing.assert_close(together.points[number], alone.points[0], atol=1e-3, rtol=0)
        torch.testing.assert_close(together.presence[number], alone.presence[0], atol=1e-3, rtol=0)


def test_points_in_the_boxes_that_mediapipe_took(stills, detector):
    for image, (x, y, width, height, angle), points, _ in stills:
        across, down = float(width) / 2.0, float(height) / 2.0
        box = TurnedBox(x - across, y - down, x + across, y + down, float(angle))
        found, presence = detector.landmarks_dense(image, box)
        # MediaPipe scales depth otherwise where the box is turned.
        distance = np.linalg.norm((found - points)[:, :2], axis=1) * CROP_SIDE / (1.5 * width)
        assert distance.mean() < 0.06
        assert distance.max() < 0.2
        assert presence > 0.9


def test_the_box_of_landmarks_is_mediapipes_of_the_frame_before(reference, detector):
    """All points' extent along the line of the eyes' outer corners, the longer side."""
    for points in reference["still_points"]:
        x, y = points[263, :2] - points[33, :2]
        angle = np.arctan2(y, x)
        axes = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        along = points[:, :2] @ axes
        side = np.ptp(along, axis=0).max()
        centre = axes @ (along.min(0) + along.max(0)) / 2
        box = detector.box_of(detector.landmarks_of(points))
        assert box.right - box.left == pytest.approx(side, rel=0.07)
        middle = np.array([box.left + box.right, box.top + box.bottom]) / 2
        assert np.linalg.norm(middle - centre) < 0.04 * side
        assert box.angle == pytest.approx(angle, abs=0.03)


def test_faces_where_mediapipe_detects_them(stills, detector):
    for image, (x, y, width, height, angle), _, score in stills:
        (box, own_score), *others = detector.detect(image)
        assert not others
        corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
        assert np.abs(np.array(box[:4]) - corners).max() < 0.025 * width
        assert box.angle == pytest.approx(angle, abs=0.06)
        assert own_score == pytest.approx(score, abs=0.03)


def test_the_weights_are_the_bundles(bundle, converter):
    parameters, own = converter.convert(bundle), weights.read_weights()
    assert parameters.keys() == own.keys()
    assert all(np.array_equal(parameters[name], own[name]) for name in own)


@torch.inference_mode()
def test_networks_agree_with_litert(reference, bundle):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT is not here")
    picture = enlarged(reference["picture"])
    crops = [np.roll(picture, shift, 1) for shift in (0, 10, -25)] + [picture[:, ::-1], 0 * picture]
    with zipfile.ZipFile(bundle) as archive:
        models = {
            name: interpreter.Interpreter(model_content=archive.read(f"{name}.tflite"))
            for name in ("face_landmarks_detector", "face_blendshapes")
        }
    for model in models.values():
        model.allocate_tensors()

    def run(name, values):
        model = models[name]
        model.set_tensor(model.get_input_details()[0]["index"], np.float32(values[None]))
        model.invoke()
        return [model.get_tensor(output["index"]) for output in model.get_output_details()]

    mesh, net = network(FaceMesh, "mesh"), network(BlendshapeNet, "blendshapes")
    for crop in crops:
        points, presence, _ = run("face_landmarks_detector", crop / 255)
        found = mesh(as_batch(crop) / 255)
        assert np.abs(found.points.numpy().ravel() - points.ravel()).max() < 1e-3
        assert found.presence.item() == pytest.approx(presence.item(), abs=1e-3)
        chosen = found.points[0, list(INPUT_POINTS), :2]
        (expected,) = run("face_blendshapes", chosen.numpy())
        assert np.abs(net(chosen[None])[0].numpy() - expected).max() < 1e-5


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
    with pytest.raises(WeightsError, match=r"format 3, this glee reads 2"):
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
        load_into(FaceMesh(), parameters, "mesh")


def test_the_converter_refuses_other_files(tmp_path, converter):
    with pytest.raises(WeightsError, match=r"other\.bin: not a TensorFlow Lite model"):
        converter.read_operators(b"\0" * 100, "other.bin")
    missing = tmp_path / "missing.task"
    with pytest.raises(WeightsError, match=r"missing\.task: cannot be read"):
        converter.convert(missing)
    other = tmp_path / "other.task"
    other.write_bytes(b"\0" * 100)
    with pytest.raises(WeightsError, match=r"other\.task: cannot be read"):
        converter.convert(other)
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("hand_detector.tflite", b"TFL3")
    with pytest.raises(WeightsError, match=r"other\.task: .*face_detector\.tflite"):
        converter.convert(other)


def test_the_converter_refuses_other_models(tmp_path, bundle, converter):
    """The blendshape network where the mesh should be; and a damaged copy of the bundle."""
    swapped = tmp_path / "swapped.task"
    with zipfile.ZipFile(bundle) as archive, zipfile.ZipFile(swapped, "w") as made:
        for name in archive.namelist():
            other = name.replace("landmarks_detector", "blendshapes")
            made.writestr(name, archive.read(other))
    with pytest.raises(WeightsError, match=r"face_landmarks_detector\.tflite: "):
        converter.convert(swapped)
    cut = tmp_path / "cut.task"
    cut.write_bytes(bundle.read_bytes()[:-2000])
    script = [sys.executable, str(CONVERTER), str(cut)]
    done = subprocess.run(script, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cut.task: cannot be read" in done.stderr


@pytest.mark.dlib
def test_the_pipeline_does_not_import_torch_for_other_detectors():
    code = (
        "import sys, glee.pipeline.preprocess; from glee.pipeline.landmarks import load_detector;"
        "load_detector('dlib'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
