"""What all fits of one kind share: priors, when to stop, and the arrays of the linear solver."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .layout import POSE, new_layout
from .linear_algebra import BoundedQuadratic, new_bounded_quadratic, stride
from .problem import (
    Loss,
    PointModel,
    Scheme,
    State,
    Workspace,
    new_workspace,
)


class Prior(NamedTuple):
    """Gaussian priors and bounds of the K coefficients (Eq. 3's weights).

    Attributes
    ----------
    weight, mean, lower, upper : (K,) float64
    precision : (e, e) float64 of the last e coefficients, in addition to their weights; or (0, 0)
    identity : how many coefficients, the first ones, are f_shape
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
    """Arrays of the linear solver: K coefficients, n = K + 6 unknowns in N columns.

    Attributes
    ----------
    unknown : (N,) int32, the unknown of each of the Jacobian's columns: a coefficient, or K to
        K + 5 for the pose; -1 for padding
    active : (n,) bool, coefficients that stay at the bound at which they stand
    gradient : (n,) float64
    column : (N,) float64, the gradient by column
    step : (N,) float64 by column
    system : (N, stride), of the type of the modes
    rhs : (N,) of that type, the right-hand side
    """

    unknown: NDArray[np.int32]
    active: NDArray[np.bool_]
    gradient: NDArray[np.float64]
    column: NDArray[np.float64]
    step: NDArray[np.float64]
    system: NDArray[np.floating]
    rhs: NDArray[np.floating]


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
        pose and identity are eliminated, as `new_layout` has it, and f_exp is left

    Returns
    -------
    Fitter
    """
    count, identity, dtype = points.coefficients, prior.identity, points.modes.dtype
    layout = new_layout(count, identity, identity_last=identity_last)
    work = new_workspace(points, scheme, loss, layout)
    total = layout.columns
    unknown = np.full(total, -1, np.int32)
    unknown[layout.places(count)] = np.arange(count + POSE)
    solver = Solver(
        unknown=unknown,
        active=np.zeros(count + POSE, np.bool_),
        gradient=np.zeros(count + POSE),
        column=np.zeros(total),
        step=np.zeros(total),
        system=np.zeros((total, stride(total)), dtype),
        rhs=np.zeros(total, dtype),
    )
    bounded = new_bounded_quadratic(layout.left, dtype)
    trial = State(np.zeros(count, dtype), np.zeros((3, 3)), np.zeros(3))
    return Fitter(points, scheme, loss, prior, stop, work, solver, bounded, trial)
