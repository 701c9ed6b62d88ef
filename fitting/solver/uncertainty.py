"""A frame's energy around its solution as a quadratic function of f_exp alone.

    E(f_exp) = E_0 + 2 gradient . d + d^T hessian d,    d = f_exp - the solution

with half the gradient and half the Hessian (Gauss-Newton's J^T J and the priors). Pose, and
identity where it is fitted too, are eliminated by the Schur complement, which is to minimise over
them. From it come standard deviations (Laplace's approximation, MacKay 1992) and the temporal
smoother.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .fitter import Fitter
from .linear_algebra import cholesky, solve_lower
from .normal_equations import linearise_frame, reduce_system
from .problem import Frame, Frames, State, frame_of, state_of

Floats = NDArray[np.float64]


def describe_frames(
    fitter: Fitter, frames: Frames, states: State, unit: float
) -> tuple[Floats, Floats, Floats]:
    """Distances and standard deviations at the solution.

    Parameters
    ----------
    fitter : of these frames
    frames : what was detected
    states : (n,) solutions
    unit : the error of a landmark's coordinate that counts as one, inter-ocular distances

    Returns
    -------
    tuple
        rms (n,) and median (n,) of D over the seen landmarks, in inter-ocular distances, and
        deviation (n, e) of the expression coefficients, all float64; from the inverse of the
        energy's Hessian (bounds are not regarded); NaN where the frame has no solution
    """
    return _describe(fitter, frames, states, float(unit))


@njit(cache=True, boundscheck=False)
def _describe(
    fitter: Fitter, frames: Frames, states: State, unit: float
) -> tuple[Floats, Floats, Floats]:
    count, left = len(frames.focal), len(fitter.solver.bounded.linear)
    rms, median = np.full(count, np.nan), np.full(count, np.nan)
    deviation = np.full((count, left), np.nan)
    column = np.zeros(left + 4)
    for i in range(count):
        if _reduce_frame(fitter, frame_of(frames, i), state_of(states, i)):
            rms[i], median[i] = _typical_distances(fitter.work.distance, frames.root_weight[i])
            _deviations(fitter, unit, column, deviation[i])
    return rms, median, deviation


@njit(cache=True, boundscheck=False)
def _reduce_frame(fitter: Fitter, frame: Frame, state: State) -> bool:
    """Fill bounded.matrix (half the Hessian) and bounded.linear (half the gradient)."""
    solver = fitter.solver
    left = len(solver.bounded.linear)
    stop = len(solver.unknown) - left
    if not linearise_frame(fitter, frame, state):
        return False
    solver.active[:] = False
    if not reduce_system(fitter, False):
        return False
    for p in range(left):
        solver.bounded.linear[p] = -solver.rhs[stop + p]
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
    """unit times the roots of the diagonal of the inverse of bounded.matrix; NaN if indefinite.

    With H = L L^T the diagonal of H^-1 = L^-T L^-1 is the squared length of each column of L^-1,
    and the column p of L^-1 is 0 above p.
    """
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


def reduced_energies(
    fitter: Fitter, frames: Frames, states: State
) -> tuple[NDArray[np.floating], Floats]:
    """Each frame's energy as a quadratic function of f_exp.

    Parameters
    ----------
    fitter : of these frames
    frames : what was detected
    states : (n,) solutions

    Returns
    -------
    tuple
        half the Hessian (n, e, e), lower triangle, of the type of the modes, and half the gradient
        (n, e) float64; frames without a solution have zeros: they ask for nothing
    """
    count, left = len(frames.focal), len(fitter.solver.bounded.linear)
    hessian = np.zeros((count, left, left), fitter.points.modes.dtype)
    gradient = np.zeros((count, left))
    _reduce(fitter, frames, states, hessian, gradient)
    return hessian, gradient


@njit(cache=True, boundscheck=False)
def _reduce(
    fitter: Fitter,
    frames: Frames,
    states: State,
    hessian: NDArray[np.floating],
    gradient: Floats,
) -> None:
    left = gradient.shape[1]
    for i in range(len(frames.focal)):
        if _reduce_frame(fitter, frame_of(frames, i), state_of(states, i)):
            hessian[i] = fitter.solver.bounded.matrix[:left, :left]
            gradient[i] = fitter.solver.bounded.linear
