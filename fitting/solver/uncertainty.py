"""A frame's energy around its solution as a quadratic function of some unknowns alone.

    E(y) = E_0 + 2 gradient . d + d^T hessian d,    d = y - the solution

with half the gradient and half the Hessian (Gauss-Newton's J^T J and the priors). y is what the
fitter does not eliminate: f_exp, or in a joint fit the identity. The others are eliminated by the
Schur complement, which is to minimise over them. From it come standard deviations (Laplace's
approximation, MacKay 1992), the temporal smoother, and the steps of a joint identity.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .fitter import Fitter
from .frame_quadratics import frame_deviations
from .linear_algebra import cholesky, solve_lower
from .normal_equations import assemble, full_gradient, mark_active_bounds, set_rhs
from .problem import Frames, State, frame_of, state_of
from .residuals import begin_frame, evaluate, linearise

Floats = NDArray[np.float64]


class ReducedEnergies(NamedTuple):
    """Quadratics of n frames in the e unknowns that are not eliminated.

    Frames without a solution have zeros: they ask for nothing.

    Attributes
    ----------
    hessian : (n, e, e), half the Hessian, lower triangle, of the type of the modes
    gradient : (n, e) float64, half the gradient
    distance : (n, p) float64, D of the seen points, in inter-ocular distances; NaN where a point is
        not seen, or the frame has no solution
    """

    hessian: NDArray[np.floating]
    gradient: Floats
    distance: Floats


def reduced_energies(
    fitter: Fitter, frames: Frames, states: State, *, for_a_step: bool = False
) -> ReducedEnergies:
    """Each frame's energy as a quadratic function.

    Parameters
    ----------
    fitter : of these frames
    frames : what was detected
    states : (n,) solutions
    for_a_step : of the unknowns that are eliminated, those that stand at a bound and would leave it
        are held, and the curvature beside nodes counts (`assemble`), by which steps converge
        faster; otherwise bounds are not regarded, and the Hessian is plain J^T J with the priors
    """
    count, left = len(frames.focal), len(fitter.bounded.linear)
    reduced = ReducedEnergies(
        np.zeros((count, left, left), fitter.points.modes.dtype),
        np.zeros((count, left)),
        np.full(frames.root_weight.shape, np.nan),
    )
    _reduce(fitter, frames, states, for_a_step, reduced)
    return reduced


@njit(cache=True, boundscheck=False)
def _reduce(
    fitter: Fitter, frames: Frames, states: State, for_a_step: bool, out: ReducedEnergies
) -> None:
    points, scheme, loss, prior = fitter.points, fitter.scheme, fitter.loss, fitter.prior
    work, solver, system, rhs = fitter.work, fitter.solver, fitter.solver.system, fitter.solver.rhs
    layout, left = work.layout, out.gradient.shape[1]
    stop = layout.eliminated
    for i in range(len(frames.focal)):
        frame, state = frame_of(frames, i), state_of(states, i)
        begin_frame(points, frame, scheme, state, work)
        if not np.isfinite(evaluate(points, frame, scheme, loss, state, work)):
            continue
        linearise(points, frame, loss, state, work)
        full_gradient(work.value, work.jacobian, prior, state.x, solver)
        solver.active[:] = False
        rows = scheme.rows
        if for_a_step:
            mark_active_bounds(solver, prior, state.x, stop)
            rows += work.corners[0]
        assemble(solver, prior, work.jacobian, rows, layout, 0.0)
        if not cholesky(system, layout.columns, stop):
            continue
        set_rhs(solver)
        solve_lower(system, layout.columns, stop, rhs)
        for p in range(left):
            out.gradient[i, p] = -rhs[stop + p]
            row = system[stop + p, stop:]
            for q in range(p, left):
                out.hessian[i, q, p] = row[q]
        for p in range(len(work.distance)):
            if frame.root_weight[p] > 0.0:
                out.distance[i, p] = work.distance[p]


# See kernel_cache.py.
KERNEL = _reduce


def describe_frames(
    reduced: ReducedEnergies, unit: float | Floats
) -> tuple[Floats, Floats, Floats]:
    """Distances and standard deviations at the solution.

    Parameters
    ----------
    reduced : of n frames, bounds not regarded
    unit : the error of a landmark's coordinate that counts as one, inter-ocular distances; or (n,)
        of each frame, in the unit of its energy

    Returns
    -------
    tuple
        rms (n,) and median (n,) of D over the seen landmarks, in inter-ocular distances, and
        deviation (n, e) of the unknowns, all float64; from the inverse of the energy's Hessian;
        NaN where the frame has no solution
    """
    rms, median = np.full(len(reduced.distance), np.nan), np.full(len(reduced.distance), np.nan)
    solved = np.isfinite(reduced.distance).any(1)
    distance = reduced.distance[solved]
    rms[solved] = np.sqrt(np.nanmean(distance**2, axis=1))
    median[solved] = np.nanmedian(distance, axis=1)
    return rms, median, frame_deviations(reduced.hessian, unit)
