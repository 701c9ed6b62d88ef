"""J^T J, gradient, elimination of pose and identity (Schur complement).

The damped normal equations of one frame and the elimination of their first unknowns (Numba).

Gradient of a frame's energy, from its Jacobian or without one, and the prior's share (Numba).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .linear_algebra import (
    SUMS,
    BoundedQuadratic,
    cholesky,
    padded,
    row_products,
    solve_lower,
    solve_upper,
)
from .linear_algebra import new_bounded_quadratic as new_problem
from .problem import POSE, Frame, Loss, PointModel, Scheme, Work, new_work

# Pose has no prior: a little damping relative to its curvature keeps the system definite.
POSE_DAMPING = 1e-5


class Prior(NamedTuple):
    """Gaussian priors and bounds of the K coefficients (Eq. 3's weights).

    weight, mean, lower, upper: (K,) float64. precision: (e, e) float64 of the last e
    coefficients, in addition to their weights, or (0, 0). identity: how many coefficients, the
    first ones, are eliminated before bounds are looked at.
    """

    weight: NDArray[np.float64]
    mean: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    precision: NDArray[np.float64]
    identity: int


class Stop(NamedTuple):
    """When to stop: iterations, and the relative decrease of the energy held to be none."""

    iterations: int
    tolerance: float


class Solver(NamedTuple):
    """Arrays of the linear solver; N unknowns, the first `eliminated` and then the others.

    unknown: (N,) int32, the Jacobian's column of each, -1 for padding. held: (n,) bool by column,
    unknowns that stay where they are. first_expression: place of f_exp among the unknowns.
    gradient, curvature: (n,) float64 by column. rows: (N, m padded) transposed Jacobian; system:
    (N, N) and right: (N,), of the type of the modes. step: (N,) float64 by place.
    trial, turn, shift: the point that a step leads to.
    """

    unknown: NDArray[np.int32]
    held: NDArray[np.bool_]
    first_expression: int
    gradient: NDArray[np.float64]
    curvature: NDArray[np.float64]
    step: NDArray[np.float64]
    rows: NDArray[np.floating]
    system: NDArray[np.floating]
    right: NDArray[np.floating]
    tile: NDArray[np.floating]
    trial: NDArray[np.floating]
    turn: NDArray[np.float64]
    shift: NDArray[np.float64]
    bounded: BoundedQuadratic


class Fitter(NamedTuple):
    """Everything that fits of one kind share; not to be shared between threads."""

    points: PointModel
    scheme: Scheme
    loss: Loss
    prior: Prior
    stop: Stop
    work: Work
    solver: Solver


def new_fitter(
    points: PointModel,
    scheme: Scheme,
    loss: Loss,
    prior: Prior,
    stop: Stop,
    *,
    identity_last: bool = False,
) -> Fitter:
    """Allocate what fits of this model, scheme, loss and prior need.

    identity_last: eliminate pose and f_exp and leave the identity, as for the joint fit; otherwise
    pose and identity are eliminated and f_exp is left.
    """
    unknown, first_expression, left = _order(points.coefficients, prior.identity, identity_last)
    dtype, count, total = points.modes.dtype, points.coefficients, len(unknown)
    side = int(padded(total))
    solver = Solver(
        unknown=unknown,
        held=np.zeros(count + POSE, np.bool_),
        first_expression=first_expression,
        gradient=np.zeros(count + POSE),
        curvature=np.zeros(count + POSE),
        step=np.zeros(total),
        rows=np.zeros((side, (scheme.rows + 7) // 8 * 8), dtype),
        system=np.zeros((side, side), dtype),
        right=np.zeros(side, dtype),
        tile=np.zeros((4, 4), dtype),
        trial=np.zeros(count, dtype),
        turn=np.zeros((3, 3)),
        shift=np.zeros(3),
        bounded=new_problem(left, dtype),
    )
    return Fitter(points, scheme, loss, prior, stop, new_work(points, scheme, loss), solver)


def _order(count: int, identity: int, identity_last: bool) -> tuple[NDArray[np.int32], int, int]:
    """Columns in the order of elimination, the place of f_exp in it, and how many are left."""
    pose = count + np.arange(POSE)
    shape, expression = np.arange(identity), np.arange(identity, count)
    first, last = (expression, shape) if identity_last else (shape, expression)
    stop = int(padded(POSE + len(first)))
    unknown = np.full(stop + len(last), -1, np.int32)
    unknown[:POSE], unknown[POSE : POSE + len(first)] = pose, first
    unknown[stop:] = last
    return unknown, POSE if identity_last else stop, len(last)


@njit(cache=True, boundscheck=False)
def hold(fitter: Fitter, x: NDArray[np.floating], start: int, stop: int) -> None:
    """Hold the coefficients of [start, stop) that stand at a bound and would leave it."""
    prior, solver = fitter.prior, fitter.solver
    solver.held[:] = False
    for k in range(start, stop):
        slope = solver.gradient[k]
        solver.held[k] = (x[k] <= prior.lower[k] and slope > 0.0) or (
            x[k] >= prior.upper[k] and slope < 0.0
        )


@njit(cache=True, boundscheck=False)
def _transpose(jacobian: NDArray[np.floating], rows: int, solver: Solver) -> None:
    """solver.rows[c] = the Jacobian's column of unknown c, zero where it is padding or held.

    Four rows at a time: both matrices are read and written in runs.
    """
    out, unknown, total = solver.rows, solver.unknown, len(solver.unknown)
    for row in range(0, rows, 4):
        for c in range(total):
            k = unknown[c]
            if k < 0:
                continue
            out[c, row] = jacobian[row, k]
            out[c, row + 1] = jacobian[row + 1, k]
            out[c, row + 2] = jacobian[row + 2, k]
            out[c, row + 3] = jacobian[row + 3, k]
    for c in range(total):
        if unknown[c] < 0 or solver.held[unknown[c]]:
            out[c] = 0.0


@njit(cache=True, boundscheck=False)
def assemble(fitter: Fitter, mu: float) -> None:
    """The damped normal equations of the frame, solver.system.

    Padding and held coefficients become unknowns whose step is 0.
    """
    solver, prior = fitter.solver, fitter.prior
    unknown, held, system = solver.unknown, solver.held, solver.system
    curvature, weight = solver.curvature, prior.weight
    total, count = len(unknown), len(weight)
    _transpose(fitter.work.jacobian, fitter.scheme.rows, solver)
    row_products(solver.rows, total, solver.rows.shape[1], system, solver.tile)
    for c in range(total):
        k = unknown[c]
        if k < 0 or held[k]:
            system[c, c] = 1.0
            continue
        added = (mu + POSE_DAMPING) * curvature[k] + 1e-12
        if k < count:
            added = weight[k] + mu * curvature[k]
        system[c, c] += added
    first = solver.first_expression
    for i in range(len(prior.precision)):
        for j in range(i + 1):
            if not (held[prior.identity + i] or held[prior.identity + j]):
                system[first + i, first + j] += prior.precision[i, j]


@njit(cache=True, boundscheck=False)
def set_right(solver: Solver) -> None:
    """solver.right = the negative gradient in the order of elimination, 0 where held."""
    unknown, held, right, gradient = solver.unknown, solver.held, solver.right, solver.gradient
    for c in range(len(unknown)):
        k = unknown[c]
        right[c] = 0.0 if k < 0 or held[k] else -gradient[k]


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def eliminate_right(
    system: NDArray[np.floating], right: NDArray[np.floating], total: int, stop: int
) -> None:
    """Eliminate the first `stop` unknowns, of the factored system, from the right side."""
    solve_lower(system, stop, right)
    for i in range(stop, total):
        value = right[i]
        for k in range(stop):
            value -= system[i, k] * right[k]
        right[i] = value


@njit(cache=True, boundscheck=False)
def reduce_system(fitter: Fitter) -> bool:
    """Assemble undamped and eliminate; False where the system is not positive definite."""
    solver = fitter.solver
    total = len(solver.unknown)
    stop = total - len(solver.bounded.linear)
    assemble(fitter, 0.0)
    if not cholesky(solver.system, total, stop, solver.tile):
        return False
    set_right(solver)
    eliminate_right(solver.system, solver.right, total, stop)
    return True


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def substitute(
    system: NDArray[np.floating],
    right: NDArray[np.floating],
    total: int,
    stop: int,
    step: NDArray[np.float64],
) -> None:
    """Given step[stop:], fill step[:stop] of the eliminated unknowns."""
    for i in range(stop, total):
        row, value = system[i], right.dtype.type(step[i])
        for k in range(stop):
            right[k] -= row[k] * value
    for i in range(stop - 1, -1, -1):
        row = system[i]
        value = right[i] * row[i]
        step[i] = value
        for k in range(i):
            right[k] -= row[k] * value


@njit(cache=True, boundscheck=False)
def prior_energy(prior: Prior, x: NDArray[np.floating]) -> float:
    """sum weight (x - mean)^2, and the quadratic form of the precision where there is one."""
    energy = 0.0
    for k in range(len(x)):
        energy += prior.weight[k] * (x[k] - prior.mean[k]) ** 2
    start = prior.identity
    for i in range(len(prior.precision)):
        for j in range(len(prior.precision)):
            apart = x[start + j] - prior.mean[start + j]
            energy += (x[start + i] - prior.mean[start + i]) * prior.precision[i, j] * apart
    return energy


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def full_gradient(fitter: Fitter, x: NDArray[np.floating]) -> None:
    """Half the gradient of the energy, and the curvature diag(J^T J) of the data term."""
    solver, prior, work = fitter.solver, fitter.prior, fitter.work
    gradient, curvature = solver.gradient, solver.curvature
    gradient[:] = 0.0
    curvature[:] = 0.0
    for row in range(len(work.value)):
        line, r = work.jacobian[row], work.value[row]
        for k in range(len(gradient)):
            gradient[k] += r * line[k]
            curvature[k] += line[k] * line[k]
    _add_prior_gradient(prior, x, gradient)


@njit(cache=True, boundscheck=False)
def _add_prior_gradient(
    prior: Prior, x: NDArray[np.floating], gradient: NDArray[np.float64]
) -> None:
    """Half the gradient of the prior's energy, added to gradient."""
    weight, mean, precision = prior.weight, prior.mean, prior.precision
    for k in range(len(x)):
        gradient[k] += weight[k] * (x[k] - mean[k])
    start = prior.identity
    for i in range(len(precision)):
        for j in range(len(precision)):
            gradient[start + i] += precision[i, j] * (x[start + j] - mean[start + j])


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _add_forces(
    modes: NDArray[np.floating], landmark: int, force: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """out += force . modes[landmark]."""
    fx, fy, fz = force[landmark, 0], force[landmark, 1], force[landmark, 2]
    for k in range(modes.shape[2]):
        out[k] += (
            fx * modes[landmark, 0, k] + fy * modes[landmark, 1, k] + fz * modes[landmark, 2, k]
        )


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _add_line_forces(
    modes: NDArray[np.floating],
    line: int,
    candidate: int,
    force: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """The same for a jaw landmark at its candidate."""
    fx, fy, fz = force[line, 0], force[line, 1], force[line, 2]
    for k in range(modes.shape[3]):
        out[k] += (
            fx * modes[line, candidate, 0, k]
            + fy * modes[line, candidate, 1, k]
            + fz * modes[line, candidate, 2, k]
        )


@njit(cache=True, boundscheck=False)
def chord_gradient(
    fitter: Fitter,
    frame: Frame,
    x: NDArray[np.floating],
    rotation: NDArray[np.float64],
) -> None:
    """Half the gradient of the energy after `evaluate`, without the Jacobian.

    Each residual pulls at its landmark; the pulls, turned into model coordinates, are added up per
    landmark before the modes are touched.
    """
    points, work, gradient = fitter.points, fitter.work, fitter.solver.gradient
    seen, turned, direction, landmark = work.seen, work.turned, work.direction, work.landmark
    row_weight, value, candidate = work.row_weight, work.value, work.candidate
    if fitter.loss.covariance.shape[0] > 0:
        value = value.copy()
        value[: work.whitened] *= fitter.loss.unit
        solve_upper(work.factor, work.whitened, value)
    count = len(x)
    gradient[:] = 0.0
    force = np.zeros((len(seen), 3))
    for row in range(len(row_weight)):
        i = landmark[row]
        depth = -seen[i, 2]
        scale = value[row] * row_weight[row] * frame.focal / depth
        gx, gy = scale * direction[row, 0], scale * direction[row, 1]
        gz = (gx * seen[i, 0] + gy * seen[i, 1]) / depth
        px, py, pz = turned[i, 0], turned[i, 1], turned[i, 2]
        gradient[count] += py * gz - pz * gy
        gradient[count + 1] += pz * gx - px * gz
        gradient[count + 2] += px * gy - py * gx
        gradient[count + 3] += gx
        gradient[count + 4] += gy
        gradient[count + 5] += gz
        for c in range(3):
            force[i, c] += gx * rotation[0, c] + gy * rotation[1, c] + gz * rotation[2, c]
    lines = len(candidate) if points.line_mean.shape[1] else 0
    modes, line_modes = points.modes, points.line_modes
    for i in range(len(seen)):
        if i < lines:
            _add_line_forces(line_modes, i, candidate[i], force, gradient)
        else:
            _add_forces(modes, i, force, gradient)
    _add_prior_gradient(fitter.prior, x, gradient)
