"""How often AUs are present as published: only in proportion to each other, and how to compare.

Papers print F1, seldom counts. What is public are class weights, in inverse proportion to the
ratios of a fold's training subjects and with a mean of 1; so the ratios are known but for one
factor, which is taken from the labels at hand. That is enough to see columns that stand in
another's place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

# With fewer AUs the factor would hang on each of them.
_LEAST_AUS = 4


def relative_ratios(aus: Sequence[int], weights: Sequence[Sequence[float]]) -> dict[int, float]:
    """Ratios in proportion to each other, with a mean of 1.

    weights: a row a fold, a column an AU. Each subject trains two of three folds, so that their
    geometric mean stands for all subjects.
    """
    ratios = 1.0 / np.exp(np.log(np.asarray(weights, np.float64)).mean(0))
    return dict(zip(aus, (ratios / ratios.mean()).tolist(), strict=True))


def scaled_to(relative: Mapping[int, float], present: Mapping[int, float]) -> dict[int, float]:
    """Published ratios on the scale of those at hand; {} where too few AUs are in both.

    present: AU -> share of the known frames that show it. The factor is the median over AUs, which
    a swapped pair of columns does not move.
    """
    factors = [present[au] / ratio for au, ratio in relative.items() if present.get(au)]
    if len(factors) < _LEAST_AUS:
        return {}
    factor = float(np.median(factors))
    return {au: min(factor * ratio, 1.0) for au, ratio in relative.items()}
