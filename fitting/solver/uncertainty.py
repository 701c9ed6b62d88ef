"""A frame's energy around its solution as a quadratic function of f_exp alone (Numba).

Pose, and identity where it is fitted too, are eliminated. From it come standard deviations and the
temporal smoother.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .levenberg_marquardt import FrameStates, Observations
from .linear_algebra import cholesky, solve_lower
from .normal_equations import Fitter, full_gradient, reduce_system
from .problem import Frame
from .residuals import begin_frame, evaluate, linearise

Floats = NDArray[np.float64]


@njit(cache=True, boundscheck=False)
def _reduce_frame(
    fitter: Fitter,
    frame: Frame,
    x: NDArray[np.floating],
    rotation: Floats,
    translation: Floats,
) -> bool:
    """Fill bounded.matrix (half the Hessian) and bounded.linear (half the gradient) at x."""
    work, solver, points = fitter.work, fitter.solver, fitter.points
    total, left = len(solver.unknown), len(solver.bounded.linear)
    stop = total - left
    begin_frame(points, frame, fitter.scheme, x, rotation, translation, work)
    energy = evaluate(points, frame, fitter.scheme, fitter.loss, x, rotation, translation, work)
    if not np.isfinite(energy):
        return False
    linearise(points, frame, fitter.loss, rotation, work)
    full_gradient(fitter, x)
    solver.held[:] = False
    if not reduce_system(fitter):
        return False
    for p in range(left):
        solver.bounded.linear[p] = -solver.right[stop + p]
        for q in range(p + 1):
            solver.bounded.matrix[p, q] = solver.system[stop + p, stop + q]
    return True


@njit(cache=True, boundscheck=False)
def _typical_distances(distance: Floats, root_weight: Floats) -> tuple[float, float]:
    """Root mean square and median of D over the seen landmarks."""
    seen = np.empty(len(distance))
    count = 0
    for k in range(len(distance)):
        if root_weight[k] > 0.0:
            seen[count] = distance[k]
            count += 1
    if count == 0:
        return np.nan, np.nan
    return float(np.sqrt(np.mean(seen[:count] ** 2))), float(np.median(seen[:count]))


@njit(cache=True, boundscheck=False)
def _deviations(fitter: Fitter, unit: float, column: Floats, out: Floats) -> None:
    """unit times the roots of the diagonal of the inverse of bounded.matrix; NaN if indefinite."""
    reduced, left = fitter.solver.bounded.matrix, len(out)
    if not cholesky(reduced, left, left, fitter.solver.tile):
        return
    for p in range(left):
        column[:] = 0.0
        column[p] = 1.0
        solve_lower(reduced, left, column)
        square = 0.0
        for q in range(p, left):
            square += column[q] ** 2
        out[p] = unit * np.sqrt(square)


@njit(cache=True, boundscheck=False)
def _describe(
    fitter: Fitter,
    target: Floats,
    root_weight: Floats,
    focal: Floats,
    yaw_range: NDArray[np.int64],
    x: NDArray[np.floating],
    rotation: Floats,
    translation: Floats,
    unit: float,
    rms: Floats,
    median: Floats,
    deviation: Floats,
) -> None:
    column = np.zeros(deviation.shape[1] + 4)
    for i in range(len(focal)):
        frame = Frame(target[i], root_weight[i], focal[i], yaw_range[i])
        if _reduce_frame(fitter, frame, x[i], rotation[i], translation[i]):
            rms[i], median[i] = _typical_distances(fitter.work.distance, root_weight[i])
            _deviations(fitter, unit, column, deviation[i])


def describe_frames(
    fitter: Fitter, observations: Observations, states: FrameStates, unit: float
) -> tuple[Floats, Floats, Floats]:
    """Distances and standard deviations at the solution.

    unit: the error of a landmark's coordinate that counts as one, in inter-ocular distances.
    Returns rms (n,) and median (n,) of D over the seen landmarks, in inter-ocular distances, and
    deviation (n, e) of the expression coefficients, from the inverse of the energy's Hessian
    (Laplace's approximation; bounds are not regarded); NaN where the frame has no solution.
    """
    count = len(observations.focal)
    rms = np.full(count, np.nan)
    deviation = np.full((count, len(fitter.solver.bounded.linear)), np.nan)
    median = np.full(count, np.nan)
    _describe(fitter, *_arrays(observations, states), unit, rms, median, deviation)
    return rms, median, deviation


@njit(cache=True, boundscheck=False)
def _reduce(
    fitter: Fitter,
    target: Floats,
    root_weight: Floats,
    focal: Floats,
    yaw_range: NDArray[np.int64],
    x: NDArray[np.floating],
    rotation: Floats,
    translation: Floats,
    hessian: NDArray[np.floating],
    gradient: Floats,
) -> None:
    left = gradient.shape[1]
    for i in range(len(focal)):
        frame = Frame(target[i], root_weight[i], focal[i], yaw_range[i])
        if _reduce_frame(fitter, frame, x[i], rotation[i], translation[i]):
            hessian[i] = fitter.solver.bounded.matrix[:left, :left]
            gradient[i] = fitter.solver.bounded.linear


def reduced_energies(
    fitter: Fitter, observations: Observations, states: FrameStates
) -> tuple[NDArray[np.floating], Floats]:
    """Half the Hessian (n, e, e), lower triangle, and half the gradient (n, e) by f_exp.

    Frames without a solution have zeros: they ask for nothing.
    """
    count, left = len(observations.focal), len(fitter.solver.bounded.linear)
    hessian = np.zeros((count, left, left), fitter.points.modes.dtype)
    gradient = np.zeros((count, left))
    _reduce(fitter, *_arrays(observations, states), hessian, gradient)
    return hessian, gradient


def _arrays(
    observations: Observations, states: FrameStates
) -> tuple[Floats, Floats, Floats, NDArray[np.int64], NDArray[np.floating], Floats, Floats]:
    return (
        observations.target,
        observations.root_weight,
        observations.focal,
        observations.yaw_range,
        states.x,
        states.rotation,
        states.translation,
    )
