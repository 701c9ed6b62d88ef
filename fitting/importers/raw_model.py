"""A morphable model as its file holds it, and how it is brought to glee's conventions.

Those are decimetres, axes, origin and winding of morphable_model.py. So that rotation 0 means the
same head in every model, the embedded model's landmarks say which way is forwards and where the
origin lies.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import permutations, product
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import DataError
from ..morphable_model.landmark_scheme import INNER, OUTER_EYE_CORNERS
from ..morphable_model.model_file import load_model
from ..morphable_model.morphable_model import SurfacePoints
from .registration import best_similarity

MAX_VERTICES = 1_000_000
UNITS = {"m": 10.0, "dm": 1.0, "cm": 0.1, "mm": 0.01, "um": 1e-5}


@dataclass(frozen=True, eq=False)
class RawModel:
    """A linear face model in its file's axes and unit.

    Attributes
    ----------
    source : the file, for messages
    name : of the model
    mean : (n, 3) float64
    identity : (k, n, 3) float32, one standard deviation each
    expression : (e, n, 3) float32, at coefficient 1; e may be 0
    expression_names : (e,) names
    triangles : (m, 3) int64 from 0
    unit : a key of UNITS, or None where the format does not say
    landmarks : 68 points, or None
    parts : (m,) uint8, index into part_names, or None
    part_names : names of the parts
    uv : (n, 2) float64, texture coordinates, or None
    mirror : (n,) int64, the vertex on the other side of the face, or None
    masks : (n,) float32 in [0, 1] each, soft vertex labels
    """

    source: Path
    name: str
    mean: NDArray[np.float64]
    identity: NDArray[np.float32]
    expression: NDArray[np.float32]
    expression_names: tuple[str, ...]
    triangles: NDArray[np.int64]
    unit: str | None
    landmarks: SurfacePoints | None = None
    parts: NDArray[np.uint8] | None = None
    part_names: tuple[str, ...] = ("skin",)
    uv: NDArray[np.float64] | None = None
    mirror: NDArray[np.int64] | None = None
    masks: dict[str, NDArray[np.float32]] = field(default_factory=dict)


def no_expressions(vertex_count: int) -> NDArray[np.float32]:
    """The expression basis of a model that has none.

    Parameters
    ----------
    vertex_count : n

    Returns
    -------
    (0, n, 3) float32
    """
    return np.zeros((0, vertex_count, 3), np.float32)


def as_mean(source: Path, array: ArrayLike) -> NDArray[np.float64]:
    """Bring a stored mean shape to rows of vertices.

    Parameters
    ----------
    source : the file, for messages
    array : (3n,), (3n, 1), (1, 3n) or (n, 3) float

    Returns
    -------
    (n, 3) float64

    Raises
    ------
    DataError
        the length is no multiple of 3 or too large
    """
    flat = np.asarray(array, np.float64).reshape(-1)
    if len(flat) == 0 or len(flat) % 3:
        raise DataError(f"{source}: the mean has {len(flat)} values, not x, y, z of each vertex")
    if len(flat) > 3 * MAX_VERTICES:
        raise DataError(
            f"{source}: the mean has {len(flat) // 3:,} vertices; glee takes at most "
            f"{MAX_VERTICES:,}, give a reduced model"
        )
    return flat.reshape(-1, 3)


def as_modes(
    source: Path,
    components: NDArray[np.generic],
    deviations: ArrayLike,
    vertex_count: int,
    limit: int | None,
) -> NDArray[np.float32]:
    """Bring stored eigenvectors to modes of one standard deviation.

    Parameters
    ----------
    source : the file, for messages
    components : (3n, k) float, eigenvectors in columns
    deviations : (k,) float, standard deviations
    vertex_count : n
    limit : number of leading modes to keep, or None for all

    Returns
    -------
    (k, n, 3) float32

    Raises
    ------
    DataError
        the shapes do not fit or a deviation is negative
    """
    deviations = np.asarray(deviations, np.float64).reshape(-1)
    expected = (3 * vertex_count, len(deviations))
    if components.shape != expected:
        raise DataError(
            f"{source}: components have shape {components.shape}; {vertex_count} vertices and "
            f"{len(deviations)} eigenvalues ask for {expected}"
        )
    if len(deviations) == 0 or (deviations < 0).any():
        raise DataError(f"{source}: has no eigenvalues, or negative ones; check the file")
    scaled = np.asarray(components[:, :limit], np.float64) * deviations[:limit]
    return np.asarray(scaled.T.reshape(-1, vertex_count, 3), np.float32)


def as_deviations(source: Path, variances: ArrayLike) -> NDArray[np.float64]:
    """Square roots of variances (eigenvalues).

    Parameters
    ----------
    source : the file, for messages
    variances : (k,) float

    Returns
    -------
    (k,) float64

    Raises
    ------
    DataError
        one is negative
    """
    variances = np.asarray(variances, np.float64).reshape(-1)
    if (variances < 0).any():
        raise DataError(f"{source}: has a negative eigenvalue {variances.min():g}; check the file")
    return np.asarray(np.sqrt(variances))


def as_triangles(
    source: Path, array: NDArray[np.generic], vertex_count: int, *, first: int = 0
) -> NDArray[np.int64]:
    """Bring stored triangles to rows of indices from 0.

    Parameters
    ----------
    source : the file, for messages
    array : (m, 3) or (3, m) numbers
    vertex_count : n
    first : number of the first vertex in the file

    Returns
    -------
    (m, 3) int64

    Raises
    ------
    DataError
        they are no triangles or name a missing vertex
    """
    array = np.asarray(array)
    if array.ndim == 2 and array.shape[1] != 3 and array.shape[0] == 3:
        array = array.T
    if array.ndim != 2 or array.shape[1] != 3 or len(array) == 0:
        raise DataError(f"{source}: triangles have shape {array.shape}, expected (m, 3)")
    triangles = array.astype(np.int64) - first
    if triangles.min() < 0 or triangles.max() >= vertex_count:
        raise DataError(
            f"{source}: triangles name vertices {triangles.min()} to {triangles.max()}, the mean "
            f"has 0 to {vertex_count - 1}; mean and triangles are of different topologies"
        )
    return triangles


def vertex_points(source: Path, indices: ArrayLike, vertex_count: int) -> SurfacePoints:
    """Make surface points of landmarks that are vertices.

    Parameters
    ----------
    source : the file, for messages
    indices : (68,) int from 0
    vertex_count : n

    Returns
    -------
    SurfacePoints
        (68,) points

    Raises
    ------
    DataError
        they are not 68 distinct indices in range
    """
    indices = np.asarray(indices)
    if indices.shape != (68,) or indices.dtype.kind not in "iu":
        raise DataError(
            f"{source}: landmarks have shape {indices.shape} ({indices.dtype}); give 68 vertex "
            "indices from 0 in the iBUG order"
        )
    bad = indices[(indices < 0) | (indices >= vertex_count)]
    if bad.size:
        raise DataError(
            f"{source}: landmark vertex {int(bad[0])} is out of range, the model has "
            f"{vertex_count} vertices (from 0)"
        )
    if len(np.unique(indices)) < 60:
        raise DataError(f"{source}: many landmarks name one vertex; give 68 different ones")
    vertices = np.repeat(indices[:, None], 3, axis=1).astype(np.int32)
    weights = np.tile(np.array([1.0, 0.0, 0.0], np.float32), (68, 1))
    return SurfacePoints(vertices, weights)


# Outer eye corners of people: about 0.9 dm apart, children's closer.
EYE_DISTANCE = (0.6, 1.3)
EYES = slice(36, 48)
LARGEST_TILT = np.radians(10.0)


def reference_landmarks() -> NDArray[np.float64]:
    """The embedded model's anatomical landmarks, (68, 3) decimetres."""
    model = load_model()
    return model.landmarks["anatomical"].on(model.mean)


def to_conventions(raw: RawModel, landmarks: SurfacePoints) -> RawModel:
    """Bring a model to decimetres, x to the person's left, y up, z to the front, wound outwards.

    Parameters
    ----------
    raw : in its file's axes and unit
    landmarks : its 68 points

    Returns
    -------
    RawModel
        in glee's conventions

    Raises
    ------
    DataError
        the face's size is not a person's, or the landmarks are those of a mirrored face
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
    """How many decimetres one of a unit is.

    Parameters
    ----------
    raw : the model, for messages
    unit : a key of UNITS

    Returns
    -------
    float

    Raises
    ------
    DataError
        the unit is unknown
    """
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
    """Wind triangles counter-clockwise seen from outside the head, whose inside holds the origin.

    Parameters
    ----------
    mean : (n, 3) float64
    triangles : (m, 3) int64

    Returns
    -------
    (m, 3) int64
        all turned over, or as they were
    """
    a, b, c = mean[triangles[:, 0]], mean[triangles[:, 1]], mean[triangles[:, 2]]
    outwards = np.einsum("ij,ij->", np.cross(b - a, c - a), a + b + c)
    return triangles if outwards >= 0 else np.ascontiguousarray(triangles[:, ::-1])
