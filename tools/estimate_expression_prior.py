"""Estimates the prior of f_exp from plausible expressions and keeps it among the fit's assets.

python tools/estimate_expression_prior.py

The expressions are those of synthetic people of fixed seeds: sparse, most of the time small, the
sides nearly alike, going together as Action Units do. No face of a dataset has a part in it.
"""

from __future__ import annotations

import numpy as np
from build_morphable_model import write_asset
from numpy.typing import NDArray

from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.fitting.options import PRIOR_ASSET
from glee.pipeline.datasets import bp4d, disfa
from glee.pipeline.synthesis.motion import random_motion

SEED = 51
CLIPS, FRAMES, FPS = 40, 400, 20.0
# Standard deviation that every coefficient has of its own, the sides' included: people do what the
# table of Action Units does not know, and more on one side.
OWN = 0.05

Floats = NDArray[np.float64]


def plausible_expressions(
    seed: int = SEED, clips: int = CLIPS, own: float = OWN
) -> tuple[Floats, Floats]:
    """Mean and covariance of f_exp over synthetic clips.

    Half the clips move DISFA's AUs, half BP4D's.

    Parameters
    ----------
    seed : of the clips
    clips : their number
    own : see OWN

    Returns
    -------
    mean : (51,) float64
        in the order of ARKIT_NAMES
    covariance : (51, 51) float64
    """
    every = []
    for clip in range(clips):
        aus = (disfa.AUS, bp4d.AUS)[clip % 2]
        rng = np.random.default_rng([seed, clip])
        every.append(random_motion(aus, ARKIT_NAMES, FRAMES, FPS, rng).f_exp)
    f_exp = np.concatenate(every)
    # Sums over frames by einsum: BLAS' depend on its number of threads.
    mean = f_exp.mean(0)
    apart = f_exp - mean
    covariance = np.einsum("ni,nj->ij", apart, apart) / len(apart)
    return mean, covariance + own**2 * np.eye(len(mean))


def main() -> None:
    """Command line: write the asset."""
    mean, covariance = plausible_expressions()
    write_asset(
        PRIOR_ASSET,
        {
            "names": np.array(ARKIT_NAMES, np.str_),
            "mean": mean.astype(np.float32),
            "covariance": covariance.astype(np.float32),
        },
    )


if __name__ == "__main__":
    main()
