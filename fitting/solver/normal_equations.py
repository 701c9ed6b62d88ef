"""The normal equations of one frame: J^T J, gradient, elimination by the Schur complement.

    (J^T J + W + mu diag(J^T J)) step = -(J^T r + W (x - mean))

with W the priors' weights. Of the step's unknowns the first are eliminated by a partial Cholesky
factorisation, which leaves the Schur complement for the others (Triggs et al., Bundle adjustment:
a modern synthesis, 2000, section 6.1): pose and identity where f_exp is asked for within its
bounds, pose and f_exp where one identity serves many frames.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .fitter import Prior, Solver
from .linear_algebra import SUMS, row_products, solve_lower
from .problem import POSE, Frame, Loss, PointModel, State, Workspace
from .residuals import pull_at_rows

Floats = NDArray[np.float64]

# Pose has no prior: a little damping relative to its curvature keeps the system definite.
POSE_DAMPING = 1e-5


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def full_gradient(
    value: Floats,
    jacobian: NDArray[np.floating],
    prior: Prior,
    x: NDArray[np.floating],
    gradient: Floats,
    curvature: Floats,
) -> None:
    """Half the gradient of the energy, and the curvature diag(J^T J) of the data term.

    Parameters
    ----------
    value : (m,) float64, residuals r
    jacobian : (>= m, n padded to 8), J, after `linearise`
    prior : of the coefficients
    x : (K,) coefficients at which it was linearised
    gradient : (n,) float64, filled: J^T r + W (x - mean)
    curvature : (n,) float64, filled
    """
    gradient[:] = 0.0
    curvature[:] = 0.0
    for row in range(len(value)):
        line, r = jacobian[row], value[row]
        for k in range(len(gradient)):
            gradient[k] += r * line[k]
            curvature[k] += line[k] * line[k]
    _add_prior_gradient(prior, x, gradient)


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _add_prior_gradient(
    prior: Prior, x: NDArray[np.floating], gradient: NDArray[np.float64]
) -> None:
    """Half the gradient of the prior's energy, added to gradient."""
    weight, mean, precision = prior.weight, prior.mean, prior.precision
    for k in range(len(x)):
        gradient[k] += weight[k] * (x[k] - mean[k])
    start = prior.identity
    for i in range(len(precision)):
        total = 0.0
        for j in range(len(precision)):
            total += precision[i, j] * (x[start + j] - mean[start + j])
        gradient[start + i] += total


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def prior_energy(prior: Prior, x: NDArray[np.floating]) -> float:
    """What the priors add to the energy: the last two sums of Eq. 3.

    sum weight (x - mean)^2, and the quadratic form of the precision where there is one.

    Parameters
    ----------
    prior : of the coefficients
    x : (K,) coefficients
    """
    weight, mean, precision, start = prior.weight, prior.mean, prior.precision, prior.identity
    energy = 0.0
    for k in range(len(x)):
        energy += weight[k] * (x[k] - mean[k]) ** 2
    for i in range(len(precision)):
        total = 0.0
        for j in range(len(precision)):
            total += precision[i, j] * (x[start + j] - mean[start + j])
        energy += (x[start + i] - mean[start + i]) * total
    return energy


@njit(cache=True, boundscheck=False)
def chord_gradient(
    points: PointModel,
    frame: Frame,
    loss: Loss,
    prior: Prior,
    state: State,
    work: Workspace,
    gradient: Floats,
) -> None:
    """Half the gradient of the energy after `evaluate`, without the Jacobian.

    Each residual pulls at its landmark; the pulls, turned into model coordinates, are added up per
    landmark before the modes are touched: J^T r = sum_i modes_i^T (R^T sum_r g_r), 3 K products a
    landmark instead of those for J and J^T J. The derivatives g are those of `linearise`.

    Parameters
    ----------
    points : the model's points
    frame : what was detected
    loss : how residuals are weighed
    prior : of the coefficients
    state : unknowns of the frame
    work : after `evaluate`; filled: pull and force
    gradient : (n,) float64, filled
    """
    seen, turned, direction, landmark = work.seen, work.turned, work.direction, work.landmark
    row_weight, pull, candidate = work.row_weight, work.pull, work.candidate
    # J = unit L^-1 J_0 with J_0 the Jacobian before whitening, so J^T r = J_0^T (unit L^-T r).
    pull_at_rows(loss, work)
    x, rotation = state.x, state.rotation
    count, force = len(x), work.force
    gradient[:] = 0.0
    force[:] = 0.0
    for row in range(len(pull)):
        i = landmark[row]
        depth = -seen[i, 2]
        scale = pull[row] * row_weight[row] * frame.focal / depth
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
    _add_prior_gradient(prior, x, gradient)


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
def mark_active_bounds(
    solver: Solver, prior: Prior, x: NDArray[np.floating], eliminated: int
) -> None:
    """Mark the coefficients that stand at a bound and would leave it; they stay where they are.

    Parameters
    ----------
    solver : after `full_gradient`; filled: active
    prior : with the bounds
    x : (K,) coefficients
    eliminated : how many of the solver's unknowns are looked at, the first; all others are free
    """
    active, gradient, unknown = solver.active, solver.gradient, solver.unknown
    lower, upper = prior.lower, prior.upper
    active[:] = False
    for c in range(POSE, eliminated):
        k = unknown[c]
        if k >= 0:
            slope = gradient[k]
            active[k] = (x[k] <= lower[k] and slope > 0.0) or (x[k] >= upper[k] and slope < 0.0)


