"""A morphable model's fingerprint: f_exp of one model means nothing to another."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

from .morphable_model.morphable_model import MorphableModel


@lru_cache(maxsize=4)
def model_digest(model: MorphableModel) -> str:
    """SHA-256, in hexadecimal, over what a fit depends on: mean, bases, names, landmarks."""
    total = hashlib.sha256("\n".join(model.expression_names).encode())
    for array in (model.mean, model.identity, model.expression, model.triangles):
        total.update(np.ascontiguousarray(array).tobytes())
    for name, points in sorted({**model.landmarks, **model.curves}.items()):
        total.update(name.encode())
        total.update(np.ascontiguousarray(points.vertices).tobytes())
        total.update(np.ascontiguousarray(points.weights).tobytes())
    return total.hexdigest()
