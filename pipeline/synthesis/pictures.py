"""The pictures of a synthetic clip, one by one: whole, or with parts left out or added."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from ...fitting.camera import Camera
from ...fitting.morphable_model.morphable_model import MorphableModel
from ...fitting.render.appearance import RenderParts, with_parts
from ...fitting.render.renderer import Appearance, render, render_moving

Picture = NDArray[np.uint8]

BEST_QUALITY = 100  # of JPEG
COMPRESSED_QUALITY = 18
# Moments of an open shutter, in frames from its middle.
MOMENTS = np.linspace(-0.25, 0.25, 5)


def draw_pictures(
    model: MorphableModel,
    f_shape: NDArray[np.floating],
    f_exp: NDArray[np.floating],
    pose: NDArray[np.floating],
    camera: Camera,
    appearance: Appearance,
    parts: RenderParts,
    rng: np.random.Generator,
    *,
    every: int = 1,
) -> Iterator[Picture]:
    """Pictures of a clip, whole, or with parts left out or added.

    Parameters
    ----------
    model : that is drawn
    f_shape : (s,), identity coefficients
    f_exp : (n, e), expression coefficients
    pose : (n, 6), rotation vector and translation
    camera : that takes the pictures
    appearance : of the person
    parts : parts to leave out or to add
    rng : of the noise
    every : draw the first frame of so many

    Returns
    -------
    Pictures (h, w, 3) uint8 RGB, one by one.
    """
    appearance = with_parts(appearance, parts)
    for frame in range(0, len(f_exp), every):
        if "motion-blur" in parts.added:
            meshes = [model.shape(f_shape, row) for row in _between(f_exp, frame)]
            poses = _between(pose, frame)
            picture = render_moving(model, meshes, list(poses), camera, appearance, rng)
        else:
            mesh = model.shape(f_shape, f_exp[frame])
            picture = render(model, mesh, pose[frame], camera, appearance, rng)
        yield compressed(picture) if "compression" in parts.added else picture


def _between(course: NDArray[np.floating], frame: int) -> NDArray[np.floating]:
    """A course (n, k) at the moments of a frame's open shutter: (5, k), linear between frames."""
    at = np.clip(frame + MOMENTS, 0, len(course) - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(course) - 1)
    share = (at - low)[:, None]
    return np.asarray((1 - share) * course[low] + share * course[high], course.dtype)


def quality(usual: int, parts: RenderParts) -> int:
    """The JPEG quality of a file.

    Parameters
    ----------
    usual : with all parts, 0-100
    parts : "codec" left out gives the best
    """
    return BEST_QUALITY if "codec" in parts.without else usual


def compressed(picture: Picture, at: int = COMPRESSED_QUALITY) -> Picture:
    """A picture as JPEG leaves it.

    Parameters
    ----------
    picture : (h, w, 3) uint8 RGB
    at : quality, 0-100

    Returns
    -------
    (h, w, 3) uint8 RGB.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, at]
    data = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), options)[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
