"""The prior of f_exp that comes with glee: plausible expressions as a Gaussian, by name."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import UsageError
from .options import ExpressionPrior

PRIOR_ASSET = Path(__file__).with_name("assets") / "expression_prior.npz"


@lru_cache(maxsize=4)
def expression_prior(names: tuple[str, ...]) -> ExpressionPrior:
    """The prior for a model whose expressions have these names, in their order.

    Mean (e,) and covariance (e, e) of `pipeline/estimate_expression_prior.py`; the names' order is
    the model's. Raises UsageError where the model has an expression that the prior lacks.
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
