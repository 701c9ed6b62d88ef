"""What an overlay draws over a frame: landmarks, the fitted mesh as wire, the face's number."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from ...fitting.camera import to_camera
from ...fitting.fit import Fit
from ...fitting.morphable_model.landmark_scheme import CURVES
from ...fitting.morphable_model.morphable_model import MorphableModel
from .face_frames import FaceRows, Image

# Okabe and Ito (2008): told apart with every kind of colour vision. RGB.
LANDMARKS = (86, 180, 233)
MESH = (225, 240, 235)
INVALID = (213, 94, 0)
_MESH_SHARE = 0.3
_SHIFT = 4  # sub-pixel bits of OpenCV's drawing
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_face(image: Image, rows: FaceRows, index: int, scale: float, *, labelled: bool) -> None:
    """Draw one row's mesh and landmarks over a picture of its frame.

    image: (h, w, 3) uint8 RGB, changed. scale: picture pixels in a source pixel. labelled: write
    the face's number too.
    """
    face = rows.faces[index]
    landmarks = face.tracked.landmarks
    if not np.isfinite(landmarks).all():
        return
    valid = rows.valid(index)
    if valid:
        _draw_mesh(image, rows.fit, index, scale)
    colour = LANDMARKS if valid else INVALID
    points = _fixed(landmarks, scale)
    size = max(float(np.ptp(landmarks[:, 0])) * scale, 1.0)
    width = 2 if size > 260 else 1
    for curve in CURVES.values():
        cv2.polylines(image, [points[list(curve)]], False, colour, width, cv2.LINE_AA, _SHIFT)
    radius = max(round(size / 110.0), 1)
    for x, y in points.tolist():
        cv2.circle(image, (x, y), (radius + 1) << _SHIFT, (20, 20, 20), -1, cv2.LINE_AA, _SHIFT)
        cv2.circle(image, (x, y), radius << _SHIFT, colour, -1, cv2.LINE_AA, _SHIFT)
    if labelled:
        corner = landmarks.min(0) * scale
        place = (int(corner[0]), max(int(corner[1]) - 14, 16))
        text(image, f"face {face.face_id}", place, 0.6, colour)


def text(
    image: Image, words: str, place: tuple[int, int], size: float, colour: tuple[int, int, int]
) -> None:
    """Write words on a dark ground; place: of their lower left corner, pixels."""
    (wide, tall), below = cv2.getTextSize(words, _FONT, size, 1)
    x, y = place
    cv2.rectangle(image, (x - 5, y - tall - 5), (x + wide + 5, y + below + 2), (24, 26, 30), -1)
    cv2.putText(image, words, place, _FONT, size, colour, 1, cv2.LINE_AA)


def _draw_mesh(image: Image, fit: Fit, index: int, scale: float) -> None:
    """The skin's triangles that face the camera, as thin translucent lines."""
    model = fit.model
    seen = to_camera(fit.mesh(index), fit.pose[index])
    triangles = _skin(model)
    first, second, third = (seen[triangles[:, corner]] for corner in range(3))
    normal = np.cross(second - first, third - first)
    towards = np.einsum("nk,nk->n", normal, -first) > 0
    screen = _fixed(fit.project_mesh(index), scale)
    inside = (screen[triangles[towards]] >> _SHIFT).reshape(-1, 6)
    height, width = image.shape[:2]
    low, high = inside.min(1) > -width, inside.max(1) < 2 * max(width, height)
    lines = screen[triangles[towards][low & high]]
    layer = image.copy()
    cv2.polylines(layer, list(lines), True, MESH, 1, cv2.LINE_AA, _SHIFT)
    cv2.addWeighted(layer, _MESH_SHARE, image, 1.0 - _MESH_SHARE, 0.0, dst=image)


@lru_cache(maxsize=2)
def _skin(model: MorphableModel) -> npt.NDArray[np.int32]:
    """Triangles of the face's surface; of all parts where a model does not name them."""
    names = [name for name in ("skin", "lips") if name in model.part_names]
    triangles = model.part_triangles(*names) if names else model.triangles
    # The back of the head says nothing and hides what is behind it.
    front = model.mean[triangles].mean(1)[:, 2] > np.median(model.mean[:, 2]) - 0.3
    return np.asarray(triangles[front], np.int32)


def _fixed(points: npt.NDArray[np.floating], scale: float) -> npt.NDArray[np.int32]:
    """Source pixels (n, 2) as OpenCV's fixed-point numbers of the picture."""
    moved = (np.nan_to_num(points) + 0.5) * scale - 0.5
    return np.asarray(np.clip(np.round(moved * (1 << _SHIFT)), -(2**24), 2**24), np.int32)
