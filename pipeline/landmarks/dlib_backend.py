"""The `dlib` detector: HOG face detector and the 68-landmark regression trees (iBUG 300-W).

dlib and its weights are the extra `dlib`; they are imported and read when a detector is made.
"""

from __future__ import annotations

import math
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import numpy.typing as npt

from ...errors import WeightsError
from .detector import Box, angle_of, box_of_turned, landmark_angle, nearest_turn, rotation
from .dlib_trees import evaluate, read_landmark_trees

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

MODEL_PACKAGE = "face_recognition_models"
MODEL_FILE = "shape_predictor_68_face_landmarks.dat"

INSTALL = "pip install '.[dlib]' in glee's checkout"

# The HOG detector finds faces from 80 pixels on: images are halved until they are this small, and
# less so for a thorough search.
_QUICK_SIDE = 600
_THOROUGH_SIDE = 1300
# Smaller images are doubled for a thorough search.
_SMALL_SIDE = 320

# What the predictor sees around the box, in box sides; beyond, everything is black to it.
_MARGIN = 0.25
# The trees are steered by the box: the mean over boxes of several sizes is steadier, and how far
# their results lie apart tells how sure they are.
_BOX_SCALES = (0.94, 1.06)
# Mean distance between those results, over the box side, at which confidence has fallen to 1/e.
_SPREAD = 0.02

# The detector's box from the landmarks: side over their root mean square radius, and the centre's
# offset in sides. Medians over detections in real videos.
_SIDE_OVER_RADIUS = 2.85
_CENTRE_OFFSET = (0.0, -0.026)


def model_path() -> Path:
    """Find the landmark model inside the installed package, without importing it.

    (The package's own import needs `pkg_resources`, which current setuptools lacks.)

    Returns
    -------
    Path
        The model file.

    Raises
    ------
    WeightsError
        Naming the file and the remedy where it is missing.
    """
    spec = find_spec(MODEL_PACKAGE)
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        path = Path(folder) / "models" / MODEL_FILE
        if path.is_file():
            return path
    if not folders:
        raise WeightsError(
            f"detector dlib: {MODEL_FILE} is missing, since the extra dlib is not installed; "
            f"{INSTALL}"
        )
    raise WeightsError(
        f"{folders[0]}/models: {MODEL_FILE} is missing; install it with "
        "`pip install --force-reinstall face-recognition-models==0.3.0`"
    )


def dlib_module() -> ModuleType:
    """Import dlib.

    Returns
    -------
    module
        The package dlib.

    Raises
    ------
    WeightsError
        Naming the extra where it is not installed.
    """
    try:
        return import_module("dlib")
    except ImportError as error:
        what = " ".join(str(error).split())
        raise WeightsError(
            f"detector dlib needs the extra dlib, which is not installed ({what}); {INSTALL}"
        ) from None


