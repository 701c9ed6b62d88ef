"""The shipped refiner: nearer to the truth on unseen faces, steady and in place on real ones."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import torch

from glee.fitting.morphable_model.landmark_scheme import INNER, inter_ocular_distance, nme
from glee.fitting.morphable_model.model_file import load_model
from glee.pipeline.landmarks.backends import load_detector, refined_name
from glee.pipeline.landmarks.refiner.crops import (
    covariance_to_source,
    crop_of,
    crop_transform,
    to_crop,
)
from glee.pipeline.landmarks.refiner.network import levelled, network_of
from glee.pipeline.landmarks.refiner.refine import RefinedDetector, load_refiner, refine
from glee.pipeline.landmarks.refiner.weights import noise_of, read_weights, with_refined
from glee.pipeline.synthesis.clips import synthetic_clip


@dataclass(frozen=True, eq=False)
class Seen:
    images: list
    truth: np.ndarray
    first: np.ndarray


@pytest.fixture(scope="module")
def seen():
    """Frames of two unseen synthetic people, and what mesh makes of them."""
    images, truths, first = [], [], []
    detector = load_detector("mesh")
    for name in ("one", "two"):
        truth, pictures = synthetic_clip(
            name, (1, 4, 12, 25), frames=40, size=(320, 240), seed=4100, fps=10.0, every=8
        )
        for image, points in zip(pictures, truth.landmarks["anatomical"][::8], strict=True):
            box = detector.box_of(points)
            images.append(image)
            truths.append(points)
            first.append(detector.landmarks(image, box)[0])
    return Seen(images, np.stack(truths).astype(float), np.stack(first))


@pytest.fixture(scope="module")
def photograph(real_folder):
    image = cv2.imread(str(real_folder / "single_face.jpg"))[..., ::-1]
    detector = load_detector("mesh")
    image = np.ascontiguousarray(image)
    box = max((box for box, _ in detector.detect(image)), key=lambda box: box.area)
    return image, detector.landmarks(image, box)[0]


def test_errors_shrink_on_unseen_faces(seen):
    points, _ = refine(seen.images, seen.first)
    assert points.dtype == np.float32
    assert nme(points, seen.truth) < 0.85 * nme(seen.first, seen.truth)
    assert nme(points, seen.truth) < 0.015


def test_covariances_say_how_large_errors_are(seen):
    points, covariances = refine(seen.images, seen.first)
    assert covariances.shape == (len(seen.images), 68, 2, 2)
    assert (np.linalg.eigvalsh(covariances.astype(float)) > 0).all()
    np.testing.assert_allclose(covariances, covariances.swapaxes(-1, -2), rtol=1e-4)
    error = points - seen.truth
    squared = np.einsum("nli,nlij,nlj->nl", error, np.linalg.inv(covariances.astype(float)), error)
    # A Gaussian's is 1; these pictures are easier than those of the training.
    assert 0.15 < squared.mean() / 2 < 1.5
    # Where larger errors are expected, larger ones are found.
    expected = np.sqrt(np.trace(covariances, axis1=-2, axis2=-1)).mean(0)
    found = np.linalg.norm(error, axis=-1).mean(0)
    assert np.corrcoef(expected, found)[0, 1] > 0.6


def test_the_same_face_larger_and_turned_gives_the_same_points(seen):
    image, first = seen.images[3], seen.first[3].astype(float)
    straight, _ = refine([image], first[None])
    matrix = cv2.getRotationMatrix2D((160, 120), 25.0, 1.0)
    turned = cv2.warpAffine(image, matrix, (320, 240), flags=cv2.INTER_CUBIC)
    again, _ = refine([turned], (first @ matrix[:, :2].T + matrix[:, 2])[None])
    apart = again[0] - (straight[0] @ matrix[:, :2].T + matrix[:, 2])
    assert np.linalg.norm(apart, axis=-1).mean() < 0.012 * inter_ocular_distance(first)


def test_as_the_network_that_was_trained(seen):
    """What runs it against torch's own, in the crop's pixels."""
    refiner, network = load_refiner(), network_of(read_weights())
    for image, first in zip(seen.images, seen.first, strict=True):
        transform = crop_transform(first)
        crop, near = crop_of(image, transform), to_crop(first, transform)
        points, covariances = refiner.refine([image], first[None])
        with torch.inference_mode():
            expected, factors = network(levelled(crop[None]), torch.from_numpy(near[None]).float())
        np.testing.assert_allclose(to_crop(points[0], transform), expected[0], atol=1e-3)
        squared = (factors @ factors.mT)[0].double().numpy()
        squared = covariance_to_source(squared, transform)
        np.testing.assert_allclose(covariances[0], squared, rtol=1e-3, atol=1e-3)


def test_no_landmarks_no_points(seen):
    first = seen.first[:3].copy()
    first[0, 5] = np.nan
    first[0, 20] = np.nan
    first[1] = 80.0
    points, covariances = refine(seen.images[:3], first)
    assert np.isnan(points[:2]).all()
    assert np.isnan(covariances[:2]).all()
    assert np.isfinite(points[2]).all()


@pytest.mark.parametrize("shift", [(-300.0, 0.0), (0.0, -130.0), (200.0, 90.0)])
def test_a_face_half_outside_or_black_is_no_exception(seen, shift):
    moved = np.roll(seen.images[0], [round(shift[1]), round(shift[0])], (0, 1))
    for image in (moved, np.zeros_like(moved), moved[:40, :40]):
        points, covariances = refine([image], (seen.first[0] + shift)[None])
        assert np.isfinite(points).all()
        assert np.isfinite(covariances).all()


def test_on_a_photograph_points_stay_on_the_face(photograph):
    image, first = photograph
    points, _ = refine([image], first[None])
    apart = np.linalg.norm(points[0] - first, axis=-1) / inter_ocular_distance(first)
    assert apart[list(INNER)].mean() < 0.06
    assert apart.max() < 0.2


def test_refined_backend(seen):
    detector = load_detector("mesh+refiner")
    assert isinstance(detector, RefinedDetector)
    assert detector.name == "mesh+refiner"
    assert detector.version == f"{load_detector('mesh').version}+{read_weights().version}-ncnn"
    bare = load_detector("mesh")
    box = bare.box_of(seen.first[0])
    points, confidence = detector.landmarks(seen.images[0], box)
    first, as_before = bare.landmarks(seen.images[0], box)
    assert confidence == as_before
    np.testing.assert_array_equal(points, refine([seen.images[0]], first[None])[0][0])
    assert detector.box_of(points) == bare.box_of(points)


def test_the_version_names_the_engine_of_either_network():
    version = load_detector("mesh:torch+refiner").version
    assert version.partition("+")[0].endswith("-torch")
    assert version.endswith("-ncnn")


def test_needs_no_torch():
    load = "from glee.pipeline.landmarks.backends import load_detector as load; "
    code = f"import sys; {load}load('mesh+refiner'); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_and_noise():
    assert refined_name("mesh", None) == "mesh"
    assert refined_name("mesh", True) == refined_name("mesh+refiner", True) == "mesh+refiner"
    assert refined_name("mesh+refiner", False) == "mesh"
    assert noise_of("mesh") is None
    assert noise_of("nobody+refiner") is None
    assert noise_of("mesh+refiner").covariance.shape == (136, 136)


def test_a_model_knows_the_refined_backends_by_name():
    model = with_refined(load_model())
    assert model.landmarks["mesh+refiner"] is model.landmarks["anatomical"]
    assert {"mesh", "dlib", "mesh+refiner", "dlib+refiner"} <= set(model.noise)
    # What is left of mesh's errors is smaller: that is what the refiner is for.
    trace = {name: np.trace(model.noise[name].covariance) for name in ("mesh", "mesh+refiner")}
    assert trace["mesh+refiner"] < trace["mesh"]
