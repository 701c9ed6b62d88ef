"""What the residuals of one frame are computed from, and the arrays that they are written into.

A frame lives in normalised image coordinates: principal point at 0, y up, the inter-ocular
distance as unit, so that weights mean the same at any resolution.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .morphable_model.landmark_scheme import COUNT, SEGMENT, curve_table
from .solver.linear_algebra import padded
from .solver.problem import PointModel

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
