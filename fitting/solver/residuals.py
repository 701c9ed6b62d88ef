"""Residuals of one frame and their Jacobian: contour, projection, robust loss, whitening (Eq. 3).

An end point has two residuals (x, y), a sliding point one, its signed distance from the detected
curve. Unknowns are K coefficients x, a rotation update w multiplied from the left, and the
translation t: a point of the model lies at

    X = mean + modes x,    p = exp(w) R X,    q = p + t,    (u, v) = focal (q_x, q_y) / -q_z

in the model, turned, in the camera, and in the image. One calls `begin_frame` once a frame,
`evaluate` wherever the energy is asked for, and `linearise` where the Jacobian is needed too.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .linear_algebra import SUMS, copy_row, dots, dots_of
from .point_to_curve import cut_curve, nearest_on
from .problem import (
    ABSOLUTE,
    GEMAN_MCCLURE,
    HUBER,
    Frame,
    Loss,
    PointModel,
    Scheme,
    State,
    Workspace,
)
from .whitening import choose_slot, whiten, whiten_rows, whitened_pull


@njit(cache=True, boundscheck=False)
def begin_frame(
    points: PointModel, frame: Frame, scheme: Scheme, state: State, work: Workspace
) -> None:
    """Make the work arrays ready for a frame, before `evaluate`: its curves, the jaw contour.

    Parameters
    ----------
    points : the model's points
    frame : what was detected
    scheme : which landmarks slide on which curve
    state : unknowns of the frame, at which the contour is looked for, unless the frame has one
    work : filled: segments, segment_count, candidate, the whitening's slot
    """
    for curve in range(len(scheme.nodes)):
        work.segment_count[curve] = cut_curve(frame.target, scheme.nodes, curve, work.segments)
    choose_slot(work.whitening, frame.yaw_range, frame.root_weight, scheme.curve_of)
    if frame.contour[0] < 0:
        choose_contour(points, state, work)
    else:
        copy_row(frame.contour, work.candidate)


@njit(cache=True, boundscheck=False)
def choose_contour(points: PointModel, state: State, work: Workspace) -> bool:
    """Move the jaw landmarks to the visible contour; True where one moved.

    Parameters
    ----------
    points : the model's points
    state : unknowns of the frame
    work : filled: candidate
    """
    moved = False
    if points.line_mean.shape[1] == 0:
        return moved
    deformed = bool(state.x.any())
    for line in range(len(work.candidate)):
        best = contour_candidate(points, line, state, deformed, work.moved)
        moved |= best != work.candidate[line]
        work.candidate[line] = best
    return moved


@njit(cache=True, boundscheck=False)
def contour_candidate(
    points: PointModel, line: int, state: State, deformed: bool, moved: NDArray[np.floating]
) -> int:
    """The candidate of a jaw line that lies farthest out in the image.

    That is where the head's outline is seen, as in "landmark marching" (Zhu et al., High-fidelity
    pose and expression normalization, CVPR 2015).

    Parameters
    ----------
    points : the model's points
    line : 0 to 16, the jaw landmark
    state : unknowns of the frame
    deformed : some coefficient is not 0
    moved : work
    """
    first, best, score = int(points.line_first[line]), int(points.line_last[line]), -np.inf
    if first == best:
        return best
    x, rotation, translation = state.x, state.rotation, state.translation
    # d = the line's direction out of the face, turned and without its depth. A candidate X is seen
    # at (q_x, q_y) / -q_z with q = R X + t, so it lies (d . q) / -q_z out. With d . R X = (R^T d)
    # . X the rotation is applied once a line instead of once a candidate.
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
    mean = points.line_mean
    if deformed:
        row = 3 * line * mean.shape[1]
        at = dots(points.line_modes, x, row + 3 * first, row + 3 * best + 3, moved)
    else:
        at = 0
        moved[: 3 * (best + 1 - first)] = 0.0
    for candidate in range(first, best + 1):
        px = mean[line, candidate, 0] + moved[at]
        py = mean[line, candidate, 1] + moved[at + 1]
        pz = mean[line, candidate, 2] + moved[at + 2]
        out = along[0] * px + along[1] * py + along[2] * pz + offset[0]
        value = out / -(across[0] * px + across[1] * py + across[2] * pz + offset[1])
        if value > score:
            best, score = candidate, value
        at += 3
    return best


@njit(cache=True, boundscheck=False)
def evaluate(
    points: PointModel, frame: Frame, scheme: Scheme, loss: Loss, state: State, work: Workspace
) -> float:
    """Data energy at the unknowns, the first sum of Eq. 3; infinite where a point is behind.

    Parameters
    ----------
    points : the model's points
    frame : what was detected
    scheme : how landmarks become residuals
    loss : how residuals are weighed
    state : unknowns of the frame
    work : filled: all but the Jacobian
    """
    place(points, state, work)
    # Fields are taken out of their tuples once: each access inside the loop would count references.
    seen, value, row_weight = work.seen, work.value, work.row_weight
    landmark, direction, distance = work.landmark, work.direction, work.distance
    segments, segment_count, curve_of = work.segments, work.segment_count, scheme.curve_of
    first_row, bend = scheme.first_row, work.bend
    target, root_weight, focal = frame.target, frame.root_weight, frame.focal
    kind, scale = loss.kind, loss.scale
    energy = 0.0
    for i in range(len(target)):
        # The projection P of Eq. 3: the scene lies at negative z.
        depth = -seen[i, 2]
        if not depth > 1e-3:
            return np.inf
        u, v = focal * seen[i, 0] / depth, focal * seen[i, 1] / depth
        row, curve, weight = first_row[i], curve_of[i], root_weight[i]
        first = row
        # A row measures along `direction`, the gradient of its residual by (u, v).
        if curve >= 0:
            value[row], direction[row, 0], direction[row, 1], bend[row] = nearest_on(
                u, v, segments, curve, segment_count[curve]
            )
            row += 1
        else:
            value[row], direction[row, 0], direction[row, 1] = u - target[i, 0], 1.0, 0.0
            value[row + 1], direction[row + 1, 0] = v - target[i, 1], 0.0
            direction[row + 1, 1] = 1.0
            row += 2
        square = 0.0
        for r in range(first, row):
            landmark[r] = i
            # A missing landmark is NaN; as a residual of 0 without weight it asks for nothing.
            if not weight > 0.0:
                value[r] = 0.0
            square += value[r] * value[r]
        distance[i] = np.sqrt(square)
        share, factor = _robust(kind, scale, weight * weight * square)
        energy += share
        root = weight * np.sqrt(factor)
        for r in range(first, row):
            value[r] *= root
            row_weight[r] = root
    if loss.covariance.shape[0] > 0:
        if not whiten(work.whitening, direction, row_weight, value):
            return np.inf
        energy = 0.0
        for r in range(len(value)):
            energy += value[r] * value[r]
    return energy


@njit(cache=True, boundscheck=False)
def _robust(kind: int, scale: float, square: float) -> tuple[float, float]:
    """Energy rho(s) of a landmark's weighed squared distance s, and its derivative rho'(s).

    Rows scaled by the root of rho' have the energy's gradient: iteratively reweighted least squares
    (Holland and Welsch 1977; Triggs et al., Bundle adjustment, 2000, section 4.3).
    """
    # Huber 1964, with c the scale: rho = s, beyond c^2 2 c sqrt(s) - c^2; rho' = c / sqrt(s).
    if kind == HUBER and square > scale * scale:
        size = np.sqrt(square)
        return scale * (2.0 * size - scale), scale / size
    # Geman and McClure 1987: rho = s c^2 / (c^2 + s), rho' = (c^2 / (c^2 + s))^2.
    if kind == GEMAN_MCCLURE:
        share = scale * scale / (scale * scale + square)
        return square * share, share * share
    # The distance itself, rounded where it is 0: rho = sqrt(s + c^2) - c, rho' = 1 / 2 sqrt(...).
    if kind == ABSOLUTE:
        size = np.sqrt(square + scale * scale)
        return size - scale, 0.5 / size
    return square, 1.0


@njit(cache=True, boundscheck=False)
def place(points: PointModel, state: State, work: Workspace) -> None:
    """Where the points lie for given unknowns.

    Parameters
    ----------
    points : the model's points
    state : unknowns of the frame
    work : filled: turned and seen, at the candidates that stand in `candidate`
    """
    lines = len(work.candidate) if points.line_mean.shape[1] else 0
    mean, moved, turned, x = points.mean, work.moved, work.turned, state.x
    if lines:
        _place_jaw(points.line_mean, points.line_modes, x, work, turned)
    at = dots(points.modes, x, 3 * lines, 3 * len(mean), moved)
    for i in range(lines, len(mean)):
        for axis in range(3):
            turned[i, axis] = mean[i, axis] + moved[at + axis]
        at += 3
    _move(state.rotation, state.translation, turned, work.seen)


@njit(cache=True, boundscheck=False)
def _place_jaw(
    mean: NDArray[np.float64],
    modes: NDArray[np.floating],
    x: NDArray[np.floating],
    work: Workspace,
    out: NDArray[np.float64],
) -> None:
    """out[i] = mean + modes x for jaw landmarks, at their candidates on the jaw lines."""
    candidate, rows, moved = work.candidate, work.jaw_rows, work.moved
    for i in range(len(candidate)):
        for axis in range(3):
            rows[3 * i + axis] = 3 * (i * mean.shape[1] + candidate[i]) + axis
    dots_of(modes, x, rows, moved)
    for i in range(len(candidate)):
        for axis in range(3):
            out[i, axis] = mean[i, candidate[i], axis] + moved[3 * i + axis]


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _move(
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    turned: NDArray[np.float64],
    seen: NDArray[np.float64],
) -> None:
    """turned = R turned, in place, and seen = turned + t."""
    for i in range(len(turned)):
        x, y, z = turned[i, 0], turned[i, 1], turned[i, 2]
        for a in range(3):
            turned[i, a] = rotation[a, 0] * x + rotation[a, 1] * y + rotation[a, 2] * z
            seen[i, a] = turned[i, a] + translation[a]


@njit(cache=True, boundscheck=False)
def linearise(points: PointModel, frame: Frame, loss: Loss, state: State, work: Workspace) -> None:
    """The Jacobian after `evaluate` at the same unknowns.

    The curve's segment and normal, a robust weight and the whitening are taken as constant.

    Parameters
    ----------
    points : the model's points
    frame : what was detected
    loss : how residuals are weighed
    state : unknowns of the frame
    work : filled: jacobian (columns: rotation, translation, and coefficients by the layout), and
        rows of the curvature beside nodes
    """
    layout = work.layout
    lines = len(work.candidate) if points.line_mean.shape[1] else 0
    modes, line_modes, candidate = points.modes, points.line_modes, work.candidate
    seen, turned, jacobian, focal = work.seen, work.turned, work.jacobian, frame.focal
    landmark, direction, row_weight = work.landmark, work.direction, work.row_weight
    rotation, kind = state.rotation, modes.dtype.type
    corners = _add_corners(loss, work)
    for row in range(len(work.value) + corners):
        i = landmark[row]
        # g = dr/dq, the residual by the point in the camera. With r = weight d . (u, v) and depth
        # -q_z: du/dq_x = focal / depth, and du/dq_z = focal q_x / depth^2 = (du/dq_x) q_x / depth;
        # likewise v.
        depth = -seen[i, 2]
        scale = row_weight[row] * focal / depth
        gx, gy = scale * direction[row, 0], scale * direction[row, 1]
        gz = (gx * seen[i, 0] + gy * seen[i, 1]) / depth
        out = jacobian[row]
        # dr/dx: dq/dx_k = R modes_k, so dr/dx_k = (R^T g) . modes_k.
        own = line_modes[i, candidate[i]] if i < lines else modes[i]
        a = kind(gx * rotation[0, 0] + gy * rotation[1, 0] + gz * rotation[2, 0])
        b = kind(gx * rotation[0, 1] + gy * rotation[1, 1] + gz * rotation[2, 1])
        c = kind(gx * rotation[0, 2] + gy * rotation[1, 2] + gz * rotation[2, 2])
        if layout.identity > 0:
            _combine(out[layout.shape :], own, a, b, c, 0, layout.identity)
        _combine(out[layout.expression :], own, a, b, c, layout.identity, own.shape[1])
        # dr/dw: exp(w) p = p + w x p + ..., so dr/dw = g . (w x p) = w . (p x g) at w = 0.
        x, y, z = turned[i, 0], turned[i, 1], turned[i, 2]
        out[0], out[1], out[2] = y * gz - z * gy, z * gx - x * gz, x * gy - y * gx
        # dr/dt: dq/dt is the identity.
        out[3], out[4], out[5] = gx, gy, gz
    if loss.covariance.shape[0] > 0:
        whiten_rows(work.whitening, jacobian, layout.columns)


@njit(cache=True, boundscheck=False)
def pull_at_rows(loss: Loss, work: Workspace) -> None:
    """Half the derivative of the energy by each residual before it is whitened.

    Parameters
    ----------
    loss : how residuals are weighed
    work : after `evaluate`; filled: pull
    """
    pull = work.pull
    copy_row(work.value, pull)
    if loss.covariance.shape[0] > 0:
        whitened_pull(work.whitening, pull)


@njit(cache=True, boundscheck=False)
def _add_corners(loss: Loss, work: Workspace) -> int:
    """Add a row for each landmark beside a node of its curve; how many there are.

    Gauss and Newton leave out the sum over residuals r of (dE/dr) r'' / 2. It is large where the
    distance from a node turns its direction, r'' = bend t t^T along the tangent t: without it steps
    go back and forth across the node. A row of value 0 along t with the weight root((dE/dr) w bend
    / 2) puts it into J^T J where it is positive; the gradient stays as it is. Among whitened
    residuals it may be larger than any residual's own, and is then cut to that.
    """
    direction, row_weight, bend, pull = work.direction, work.row_weight, work.bend, work.pull
    work.corners[0] = 0
    if not bend.any():
        return 0
    pull_at_rows(loss, work)
    whitened = loss.covariance.shape[0] > 0
    factor = work.whitening.factor
    count, corners = len(work.value), 0
    for row in range(count):
        if bend[row] == 0.0 or not row_weight[row] > 0.0:
            continue
        square = pull[row] * row_weight[row] * bend[row]
        if whitened:
            most = row_weight[row] * factor[row, row]
            square = min(square, most * most)
        if square > 0.0:
            at = count + corners
            work.landmark[at], row_weight[at] = work.landmark[row], np.sqrt(square)
            direction[at, 0], direction[at, 1] = -direction[row, 1], direction[row, 0]
            corners += 1
    work.corners[0] = corners
    return corners


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _combine(
    out: NDArray[np.floating],
    modes: NDArray[np.floating],
    a: np.floating,
    b: np.floating,
    c: np.floating,
    start: int,
    stop: int,
) -> None:
    """out = a modes[0] + b modes[1] + c modes[2] over columns start to stop."""
    mx, my, mz = modes[0, start:stop], modes[1, start:stop], modes[2, start:stop]
    for k in range(len(mx)):
        out[k] = a * mx[k] + b * my[k] + c * mz[k]
