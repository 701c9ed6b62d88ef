"""A morphable model made ready for the fit's options: kernels' arrays, priors, solvers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .dense_points import DensePoints
from .frame_arrays import new_scheme
from .morphable_model.description import ARKIT_BASIS, expression_basis
from .morphable_model.morphable_model import MorphableModel
from .noise_level import for_error
from .options import FitOptions, loss_of, priors_of
from .solver.kernel_cache import ensure_compiled
from .solver.normal_equations import Fitter, Prior, Stop, new_fitter
from .solver.problem import PointModel, point_model, with_identity


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
