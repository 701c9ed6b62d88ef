"""What the kernels read and write: points, frame, loss, prior, work arrays.

The morphable model reduced to the 68 landmarks that a fit compares, laid out for the kernels.

What the residuals of one frame are computed from, and the arrays that they are written into.

A frame lives in normalised image coordinates: principal point at 0, y up, the inter-ocular
distance as unit, so that weights mean the same at any resolution.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ..morphable_model.landmark_scheme import COUNT, SEGMENT, curve_table
from ..morphable_model.morphable_model import MorphableModel, PointBasis, SurfacePoints
from .linear_algebra import SUMS, padded

# Landmarks of the cheeks, whose contour moves with yaw; around the chin the jaw's edge is seen at
# any pose and the points stay on it.
CONTOUR_LANDMARKS = (0, 1, 2, 3, 4, 5, 11, 12, 13, 14, 15, 16)


class PointModel(NamedTuple):
    """68 landmarks, and dense points behind them, as linear functions of K coefficients, dm.

    mean: (p, 3) float64, p = 68 and the dense points. modes: (p, 3, K) float32 or float64.
    line_mean: (17, c, 3) and line_modes: (17, c, 3, K): the jaw candidates, front to back; c may
    be 0. line_outward: (17, 3) float64 direction out of the face in model coordinates.
    line_last: (17,) int32, the candidate at the landmark's own place, seen from the front; the
    visible contour lies there or further to the front. line_first: (17,) int32, how far to the
    front it may move: not at all around the chin.
    """

    mean: NDArray[np.float64]
    modes: NDArray[np.floating]
    line_mean: NDArray[np.float64]
    line_modes: NDArray[np.floating]
    line_outward: NDArray[np.float64]
    line_first: NDArray[np.int32]
    line_last: NDArray[np.int32]

    @property
    def coefficients(self) -> int:
        """Number of coefficients K."""
        return int(self.modes.shape[2])


def point_model(
    model: MorphableModel,
    landmark_set: str = "anatomical",
    *,
    contour: bool = True,
    dtype: type[np.floating] = np.float32,
    dense: SurfacePoints | None = None,
) -> PointModel:
    """Reduce a model to the points of a landmark set; coefficients are f_shape, then f_exp.

    contour: jaw landmarks move to the visible contour at the pose; otherwise they are fixed.
    dense: points (d, 3) that follow the landmarks.
    """
    points = model.landmarks[landmark_set]
    if dense is not None:
        points = SurfacePoints(
            np.concatenate([points.vertices, dense.vertices]),
            np.concatenate([points.weights, dense.weights]),
        )
    basis = model.at(points)
    lines = model.jaw_candidates if contour else _no_lines(model)
    line_basis = model.at(lines)
    places = lines.on(model.mean)
    first, last = _line_ends(places, points.on(model.mean))
    return PointModel(
        mean=basis.mean,
        modes=_modes(basis, dtype),
        line_mean=line_basis.mean,
        line_modes=_modes(line_basis, dtype),
        line_outward=_outward(places),
        line_first=first,
        line_last=last,
    )


def _no_lines(model: MorphableModel) -> SurfacePoints:
    lines = model.jaw_candidates
    return SurfacePoints(lines.vertices[:, :0], lines.weights[:, :0])


def _line_ends(
    places: NDArray[np.float64], landmarks: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """First and last candidate of each jaw line (17, c, 3), given the landmarks (68, 3)."""
    first, last = np.zeros(17, np.int32), np.zeros(17, np.int32)
    if places.shape[1]:
        apart = np.linalg.norm(places - landmarks[:17, None], axis=-1)
        last = apart.argmin(1).astype(np.int32)
        first = last.copy()
        first[list(CONTOUR_LANDMARKS)] = 0
    return first, last


def _modes(basis: PointBasis, dtype: type[np.floating]) -> NDArray[np.floating]:
    every = np.concatenate([basis.identity, basis.expression])
    return np.ascontiguousarray(np.moveaxis(every, 0, -1), dtype)


def _outward(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit directions in the front plane from a line's front end to its back end, (17, 3)."""
    outward = np.zeros((len(places), 3))
    if places.shape[1]:
        outward[:, :2] = places[:, -1, :2] - places[:, 0, :2]
        outward /= np.linalg.norm(outward, axis=1)[:, None]
    return outward


