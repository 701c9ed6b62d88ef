"""What the kernels read and write: the model's points, frames, unknowns, loss, work arrays.

A frame lives in normalised image coordinates: principal point at 0, y up, the inter-ocular
distance as unit, so that weights mean the same at any resolution. The named tuples below go into
the Numba kernels as they are. For n frames there is one bundle of data (`Frames`) and one of
unknowns (`State` with a leading axis); `frame_of` and `state_of` take one frame out of them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ..morphable_model.landmark_scheme import COUNT, SEGMENT, curve_table
from ..morphable_model.morphable_model import MorphableModel, PointBasis, SurfacePoints
from .layout import Layout, new_layout
from .linear_algebra import SIDE, padded, stride
from .whitening import Whitening, new_whitening

JAW = 17  # landmarks on the jaw line
PLAIN, HUBER, GEMAN_MCCLURE, ABSOLUTE = 0, 1, 2, 3
# Landmarks of the cheeks, whose contour moves with yaw; around the chin the jaw's edge is seen at
# any pose and the points stay on it.
CONTOUR_LANDMARKS = (0, 1, 2, 3, 4, 5, 11, 12, 13, 14, 15, 16)


class State(NamedTuple):
    """The unknowns of one frame, or, with a leading axis n, those of n frames.

    Fits overwrite the arrays.

    Attributes
    ----------
    x : (K,) or (n, K), of the type of the model's modes, coefficients
    rotation : (3, 3) or (n, 3, 3) float64
    translation : (3,) or (n, 3) float64, decimetres
    """

    x: NDArray[np.floating]
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]

    def copy(self) -> State:
        """Independent arrays of the same values."""
        return State(self.x.copy(), self.rotation.copy(), self.translation.copy())

    def rows(self, chosen: NDArray[np.integer] | slice) -> State:
        """Some of the frames, in independent arrays where they are chosen by indices.

        Parameters
        ----------
        chosen : (m,) int, their indices, or a slice
        """
        return State(self.x[chosen], self.rotation[chosen], self.translation[chosen])


class Frame(NamedTuple):
    """What was detected in one frame, normalised.

    Attributes
    ----------
    target : (p, 2) float64, inter-ocular distances, NaN where missing; the 68 landmarks, and
        behind them the dense points where they are fitted too
    root_weight : (p,) float64, square roots of the confidences, 0 where missing
    focal : focal length over the frame's inter-ocular distance in pixels
    yaw_range : which of the loss's covariances is that of the frame
    contour : (17,) int32, places of the jaw landmarks on their lines, which are then kept; -1:
        they follow the pose
    """

    target: NDArray[np.float64]
    root_weight: NDArray[np.float64]
    focal: float
    yaw_range: int
    contour: NDArray[np.int32] = np.full(JAW, -1, np.int32)


class Frames(NamedTuple):
    """What was detected in n frames: the fields of `Frame`, each with a leading axis.

    Attributes
    ----------
    target : (n, p, 2) float64, inter-ocular distances
    root_weight : (n, p) float64
    focal : (n,) float64
    yaw_range : (n,) int64
    contour : (n, 17) int32
    """

    target: NDArray[np.float64]
    root_weight: NDArray[np.float64]
    focal: NDArray[np.float64]
    yaw_range: NDArray[np.int64]
    contour: NDArray[np.int32]

    def rows(self, chosen: NDArray[np.integer] | slice) -> Frames:
        """Some of the frames.

        Parameters
        ----------
        chosen : (m,) int, their indices, or a slice
        """
        return Frames(
            self.target[chosen],
            self.root_weight[chosen],
            self.focal[chosen],
            self.yaw_range[chosen],
            self.contour[chosen],
        )


@njit(cache=True, boundscheck=False)
def frame_of(frames: Frames, index: int) -> Frame:
    """One of the frames; its arrays are views.

    Parameters
    ----------
    frames : n frames
    index : which of them
    """
    return Frame(
        frames.target[index],
        frames.root_weight[index],
        frames.focal[index],
        frames.yaw_range[index],
        frames.contour[index],
    )


@njit(cache=True, boundscheck=False)
def state_of(states: State, index: int) -> State:
    """The unknowns of one frame; the arrays are views, so that a fit writes through them.

    Parameters
    ----------
    states : of n frames
    index : which of them
    """
    return State(states.x[index], states.rotation[index], states.translation[index])


class PointModel(NamedTuple):
    """68 landmarks, and dense points behind them, as linear functions of K coefficients, dm.

    Attributes
    ----------
    mean : (p, 3) float64; p is 68 and the number of dense points
    modes : (p, 3, K) float32 or float64
    line_mean : (17, c, 3) float64, the candidates on the jaw lines, front to back; c may be 0
    line_modes : (17, c, 3, K), as modes
    line_outward : (17, 3) float64, unit directions out of the face in model coordinates
    line_first : (17,) int32, how far to the front a jaw landmark may move: not at all around the
        chin
    line_last : (17,) int32, the candidate at the landmark's own place, seen from the front; the
        visible contour lies there or further to the front
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

    Parameters
    ----------
    model : with the landmark set
    landmark_set : name of the 68 points
    contour : jaw landmarks move to the visible contour at the pose; otherwise they are fixed
    dtype : of the modes, and with them of the Jacobian and of the linear systems
    dense : (d, 3) points on the surface that follow the landmarks, or None

    Returns
    -------
    PointModel
    """
    points = model.landmarks[landmark_set]
    if dense is not None:
        points = SurfacePoints(
            np.concatenate([points.vertices, dense.vertices]),
            np.concatenate([points.weights, dense.weights]),
        )
    return _reduced(model, points, contour, np.dtype(dtype))


# A video's blocks are fitted one after the other, to the same points.
@lru_cache(maxsize=2)
def _reduced(
    model: MorphableModel,
    points: SurfacePoints,
    contour: bool,
    dtype: np.dtype[np.floating],
) -> PointModel:
    lines = model.jaw_candidates if contour else _no_lines(model)
    basis = model.at(points)
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


def _modes(basis: PointBasis, dtype: np.dtype[np.floating]) -> NDArray[np.floating]:
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
    """The points of one person.

    Parameters
    ----------
    points : of all coefficients, f_shape first
    f_shape : (s,) float64

    Returns
    -------
    PointModel
        f_shape is part of the mean, and the modes are those of f_exp alone
    """
    shape = np.asarray(f_shape, np.float64)
    count = len(shape)
    return points._replace(
        mean=points.mean + points.modes[..., :count].astype(np.float64) @ shape,
        modes=np.ascontiguousarray(points.modes[..., count:]),
        line_mean=points.line_mean + points.line_modes[..., :count].astype(np.float64) @ shape,
        line_modes=np.ascontiguousarray(points.line_modes[..., count:]),
    )


def landmark_places(
    model: MorphableModel, mesh: NDArray[np.floating], pose: ArrayLike, landmark_set: str
) -> NDArray[np.float64]:
    """The 68 landmarks on a mesh at a pose, those of the jaw on the visible contour.

    Parameters
    ----------
    model : of the mesh
    mesh : (n, 3) float, decimetres, model coordinates
    pose : (6,) rotation vector (radians) and translation (decimetres)
    landmark_set : name of the 68 points

    Returns
    -------
    (68, 3) float64, decimetres, model coordinates
    """
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


class Scheme(NamedTuple):
    """How landmarks become residuals.

    Attributes
    ----------
    curve_of : (p,) int32, the curve that a landmark slides on; -1 for an end point, as dense
        points are
    nodes : (curves, k) int32, the landmarks of each curve, -1 behind its last
    first_row : (p,) int32, the first residual of each point: end points come first, then sliding
        landmarks, then dense points
    rows : number of data residuals m
    """

    curve_of: NDArray[np.int32]
    nodes: NDArray[np.int32]
    first_row: NDArray[np.int32]
    rows: int


def new_scheme(*, curves: bool = True, dense: int = 0) -> Scheme:
    """The residuals of 68 landmarks and of the dense points behind them.

    Parameters
    ----------
    curves : sliding landmarks are compared with the detected curve; otherwise every landmark is an
        end point
    dense : number of dense points

    Returns
    -------
    Scheme
    """
    curve_of, nodes = curve_table()
    if not curves:
        curve_of[:] = -1
    curve_of = np.concatenate([curve_of, np.full(dense, -1, np.int32)])
    order = np.argsort(curve_of[:COUNT] >= 0, kind="stable")
    order = np.append(order, COUNT + np.arange(dense))
    first_row = np.empty(len(curve_of), np.int32)
    first_row[order] = np.append(0, np.cumsum(np.where(curve_of[order] < 0, 2, 1))[:-1])
    return Scheme(curve_of, nodes, first_row, _rows(curve_of))


def _rows(curve_of: NDArray[np.int32]) -> int:
    return int(len(curve_of) + (curve_of < 0).sum())


class Loss(NamedTuple):
    """How residuals are weighed.

    Attributes
    ----------
    kind : PLAIN, HUBER, GEMAN_MCCLURE or ABSOLUTE
    scale : of a robust kind, inter-ocular distances, or pixels where these are measured
    covariance : (b, 136, 136) float64 of the landmarks' errors (x0, y0, x1, ...), squared
        inter-ocular distances, for each range of yaw; (0, 0, 0) for none
    unit : the error that counts as much as a whitened residual of that size
    """

    kind: int
    scale: float
    covariance: NDArray[np.float64]
    unit: float


def plain_loss() -> Loss:
    """Least squares of unit weight, as in Eq. 3."""
    return Loss(PLAIN, 1.0, np.empty((0, 0, 0)), 1.0)


class Workspace(NamedTuple):
    """Arrays of one frame's residuals, allocated once: p points, m data rows, N columns.

    Behind the data rows there is place for one row a sliding landmark, by which `linearise` makes
    the curvature known that a landmark beside a node of its curve has.

    Attributes
    ----------
    moved : of the type of the modes, modes x of the points, or of the candidates of a line
    turned, seen : (p, 3) float64, R X and R X + t of each point X, decimetres
    force : (p, 3) float64, the pulls at each point, in model coordinates
    direction : (m + s, 2) float64, the unit vector along which a row measures
    landmark : (m + s,) int32, the point that a row measures
    row_weight : (m + s,) float64, what a row was multiplied by
    bend : (m,) float64, the second derivative of D along the curve, see `nearest_on`
    corners : (1,) int32, how many rows there are behind the data rows
    distance : (p,) float64, D of each landmark, not weighed
    value : (m,) float64, residuals, the beginning of whole tiles
    pull : (m,) float64, half the derivative of the energy by each residual before whitening, as
        value
    layout : the Jacobian's columns
    jacobian : (m + s padded, stride), of the type of the modes
    candidate : (17,) int32, places of the jaw landmarks on their lines
    jaw_rows : (56,), the rows of the lines' modes there, and zeros to whole tiles
    whitening : arrays of the covariance of the landmarks' residuals
    segments : (curves, k, 7) float64 and
    segment_count : (curves,) int32, the detected curves as `residuals.cut_curve` leaves them
    """

    moved: NDArray[np.floating]
    turned: NDArray[np.float64]
    seen: NDArray[np.float64]
    force: NDArray[np.float64]
    direction: NDArray[np.float64]
    landmark: NDArray[np.int32]
    row_weight: NDArray[np.float64]
    bend: NDArray[np.float64]
    corners: NDArray[np.int32]
    distance: NDArray[np.float64]
    value: NDArray[np.float64]
    pull: NDArray[np.float64]
    layout: Layout
    jacobian: NDArray[np.floating]
    candidate: NDArray[np.int32]
    jaw_rows: NDArray[np.intp]
    whitening: Whitening
    segments: NDArray[np.float64]
    segment_count: NDArray[np.int32]


def new_workspace(
    points: PointModel, scheme: Scheme, loss: Loss, layout: Layout | None = None
) -> Workspace:
    """Allocate the arrays of one frame's residuals; the Jacobian has the type of the modes.

    Parameters
    ----------
    points, scheme, loss : of the fits that use it
    layout : of the Jacobian; None: nothing but the pose is eliminated

    Returns
    -------
    Workspace
    """
    rows = scheme.rows
    every = rows + int((scheme.curve_of >= 0).sum())
    layout = new_layout(points.coefficients, 0) if layout is None else layout
    count, dtype = len(points.mean), points.modes.dtype
    slides = scheme.curve_of[:COUNT] >= 0
    coordinates = 3 * max(count, points.line_mean.shape[1])
    return Workspace(
        moved=np.zeros(int(padded(coordinates)) + SIDE, dtype),
        turned=np.empty((count, 3)),
        seen=np.empty((count, 3)),
        force=np.zeros((count, 3)),
        direction=np.empty((every, 2)),
        landmark=np.empty(every, np.int32),
        row_weight=np.empty(every),
        bend=np.zeros(rows),
        corners=np.zeros(1, np.int32),
        distance=np.zeros(count),
        value=np.zeros(int(padded(rows)))[:rows],
        pull=np.zeros(int(padded(rows)))[:rows],
        layout=layout,
        jacobian=np.zeros((int(padded(every)), stride(layout.columns)), dtype),
        candidate=points.line_last.copy(),
        jaw_rows=np.zeros(int(padded(3 * JAW)), np.intp),
        whitening=new_whitening(slides, loss.covariance, loss.unit, dtype),
        segments=np.zeros((*scheme.nodes.shape, SEGMENT)),
        segment_count=np.zeros(len(scheme.nodes), np.int32),
    )
