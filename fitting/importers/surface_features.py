"""What a model file does not say: mirror pairs, lips, jaw lines and curves, from its landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.spatial import cKDTree

from ..morphable_model.morphable_model import SurfacePoints
from ..morphable_model.surface import NearestSurface, first_hits

Points = NDArray[np.float64]
CURVE_SAMPLES = 17
JAW_SAMPLES = 24
# Sweep of a jaw line about its landmark: forwards over the cheek, backwards behind the outline.
JAW_FORWARDS, JAW_BACKWARDS = np.radians(42.0), np.radians(10.0)
STEEPEST = np.radians(80.0)

# Landmarks along each curve, from the middle of the face outwards; the embedded model's names.
CURVES: dict[str, tuple[int, ...]] = {
    "nose_bridge": (27, 28, 29, 30),
    "left_nostrils": (33, 34, 35),
    "right_nostrils": (33, 32, 31),
    "left_brow": (22, 23, 24, 25, 26),
    "right_brow": (21, 20, 19, 18, 17),
    "left_upper_lid": (42, 43, 44, 45),
    "right_upper_lid": (39, 38, 37, 36),
    "left_lower_lid": (42, 47, 46, 45),
    "right_lower_lid": (39, 40, 41, 36),
    "left_upper_outer_lip": (51, 52, 53, 54),
    "right_upper_outer_lip": (51, 50, 49, 48),
    "left_lower_outer_lip": (57, 56, 55, 54),
    "right_lower_outer_lip": (57, 58, 59, 48),
    "left_upper_inner_lip": (62, 63, 64),
    "right_upper_inner_lip": (62, 61, 60),
    "left_lower_inner_lip": (66, 65, 64),
    "right_lower_inner_lip": (66, 67, 60),
}


def mirror_vertices(mean: Points) -> NDArray[np.int64]:
    """For each vertex the one nearest to its mirror image in the plane x = 0.

    Parameters
    ----------
    mean : (n, 3) float64, decimetres

    Returns
    -------
    (n,) int64
    """
    _, nearest = cKDTree(mean).query(mean * np.array([-1.0, 1.0, 1.0]))
    return np.asarray(nearest, np.int64)


def lip_triangles(
    mean: Points, triangles: NDArray[np.int64], landmarks: Points
) -> NDArray[np.bool_]:
    """Say which triangles lie between the outer and the inner lip line in the front view.

    Parameters
    ----------
    mean : (n, 3) float64, decimetres
    triangles : (m, 3) int64; those behind the lips are left out by their depth
    landmarks : (68, 3) float64, decimetres

    Returns
    -------
    (m,) bool
    """
    centres = mean[triangles].mean(1)
    outer, inner = landmarks[48:60], landmarks[60:68]
    deepest = outer[:, 2].min() - 0.05
    within = _inside(centres[:, :2], outer[:, :2]) & ~_inside(centres[:, :2], inner[:, :2])
    return np.asarray(within & (centres[:, 2] > deepest))


def _inside(points: Points, polygon: Points) -> NDArray[np.bool_]:
    """Which points (j, 2) lie in a polygon (k, 2): an odd number of crossings to the right."""
    inside = np.zeros(len(points), bool)
    for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y1 == y2:
            continue
        crosses = (points[:, 1] < y1) != (points[:, 1] < y2)
        inside ^= crosses & (points[:, 0] < x1 + (points[:, 1] - y1) * (x2 - x1) / (y2 - y1))
    return inside


def curves(
    mean: Points, skin: NDArray[np.int64], landmarks: SurfacePoints
) -> dict[str, SurfacePoints]:
    """The named curves of the landmark scheme, through the landmarks along the skin.

    Parameters
    ----------
    mean : (n, 3) float64, decimetres
    skin : (m, 3) int64, triangles
    landmarks : 68 points

    Returns
    -------
    dict
        name -> (17,) points
    """
    surface = NearestSurface(mean, skin)
    places = landmarks.on(mean)
    return {name: _curve(surface, landmarks, places, list(nodes)) for name, nodes in CURVES.items()}


def _curve(
    surface: NearestSurface, landmarks: SurfacePoints, places: Points, nodes: list[int]
) -> SurfacePoints:
    steps = np.linalg.norm(np.diff(places[nodes], axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(np.maximum(steps, 1e-9))])
    samples = np.linspace(0.0, length[-1], CURVE_SAMPLES)
    at = [int(np.abs(samples - knot).argmin()) for knot in length]
    samples[at] = length
    points, _, _ = surface.query(PchipInterpolator(length, places[nodes])(samples))
    vertices, weights = points.vertices.copy(), points.weights.copy()
    vertices[at], weights[at] = landmarks.vertices[nodes], landmarks.weights[nodes]
    return SurfacePoints(vertices, weights)


def jaw_lines(mean: Points, skin: NDArray[np.int64], landmarks: SurfacePoints) -> SurfacePoints:
    """Lines over the cheek, front to back, one through each jaw landmark.

    By rays from outside towards a centre inside the head, in the plane of the centre's axis to the
    front and the landmark. Where the mesh ends, a line repeats its last point.

    Parameters
    ----------
    mean : (n, 3) float64, decimetres
    skin : (m, 3) int64, triangles
    landmarks : 68 points

    Returns
    -------
    SurfacePoints
        (17, 24) points
    """
    places = landmarks.on(mean)
    eyes, chin, jaw = places[36:48].mean(0), places[8], places[:17]
    centre = np.array([eyes[0], eyes[1] + 0.35 * (chin[1] - eyes[1]), jaw[[0, 16], 2].mean()])
    near = _near_triangles(mean, skin, places)
    lines = [_jaw_line(mean, near, centre, landmarks[j], jaw[j] - centre) for j in range(17)]
    return SurfacePoints(
        np.stack([line.vertices for line in lines]), np.stack([line.weights for line in lines])
    )


def _jaw_line(
    mean: Points,
    skin: NDArray[np.int64],
    centre: Points,
    landmark: SurfacePoints,
    arm: Points,
) -> SurfacePoints:
    outward = np.array([arm[0], arm[1], 0.0]) / max(float(np.hypot(arm[0], arm[1])), 1e-9)
    elevation = np.arctan2(arm[2], np.hypot(arm[0], arm[1]))
    first = min(elevation + JAW_FORWARDS, STEEPEST)
    sweep = np.linspace(first, elevation - JAW_BACKWARDS, JAW_SAMPLES)
    directions = np.cos(sweep)[:, None] * outward + np.sin(sweep)[:, None] * np.eye(3)[2]
    hit, weights = first_hits(mean, skin, centre + 5.0 * directions, -directions)
    met = np.nonzero(hit >= 0)[0]
    if not met.size:
        return SurfacePoints(
            np.repeat(landmark.vertices[None], JAW_SAMPLES, 0),
            np.repeat(landmark.weights[None], JAW_SAMPLES, 0),
        )
    nearest = met[np.abs(np.arange(JAW_SAMPLES)[:, None] - met).argmin(1)]
    return SurfacePoints(skin[hit[nearest]].astype(np.int32), weights[nearest].astype(np.float32))


def _near_triangles(mean: Points, skin: NDArray[np.int64], places: Points) -> NDArray[np.int64]:
    """The triangles that rays past the landmarks can meet."""
    low, high = places.min(0) - 0.5, places.max(0) + 0.5
    within = ((mean >= low) & (mean <= high)).all(1)
    return np.asarray(skin[within[skin].all(1)])