class DlibDetector:
    """Faces and landmarks by dlib; the models are loaded when it is made.

    Raises
    ------
    WeightsError
        Where dlib or the model file is missing, or the file cannot be read.
    """

    name = "dlib"
    # Upside-down faces and those rolled too far score 0.8 and less.
    upright_from = 0.9

    def __init__(self) -> None:
        self._trees = read_landmark_trees(model_path())
        dlib = dlib_module()
        self._detector = dlib.get_frontal_face_detector()
        self.version = str(dlib.__version__)

    def detect(self, image: Image, *, thorough: bool = False) -> list[tuple[Box, float]]:
        """Find faces of 160 pixels in a 640x360 image; thorough, of 80.

        Parameters
        ----------
        image : (h, w, 3) uint8
            RGB.
        thorough : bool
            Look for small faces too.

        Returns
        -------
        list of (Box, float)
            Boxes with scores in [0, 1], best first.
        """
        longer = max(image.shape[:2])
        quick = 0.5 ** max(math.ceil(math.log2(longer / _QUICK_SIDE)), 0)
        found = self._detect_at(image, quick)
        if found or not thorough:
            return found
        fine = 0.5 ** max(math.ceil(math.log2(longer / _THOROUGH_SIDE)), 0)
        if longer <= _SMALL_SIDE:
            fine = 2.0
        return self._detect_at(image, fine) if fine != quick else []

    def _detect_at(self, image: Image, scale: float) -> list[tuple[Box, float]]:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if scale != 1.0:
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=how)
        boxes, scores, _ = self._detector.run(grey, 0, 0.0)
        return [
            (
                Box(*(side / scale for side in (b.left(), b.top(), b.right() + 1, b.bottom() + 1))),
                1.0 - math.exp(-2.0 * score),
            )
            for b, score in zip(boxes, scores, strict=True)
        ]

    def landmarks(self, image: Image, box: Box) -> tuple[npt.NDArray[np.float32], float]:
        """Find the landmarks of a face.

        Parameters
        ----------
        image : (h, w, 3) uint8
            RGB.
        box : Box
            The face's, source pixels.

        Returns
        -------
        landmarks : (68, 2) float32
            Source pixels.
        confidence : float
            How well box sizes agree on them, in [0, 1].
        """
        side = max(box.right - box.left, box.bottom - box.top, 1.0)
        centre = np.array([box.left + box.right, box.top + box.bottom]) / 2.0
        turn = nearest_turn(angle_of(box))
        reach = side * (0.5 + _MARGIN)
        if turn:
            grey, transform = _turned_surroundings(image, centre, reach, turn)
        else:
            grey, transform = _surroundings(image, centre, reach)
        x, y = transform[:, :2] @ centre + transform[:, 2]
        one, other = (
            evaluate(self._trees, grey, x - half, y - half, 2.0 * half, 2.0 * half, False)
            for half in (scale * side / 2.0 for scale in _BOX_SCALES)
        )
        # Of two, the mean is as far from both.
        spread = float(np.sqrt(((one - other) ** 2).sum(1)).mean()) / (2.0 * side)
        source = ((one + other) / 2.0 - transform[:, 2]) @ transform[:, :2]
        return source.astype(np.float32), math.exp(-((spread / _SPREAD) ** 2))

    def box_of(self, landmarks: npt.NDArray[np.float32]) -> Box:
        """Give the box that `detect` would give to the face with these landmarks.

        Parameters
        ----------
        landmarks : (68, 2) float32
            Source pixels.

        Returns
        -------
        Box
            Source pixels, turned as the face is.
        """
        turn = nearest_turn(landmark_angle(landmarks))
        return box_of_turned(_box_of_upright, landmarks, turn)


def _box_of_upright(landmarks: npt.NDArray[np.float32]) -> Box:
    centre = landmarks.mean(0, dtype=np.float64)
    radius = math.sqrt(float(((landmarks - centre) ** 2).sum(1).mean()))
    side = _SIDE_OVER_RADIUS * radius
    x, y = centre + side * np.array(_CENTRE_OFFSET)
    return Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)


def _surroundings(image: Image, centre: Floats, reach: float) -> tuple[Image, Floats]:
    """The part of an image within reach of a point, grey; and the map (2, 3) to its pixels."""
    height, width = image.shape[:2]
    low = np.clip(np.floor(centre - reach), 0, [width - 1, height - 1]).astype(int)
    high = np.clip(np.ceil(centre + reach), low + 1, [width, height]).astype(int)
    grey = cv2.cvtColor(image[low[1] : high[1], low[0] : high[0]], cv2.COLOR_RGB2GRAY)
    return np.asarray(grey, np.uint8), np.column_stack([np.eye(2), -low])


def _turned_surroundings(
    image: Image, centre: Floats, reach: float, turn: float
) -> tuple[Image, Floats]:
    """The same turned back, so that a face that is turned is upright in it; black outside."""
    half = math.ceil(reach)
    back = rotation(-turn)
    transform = np.column_stack([back, half - back @ np.round(centre)])
    part = cv2.warpAffine(image, transform, (2 * half + 1, 2 * half + 1))
    return np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), np.uint8), transform
