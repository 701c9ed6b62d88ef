"""The `mesh` detector as the pipeline uses it: one network for faces, one for their points."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...cluster.tasks import one_thread
from ...images.crops import Image
from ..detector import Box, TurnedBox, rotation
from .blendshapes import blendshapes
from .detection import (
    box_of_face,
    crop_of,
    crop_transform,
    faces_from,
    letterbox,
    to_source,
)
from .networks import CROP_SIDE, IMAGE_SIDE, FaceDetector, FaceMesh
from .points import COUNT, landmarks_from_mesh
from .search import scales, unknown, windows
from .visibility import REMEDY, VISIBILITY_PATH, SeeingMesh, VisibilityHead
from .weights import WEIGHTS_PATH, load_into, read_weights

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

# Runs after which a traced network is as fast as it gets.
_WARM_UP = 3

Landmarks = npt.NDArray[np.float32]


class MeshDetector:
    """Faces and landmarks by MediaPipe's networks; their weights are read when it is made.

    device: where the networks run, "cpu" or "cuda". On a CPU they use one core.
    """

    name = "mesh"
    # Of MediaPipe's bundle, the first digits of its SHA-256.
    version = "face_landmarker-64184e22"
    dense_points = COUNT

    def __init__(self, device: str = "cpu") -> None:
        """Raises WeightsError where the weights file is missing or does not fit."""
        parameters = read_weights(WEIGHTS_PATH)
        self._device = torch.device(device)
        self._faces, mesh, head = FaceDetector(), FaceMesh(), VisibilityHead()
        load_into(self._faces, parameters, "detector")
        load_into(mesh, parameters, "mesh")
        load_into(head, read_weights(VISIBILITY_PATH, REMEDY), "visibility", REMEDY)
        self._mesh = SeeingMesh(mesh, head)
        for network in (self._faces, self._mesh):
            network.eval().requires_grad_(False).to(self._device)
            # Channels innermost, as in the crops: else kernels are reordered at each call.
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._alone = {
            self._faces: _straight(self._faces, IMAGE_SIDE, self._device),
            self._mesh: _straight(self._mesh, CROP_SIDE, self._device),
        }

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
        (numbers,), (scores,) = self._run(self._faces, pixels[None], 2 / 255, -1.0)
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
        crops = [crop_of(*pair) for pair in zip(images, transforms, strict=True)]
        points, presence, odds = self._run(self._mesh, np.stack(crops), 1 / 255, 0.0)
        source = [to_source(*pair) for pair in zip(points, transforms, strict=True)]
        confidence = 1.0 / (1.0 + np.exp(_EVEN_PRESENCE - presence))
        seen = 1.0 / (1.0 + np.exp(-odds))
        return np.stack(source), confidence.astype(np.float32), seen.astype(np.float32)

    def blendshapes(self, points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """MediaPipe's 52 coefficients (..., 52), in [0, 1], in the order of `BLENDSHAPES`.

        points: (..., 478, 2) or (..., 478, 3), source pixels, as `landmarks_dense` gives them.
        """
        return blendshapes(points)

    def box_of(self, landmarks: Landmarks) -> TurnedBox:
        """The box that `detect` would give to the face with these landmarks."""
        return box_around(landmarks)

    def _run(
        self, network: torch.nn.Module, images: Image, scale: float, shift: float
    ) -> list[npt.NDArray[np.float32]]:
        """A network's outputs for images (n, side, side, 3), of `scale` x value + `shift`."""
        with torch.inference_mode(), one_thread():
            # (n, 3, side, side) with the channels innermost in memory, as the pixels are.
            batch = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2)
            # The traced networks know one size.
            side = CROP_SIDE if network is self._mesh else IMAGE_SIDE
            alone = images.shape[:3] == (1, side, side)
            run = self._alone[network] if alone else network
            outputs = run(batch.float().mul_(scale).add_(shift))
            return [output.cpu().numpy() for output in outputs]


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


def _straight(
    network: torch.nn.Module, side: int, device: torch.device
) -> Callable[[torch.Tensor], tuple[torch.Tensor, ...]]:
    """A network for one image as a straight list of operations: a quarter of the time is Python's.

    The operations and their results are the same.
    """
    example = torch.zeros(1, 3, side, side, device=device)
    with warnings.catch_warnings(), torch.no_grad(), one_thread():
        # PyTorch deprecates tracing in favour of compilers, which users do not have; and warns of
        # sizes that the trace takes as fixed, as they are here.
        warnings.simplefilter("ignore")
        example = example.contiguous(memory_format=torch.channels_last)
        traced: Callable[[torch.Tensor], tuple[torch.Tensor, ...]]
        traced = torch.jit.freeze(_trace(network, example))
        for _ in range(_WARM_UP):
            traced(example)
    return traced


def _trace(network: torch.nn.Module, example: torch.Tensor) -> torch.jit.ScriptModule:
    trace: Any = torch.jit.trace
    traced: torch.jit.ScriptModule = trace(network, example, check_trace=False)
    return traced
