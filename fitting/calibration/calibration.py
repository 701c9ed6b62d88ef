"""Calibrates the 68 landmarks to a detector: where on the surface its points lie on average.

Random faces are rendered (identity, expression, pose, light, skin), the detector is asked, and each
landmark becomes the surface point of the smallest mean distance; what remains is kept as bias and
covariance, by yaw too. ``python tools/calibrate_detector.py`` runs it for glee's detectors.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..assets.landmark_candidates import Candidates, landmark_candidates
from ..assets.residual_noise import measured_yaw, residual_noise
from ..camera import Camera, rotation_matrix
from ..morphable_model.landmark_noise import LandmarkNoise, noise_arrays
from ..morphable_model.landmark_scheme import MIRROR, inter_ocular_distance, nme
from ..morphable_model.morphable_model import MorphableModel, SurfacePoints
from ..render.renderer import random_appearance, render
from ..solver.problem import landmark_places
from .random_faces import random_face

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
# An RGB image -> 68 landmarks (68, 2), pixels, or None where it sees no face.
Detect = Callable[[NDArray[np.uint8]], Floats | None]

PER_LOOK = 3  # renders of one person's skin and light, each with another shape and pose
GROSS = 0.15  # mean error of a frame, in inter-ocular distances, beyond which the track is lost
CAMERA = Camera.for_image(640, 480)


@dataclass(frozen=True, eq=False)
class Sample:
    """One render: all vertices' pixels (n, 2), the mesh (n, 3), its pose (6,), detected (68, 2)."""

    pixels: Floats
    mesh: NDArray[np.float32]
    pose: Floats
    detected: Floats


def samples(model: MorphableModel, detect: Detect, count: int, seed: int) -> list[Sample]:
    """Random renders that the detector found a face in, and what it found."""
    found = []
    for index in range(count):
        look = random_appearance(np.random.default_rng([seed, 0, index // PER_LOOK]))
        rng = np.random.default_rng([seed, 1, index])
        mesh, pose = random_face(model, CAMERA, rng)
        detected = detect(render(model, mesh, pose, CAMERA, look, rng))
        if detected is None:
            continue
        truth = CAMERA.project(landmark_places(model, mesh, pose, "anatomical"), pose)
        if nme(detected[None], truth[None]) < GROSS:
            found.append(Sample(CAMERA.project(mesh, pose), mesh, pose, detected))
    logger.info("%d of %d renders are used", len(found), count)
    return found


def jaw_limits(model: MorphableModel, found: list[Sample]) -> NDArray[np.int64]:
    """How far back on its line (17,) each jaw landmark may go; `landmark_places` stops there."""
    lines = model.jaw_candidates
    outward = np.diff(lines.on(model.mean)[:, [0, -1]], axis=1)[:, 0] * (1.0, 1.0, 0.0)
    error = np.zeros((17, lines.vertices.shape[1]))
    for sample in found:
        ahead = outward @ rotation_matrix(sample.pose[:3]).T
        places = np.einsum("jkcx,jkc->jkx", sample.pixels[lines.vertices], lines.weights)
        score = places[..., 0] * ahead[:, None, 0] - places[..., 1] * ahead[:, None, 1]
        so_far = np.maximum.accumulate(score, axis=1)
        best = np.maximum.accumulate(
            np.where(score >= so_far, np.arange(score.shape[1]), 0), axis=1
        )
        chosen = np.take_along_axis(places, best[..., None], axis=1)
        error += np.linalg.norm(chosen - sample.detected[:17, None], axis=-1)
    return np.asarray((error + error[::-1]).argmin(1))


def calibrated(model: MorphableModel, found: list[Sample]) -> SurfacePoints:
    """The 68 surface points of the smallest mean distance to the detected, left like right."""
    anatomical = model.landmarks["anatomical"]
    vertices, weights = anatomical.vertices.copy(), anatomical.weights.copy()
    pixels = np.stack([sample.pixels for sample in found])
    detected = np.stack([sample.detected for sample in found])
    scale = inter_ocular_distance(anatomical_pixels(model, found))
    for landmark, limit in enumerate(jaw_limits(model, found)):
        chosen = model.jaw_candidates[landmark][int(limit)]
        vertices[landmark], weights[landmark] = chosen.vertices, chosen.weights
    for landmark in range(17, 68):
        other = int(MIRROR[landmark])
        if other < landmark:
            continue
        options = landmark_candidates(model, anatomical[landmark], middle=other == landmark)
        error = _mean_distance(pixels, options, detected[:, landmark], scale)
        if other != landmark:
            error += _mean_distance(pixels, options.mirrored(model), detected[:, other], scale)
        best = int(error.argmin())
        vertices[landmark], weights[landmark] = options.vertices[best], options.weights[best]
        mirrored = options.mirrored(model)
        if other != landmark:
            vertices[other], weights[other] = mirrored.vertices[best], mirrored.weights[best]
    return SurfacePoints(vertices.astype(np.int32), weights.astype(np.float32))


def anatomical_pixels(model: MorphableModel, found: list[Sample]) -> Floats:
    """The anatomical landmarks of the samples, (n, 68, 2) pixels."""
    return set_pixels(model, found, "anatomical")


def set_pixels(model: MorphableModel, found: list[Sample], name: str) -> Floats:
    """The landmarks of one of the model's sets in the samples, (n, 68, 2) pixels."""
    places = (landmark_places(model, one.mesh, one.pose, name) for one in found)
    pixels = [CAMERA.project(place, one.pose) for place, one in zip(places, found, strict=True)]
    return np.stack(pixels)


def _mean_distance(pixels: Floats, options: Candidates, detected: Floats, scale: Floats) -> Floats:
    """Mean distance (k,) in inter-ocular distances of candidates to the detected point (n, 2)."""
    place = np.einsum("nkcx,kc->nkx", pixels[:, options.vertices], options.weights)
    distance = np.linalg.norm(place - detected[:, None], axis=-1)
    return np.asarray((distance / scale[:, None]).mean(0))


def noise_on_renders(model: MorphableModel, name: str, found: list[Sample]) -> LandmarkNoise:
    """How a detector errs in the samples beside one of the model's sets, of all and by yaw."""
    detected = np.stack([sample.detected for sample in found])
    yaw = measured_yaw(detected, CAMERA, model.landmarks[name].on(model.mean))
    return residual_noise(detected, set_pixels(model, found, name), yaw)


def calibration(
    model: MorphableModel, name: str, found: list[Sample], points: SurfacePoints | None = None
) -> dict[str, NDArray[np.generic]]:
    """The arrays of one detector for the asset. points: its 68 points, where they are known."""
    if points is None:
        points = calibrated(model, found)
    model = replace(model, landmarks={**model.landmarks, name: points})
    detected = np.stack([sample.detected for sample in found])
    truth = set_pixels(model, found, name)
    noise = noise_on_renders(model, name, found)
    every = tuple(range(68))
    for kind, against in (("anatomical", anatomical_pixels(model, found)), (name, truth)):
        inner, whole = nme(detected, against), nme(detected, against, every)
        logger.info("%s: NME inner 51 %.4f, all 68 %.4f", kind, inner, whole)
    return {
        f"landmarks/{name}/vertices": points.vertices.astype(np.uint16),
        f"landmarks/{name}/weights": points.weights.astype(np.float32),
        **{f"noise/{name}/{key}": array for key, array in noise_arrays(noise).items()},
    }
