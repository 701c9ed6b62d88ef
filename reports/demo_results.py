"""The demo's figures as plain data, as they stand in results.json."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from .. import __version__
from .accuracy import correlations, landmark_errors, moved
from .demo.comparison import Comparison
from .demo.stage_losses import fitted_f_exp, plain

_LIBRARIES = {
    "numpy": "numpy",
    "numba": "numba",
    "torch": "torch",
    "opencv": "cv2",
    "dlib": "dlib",
    "dask": "dask",
    "h5py": "h5py",
}


def demo_results(
    comparison: Comparison,
    evaluation: Mapping[str, Any],
    losses: Mapping[str, Any],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """All figures of a demo.

    evaluation: `Evaluation.results`. losses: of `stage_losses`. seconds: by stage, with `total`.
    Fractions and F1 lie in [0, 1]; landmark errors are over the inter-ocular distance. None stands
    where the data defines no value: f_exp_r of a blendshape that the truth leaves at rest.
    """
    errors = landmark_errors(comparison.landmarks[comparison.valid], _true_landmarks(comparison))
    return {
        "frames": len(comparison),
        "valid_fraction": float(comparison.valid.mean()),
        "landmark_nme": {name: plain(errors[name]) for name in ("inner51", "all68")},
        "f_exp_r": _f_exp_r(comparison),
        "f1": {
            **evaluation["f1"],
            "mean_over_folds": evaluation["f1_mean_over_folds"]["mean"],
            "always_positive": dict(evaluation["always_positive_f1"]),
        },
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "versions": versions(),
        "losses": dict(losses),
    }


def versions() -> dict[str, str]:
    """Versions of glee, Python and the libraries that compute."""
    found = {"glee": __version__, "python": platform.python_version()}
    return found | {
        name: str(import_module(module).__version__) for name, module in _LIBRARIES.items()
    }


def _true_landmarks(comparison: Comparison) -> Any:
    return comparison.true_landmarks[comparison.valid]


def _f_exp_r(comparison: Comparison) -> dict[str, float | None]:
    wanted = moved(comparison.true_f_exp)
    r = np.where(wanted, correlations(fitted_f_exp(comparison), comparison.true_f_exp), np.nan)
    by_name = {
        name: plain(value) for name, value in zip(comparison.expression_names, r, strict=True)
    }
    known = r[np.isfinite(r)]
    return {**by_name, "median": float(np.median(known)) if known.size else None}
