"""Brings a model to glee's conventions: decimetres, axes, origin, winding.

Where the rest of the house measures poses, rotation 0 means the same head in every model: the
embedded model's landmarks say which way is forwards and where the origin lies.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..morphable_model.landmark_scheme import INNER, OUTER_EYE_CORNERS
from ..morphable_model.model_file import load_model
from ..morphable_model.morphable_model import SurfacePoints
from .raw_model import UNITS, RawModel
from .similarity import best_similarity

# Outer eye corners of people: about 0.9 dm apart, children's closer.
EYE_DISTANCE = (0.6, 1.3)
EYES = slice(36, 48)
LARGEST_TILT = np.radians(10.0)


def reference_landmarks() -> NDArray[np.float64]:
    """The embedded model's anatomical landmarks, (68, 3) decimetres."""
    model = load_model()
    return model.landmarks["anatomical"].on(model.mean)


def to_conventions(raw: RawModel, landmarks: SurfacePoints) -> RawModel:
    """The model in decimetres, x to the person's left, y up, z to the front, wound outwards.

    landmarks: its 68 points. Raises DataError where the face's size is not a person's or the
    landmarks are those of a mirrored face.
    """
    unit = raw.unit or _likely_unit(raw, landmarks)
    scale = decimetres(raw, unit)
    _check_size(raw, landmarks, unit, scale)
    reference = reference_landmarks()
    points = landmarks.on(raw.mean) * scale
    rotation = _rotation(raw, points, reference)
    turned = points @ rotation.T
    offset = reference[EYES].mean(0) - turned[EYES].mean(0)
    mean = scale * raw.mean @ rotation.T + offset
    basis = (scale * rotation.T).astype(np.float32)
    return replace(
        raw,
        mean=mean,
        identity=raw.identity @ basis,
        expression=raw.expression @ basis,
        triangles=wound_outwards(mean, raw.triangles),
        landmarks=landmarks,
        unit="dm",
    )


def decimetres(raw: RawModel, unit: str) -> float:
    """How many decimetres one of the unit is; raises DataError for an unknown unit."""
    if unit not in UNITS:
        raise DataError(f"{raw.source}: unit '{unit}' is not known; give one of {', '.join(UNITS)}")
    return UNITS[unit]


def _eye_distance(raw: RawModel, landmarks: SurfacePoints) -> float:
    right, left = landmarks.on(raw.mean)[list(OUTER_EYE_CORNERS)]
    return float(np.linalg.norm(left - right))


def _likely_unit(raw: RawModel, landmarks: SurfacePoints) -> str:
    """The one unit in which the eyes are a person's eyes apart."""
    distance = _eye_distance(raw, landmarks)
    for unit, scale in UNITS.items():
        if EYE_DISTANCE[0] <= distance * scale <= EYE_DISTANCE[1]:
            return unit
    raise DataError(
        f"{raw.source}: the outer eye corners are {distance:.4g} apart, a person's in none of "
        f"{', '.join(UNITS)}; check the landmarks, or scale the model"
    )


def _check_size(raw: RawModel, landmarks: SurfacePoints, unit: str, scale: float) -> None:
    distance = _eye_distance(raw, landmarks) * scale
    if not EYE_DISTANCE[0] <= distance <= EYE_DISTANCE[1]:
        raise DataError(
            f"{raw.source}: read in {unit}, the outer eye corners are {distance * 10:.4g} cm "
            f"apart (a person's {EYE_DISTANCE[0] * 10:g} to {EYE_DISTANCE[1] * 10:g} cm); give "
            "another unit, or check the landmarks"
        )


def _rotation(
    raw: RawModel, points: NDArray[np.float64], reference: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The file's axes to glee's: whole quarter turns, then the head's pitch.

    Yaw and roll of a frontal, nearly symmetric face are left as they are in the file; only a model
    that looks elsewhere by more than ten degrees is turned by the full rotation.
    """
    inner = list(INNER)
    best = best_similarity(points[inner], reference[inner])
    rotation = best.rotation
    if best.mirrored:
        raise DataError(
            f"{raw.source}: the landmarks are those of a mirrored face; right and left are the "
            "person's (landmark 36 is the right eye), and coordinates must be right-handed"
        )
    quarter = max(_quarter_turns(), key=lambda turn: float(np.trace(turn.T @ rotation)))
    y, z = (points[inner] @ quarter.T)[:, 1:].T
    y_to, z_to = reference[inner, 1:].T
    y, z, y_to, z_to = (axis - axis.mean() for axis in (y, z, y_to, z_to))
    pitch = np.arctan2(y @ z_to - z @ y_to, y @ y_to + z @ z_to)
    cosine, sine = np.cos(pitch), np.sin(pitch)
    upright = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]) @ quarter
    left_over = np.arccos(np.clip((np.trace(upright.T @ rotation) - 1) / 2, -1, 1))
    return rotation if left_over > LARGEST_TILT else upright


def _quarter_turns() -> list[NDArray[np.float64]]:
    """The 24 rotations that map axes to axes."""
    turns = []
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            turn = np.zeros((3, 3))
            turn[range(3), order] = signs
            if np.linalg.det(turn) > 0:
                turns.append(turn)
    return turns


def wound_outwards(mean: NDArray[np.float64], triangles: NDArray[np.int64]) -> NDArray[np.int64]:
    """Triangles counter-clockwise seen from outside the head, whose inside holds the origin."""
    a, b, c = mean[triangles[:, 0]], mean[triangles[:, 1]], mean[triangles[:, 2]]
    outwards = np.einsum("ij,ij->", np.cross(b - a, c - a), a + b + c)
    return triangles if outwards >= 0 else np.ascontiguousarray(triangles[:, ::-1])