def with_identity(points: PointModel, f_shape: ArrayLike) -> PointModel:
    """The points of one person: f_shape (s,) put into the mean, the expression modes left."""
    shape = np.asarray(f_shape, np.float64)
    count = len(shape)
    return points._replace(
        mean=points.mean + points.modes[..., :count].astype(np.float64) @ shape,
        modes=np.ascontiguousarray(points.modes[..., count:]),
        line_mean=points.line_mean + points.line_modes[..., :count].astype(np.float64) @ shape,
        line_modes=np.ascontiguousarray(points.line_modes[..., count:]),
    )


@njit(cache=True, boundscheck=False)
def contour_candidate(
    points: PointModel,
    line: int,
    x: NDArray[np.floating],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
) -> int:
    """The candidate of a jaw line that lies farthest out in the image."""
    best, score = int(points.line_last[line]), -np.inf
    if points.line_first[line] == best:
        return best
    ox, oy = points.line_outward[line, 0], points.line_outward[line, 1]
    dx = rotation[0, 0] * ox + rotation[0, 1] * oy
    dy = rotation[1, 0] * ox + rotation[1, 1] * oy
    along = (
        dx * rotation[0, 0] + dy * rotation[1, 0],
        dx * rotation[0, 1] + dy * rotation[1, 1],
        dx * rotation[0, 2] + dy * rotation[1, 2],
    )
    across = (rotation[2, 0], rotation[2, 1], rotation[2, 2])
    offset = (dx * translation[0] + dy * translation[1], translation[2])
    mean, modes = points.line_mean, points.line_modes
    for candidate in range(points.line_first[line], points.line_last[line] + 1):
        value = _outwardness(mean, modes, line, candidate, x, along, across, offset)
        if value > score:
            best, score = candidate, value
    return best


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _outwardness(
    mean: NDArray[np.float64],
    modes: NDArray[np.floating],
    line: int,
    candidate: int,
    x: NDArray[np.floating],
    along: tuple[float, float, float],
    across: tuple[float, float, float],
    offset: tuple[float, float],
) -> float:
    """(along . X + offset[0]) / -(across . X + offset[1]) for a candidate X of a jaw line."""
    a = b = c = modes.dtype.type(0.0)
    for k in range(len(x)):
        a += modes[line, candidate, 0, k] * x[k]
        b += modes[line, candidate, 1, k] * x[k]
        c += modes[line, candidate, 2, k] * x[k]
    px, py = mean[line, candidate, 0] + a, mean[line, candidate, 1] + b
    pz = mean[line, candidate, 2] + c
    out = along[0] * px + along[1] * py + along[2] * pz + offset[0]
    return float(out / -(across[0] * px + across[1] * py + across[2] * pz + offset[1]))


def landmark_places(
    model: MorphableModel, mesh: NDArray[np.floating], pose: ArrayLike, landmark_set: str
) -> NDArray[np.float64]:
    """The 68 landmarks on a mesh (n, 3) at a pose (6,), jaw on the visible contour, (68, 3) dm."""
    from ..camera import rotation_matrix, to_camera

    points: SurfacePoints = model.landmarks[landmark_set]
    places = points.on(mesh)
    lines = model.jaw_candidates.on(mesh)
    mean_lines = model.jaw_candidates.on(model.mean)
    outward = _outward(mean_lines) @ rotation_matrix(np.asarray(pose)[:3]).T
    seen = to_camera(lines, np.broadcast_to(np.asarray(pose, np.float64), (len(lines), 6)))
    score = np.einsum("jkc,jc->jk", seen[..., :2], outward[:, :2]) / -seen[..., 2]
    first, last = _line_ends(mean_lines, points.on(model.mean))
    every = np.arange(lines.shape[1])
    allowed = (every >= first[:, None]) & (every <= last[:, None])
    best = np.where(allowed, score, -np.inf).argmax(1)
    places[:17] = lines[np.arange(17), best]
    return places


POSE = 6
PLAIN, HUBER, GEMAN_MCCLURE = 0, 1, 2


