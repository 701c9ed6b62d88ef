"""A model made ready for options: arrays for the kernels, priors, weights by a landmark's error.

A morphable model made ready for the fit's options: kernels' arrays, priors, solvers.

How wrong a subject's landmarks are, from what the fit leaves; and the weights that follow.

Eq. 3's ridge is a Gaussian prior: its weight is the variance of a landmark's error over that of a
coefficient. The paper gives 1e-4; where the error can be estimated, so can the weight.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .dense_points import NO_WEIGHT, TOGETHER, DensePoints
from .morphable_model.description import ARKIT_BASIS, expression_basis
from .morphable_model.landmark_scheme import COUNT
from .morphable_model.morphable_model import MorphableModel
from .options import PAPER_WEIGHT, FitOptions, loss_of, priors_of
from .solver.kernel_cache import ensure_compiled
from .solver.normal_equations import Fitter, Prior, Stop, new_fitter
from .solver.problem import PointModel, Scheme, new_scheme, point_model, with_identity


@dataclass(frozen=True, eq=False)
class Fitters:
    """A model made ready for options: fitters of all coefficients, and of the expression alone."""

    points: PointModel
    shapes: int
    blendshapes: bool
    options: FitOptions
    whole: Fitter
    joint: Fitter
    local: Fitter

    @classmethod
    def of(
        cls,
        model: MorphableModel,
        landmark_set: str,
        options: FitOptions,
        dense: DensePoints | None = None,
    ) -> Fitters:
        """Reduce the model to the points of a fit and allocate the kernels' arrays."""
        ensure_compiled()
        points = point_model(
            model,
            landmark_set,
            contour=options.contour,
            dtype=options.dtype,
            dense=None if dense is None else dense.places,
        )
        shapes = len(model.identity)
        count = 0 if dense is None else len(dense)
        loss, scheme = loss_of(options), new_scheme(curves=options.curves, dense=count)
        blendshapes = expression_basis(model) == ARKIT_BASIS
        whole, local = priors_of(options, shapes, len(model.expression), blendshapes=blendshapes)
        stop = Stop(options.iterations, options.tolerance)
        own = with_identity(points, np.zeros(shapes))
        return cls(
            points=points,
            shapes=shapes,
            blendshapes=blendshapes,
            options=options,
            whole=new_fitter(points, scheme, loss, whole, stop),
            joint=new_fitter(points, scheme, loss, whole, stop, identity_last=True),
            local=new_fitter(own, scheme, loss, local, stop),
        )

    @property
    def shape_prior(self) -> Prior:
        """The prior of f_shape alone."""
        prior, shapes = self.joint.prior, self.shapes
        return prior._replace(
            weight=prior.weight[:shapes], mean=prior.mean[:shapes], precision=np.empty((0, 0))
        )

    def for_error(self, error: float) -> Fitters:
        """The same with the weights that a landmark's error asks for; NaN: with its own."""
        if np.isnan(error):
            return self

        def weighted(fitter: Fitter, shapes: int) -> Fitter:
            prior = for_error(fitter.prior, error, shapes, blendshapes=self.blendshapes)
            return fitter._replace(prior=prior)

        return replace(
            self,
            whole=weighted(self.whole, self.shapes),
            joint=weighted(self.joint, self.shapes),
            local=weighted(self.local, 0),
        )


# Mean square of a blendshape's weight where expressions are sparse: a quarter to a half of the
# blendshapes at work, each anywhere between 0 and 1. Of f_shape it is 1 by definition.
EXPRESSION_SQUARE = 0.125
# With this many residuals the estimate counts as much as the paper's weight.
FAITH = 100.0


def for_error(prior: Prior, error: float, shapes: int, *, blendshapes: bool) -> Prior:
    """The prior with the weights that a landmark's error asks for.

    error: standard deviation of a coordinate, inter-ocular distances. shapes: how many
    coefficients, the first ones, are f_shape. blendshapes: the others are weights of blendshapes;
    otherwise they are in standard deviations, as f_shape is.
    """
    square = EXPRESSION_SQUARE if blendshapes else 1.0
    weight = np.full(len(prior.weight), error**2 / square)
    weight[:shapes] = error**2
    return prior._replace(weight=weight)


def landmark_error(
    prior: Prior,
    x: NDArray[np.floating],
    deviation: NDArray[np.float64],
    rows: float,
    data_energy: float,
    known: int = 0,
) -> float:
    """Standard deviation of a landmark's coordinate, in inter-ocular distances.

    prior: of the coefficients x (n, K), with whose weights they are the solution. deviation: (n, K)
    of them, for landmarks that err by 1. rows: residuals that were seen; data_energy: the sum of
    their squares. known: coefficients that all frames share and that were fitted too. The residuals
    left over are counted by the effective number of parameters (MacKay, Bayesian interpolation,
    1992); few of them lean to the paper's weight.
    """
    free = (x > prior.lower + 1e-4) & (x < prior.upper - 1e-4)
    held_by_prior = np.nan_to_num(prior.weight * deviation**2, nan=1.0)
    spent = float((free * np.clip(1.0 - held_by_prior, 0.0, 1.0)).sum()) + 6.0 * len(x) + known
    before = PAPER_WEIGHT * EXPRESSION_SQUARE
    left = max(rows - spent, 0.0)
    return float(np.sqrt((data_energy + FAITH * before) / (left + FAITH)))


def residuals_seen(scheme: Scheme, root_weight: NDArray[np.float64]) -> float:
    """How many residuals frames have, root_weight: (n, p); an end point has two, others one.

    Dense points count as so many fewer as err together.
    """
    rows = np.where(scheme.curve_of < 0, 2.0, 1.0)
    rows[COUNT:] /= TOGETHER
    return float((rows * (root_weight**2 > 2.0 * NO_WEIGHT)).sum())


def ridge_energy(prior: Prior, x: NDArray[np.floating]) -> NDArray[np.float64]:
    """What the ridge adds to each frame's energy, (n,), for coefficients x: (n, K)."""
    return np.asarray((prior.weight * (x.astype(np.float64) - prior.mean) ** 2).sum(axis=1))
