"""FitOptions: how Eq. 3 is set up and solved, and the loss and priors that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .morphable_model.landmark_noise import LandmarkNoise, yaw_ranges
from .morphable_model.landmark_scheme import COUNT
from .solver.fitter import Prior
from .solver.problem import ABSOLUTE, GEMAN_MCCLURE, HUBER, PLAIN, Loss

Floats = NDArray[np.float64]

# The error of a landmark's coordinate, in inter-ocular distances, for which Eq. 3's weight of 1e-4
# is that of a coefficient of unit variance.
UNIT_ERROR = 0.01
PAPER_WEIGHT = 1e-4  # of |f_exp|^2 and of |f_shape|^2, Eq. 3
DEVIATIONS_BOUND = 3.0
# Added to each coordinate of a detector's noise: what no calibration sees, and what keeps a
# covariance estimated from aligned faces, which is singular, definite. Inter-ocular distances.
NOISE_FLOOR = 0.003
PRIOR_ASSET = Path(__file__).with_name("assets") / "expression_prior.npz"
ROBUST_KINDS = {
    None: PLAIN,
    "huber": HUBER,
    "geman-mcclure": GEMAN_MCCLURE,
    "absolute": ABSOLUTE,
}
# Distances that are not squared are rounded near 0, where they have no derivative: by so much.
ROUNDED_EYES, ROUNDED_PIXELS = 1e-3, 0.1


@dataclass(frozen=True, eq=False)
class ExpressionPrior:
    """A Gaussian prior of f_exp beside the ridge.

    Attributes
    ----------
    mean : (e,) float64
    covariance : (e, e) float64
    """

    mean: Floats
    covariance: Floats


@dataclass(frozen=True, eq=False)
class FitOptions:
    """How Eq. 3 is set up and solved.

    Attributes
    ----------
    bounds : f_exp within [0, 1], or [-3, 3] where the model's expressions are statistical modes,
        and f_shape within [-3, 3]
    regularisation : weights of |f_exp|^2 and |f_shape|^2; None for those that landmark_error asks
        for, and for the paper's 1e-4 where the loss is robust or a prior is given
    landmark_error : standard deviation of a landmark's coordinate, inter-ocular distances; None to
        estimate it where it is needed
    curves : sliding landmarks are compared with the detected curve, else with the detected point
    contour : jaw landmarks move to the visible contour
    robust : None, ``huber``, ``geman-mcclure``, or ``absolute``, distances that are not squared, as
        Eq. 3 is written
    robust_scale : of the first two, inter-ocular distances
    units : None, distances in inter-ocular distances; ``pixels``, in pixels, with regularisation
        given, and squared or absolute
    noise : of the detector; residuals are whitened by it
    prior : of f_exp
    temporal : weight of |f_exp(t) - f_exp(t - 1)|^2
    estimate_focal : one focal length a subject
    identity_frames : most frames from which a subject's identity is taken
    iterations, tolerance : most steps of Levenberg-Marquardt, and the share of the energy that may
        be left to gain
    dtype : of the kernels

    Raises
    ------
    UsageError
        a value is out of range, or two options exclude each other
    """

    bounds: bool = True
    regularisation: tuple[float, float] | None = None
    landmark_error: float | None = None
    curves: bool = True
    contour: bool = True
    robust: Literal["huber", "geman-mcclure", "absolute"] | None = None
    robust_scale: float = 0.02
    units: Literal["pixels"] | None = None
    noise: LandmarkNoise | None = None
    prior: ExpressionPrior | None = None
    temporal: float = 0.0
    estimate_focal: bool = False
    identity_frames: int = 200
    iterations: int = 50
    tolerance: float = 1e-5
    dtype: type[np.floating] = np.float32

    def __post_init__(self) -> None:
        if self.robust not in ROBUST_KINDS:
            raise UsageError(
                f"robust {self.robust!r}: give None, 'huber', 'geman-mcclure' or 'absolute'"
            )
        if self.robust is not None and self.noise is not None:
            raise UsageError("robust and noise exclude each other; give one of them")
        if self.robust == "absolute" and self.prior is not None:
            raise UsageError("robust 'absolute' goes without prior, which is for squared distances")
        if self.units not in (None, "pixels"):
            raise UsageError(f"units {self.units!r}: give None or 'pixels'")
        if self.units and (self.adapts or self.noise is not None or self.prior is not None):
            raise UsageError(
                "units 'pixels' need regularisation, and neither noise nor prior, which are in "
                "inter-ocular distances"
            )
        if self.units and self.robust not in (None, "absolute"):
            raise UsageError("units 'pixels' go with robust None or 'absolute'")
        for name in ("robust_scale", "tolerance"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} {getattr(self, name)}: give a positive number")
        if min(self.regularisation or (0.0,)) < 0 or not self.temporal >= 0:
            raise UsageError("weights of regularisation and temporal must not be negative")
        if self.landmark_error is not None and not (self.adapts and self.landmark_error > 0):
            raise UsageError(
                f"landmark_error {self.landmark_error}: give a positive number, and with it "
                "neither regularisation nor robust nor prior"
            )
        if self.identity_frames < 1 or self.iterations < 1:
            raise UsageError("identity_frames and iterations must be at least 1")

    @property
    def adapts(self) -> bool:
        """Whether the weights follow from the error of the landmarks."""
        return self.regularisation is None and self.robust is None and self.prior is None


def loss_of(options: FitOptions) -> Loss:
    """The residuals' loss.

    Parameters
    ----------
    options : robust, robust_scale, units and noise of which are used

    Raises
    ------
    UsageError
        the noise has other shapes than those of 68 landmarks
    """
    covariance = np.empty((0, 0, 0))
    if options.noise is not None:
        covariance = _upwards(np.asarray(yaw_ranges(options.noise).covariance, np.float64))
    scale = options.robust_scale
    if options.robust == "absolute":
        scale = ROUNDED_PIXELS if options.units else ROUNDED_EYES
    return Loss(ROBUST_KINDS[options.robust], scale, covariance, UNIT_ERROR)


def _upwards(covariance: Floats) -> Floats:
    """Covariances (b, 136, 136) for y up, as the kernels have them."""
    sign = np.tile([1.0, -1.0], COUNT)
    floor = NOISE_FLOOR**2 * np.eye(2 * COUNT)
    return np.ascontiguousarray(covariance * np.outer(sign, sign) + floor)


def priors_of(
    options: FitOptions, shapes: int, expressions: int, *, blendshapes: bool = True
) -> tuple[Prior, Prior]:
    """Priors of all coefficients, f_shape first, and of the expression alone.

    Parameters
    ----------
    options : bounds, regularisation and prior of which are used
    shapes, expressions : lengths of f_shape and f_exp
    blendshapes : expressions go from 0 to 1; otherwise they are in standard deviations

    Returns
    -------
    tuple of Prior
        of all coefficients, and of f_exp alone

    Raises
    ------
    UsageError
        the prior of f_exp has another shape
    """
    on_expression, on_shape = options.regularisation or (PAPER_WEIGHT, PAPER_WEIGHT)
    mean, precision = np.zeros(expressions), np.empty((0, 0))
    if options.prior is not None:
        mean = np.asarray(options.prior.mean, np.float64)
        covariance = np.asarray(options.prior.covariance, np.float64)
        if mean.shape != (expressions,) or covariance.shape != (expressions, expressions):
            raise UsageError(
                f"prior: mean {mean.shape}, covariance {covariance.shape}, expected "
                f"({expressions},) and ({expressions}, {expressions})"
            )
        precision = np.ascontiguousarray(UNIT_ERROR**2 * np.linalg.inv(covariance))
    bound = DEVIATIONS_BOUND if options.bounds else np.inf
    low, high = (0.0, 1.0) if options.bounds and blendshapes else (-bound, bound)
    local = Prior(
        weight=np.full(expressions, float(on_expression)),
        mean=mean,
        lower=np.full(expressions, low),
        upper=np.full(expressions, high),
        precision=precision,
        identity=0,
    )
    whole = Prior(
        weight=np.concatenate([np.full(shapes, float(on_shape)), local.weight]),
        mean=np.concatenate([np.zeros(shapes), local.mean]),
        lower=np.concatenate([np.full(shapes, -bound), local.lower]),
        upper=np.concatenate([np.full(shapes, bound), local.upper]),
        precision=precision,
        identity=shapes,
    )
    return whole, local


@lru_cache(maxsize=4)
def expression_prior(names: tuple[str, ...]) -> ExpressionPrior:
    """The prior of f_exp that comes with glee: plausible expressions as a Gaussian.

    Estimated by `tools/estimate_expression_prior.py`.

    Parameters
    ----------
    names : of the model's expressions, in its order

    Returns
    -------
    ExpressionPrior
        in the order of the names

    Raises
    ------
    UsageError
        the model has an expression that the prior lacks
    """
    with np.load(PRIOR_ASSET, allow_pickle=False) as archive:
        known = [str(name) for name in archive["names"]]
        mean = archive["mean"].astype(np.float64)
        covariance = archive["covariance"].astype(np.float64)
    for name in names:
        if name not in known:
            raise UsageError(
                f"prior: it knows the ARKit blendshapes, and the model's expression {name!r} is "
                "none of them; fit without the prior"
            )
    rows = [known.index(name) for name in names]
    return ExpressionPrior(mean[rows], covariance[np.ix_(rows, rows)])
