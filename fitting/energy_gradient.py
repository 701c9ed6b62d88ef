"""Gradient of a frame's energy, from its Jacobian or without one, and the prior's share (Numba)."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .frame_arrays import Frame
from .solver.linear_algebra import SUMS, solve_upper
from .solver.normal_equations import Fitter, Prior


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
