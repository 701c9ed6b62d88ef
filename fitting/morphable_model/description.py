"""A morphable model in words: sizes, units, bases, landmark sets."""

from __future__ import annotations

from typing import Any

import numpy as np

from .landmark_scheme import ARKIT_NAMES, OUTER_EYE_CORNERS
from .morphable_model import MorphableModel

ARKIT_BASIS = "ARKit 51"


def expression_basis(model: MorphableModel) -> str:
    """The name of a model's expression basis.

    Parameters
    ----------
    model : the morphable model

    Returns
    -------
    str
        ``ARKit 51``, or what the expressions' names begin with and their number
    """
    if model.expression_names == ARKIT_NAMES:
        return ARKIT_BASIS
    stems = {name.rstrip("0123456789").rstrip("-_ ") for name in model.expression_names}
    count = len(model.expression_names)
    return f"{stems.pop()} {count}" if len(stems) == 1 else f"own {count}"


def model_info(model: MorphableModel) -> str:
    """Describe a model as the table that ``glee model info`` prints.

    Parameters
    ----------
    model : the morphable model

    Returns
    -------
    str
        a line a fact, without a final newline
    """
    size = np.ptp(model.mean, axis=0) * 10
    right, left = (
        next(iter(model.landmarks.values())).on(model.mean)[i] for i in OUTER_EYE_CORNERS
    )
    parts = np.bincount(model.parts, minlength=len(model.part_names))
    rows = [
        ("name", model.name),
        ("vertices", f"{len(model.mean):,}"),
        ("triangles", f"{len(model.triangles):,}"),
        ("size", f"{size[0]:.1f} x {size[1]:.1f} x {size[2]:.1f} cm (width, height, depth)"),
        ("outer eye corners", f"{10 * np.linalg.norm(left - right):.2f} cm apart"),
        ("identity modes", f"{len(model.identity)} ({_rms(model.identity):.2f} mm rms at 1 sd)"),
        ("expression basis", expression_basis(model)),
        ("expressions", _shortened(model.expression_names)),
        ("parts", ", ".join(f"{n} {c:,}" for n, c in zip(model.part_names, parts, strict=True))),
        ("landmark sets", ", ".join(sorted(model.landmarks))),
        ("curves", f"{len(model.curves)}"),
        ("jaw lines", " x ".join(str(n) for n in model.jaw_candidates.vertices.shape[:2])),
        ("masks", ", ".join(sorted(model.masks)) or "none"),
        ("texture coordinates", "no" if model.uv is None else "yes"),
    ]
    width = max(len(key) for key, _ in rows)
    return "\n".join(f"{key:<{width}}  {value}" for key, value in rows)


def model_facts(model: MorphableModel) -> dict[str, Any]:
    """Describe a model as plain data, for JSON.

    Parameters
    ----------
    model : the morphable model

    Returns
    -------
    dict
        numbers, strings and lists of strings by name
    """
    return {
        "name": model.name,
        "vertices": len(model.mean),
        "triangles": len(model.triangles),
        "identity_modes": len(model.identity),
        "expression_basis": expression_basis(model),
        "expressions": list(model.expression_names),
        "parts": list(model.part_names),
        "landmark_sets": sorted(model.landmarks),
        "calibrated_to": sorted(model.noise),
        "masks": sorted(model.masks),
    }


def _rms(basis: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    """Root mean square displacement of a vertex where every mode is drawn once, millimetres."""
    if not basis.size:
        return 0.0
    return float(np.sqrt(np.einsum("knc,knc->", basis, basis) / basis.shape[1]) * 100)


def _shortened(names: tuple[str, ...], shown: int = 6) -> str:
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")
