"""A model made ready for options: arrays for the kernels, priors, weights by a landmark's error.

Eq. 3's ridge is a Gaussian prior: its weight is the variance of a landmark's error over that of a
coefficient. The paper gives 1e-4; where the error can be estimated from what a fit leaves, so can
the weight.
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
from .solver.fitter import Fitter, Prior, Stop, new_fitter
from .solver.kernel_cache import ensure_compiled
from .solver.problem import PointModel, Scheme, new_scheme, point_model, with_identity

# Mean square of a blendshape's weight where expressions are sparse: a quarter to a half of the
# blendshapes at work, each anywhere between 0 and 1. Of f_shape it is 1 by definition.
EXPRESSION_SQUARE = 0.125
# With this many residuals the estimate counts as much as the paper's weight.
FAITH = 100.0


@dataclass(frozen=True, eq=False)
class Fitters:
    """A model made ready for options.

    Attributes
    ----------
    points : the model's points, of all coefficients
    shapes : length of f_shape
    blendshapes : expressions are weights of blendshapes, not standard deviations
    options : that they follow
    whole : fitter of all coefficients, f_exp left for last: one identity a frame
    joint : fitter of all coefficients, f_shape left for last: one identity a subject
    local : fitter of the expression alone, of the mean face
    """

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
        """Reduce the model to the points of a fit and allocate the kernels' arrays.

        Parameters
        ----------
        model : with the landmark set
        landmark_set : name of the 68 points
        options : how Eq. 3 is set up and solved
        dense : points that are fitted beside the landmarks, or None

        Raises
        ------
        UsageError
            noise or prior of the options have other shapes than the model
        """
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
        """The same with the weights that a landmark's error asks for.

        Parameters
        ----------
        error : standard deviation of a coordinate, inter-ocular distances; NaN: weights stay
        """
        if np.isnan(error):
            return self

        def weighted(fitter: Fitter, shapes: int) -> Fitter:
            prior = prior_for_error(fitter.prior, error, shapes, blendshapes=self.blendshapes)
            return fitter._replace(prior=prior)

        return replace(
            self,
            whole=weighted(self.whole, self.shapes),
            joint=weighted(self.joint, self.shapes),
            local=weighted(self.local, 0),
        )


def prior_for_error(prior: Prior, error: float, shapes: int, *, blendshapes: bool) -> Prior:
    """The prior with the weights that a landmark's error asks for.

    Parameters
    ----------
    prior : whose bounds, mean and precision are kept
    error : standard deviation of a coordinate, inter-ocular distances
    shapes : how many coefficients, the first ones, are f_shape
    blendshapes : the others are weights of blendshapes; otherwise they are in standard deviations,
        as f_shape is

    Returns
    -------
    Prior
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
    shared: int = 0,
) -> float:
    """Standard deviation of a landmark's coordinate, in inter-ocular distances.

    The variance is the energy that is left over the number of residuals that are left, which is
    counted by the effective number of parameters (MacKay, Bayesian interpolation, 1992): a
    coefficient that its prior holds spends none. Few residuals lean to the paper's weight.

    Parameters
    ----------
    prior : with whose weights x is the solution
    x : (n, K) float, coefficients of n frames
    deviation : (n, K) float64, standard deviations of them for landmarks that err by 1
    rows : residuals that were seen
    data_energy : the sum of their squares, squared inter-ocular distances
    shared : number of coefficients that all frames share and that were fitted too

    Returns
    -------
    float
    """
    free = (x > prior.lower + 1e-4) & (x < prior.upper - 1e-4)
    held_by_prior = np.nan_to_num(prior.weight * deviation**2, nan=1.0)
    spent = float((free * np.clip(1.0 - held_by_prior, 0.0, 1.0)).sum()) + 6.0 * len(x) + shared
    before = PAPER_WEIGHT * EXPRESSION_SQUARE
    left = max(rows - spent, 0.0)
    return float(np.sqrt((data_energy + FAITH * before) / (left + FAITH)))


def residuals_seen(scheme: Scheme, root_weight: NDArray[np.float64]) -> float:
    """How many residuals frames have; an end point has two, a sliding point one.

    Dense points count as so many fewer as err together.

    Parameters
    ----------
    scheme : which points slide
    root_weight : (n, p) float64, square roots of the weights, 0 where missing
    """
    rows = np.where(scheme.curve_of < 0, 2.0, 1.0)
    rows[COUNT:] /= TOGETHER
    return float((rows * (root_weight**2 > 2.0 * NO_WEIGHT)).sum())


def ridge_energy(prior: Prior, x: NDArray[np.floating]) -> NDArray[np.float64]:
    """What the ridge adds to each frame's energy.

    Parameters
    ----------
    prior : whose weights are the ridge's
    x : (n, K) float, coefficients

    Returns
    -------
    (n,) float64
    """
    return np.asarray((prior.weight * (x.astype(np.float64) - prior.mean) ** 2).sum(axis=1))