class Frame(NamedTuple):
    """What was detected in one frame, normalised.

    target: (p, 2) float64, NaN where missing: 68 landmarks, and dense points behind them where
    they are fitted too. root_weight: (p,) float64, square roots of the confidences, 0 where
    missing. focal: focal length over the inter-ocular distance. yaw_range: which of the loss's
    covariances is its own.
    """

    target: NDArray[np.float64]
    root_weight: NDArray[np.float64]
    focal: float
    yaw_range: int


class Scheme(NamedTuple):
    """How landmarks become residuals.

    curve_of: (p,) int32, the curve that a landmark slides on, -1 for an end point, as dense points
    are. nodes: (curves, k) int32. rows: number of data residuals.
    """

    curve_of: NDArray[np.int32]
    nodes: NDArray[np.int32]
    rows: int


class Loss(NamedTuple):
    """How residuals are weighed.

    kind: PLAIN, HUBER or GEMAN_MCCLURE with its scale, in inter-ocular distances. covariance:
    (b, 136, 136) float64 of the landmarks' errors (x0, y0, x1, ...), squared inter-ocular
    distances, for each range of yaw; (0, 0, 0) for none. unit: the error that
    counts as much as a whitened residual of that size.
    """

    kind: int
    scale: float
    covariance: NDArray[np.float64]
    unit: float


class Work(NamedTuple):
    """Arrays of one frame's residuals, allocated once. m data rows, n = K + 6 unknowns.

    turned, seen: (p, 3), R X and R X + t. direction: (m, 2) and landmark: (m,), what each row
    measures; row_weight: (m,). distance: (p,) D of each landmark, not weighed. value: (m,)
    residuals; jacobian: (padded m, n padded to 8). candidate: (17,) places of the jaw landmarks on
    their lines. whitened: rows, the first ones, that the covariance whitens, those of the 68
    landmarks; factor: (padded whitened, the same). segments: (curves, k, 7) and segment_count:
    (curves,), the detected curves as `curves.cut_curve` leaves them.
    """

    turned: NDArray[np.float64]
    seen: NDArray[np.float64]
    direction: NDArray[np.float64]
    landmark: NDArray[np.int32]
    row_weight: NDArray[np.float64]
    distance: NDArray[np.float64]
    value: NDArray[np.float64]
    jacobian: NDArray[np.floating]
    candidate: NDArray[np.int32]
    whitened: int
    factor: NDArray[np.float64]
    segments: NDArray[np.float64]
    segment_count: NDArray[np.int32]


def new_scheme(*, curves: bool = True, dense: int = 0) -> Scheme:
    """The residuals of 68 landmarks and so many dense points behind them.

    Without curves every landmark is an end point.
    """
    curve_of, nodes = curve_table()
    if not curves:
        curve_of[:] = -1
    curve_of = np.concatenate([curve_of, np.full(dense, -1, np.int32)])
    return Scheme(curve_of, nodes, _rows(curve_of))


def _rows(curve_of: NDArray[np.int32]) -> int:
    return int(len(curve_of) + (curve_of < 0).sum())


def plain_loss() -> Loss:
    """Least squares of unit weight, as in Eq. 3."""
    return Loss(PLAIN, 1.0, np.empty((0, 0, 0)), 1.0)


def new_work(points: PointModel, scheme: Scheme, loss: Loss) -> Work:
    """Arrays for a model, scheme and loss; the Jacobian has the type of the model's modes."""
    rows = scheme.rows
    whitened = _rows(scheme.curve_of[:COUNT]) if loss.covariance.size else 0
    side = padded(whitened) if whitened else 0
    count = len(points.mean)
    width = (points.coefficients + POSE + 7) // 8 * 8
    return Work(
        turned=np.empty((count, 3)),
        seen=np.empty((count, 3)),
        direction=np.empty((rows, 2)),
        landmark=np.empty(rows, np.int32),
        row_weight=np.empty(rows),
        distance=np.zeros(count),
        value=np.zeros(rows),
        jacobian=np.zeros((padded(rows), width), points.modes.dtype),
        candidate=points.line_last.copy(),
        whitened=whitened,
        factor=np.zeros((side, side)),
        segments=np.zeros((*scheme.nodes.shape, SEGMENT)),
        segment_count=np.zeros(len(scheme.nodes), np.int32),
    )
