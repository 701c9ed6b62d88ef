"""How well the landmarks determine a fit: residuals at the solution and standard deviations."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .dense_kernels import cholesky, solve_lower
from .frame_fits import FrameStates, Observations
from .frame_residuals import Frame, choose_contour, evaluate, linearise
from .landmark_scheme import COUNT
from .normal_equations import Fitter, assemble, eliminate, full_gradient

Floats = NDArray[np.float64]


def describe_frames(
    fitter: Fitter, observations: Observations, states: FrameStates, unit: float
) -> tuple[Floats, Floats]:
    """Root mean square distance and standard deviations at the solution.

    unit: the error of a landmark's coordinate that counts as one, in inter-ocular distances.
    Returns rms (n,), the root mean square of D over the seen landmarks, in inter-ocular distances,
    and deviation (n, e) of the expression coefficients, from the inverse of the energy's Hessian
    (Laplace's approximation; bounds are not regarded), NaN where it is not positive definite.
    """
    count = len(observations.focal)
    rms = np.full(count, np.nan)
    deviation = np.full((count, fitter.points.coefficients - fitter.prior.identity), np.nan)
    _describe(
        fitter,
        observations.target,
        observations.root_weight,
        observations.focal,
        states.x,
        states.rotation,
        states.translation,
        unit,
        rms,
        deviation,
    )
    return rms, deviation


@njit(cache=True, boundscheck=False)
def _describe(
    fitter: Fitter,
    target: Floats,
    root_weight: Floats,
    focal: Floats,
    x: NDArray[np.floating],
    rotation: Floats,
    translation: Floats,
    unit: float,
    rms: Floats,
    deviation: Floats,
) -> None:
    work, solver, points = fitter.work, fitter.solver, fitter.points
    left = deviation.shape[1]
    total = len(solver.unknown)
    stop = total - left
    column = np.zeros(left + 4)
    for i in range(len(focal)):
        frame = Frame(target[i], root_weight[i], focal[i])
        choose_contour(points, x[i], rotation[i], translation[i], work)
        energy = evaluate(
            points, frame, fitter.scheme, fitter.loss, x[i], rotation[i], translation[i], work
        )
        if not np.isfinite(energy):
            continue
        rms[i] = _root_mean_square(work.distance, root_weight[i])
        linearise(points, frame, fitter.loss, rotation[i], work)
        full_gradient(fitter, x[i])
        solver.held[:] = False
        assemble(fitter, 0.0)
        if not eliminate(solver.system, solver.right, total, stop, solver.tile):
            continue
        reduced = solver.bounded.matrix
        for p in range(left):
            for q in range(p + 1):
                reduced[p, q] = solver.system[stop + p, stop + q]
        if not cholesky(reduced, left, left, solver.tile):
            continue
        for p in range(left):
            column[:] = 0.0
            column[p] = 1.0
            solve_lower(reduced, left, column)
            square = 0.0
            for q in range(p, left):
                square += column[q] ** 2
            deviation[i, p] = unit * np.sqrt(square)


@njit(cache=True, boundscheck=False)
def _root_mean_square(distance: Floats, root_weight: Floats) -> float:
    seen, total = 0, 0.0
    for k in range(COUNT):
        if root_weight[k] > 0.0:
            seen += 1
            total += distance[k] ** 2
    return float(np.sqrt(total / max(seen, 1)))
