"""The irises of an exported head: a round picture that is laid on the fronts of the eyeballs.

A place on the picture is that of the vertex before the pupil, seen along the eye's axis. It is
linear in the vertex's place, so that an iris is round however coarse the eyeball's mesh is, and it
goes with the vertices wherever the morph targets of gaze turn them.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..morphable_model.morphable_model import MorphableModel
from ..render.shading import IRIS_RADIUS, PUPIL_RADIUS
from ..render.skin import eye_coordinates

# The picture's half side in radii of the eyeball, and its side in pixels.
REACH, SIDE = 0.6, 256
# sRGB: the ring at the white, the iris at its rim and at the pupil, the pupil.
LIMBUS, OUTER, INNER, PUPIL = (48, 36, 28), (104, 72, 42), (150, 108, 62), (6, 5, 5)
RAYS = 90
# Width of the border that is neither iris nor white, in radii of the eyeball; so in the eye.
SOFT = 0.04


def iris_triangles(model: MorphableModel) -> NDArray[np.bool_]:
    """Say which triangles are the front halves of the eyeballs.

    Parameters
    ----------
    model : the morphable model

    Returns
    -------
    (m,) bool
        all False where the model has no part called eyes
    """
    if "eyes" not in model.part_names:
        return np.zeros(len(model.triangles), bool)
    own = model.parts == model.part_names.index("eyes")
    before = eye_coordinates(model)[:, 2] > 0.0
    return np.asarray(own & before[model.triangles].all(1))


def iris_coordinates(model: MorphableModel) -> NDArray[np.float32]:
    """Give each vertex's place in the picture.

    Parameters
    ----------
    model : the morphable model, with a part called eyes

    Returns
    -------
    (n, 2) float32
        right and down, (0, 0) to (1, 1); outside of it the white goes on. Only those of
        `iris_triangles` mean anything
    """
    place = eye_coordinates(model)[:, :2] / (2 * REACH) * (1, -1) + 0.5
    return place.astype(np.float32)


def iris_picture(white: tuple[float, float, float]) -> bytes:
    """Draw pupil, iris and the white around them.

    Parameters
    ----------
    white : linear red, green and blue of the eyeball, 0 to 1

    Returns
    -------
    bytes
        a PNG of SIDE x SIDE pixels, sRGB
    """
    across = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    x, y = np.meshgrid(across * REACH, across * REACH)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    share = np.clip((radius - PUPIL_RADIUS) / (IRIS_RADIUS - PUPIL_RADIUS), 0.0, 1.0)[..., None]
    # Fibres run outwards; two waves whose numbers have no common factor look irregular.
    fibres = 1.0 + 0.10 * np.cos(RAYS * angle) + 0.06 * np.cos(37 * angle + 9.0 * share[..., 0])
    colour = (np.array(INNER) * (1 - share) + np.array(OUTER) * share) * fibres[..., None]
    colour = _over(colour, np.array(LIMBUS), _inside(IRIS_RADIUS - 2 * SOFT - radius, 2 * SOFT))
    colour = _over(np.array(PUPIL), colour, _inside(radius - PUPIL_RADIUS, SOFT))
    colour = _over(_srgb(np.array(white)), colour, _inside(IRIS_RADIUS - radius, SOFT))
    image = np.clip(np.rint(colour), 0, 255).astype(np.uint8)
    done, data = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
    if not done:
        raise ValueError("the picture of the irises cannot be encoded")
    return data.tobytes()


def _inside(distance: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """0 to 1 over a border of that width around distance 0: 1 where it is large."""
    share = np.clip(distance / width + 0.5, 0.0, 1.0)
    return np.asarray((share * share * (3 - 2 * share))[..., None])


def _over(
    below: NDArray[np.floating] | NDArray[np.integer],
    above: NDArray[np.floating] | NDArray[np.integer],
    share: NDArray[np.float64],
) -> NDArray[np.float64]:
    return np.asarray(below * (1 - share) + above * share, np.float64)


def _srgb(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """0-255 as pictures hold it (IEC 61966-2-1)."""
    low = linear <= 0.0031308
    return np.where(low, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
