"""What all fits of one kind share: priors, when to stop, and the arrays of the linear solver."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .linear_algebra import BoundedQuadratic, new_bounded_quadratic, padded
from .problem import POSE, Loss, PointModel, Scheme, State, Workspace, new_workspace


class Prior(NamedTuple):
    """Gaussian priors and bounds of the K coefficients (Eq. 3's weights).

    Attributes
    ----------
    weight, mean, lower, upper : (K,) float64
    precision : (e, e) float64 of the last e coefficients, in addition to their weights; or (0, 0)
    identity : how many coefficients, the first ones, are eliminated before bounds are looked at
    """

    weight: NDArray[np.float64]
    mean: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    precision: NDArray[np.float64]
    identity: int


class Stop(NamedTuple):
    """When a fit stops.

    Attributes
    ----------
    iterations : most steps
    tolerance : share of the energy that may be left to gain, as the last steps tell; so much higher
        an energy may be and still count as none
    """

    iterations: int
    tolerance: float


class Solver(NamedTuple):
    """Arrays of the linear solver; N unknowns, the first are eliminated; n = K + 6 columns.

    Attributes
    ----------
    unknown : (N,) int32, the Jacobian's column of each unknown, -1 for padding
    active : (n,) bool by column, coefficients that stay at the bound at which they stand
    first_expression : place of f_exp among the unknowns
    gradient, curvature : (n,) float64 by column
    step : (N,) float64 by place
    rows : (N padded, m padded), the transposed Jacobian, of the type of the modes
    system : (N padded, N padded) of that type
    rhs : (N padded,) of that type, the right-hand side
    tile : (4, 4) of that type, work of the row products
    """

    unknown: NDArray[np.int32]
    active: NDArray[np.bool_]
    first_expression: int
    gradient: NDArray[np.float64]
    curvature: NDArray[np.float64]
    step: NDArray[np.float64]
    rows: NDArray[np.floating]
    system: NDArray[np.floating]
    rhs: NDArray[np.floating]
    tile: NDArray[np.floating]


class Fitter(NamedTuple):
    """Everything that fits of one kind share; not to be shared between threads.

    Attributes
    ----------
    points : the model's points
    scheme : how landmarks become residuals
    loss : how residuals are weighed
    prior : weights and bounds of the coefficients
    stop : when a fit stops
    work : arrays of a frame's residuals
    solver : arrays of the linear solver
    bounded : the problem of the unknowns that are not eliminated, within their bounds
    trial : the unknowns that a step leads to
    """

    points: PointModel
    scheme: Scheme
    loss: Loss
    prior: Prior
    stop: Stop
    work: Workspace
    solver: Solver
    bounded: BoundedQuadratic
    trial: State


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

    Parameters
    ----------
    points, scheme, loss, prior, stop : fields of the fitter
    identity_last : eliminate pose and f_exp and leave the identity, as for the joint fit; otherwise
        pose and identity are eliminated and f_exp is left

    Returns
    -------
    Fitter
    """
    unknown, first_expression, left = _order(points.coefficients, prior.identity, identity_last)
    dtype, count, total = points.modes.dtype, points.coefficients, len(unknown)
    side = int(padded(total))
    work = new_workspace(points, scheme, loss)
    solver = Solver(
        unknown=unknown,
        active=np.zeros(count + POSE, np.bool_),
        first_expression=first_expression,
        gradient=np.zeros(count + POSE),
        curvature=np.zeros(count + POSE),
        step=np.zeros(total),
        rows=np.zeros((side, len(work.jacobian)), dtype),
        system=np.zeros((side, side), dtype),
        rhs=np.zeros(side, dtype),
        tile=np.zeros((4, 4), dtype),
    )
    bounded = new_bounded_quadratic(left, dtype)
    trial = State(np.zeros(count, dtype), np.zeros((3, 3)), np.zeros(3))
    return Fitter(points, scheme, loss, prior, stop, work, solver, bounded, trial)


def _order(count: int, identity: int, identity_last: bool) -> tuple[NDArray[np.int32], int, int]:
    """Columns in the order of elimination, the place of f_exp in it, and how many are left."""
    # What is eliminated is padded to a multiple of four, as `cholesky` asks for where it stops.
    pose = count + np.arange(POSE)
    shape, expression = np.arange(identity), np.arange(identity, count)
    first, last = (expression, shape) if identity_last else (shape, expression)
    stop = int(padded(POSE + len(first)))
    unknown = np.full(stop + len(last), -1, np.int32)
    unknown[:POSE], unknown[POSE : POSE + len(first)] = pose, first
    unknown[stop:] = last
    return unknown, POSE if identity_last else stop, len(last)
