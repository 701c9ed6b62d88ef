"""The pictures of a synthetic clip, one by one: as ever, or with parts left out or added."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from ..fitting.camera import Camera
from ..fitting.morphable_model.morphable_model import MorphableModel
from ..fitting.render.renderer import Appearance, render, render_moving
from ..fitting.render_levers import Levers, pulled

BEST_QUALITY = 100  # of JPEG
COMPRESSED_QUALITY = 18
# Moments of an open shutter, in frames from its middle.
MOMENTS = np.linspace(-0.25, 0.25, 5)

Picture = NDArray[np.uint8]


def draw_pictures(
    model: MorphableModel,
    f_shape: NDArray[np.floating],
    f_exp: NDArray[np.floating],
    pose: NDArray[np.floating],
    camera: Camera,
    look: Appearance,
    levers: Levers,
    rng: np.random.Generator,
    *,
    every: int = 1,
) -> Iterator[Picture]:
    """Pictures (h, w, 3) uint8 RGB of the first of each `every` frames.

    f_shape: (s,). f_exp: (n, e). pose: (n, 6). rng: of the noise.
    """
    look = pulled(look, levers)
    for frame in range(0, len(f_exp), every):
        if "motion-blur" in levers.added:
            meshes = [model.shape(f_shape, row) for row in _between(f_exp, frame)]
            poses = _between(pose, frame)
            picture = render_moving(model, meshes, list(poses), camera, look, rng)
        else:
            mesh = model.shape(f_shape, f_exp[frame])
            picture = render(model, mesh, pose[frame], camera, look, rng)
        yield compressed(picture) if "compression" in levers.added else picture


def _between(course: NDArray[np.floating], frame: int) -> NDArray[np.floating]:
    """A course (n, k) at the moments of a frame's open shutter: (5, k), linear between frames."""
    at = np.clip(frame + MOMENTS, 0, len(course) - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(course) - 1)
    share = (at - low)[:, None]
    return np.asarray((1 - share) * course[low] + share * course[high], course.dtype)


def quality(usual: int, levers: Levers) -> int:
    """The JPEG quality of a file that usually has `usual`."""
    return BEST_QUALITY if "codec" in levers.without else usual


def compressed(picture: Picture, at: int = COMPRESSED_QUALITY) -> Picture:
    """A picture (h, w, 3) as JPEG of quality `at` leaves it."""
    options = [cv2.IMWRITE_JPEG_QUALITY, at]
    data = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), options)[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
