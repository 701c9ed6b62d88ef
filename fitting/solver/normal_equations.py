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
from .layout import POSE, Layout
from .linear_algebra import SUMS, inner_products
from .problem import Frame, Loss, PointModel, State, Workspace
from .residuals import pull_at_rows

Floats = NDArray[np.float64]

# Pose has no prior: a little damping relative to its curvature keeps the system definite.
POSE_DAMPING = 1e-5


@njit(cache=True, boundscheck=False)
def full_gradient(
    value: Floats,
    jacobian: NDArray[np.floating],
    prior: Prior,
    x: NDArray[np.floating],
    solver: Solver,
) -> None:
    """Half the gradient of the energy.

    Parameters
    ----------
    value : (m,) float64, residuals r
    jacobian : (>= m, >= N), J, after `linearise`
    prior : of the coefficients
    x : (K,) coefficients at which it was linearised
    solver : filled: gradient, J^T r + W (x - mean)
    """
    unknown, gradient, column = solver.unknown, solver.gradient, solver.column
    _add_up_rows(value, jacobian, column)
    for c in range(len(unknown)):
        if unknown[c] >= 0:
            gradient[unknown[c]] = column[c]
    _add_prior_gradient(prior, x, gradient)


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _add_up_rows(value: Floats, rows: NDArray[np.floating], out: Floats) -> None:
    """out = rows^T value, four rows at a time."""
    out[:] = 0.0
    row = 0
    while row + 4 <= len(value):
        a, b, c, d = value[row], value[row + 1], value[row + 2], value[row + 3]
        for k in range(len(out)):
            out[k] += (a * rows[row, k] + b * rows[row + 1, k]) + (
                c * rows[row + 2, k] + d * rows[row + 3, k]
            )
        row += 4
    while row < len(value):
        for k in range(len(out)):
            out[k] += value[row] * rows[row, k]
        row += 1


@njit(fastmath=SUMS, cache=True, boundscheck=False)
def _add_prior_gradient(
    prior: Prior, x: NDArray[np.floating], gradient: NDArray[np.float64]
) -> None:
    """Half the gradient of the prior's energy, added to gradient."""
    weight, mean, precision, start = prior.weight, prior.mean, prior.precision, prior.identity
    for k in range(len(x)):
        gradient[k] += weight[k] * (x[k] - mean[k])
    # Slices: of a sum of indices LLVM does not know that it is not negative.
    x, mean, gradient = x[start:], mean[start:], gradient[start:]
    for i in range(len(precision)):
        total = 0.0
        for j in range(len(precision)):
            total += precision[i, j] * (x[j] - mean[j])
        gradient[i] += total


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
    x, mean = x[start:], mean[start:]
    for i in range(len(precision)):
        total = 0.0
        for j in range(len(precision)):
            total += precision[i, j] * (x[j] - mean[j])
        energy += (x[i] - mean[i]) * total
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
    solver: Solver,
    prior: Prior,
    jacobian: NDArray[np.floating],
    rows: int,
    layout: Layout,
    mu: float,
) -> None:
    """The damped normal equations of the frame.

    Padding and coefficients at an active bound become unknowns whose step is 0: rows and columns of
    the identity.

    Parameters
    ----------
    solver : after `full_gradient` and `mark_active_bounds`; filled: system
    prior : of the coefficients
    jacobian : (>= rows, >= N), after `linearise`
    rows : how many of its rows count: those of the residuals alone, for plain J^T J, or those of
        the curvature beside nodes too, by which steps converge faster
    layout : of its columns
    mu : damping relative to the curvature (Marquardt 1963)
    """
    unknown, active, system = solver.unknown, solver.active, solver.system
    weight, total, count = prior.weight, len(solver.unknown), len(prior.weight)
    inner_products(jacobian, rows, total, system)
    for c in range(total):
        k, curvature = unknown[c], float(system[c, c])
        if 0 <= k < count:
            system[c, c] += weight[k] + mu * curvature
        else:
            system[c, c] += (mu + POSE_DAMPING) * curvature + 1e-12
    precision, first = prior.precision, layout.expression
    for i in range(len(precision)):
        row = system[first + i, first:]
        for j in range(i, len(precision)):
            row[j] += precision[i, j]
    for c in range(total):
        k = unknown[c]
        if k >= 0 and not active[k]:
            continue
        for i in range(c):
            system[i, c] = 0.0
        for i in range(c, total):
            system[c, i] = 0.0
        system[c, c] = 1.0


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
