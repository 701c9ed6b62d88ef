"""The `mesh` detector as the pipeline uses it: one network for faces, one for their points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ....errors import UsageError, WeightsError
from ...images.crops import Image
from ..detector import Box, TurnedBox, rotation
from .blendshapes import chosen_points
from .detection import (
    box_of_face,
    crop_of,
    crop_transform,
    faces_from,
    letterbox,
    to_source,
)
from .points import COUNT, landmarks_from_mesh
from .search import scales, unknown, windows

# A thorough search asks the mesh whether what the detector took for a small face is one: the least
# confidence at the last of so many looks, each in the box of the points of the one before; so many
# faces at once, and the most of one scale that are asked about.
_CONFIRMED, _LOOKS = 0.5, 2
_ASKED_TOGETHER, _ASKED = 8, 256

# The box from landmarks is what MediaPipe's Face Landmarker makes of all points of the frame
# before: their extent along the face's axes, the longer side. Of the 68 landmarks, which end at
# the brows: the side over their height and over their width, and how much higher its middle is, in
# sides. On 218 photographs the side differs from MediaPipe's by 2.6 % and the middle by 1.3 % of a
# side (one standard deviation).
_SIDE_OVER_HEIGHT = 1.207
_SIDE_OVER_WIDTH = 1.008
_HIGHER = 0.0865

# The presence that is a confidence of a half; MediaPipe's own limit is 0. Measured on 148
# photographs and frames of videos: faces from 1.7 up, 1 % below 5; with the lower half painted over
# 1 % below 0; blurred by a thirtieth of their side or cut by the image's border 5 % below 0; what
# is no face at most -0.9. Upside-down faces taken for upright ones reach 9: the detector's scores
# tell the way up.
_EVEN_PRESENCE = 1.0

Landmarks = npt.NDArray[np.float32]


class Engine(Protocol):
    """What runs the networks.

    Attributes
    ----------
    name : str
        As the detector's version states it.
    """

    name: str

    def faces(self, pixels: Image) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Numbers (a, 16) and scores (a,) of a picture's anchors. pixels: (h, w, 3)."""

    def mesh(
        self, crops: Sequence[Image]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Points (n, 478, 3), presence (n,) and odds (n, 68) of n crops.

        crops: (256, 256, 3) RGB, or with a fourth channel that is not looked at.
        """

    def blendshapes(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        """Coefficients (n, 52) of points (n, 146, 2) from their mean."""


# Engines by name; the first that is installed runs the networks on a CPU.
ENGINES = ("ncnn", "torch")


class MeshDetector:
    """Faces and landmarks by MediaPipe's networks; their weights are read when it is made.

    device: where the networks run, "cpu" or "cuda". On a CPU they use one core.
    variant: one of ENGINES, as in `mesh:torch`; None for the fastest that is installed.
    """

    name = "mesh"
    dense_points = COUNT

    def __init__(self, device: str = "cpu", variant: str | None = None) -> None:
        """Raises UsageError for an unknown variant, WeightsError where the engine's library or a
        weights file is missing, or does not fit.
        """
        self._engine = _engine(device, variant)
        # Of MediaPipe's bundle, the first digits of its SHA-256; and what runs the networks.
        self.version = f"face_landmarker-64184e22-{self._engine.name}"

    def detect(self, image: Image, *, thorough: bool = False) -> list[tuple[Box, float]]:
        """Faces with scores, best first; of a fifth of the image's longer side, or smaller.

        Thorough: of 20 pixels between the outer eye corners too, each confirmed by the mesh.
        """
        square, transform = letterbox(image)
        found = self._seen(square, np.diag(transform[:, :2]), transform[:, 2])
        if thorough:
            sure = self._confirmed(image, found)
            for scale in scales(*image.shape[:2]):
                fresh = unknown(self._seen_at(image, scale), sure)
                sure += unknown(self._confirmed(image, fresh[:_ASKED]), sure)
            # What the mesh is not sure of hides no small face.
            found = sure + unknown(found, sure)
        return sorted(found, key=lambda face: -face[1])

    def _seen(
        self, pixels: Image, scale: npt.ArrayLike, origin: npt.ArrayLike
    ) -> list[tuple[Box, float]]:
        """Faces that the detector sees in an image of its own scale, in source pixels.

        scale, origin: (2,), from source pixels to the image's.
        """
        numbers, scores = self._engine.faces(pixels)
        faces = faces_from(numbers, scores, pixels.shape[:2])
        return [
            (box_of_face((face - np.asarray(origin)) / np.asarray(scale)), float(score))
            for face, score in zip(*faces, strict=True)
        ]

    def _seen_at(self, image: Image, scale: float) -> list[tuple[Box, float]]:
        """Faces that the detector sees in the windows of an image at one scale."""
        found = []
        for window in windows(image, scale):
            steps = np.array(window.scale)
            origin = (steps - 1) / 2 - [window.left, window.top]
            found += self._seen(window.pixels, steps, origin)
        return found

    def _confirmed(self, image: Image, faces: list[tuple[Box, float]]) -> list[tuple[Box, float]]:
        """Those of the detector's faces that the mesh takes for faces, in the boxes of its points.

        A small face's box by the detector is off by up to a third of its side.
        """
        kept = []
        for start in range(0, len(faces), _ASKED_TOGETHER):
            some = faces[start : start + _ASKED_TOGETHER]
            boxes = [box for box, _ in some]
            for _ in range(_LOOKS):
                points, sure = self.landmarks_of_many([image] * len(boxes), boxes)
                boxes = [self.box_of(self.landmarks_of(own)) for own in points]
            kept += [
                (box, score)
                for box, (_, score), confidence in zip(boxes, some, sure, strict=True)
                if confidence >= _CONFIRMED
            ]
        return kept

    def landmarks(self, image: Image, box: Box) -> tuple[Landmarks, float]:
        """Landmarks (68, 2) float32, source pixels, and the confidence that it is a face."""
        points, confidence = self.landmarks_dense(image, box)
        return self.landmarks_of(points), confidence

    def landmarks_of(self, points: npt.NDArray[np.float32]) -> Landmarks:
        """The 68 landmarks (68, 2) of all points (478, 3)."""
        return landmarks_from_mesh(points)

    def landmarks_dense(self, image: Image, box: Box) -> tuple[npt.NDArray[np.float32], float]:
        """All points (478, 3) float32: source pixels, depth in the same unit (smaller is nearer);
        and the confidence that the box shows a face, in [0, 1].
        """
        points, confidence, _ = self.landmarks_seen(image, box)
        return points, confidence

    def landmarks_seen(
        self, image: Image, box: Box
    ) -> tuple[npt.NDArray[np.float32], float, npt.NDArray[np.float32]]:
        """As `landmarks_dense`, and how probable it is that each of the 68 landmarks is seen and
        not behind something, (68,) float32 in [0, 1].
        """
        points, confidence, seen = self._of_many([image], [box])
        return points[0], float(confidence[0]), seen[0]

    def landmarks_of_many(
        self, images: Sequence[Image], boxes: Sequence[Box]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """As `landmarks_dense` for n images at once: (n, 478, 3) and (n,)."""
        points, confidence, _ = self._of_many(images, boxes)
        return points, confidence

    def _of_many(
        self, images: Sequence[Image], boxes: Sequence[Box]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """As `landmarks_seen` for n images at once: (n, 478, 3), (n,) and (n, 68)."""
        transforms = [crop_transform(box) for box in boxes]
        crops = [crop_of(*pair, channels=4) for pair in zip(images, transforms, strict=True)]
        points, presence, odds = self._engine.mesh(crops)
        source = [to_source(*pair) for pair in zip(points, transforms, strict=True)]
        confidence = 1.0 / (1.0 + np.exp(_EVEN_PRESENCE - presence))
        seen = 1.0 / (1.0 + np.exp(-odds))
        return np.stack(source), confidence.astype(np.float32), seen.astype(np.float32)

    def blendshapes(self, points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """MediaPipe's 52 coefficients (..., 52), in [0, 1], in the order of `BLENDSHAPES`.

        points: (..., 478, 2) or (..., 478, 3), source pixels, as `landmarks_dense` gives them. NaN
        gives NaN.
        """
        found = self._engine.blendshapes(chosen_points(points))
        return found.reshape(*points.shape[:-2], found.shape[1])

    def box_of(self, landmarks: Landmarks) -> TurnedBox:
        """The box that `detect` would give to the face with these landmarks."""
        return box_around(landmarks)


def box_around(landmarks: npt.NDArray[np.floating]) -> TurnedBox:
    """The box that `MeshDetector.detect` would give to the face with landmarks (68, 2), pixels."""
    x, y = landmarks[42:48].mean(0, dtype=float) - landmarks[36:42].mean(0, dtype=float)
    angle = math.atan2(y, x)
    turned = rotation(angle)
    along = landmarks @ turned
    low, high = along.min(0), along.max(0)
    width, height = high - low
    side = max(_SIDE_OVER_HEIGHT * height, _SIDE_OVER_WIDTH * width)
    x, y = turned @ ((low + high) / 2 - [0.0, _HIGHER * side])
    return TurnedBox(x - side / 2, y - side / 2, x + side / 2, y + side / 2, angle)


def _engine(device: str, variant: str | None) -> Engine:
    if variant not in (None, *ENGINES):
        raise UsageError(f"detector mesh:{variant} is unknown; known are mesh:ncnn and mesh:torch")
    if device != "cpu" and variant == "ncnn":
        raise UsageError(f"detector mesh:ncnn runs on the CPU; leave it out for {device}")
    chosen = variant or ("ncnn" if device == "cpu" and find_spec("ncnn") else "torch")
    try:
        if chosen == "ncnn":
            from .engines.ncnn_engine import NcnnEngine

            return NcnnEngine()
        from .engines.torch_engine import TorchEngine

        return TorchEngine(device)
    except ImportError as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f"detector mesh: {chosen} cannot be imported ({reason}); install it again"
        ) from error
