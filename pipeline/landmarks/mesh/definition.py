"""Measures where landmarks that people placed lie on MediaPipe's face mesh.

Least squares in the face's frame, for each landmark by itself: a weighted mean of a few mesh
points, chosen one after the other, and a constant offset. A landmark and its mirror image share
one entry, so each photograph counts twice, as it is and mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from ....fitting.morphable_model.landmark_scheme import COUNT as LANDMARKS
from ....fitting.morphable_model.landmark_scheme import MIRROR
from .points import COUNT, EYE_CORNERS, MESH_POINTS, MOST_POINTS, LandmarkDefinition, face_axes

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

# Errors count up to this many eye-corner distances when points are chosen: an annotation that is
# wrong, or a face that the mesh loses, does not choose.
_CLIP = 0.12
_ROOT_HALF = np.sqrt(0.5)
_MIRRORED = np.array([-1.0, 1.0])


@dataclass(frozen=True)
class Choice:
    """How the mesh points of a landmark are chosen.

    Attributes
    ----------
    points : at most so many
    near : only points whose mean lies within so many eye-corner distances of the landmark's mean
    ridge : keeps the weights of the second and further points small, in squared distances a face
    apart : weight of an error in the distance between a landmark and its mirror image
    """

    points: int = MOST_POINTS
    near: float = 0.25
    ridge: float = 3e-5
    apart: float = 1.0


# By cross-fitting on halves of 218 photographs: errors hardly depend on these, and the ridge is
# larger than theirs is smallest at, so that no landmark is drawn far out of its points (the jaw's
# would be, by weights of 3 and -1.4). The lids' gap gains from points of the other lid. The
# distance of the brows hardly moves in the mesh; its r rises from .22 to .26 where it counts more.
CHOICES: dict[int, Choice] = {
    **dict.fromkeys(range(LANDMARKS), Choice()),
    **dict.fromkeys(range(17), Choice(ridge=3e-4)),
    **dict.fromkeys(range(36, 48), Choice(near=0.4)),
    21: Choice(points=3, ridge=1e-5, apart=4.0),
}


def fitted_definition(points: Floats, landmarks: Floats) -> tuple[LandmarkDefinition, Numbers]:
    """Where human landmarks lie on the mesh.

    Parameters
    ----------
    points : (n, 478, 2 or 3) float64, pixels, mesh points of n photographs
    landmarks : (n, 68, 2) float64, pixels, the same faces' landmarks as people placed them

    Returns
    -------
    definition : the 68 landmarks on the mesh
    mirror : (468,) int64, the mesh point on the other side
    """
    plane = np.asarray(points[..., :2], np.float64)
    face = _in_frame(plane[:, :MESH_POINTS], plane)
    placed = _in_frame(landmarks, plane)
    mirror = mesh_mirror(face)
    halves = _sum_and_difference(face, face[:, mirror] * _MIRRORED)
    human = _sum_and_difference(placed, placed[:, MIRROR] * _MIRRORED)
    weights, offsets = np.zeros((LANDMARKS, COUNT)), np.zeros((LANDMARKS, 2))
    for landmark in range(LANDMARKS):
        other = int(MIRROR[landmark])
        if other < landmark:
            continue
        own = _fitted_landmark(halves, human[:, :, landmark], mirror, landmark)
        chosen, parts, offset = own
        if other == landmark:
            # A point in the middle takes both sides alike.
            chosen, parts = np.concatenate([chosen, mirror[chosen]]), np.tile(parts / 2, 2)
            offset = offset * (0.0, 1.0)
        np.add.at(weights[landmark], chosen, parts)
        offsets[landmark] = offset
        if other != landmark:
            np.add.at(weights[other], mirror[chosen], parts)
            offsets[other] = offset * _MIRRORED
    return LandmarkDefinition(weights, offsets), mirror


def mesh_mirror(face: Floats) -> Numbers:
    """The mesh point on the other side (468,), of faces (n, 468, 2) in their frame.

    The mean face and its mirror image are laid upon one another.
    """
    mean = face.mean(0)
    apart = ((mean[:, None] * _MIRRORED - mean[None]) ** 2).sum(2)
    return np.asarray(linear_sum_assignment(apart + apart.T)[1], np.int64)


def _in_frame(places: Floats, points: Floats) -> Floats:
    """Places (n, k, 2) in the frame of faces (n, m, 2): from the middle of their eye corners."""
    axes = face_axes(points)
    middle = points[:, list(EYE_CORNERS)].mean(1, keepdims=True)
    square = (axes[:, :1] ** 2).sum(-1, keepdims=True)
    return np.asarray((places - middle) @ np.swapaxes(axes, 1, 2) / square)


def _sum_and_difference(own: Floats, mirrored: Floats) -> Floats:
    """(2, n, k, 2): what both sides do alike, and how they differ; squares add up as before."""
    return np.asarray(np.stack([own + mirrored, own - mirrored]) * _ROOT_HALF, np.float64)


def _fitted_landmark(
    halves: Floats, human: Floats, mirror: Numbers, landmark: int
) -> tuple[Numbers, Floats, Floats]:
    """Mesh points (k,), their weights (k,) and the offset (2,) of one landmark.

    halves: (2, n, 468, 2), human: (2, n, 2), by `_sum_and_difference`.
    """
    choice = CHOICES[landmark]
    price = np.ones(MESH_POINTS, np.int64)
    if landmark == MIRROR[landmark]:
        halves = (halves + halves[:, :, mirror]) / 2
        price = np.where(mirror == np.arange(MESH_POINTS), 1, 2)
        # Of each pair one stands for both.
        price[mirror < np.arange(MESH_POINTS)] = MOST_POINTS + 1
    middle, aim = halves[0].mean(0), human[0].mean(0)
    near = np.linalg.norm(middle - aim, axis=1) * _ROOT_HALF < choice.near
    # The offset takes the mean of what both sides do alike; their difference has none.
    shift = np.array([1.0, 0.0])[:, None, None]
    scale = np.sqrt([[choice.apart, 1.0], [1.0, 1.0]])[:, None]
    columns = (halves - shift[..., None] * middle) * scale[:, :, None]
    columns = columns.transpose(2, 0, 1, 3).reshape(MESH_POINTS, -1)
    wanted = ((human - shift * aim) * scale).ravel()
    clip = np.broadcast_to(_CLIP * scale, human.shape).ravel()
    chosen: list[int] = []
    while True:
        left = choice.points - price[chosen].sum()
        free = np.flatnonzero(near & (price <= left) & ~np.isin(np.arange(MESH_POINTS), chosen))
        if not len(free):
            break
        sets = np.column_stack([np.tile(chosen, (len(free), 1)), free]).astype(np.int64)
        errors = wanted - np.einsum(
            "ck,ckn->cn", _weights(columns, sets, wanted, choice.ridge), columns[sets]
        )
        best = (np.minimum(np.abs(errors), clip) ** 2).sum(1).argmin()
        chosen = sets[best].tolist()
    weights = _weights(columns, np.array([chosen]), wanted, choice.ridge)[0]
    return np.array(chosen), weights, (aim - weights @ middle[chosen]) * _ROOT_HALF


def _weights(columns: Floats, sets: Numbers, wanted: Floats, ridge: float) -> Floats:
    """Least-squares weights (c, k), of sum 1, of c sets (c, k) of columns (468, rows).

    The first of a set has what the others leave.
    """
    first = columns[sets[:, :1]]
    others = columns[sets[:, 1:]] - first
    normal = others @ np.swapaxes(others, 1, 2) / columns.shape[1] + ridge * np.eye(others.shape[1])
    right = np.einsum("ckn,cn->ck", others, wanted - first[:, 0]) / columns.shape[1]
    free = np.linalg.solve(normal, right[..., None])[..., 0]
    return np.concatenate([1.0 - free.sum(1, keepdims=True), free], 1)
