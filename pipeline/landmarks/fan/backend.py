"""The `fan` detector as the pipeline uses it: one of face-alignment's face detectors, and FAN."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from ....errors import UsageError
from ...cluster.tasks import one_thread
from ..detector import Box
from .heatmaps import Image, crop_of, crop_transform, landmark_box, landmarks_of, square_box
from .loading import PACKAGE, drop_empty_boxes, load_networks, package
from .weights_files import digest, find_weights

# Frames that go through the network together: a GPU is idle with one, a core is not.
BATCH = {"cpu": 1, "cuda": 16}

# Longer side of the image that the face detector sees, pixels, and of a thorough search.
_QUICK_SIDE = 640
_THOROUGH_SIDE = 1300
# Smaller images get a border: the detectors' networks halve them up to six times.
_LEAST_SIDE = 128
# A box whose side is more than so many images is none.
_LARGEST = 2.0

Landmarks = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


class FanDetector:
    """Faces by a detector of face-alignment, landmarks by its network 2DFAN-4.

    Parameters
    ----------
    variant : str
        The face detector, see `weights_files.DETECTOR_FILES`.
    weights : str or None
        Folder of the weights files; None for hub/checkpoints in TORCH_HOME.
    device : str
        "cpu" or "cuda"; on a CPU one core is used.
    flip : bool
        Take the mean with the mirrored face, at twice the cost.

    Raises
    ------
    UsageError
        For an unknown variant or device.
    WeightsError
        Where the package or a weights file is missing or cannot be used.
    """

    name = "fan"

    def __init__(
        self,
        variant: str = "sfd",
        weights: str | None = None,
        device: str = "cpu",
        flip: bool = True,
    ) -> None:
        kind = device.split(":")[0]
        if kind not in BATCH:
            raise UsageError(f"device {device!r} is unknown; give cpu or cuda")
        if kind == "cuda" and not torch.cuda.is_available():
            raise UsageError(
                f"device {device}: torch finds no GPU here; give --detector-device cpu"
            )
        self._flip_of = package().flip
        network, files = find_weights(variant, device, None if weights is None else Path(weights))
        model = load_networks(variant, device, network, files, flip=flip)
        self._faces, self._network = model.face_detector, model.face_alignment_net
        self._network.requires_grad_(False)
        # face-alignment makes 127 pixels of the 128 of some squares, which BlazeFace refuses.
        self._no_squares = variant == "blazeface"
        if variant == "blazeface":
            drop_empty_boxes(self._faces.face_detector)
        self._device, self._flip = torch.device(device), flip
        self.batch = BATCH[kind]
        self.version = f"{PACKAGE.replace('==', '-')} 2dfan4-{digest(network)} {variant}"
        if files:
            self.version += f"-{digest(Path(files['path_to_detector']))}"

    def detect(self, image: Image, *, thorough: bool = False) -> list[tuple[Box, float]]:
        """Find faces; thorough: in more pixels, where the image has them.

        Parameters
        ----------
        image : (h, w, 3) uint8
            RGB.
        thorough : bool
            Look for small faces too.

        Returns
        -------
        list of (Box, float)
            Boxes with scores in [0, 1].
        """
        longer = max(image.shape[:2])
        found = self._detect_at(image, min(_QUICK_SIDE / longer, 1.0))
        if found or not thorough or longer <= _QUICK_SIDE:
            return found
        return self._detect_at(image, min(_THOROUGH_SIDE / longer, 1.0))

    def _detect_at(self, image: Image, scale: float) -> list[tuple[Box, float]]:
        seen = _sized(image, scale)
        if self._no_squares and seen.shape[0] == seen.shape[1]:
            padded = cv2.copyMakeBorder(seen, 0, 0, 0, 1, cv2.BORDER_CONSTANT)
            seen = np.asarray(padded, np.uint8)
        with torch.inference_mode(), one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows = [np.asarray(row, np.float64) for row in self._faces.detect_from_image(seen)]
        faces = []
        for row in rows:
            if row.shape[0] < 4 or not np.isfinite(row).all():
                continue
            # dlib's detector gives no scores.
            score = float(np.clip(row[4], 0.0, 1.0)) if len(row) > 4 else 1.0
            box = Box(*(row[:4] / scale).tolist())
            if _can_be_a_face(box, image):
                faces.append((square_box(box, self._faces.reference_scale), score))
        return sorted(faces, key=lambda face: (-face[1], face[0]))

    def landmarks(self, image: Image, box: Box) -> tuple[Landmarks, float]:
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
            The mean height of their heat maps' peaks, in [0, 1].
        """
        landmarks, confidence = self.landmarks_of_batch([image], [box])
        return landmarks[0], float(confidence[0])

    def landmarks_of_batch(
        self, images: Sequence[Image], boxes: Sequence[Box]
    ) -> tuple[Landmarks, npt.NDArray[np.float32]]:
        """Find the landmarks of n faces at once.

        Parameters
        ----------
        images : n of (h, w, 3) uint8
            RGB.
        boxes : n of Box
            A face's box in each, source pixels.

        Returns
        -------
        landmarks : (n, 68, 2) float32
            Source pixels.
        confidence : (n,) float32
            In [0, 1].
        """
        transforms = [crop_transform(box) for box in boxes]
        crops = np.stack([crop_of(*pair) for pair in zip(images, transforms, strict=True)])
        maps = self._heat(crops)
        found = [landmarks_of(*pair) for pair in zip(maps, transforms, strict=True)]
        return (
            np.stack([landmarks for landmarks, _ in found]),
            np.array([peak for _, peak in found], np.float32),
        )

    def _heat(self, crops: Image) -> npt.NDArray[np.float32]:
        """Heat maps (n, 68, 64, 64) of crops (n, 256, 256, 3)."""
        with torch.inference_mode(), one_thread():
            batch = torch.from_numpy(crops).to(self._device).permute(0, 3, 1, 2).float() / 255.0
            maps = self._network(batch)[-1]
            if self._flip:
                mirrored = self._network(self._flip_of(batch))[-1]
                maps = (maps + self._flip_of(mirrored, is_label=True)) / 2
            heat: npt.NDArray[np.float32] = maps.float().cpu().numpy()
        return heat

    def box_of(self, landmarks: Landmarks) -> Box:
        """Give the square around landmarks, as FAN was trained with, on a grid.

        Parameters
        ----------
        landmarks : (68, 2) float32
            Source pixels.

        Returns
        -------
        Box
            Source pixels.
        """
        return landmark_box(landmarks)


def _sized(image: Image, scale: float) -> Image:
    """An image made smaller, and not too small for the detectors."""
    if scale < 1.0:
        image = np.asarray(
            cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
    below, beside = (max(_LEAST_SIDE - side, 0) for side in image.shape[:2])
    if below or beside:
        padded = cv2.copyMakeBorder(image, 0, below, 0, beside, cv2.BORDER_CONSTANT)
        image = np.asarray(padded, np.uint8)
    return np.ascontiguousarray(image)


def _can_be_a_face(box: Box, image: Image) -> bool:
    """Whether a box is neither empty nor far larger than the image, and lies in part in it."""
    height, width = image.shape[:2]
    return (
        1.0 <= box.right - box.left <= _LARGEST * max(width, height)
        and 1.0 <= box.bottom - box.top <= _LARGEST * max(width, height)
        and box.right > 0
        and box.bottom > 0
        and box.left < width
        and box.top < height
    )
