"""Calibrates the 68 landmarks to a detector: where on the surface its points lie, and how they err.

Random faces are rendered (identity, expression, pose, light, skin), the detector is asked, and each
landmark becomes that surface point near it (a candidate) whose mean distance is smallest; what
remains is kept as bias and covariance, by yaw too. `glee calibrate` runs it for a user's detector,
`tools/calibrate_detector.py` for glee's own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..camera import Camera, rotation_matrix
from ..initial_pose import normalise, yaw_of
from ..morphable_model.landmark_noise import LandmarkNoise, YawNoise, noise_arrays
from ..morphable_model.landmark_scheme import MIRROR, OUTER_EYE_CORNERS, inter_ocular_distance, nme
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
    """One render in which the detector found the face.

    Attributes
    ----------
    pixels : (n, 2) float64, all vertices in the picture, pixels
    mesh : (n, 3) float32, decimetres
    pose : (6,) float64, rotation vector (radians) and translation (decimetres)
    detected : (68, 2) float64, pixels
    """

    pixels: Floats
    mesh: NDArray[np.float32]
    pose: Floats
    detected: Floats


def samples(model: MorphableModel, detect: Detect, count: int, seed: int) -> list[Sample]:
    """Render random faces and ask the detector; renders in which it finds none are left out.

    Parameters
    ----------
    model : the embedded model
    detect : RGB image -> (68, 2) pixels, or None where it sees no face
    count : number of renders
    seed : of the faces, their looks and the noise

    Returns
    -------
    list of Sample
        at most `count`
    """
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
    """How far back on its line each jaw landmark may go; `landmark_places` stops there.

    Parameters
    ----------
    model : its jaw candidates
    found : renders with what was detected

    Returns
    -------
    (17,) int64
        number of the line's last candidate
    """
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
    """The 68 surface points of the smallest mean distance to the detected ones, left like right.

    Parameters
    ----------
    model : its anatomical landmarks, near which candidates are looked for
    found : renders with what was detected

    Returns
    -------
    SurfacePoints
        (68,) points
    """
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
    """The anatomical landmarks of the samples.

    Parameters
    ----------
    model : the morphable model
    found : n renders

    Returns
    -------
    (n, 68, 2) float64
        pixels
    """
    return set_pixels(model, found, "anatomical")


def set_pixels(model: MorphableModel, found: list[Sample], name: str) -> Floats:
    """The landmarks of one of the model's sets in the samples.

    Parameters
    ----------
    model : the morphable model
    found : n renders
    name : of the landmark set

    Returns
    -------
    (n, 68, 2) float64
        pixels
    """
    places = (landmark_places(model, one.mesh, one.pose, name) for one in found)
    pixels = [CAMERA.project(place, one.pose) for place, one in zip(places, found, strict=True)]
    return np.stack(pixels)


def _mean_distance(pixels: Floats, options: Candidates, detected: Floats, scale: Floats) -> Floats:
    """Mean distance (k,) in inter-ocular distances of candidates to the detected point (n, 2)."""
    place = np.einsum("nkcx,kc->nkx", pixels[:, options.vertices], options.weights)
    distance = np.linalg.norm(place - detected[:, None], axis=-1)
    return np.asarray((distance / scale[:, None]).mean(0))


def noise_on_renders(model: MorphableModel, name: str, found: list[Sample]) -> LandmarkNoise:
    """How a detector errs in the samples beside one of the model's sets, of all faces and by yaw.

    Parameters
    ----------
    model : the morphable model
    name : of the landmark set
    found : renders with what was detected

    Returns
    -------
    LandmarkNoise
    """
    detected = np.stack([sample.detected for sample in found])
    yaw = measured_yaw(detected, CAMERA, model.landmarks[name].on(model.mean))
    return residual_noise(detected, set_pixels(model, found, name), yaw)


def calibration(
    model: MorphableModel, name: str, found: list[Sample], points: SurfacePoints | None = None
) -> dict[str, NDArray[np.generic]]:
    """Calibrate a detector: the arrays that the model's asset keeps of it.

    Parameters
    ----------
    model : the embedded model
    name : of the detector and its landmark set
    found : renders with what was detected
    points : its 68 points, where they are known; by default `calibrated`

    Returns
    -------
    dict
        path in the asset -> array
    """
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


RADIUS = 0.16  # decimetres around the anatomical landmark on the mean head
STEPS = 5  # points along an edge of a triangle


@dataclass(frozen=True, eq=False)
class Candidates:
    """Surface points among which a calibration chooses.

    Attributes
    ----------
    vertices : (k, 3) int64, corners
    weights : (k, 3) float64, barycentric
    """

    vertices: NDArray[np.int64]
    weights: NDArray[np.float64]

    def mirrored(self, model: MorphableModel) -> Candidates:
        """The same points on the other side of the face.

        Parameters
        ----------
        model : its mirror pairs

        Returns
        -------
        Candidates
        """
        return Candidates(model.mirror[self.vertices].astype(np.int64), self.weights)


def landmark_candidates(
    model: MorphableModel, landmark: SurfacePoints, *, middle: bool
) -> Candidates:
    """Points on skin and lips within RADIUS of a landmark, seen from the front.

    Parameters
    ----------
    model : the embedded model
    landmark : one point
    middle : only points on the middle line of the face

    Returns
    -------
    Candidates
    """
    place = landmark.on(model.mean)
    triangles = model.part_triangles("skin", "lips").astype(np.int64)
    corners = model.mean[triangles].astype(np.float64)
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] > 0.0
    near = (np.linalg.norm(corners - place, axis=-1).min(1) < RADIUS) & facing
    options = _on_middle(model, triangles[near]) if middle else _inside(triangles[near])
    points = np.einsum("kcx,kc->kx", model.mean[options.vertices].astype(float), options.weights)
    close = np.linalg.norm(points - place, axis=1) < RADIUS
    return Candidates(options.vertices[close], options.weights[close])


def _inside(triangles: NDArray[np.int64]) -> Candidates:
    """A regular grid of points in each triangle, none of them on a border."""
    grid = [
        (i + 1 / 3, j + 1 / 3, STEPS - i - j - 2 / 3)
        for i in range(STEPS)
        for j in range(STEPS - i)
    ]
    weights = np.array(grid) / STEPS
    return Candidates(np.repeat(triangles, len(weights), 0), np.tile(weights, (len(triangles), 1)))


def _on_middle(model: MorphableModel, triangles: NDArray[np.int64]) -> Candidates:
    """Points on the edges whose ends are their own mirror."""
    edges = np.concatenate(
        [triangles[:, [0, 1, 2]], triangles[:, [1, 2, 0]], triangles[:, [2, 0, 1]]]
    )
    own = (model.mirror[edges[:, :2]] == edges[:, :2]).all(1)
    edges = edges[own]
    part = np.linspace(0.0, 1.0, 2 * STEPS + 1)
    weights = np.stack([1.0 - part, part, np.zeros_like(part)], 1)
    return Candidates(np.repeat(edges, len(part), 0), np.tile(weights, (len(edges), 1)))


# Between the ranges of yaw: turned to the right, ahead, turned to the left. Both numbers are near
# the best for faces left out of the estimate, with dlib and mesh on 360 renders.
LIMITS = np.radians([-10.0, 10.0])
# So many faces of all ranges count beside those of a range.
FACES_OF_ALL = 136


def residual_noise(detected: Floats, truth: Floats, yaw: Floats) -> LandmarkNoise:
    """Bias and covariance as LandmarkNoise describes them, of all faces and by yaw.

    Each face counts twice, as it is and mirrored, so that both sides have the same noise.

    Parameters
    ----------
    detected : (n, 68, 2) float64, pixels
    truth : (n, 68, 2) float64, pixels
    yaw : (n,) float64, radians, as `measured_yaw` has it

    Returns
    -------
    LandmarkNoise
    """
    residual = _level(detected, truth)
    both = np.concatenate([residual, residual[:, MIRROR] * (-1.0, 1.0)])
    ranges = np.searchsorted(LIMITS, np.concatenate([yaw, -yaw]))
    bias, covariance = _moments(both)
    biases, covariances = [], []
    for k in range(len(LIMITS) + 1):
        own = both[ranges == k]
        share = len(own) / (len(own) + FACES_OF_ALL)
        own_bias, own_covariance = _moments(own) if len(own) else (bias, covariance)
        biases.append(bias + share * (own_bias - bias))
        covariances.append(covariance + share * (own_covariance - covariance))
    by_yaw = YawNoise(
        LIMITS.astype(np.float32),
        np.stack(biases).astype(np.float32),
        np.stack(covariances).astype(np.float32),
    )
    return LandmarkNoise(bias.astype(np.float32), covariance.astype(np.float32), by_yaw)


def measured_yaw(detected: Floats, camera: Camera, mean: Floats) -> Floats:
    """Yaw as the fit finds it in detected landmarks.

    Parameters
    ----------
    detected : (n, 68, 2) float64, pixels
    camera : of the pictures
    mean : (68, 3) float64, landmarks of the mean face, decimetres

    Returns
    -------
    (n,) float64
        radians
    """
    return yaw_of(normalise(detected, np.ones(detected.shape[:2]), camera, mean), mean)


def _level(detected: Floats, truth: Floats) -> Floats:
    """Detected less true (n, 68, 2), faces level, in inter-ocular distances."""
    right, left = OUTER_EYE_CORNERS
    axis = truth[:, left] - truth[:, right]
    scale = np.linalg.norm(axis, axis=1)
    x = axis / scale[:, None]
    turn = np.stack([x, np.stack([-x[:, 1], x[:, 0]], 1)], 1)
    level = np.einsum("nab,nib->nia", turn, detected - truth) / scale[:, None, None]
    return np.asarray(level)


def _moments(residual: Floats) -> tuple[Floats, Floats]:
    """Mean (68, 2) and covariance (136, 136) of residuals (n, 68, 2)."""
    bias = residual.mean(0)
    flat = (residual - bias).reshape(len(residual), -1)
    return bias, flat.T @ flat / len(flat)
