"""Pictures of a report: a face with landmarks, its crop, and the fitted mesh over it."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import numpy.typing as npt

from ..fitting.camera import Camera, to_camera
from ..fitting.morphable_model.landmark_scheme import CURVES
from ..fitting.morphable_model.morphable_model import MorphableModel
from ..fitting.morphable_model.surface import vertex_normals
from ..fitting.render.rasteriser import Raster, rasterise, screen_points

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating]

# Okabe and Ito (2008): distinct with every kind of colour vision.
DETECTED, TRUE = (86, 180, 233), (230, 159, 0)
# Of the mesh, lit; parts that are not named have the skin's.
_SKIN = (96, 188, 162)
_PART_COLOURS = {"lips": (70, 150, 140), "eyes": (225, 230, 230), "teeth": (225, 230, 230)}
SIDE = 420  # of a square picture, pixels
JPEG_QUALITY = 86
MARGIN = 1.5  # of the square around the landmarks over their larger extent
MESH_SHARE = 0.72
_LIGHT = np.array([0.35, 0.45, 0.82], np.float32)  # towards the lamp, nearly a unit vector
_SHIFT = 4  # sub-pixel bits of OpenCV's drawing


def square_around(landmarks: Floats) -> npt.NDArray[np.float64]:
    """Find the similarity from source pixels to a picture with the face in its middle.

    Parameters
    ----------
    landmarks : (k, 2) float, source pixels
        Of the face.

    Returns
    -------
    (2, 3) float64
        The transform.
    """
    low, high = landmarks.min(0), landmarks.max(0)
    side = MARGIN * float((high - low).max())
    middle = 0.5 * (low + high) - (0.0, 0.08 * side)
    scale = SIDE / side
    shift = 0.5 * (SIDE - 1) - scale * middle
    return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])


def cut_out(image: Image, to_picture: npt.NDArray[np.float64]) -> Image:
    """Cut the picture out of a frame.

    Parameters
    ----------
    image : (h, w, 3) uint8
        RGB, the frame.
    to_picture : (2, 3) float64
        From `square_around`.

    Returns
    -------
    (SIDE, SIDE, 3) uint8
        RGB.
    """
    flags = cv2.INTER_CUBIC if to_picture[0, 0] > 1 else cv2.INTER_AREA
    grey = (128, 128, 128)
    cut = cv2.warpAffine(image, to_picture, (SIDE, SIDE), flags=flags, borderValue=grey)
    return np.asarray(cut, np.uint8)


def with_landmarks(
    image: Image, to_picture: npt.NDArray[np.float64], detected: Floats, true: Floats
) -> Image:
    """Draw the true landmarks as rings and the detected ones as dots on curves.

    Parameters
    ----------
    image : (h, w, 3) uint8
        RGB, the frame.
    to_picture : (2, 3) float64
        From `square_around`.
    detected, true : (68, 2) float, source pixels
        Landmarks.

    Returns
    -------
    (SIDE, SIDE, 3) uint8
        RGB.
    """
    picture = cut_out(image, to_picture)
    for points, colour, true_ones in ((true, TRUE, True), (detected, DETECTED, False)):
        fixed = np.round(_moved(points, to_picture) * (1 << _SHIFT)).astype(np.int32)
        if not true_ones:
            for curve in CURVES.values():
                line = [fixed[list(curve)]]
                cv2.polylines(picture, line, False, colour, 1, cv2.LINE_AA, _SHIFT)
        for x, y in fixed.tolist():
            if true_ones:
                cv2.circle(picture, (x, y), 4 << _SHIFT, colour, 2, cv2.LINE_AA, _SHIFT)
                continue
            cv2.circle(picture, (x, y), 3 << _SHIFT, (20, 20, 20), -1, cv2.LINE_AA, _SHIFT)
            cv2.circle(picture, (x, y), 2 << _SHIFT, colour, -1, cv2.LINE_AA, _SHIFT)
    return picture


def with_mesh(
    image: Image,
    to_picture: npt.NDArray[np.float64],
    model: MorphableModel,
    mesh: Floats,
    pose: Floats,
    camera: Camera,
) -> Image:
    """Draw a shaded mesh over the face.

    Parameters
    ----------
    image : (h, w, 3) uint8
        RGB, the frame.
    to_picture : (2, 3) float64
        From `square_around`.
    model : MorphableModel
        Its triangles and their parts are used.
    mesh : (n, 3) float, decimetres
        In model coordinates.
    pose : (6,) float
        Rotation vector (radians) and translation (decimetres), see camera.py.
    camera : Camera
        Of the frame.

    Returns
    -------
    (SIDE, SIDE, 3) uint8
        RGB.
    """
    picture = cut_out(image, to_picture)
    in_camera = to_camera(mesh, pose).astype(np.float32)
    screen = screen_points(in_camera, camera.focal, camera.centre)
    screen[:, :2] = _moved(screen[:, :2], to_picture)
    raster = rasterise(screen, model.triangles, Raster.empty(SIDE, SIDE))
    normals = vertex_normals(in_camera, model.triangles)
    covered = raster.triangle >= 0
    corners = model.triangles[raster.triangle[covered]]
    first, second = raster.weights[covered].T
    weights = np.stack([first, second, 1.0 - first - second], axis=1)
    brightness = np.einsum("pk,pk->p", weights, (normals @ _LIGHT)[corners])
    shade = 0.3 + 0.75 * np.clip(brightness, 0.0, 1.0)
    palette = np.array([_PART_COLOURS.get(name, _SKIN) for name in model.part_names], np.float32)
    colour = np.clip(shade[:, None] * palette[model.parts[raster.triangle[covered]]], 0, 255)
    blended = MESH_SHARE * colour + (1.0 - MESH_SHARE) * picture[covered]
    picture[covered] = np.rint(blended).astype(np.uint8)
    return picture


def jpeg_uri(picture: Image) -> str:
    """Encode a `picture`, (h, w, 3) uint8 RGB, as a data URI."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"picture of shape {picture.shape} cannot be encoded")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def _moved(points: Floats, to_picture: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(points @ to_picture[:, :2].T + to_picture[:, 2])