@njit(cache=True, boundscheck=False)
def assemble(
    solver: Solver, prior: Prior, jacobian: NDArray[np.floating], rows: int, mu: float
) -> None:
    """The damped normal equations of the frame.

    Padding and coefficients at an active bound become unknowns whose step is 0: rows and columns of
    the identity.

    Parameters
    ----------
    solver : after `full_gradient` and `mark_active_bounds`; filled: system
    prior : of the coefficients
    jacobian : (>= rows padded to 4, n padded to 8), after `linearise`
    rows : how many of its rows count: those of the residuals alone, for plain J^T J, or those of
        the curvature beside nodes too, by which steps converge faster
    mu : damping relative to the curvature (Marquardt 1963)
    """
    unknown, active, system = solver.unknown, solver.active, solver.system
    curvature, weight = solver.curvature, prior.weight
    total, count = len(unknown), len(weight)
    length = (rows + 7) // 8 * 8
    _transpose(jacobian, rows, length, solver)
    row_products(solver.rows, total, length, system, solver.tile)
    for c in range(total):
        k = unknown[c]
        if k < 0 or active[k]:
            system[c, c] = 1.0
            continue
        added = (mu + POSE_DAMPING) * curvature[k] + 1e-12
        if k < count:
            added = weight[k] + mu * curvature[k]
        system[c, c] += added
    first = solver.first_expression
    for i in range(len(prior.precision)):
        for j in range(i + 1):
            if not (active[prior.identity + i] or active[prior.identity + j]):
                system[first + i, first + j] += prior.precision[i, j]


@njit(cache=True, boundscheck=False)
def _transpose(jacobian: NDArray[np.floating], rows: int, length: int, solver: Solver) -> None:
    """solver.rows[c] = the Jacobian's column of unknown c; 0 for padding and at active bounds.

    Four rows at a time: both matrices are read and written in runs. Columns up to `length` are 0.
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
        first = 0 if unknown[c] < 0 or solver.active[unknown[c]] else rows
        for row in range(first, length):
            out[c, row] = 0.0


@njit(cache=True, boundscheck=False)
def set_rhs(solver: Solver) -> None:
    """solver.rhs = the negative gradient in the order of elimination, 0 at active bounds.

    Parameters
    ----------
    solver : after `full_gradient` or `chord_gradient`; filled: rhs
    """
    unknown, active, rhs, gradient = solver.unknown, solver.active, solver.rhs, solver.gradient
    for c in range(len(unknown)):
        k = unknown[c]
        rhs[c] = 0.0 if k < 0 or active[k] else -gradient[k]


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def eliminate_rhs(
    system: NDArray[np.floating], rhs: NDArray[np.floating], total: int, stop: int
) -> None:
    """Eliminate the first unknowns of the factored system from the right-hand side.

    With the factor (L, 0; B, S): rhs_1 = L^-1 b_1 and rhs_2 = b_2 - B rhs_1.

    Parameters
    ----------
    system : (N padded, N padded), as `cholesky` leaves it with this stop
    rhs : (N padded,), overwritten
    total : number of unknowns N
    stop : how many are eliminated
    """
    solve_lower(system, stop, rhs)
    for i in range(stop, total):
        value = rhs[i]
        for k in range(stop):
            value -= system[i, k] * rhs[k]
        rhs[i] = value


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def substitute(
    system: NDArray[np.floating],
    rhs: NDArray[np.floating],
    total: int,
    stop: int,
    step: NDArray[np.float64],
) -> None:
    """The eliminated unknowns, given the others: step_1 = L^-T (rhs_1 - B^T step_2).

    Parameters
    ----------
    system : (N padded, N padded), as `cholesky` leaves it with this stop
    rhs : (N padded,), as `eliminate_rhs` leaves it; overwritten
    total : number of unknowns N
    stop : how many were eliminated
    step : (N,) float64; step[stop:] is given, step[:stop] is filled
    """
    for i in range(stop, total):
        row, value = system[i], rhs.dtype.type(step[i])
        for k in range(stop):
            rhs[k] -= row[k] * value
    for i in range(stop - 1, -1, -1):
        row = system[i]
        value = rhs[i] * row[i]
        step[i] = value
        for k in range(i):
            rhs[k] -= row[k] * value
