"""Dense points of a backend, kept beside the 68 landmarks that a tracker follows."""

from __future__ import annotations

from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from ...errors import UsageError
from .detector import REFINED, Box, Detector, Image, Landmarks, Wrapped


class DenseBackend(Detector, Protocol):
    """A backend that knows more points of a face than 68.

    Attributes
    ----------
    dense_points : int
        How many.
    """

    dense_points: int

    def landmarks_dense(self, image: Image, box: Box) -> tuple[npt.NDArray[np.float32], float]:
        """Find all points of a face.

        Parameters
        ----------
        image : (h, w, 3) uint8
            RGB.
        box : Box
            The face's, source pixels.

        Returns
        -------
        points : (d, 2) or (d, 3) float32
            Source pixels, with or without a depth.
        confidence : float
            In [0, 1].
        """

    def landmarks_of(self, points: npt.NDArray[np.float32]) -> Landmarks:
        """Give the 68 landmarks of all points.

        Parameters
        ----------
        points : (d, 2) or (d, 3) float32
            As `landmarks_dense` gives them.

        Returns
        -------
        (68, 2) float32
            Source pixels.
        """


class BlendshapeBackend(DenseBackend, Protocol):
    """A backend with a network that reads blendshapes from all of its points."""

    def blendshapes(self, points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Read the blendshapes of faces.

        Parameters
        ----------
        points : (n, d, 2) float32
            As `landmarks_dense` gives them, source pixels.

        Returns
        -------
        (n, 52) float32
            In [0, 1], in the order of `fitting.witness.BLENDSHAPES`.
        """


def has_blendshapes(detector: Detector) -> bool:
    """Tell whether a backend is a `BlendshapeBackend`.

    Parameters
    ----------
    detector : Detector
        The backend, or a wrapper of it.

    Returns
    -------
    bool
        Whether `DenseDetector.blendshapes` can be asked.
    """
    innermost = detector.innermost if isinstance(detector, Wrapped) else detector
    return hasattr(innermost, "landmarks_dense") and hasattr(innermost, "blendshapes")


class SeeingBackend(DenseBackend, Protocol):
    """A backend that knows which of its landmarks are seen."""

    def landmarks_seen(
        self, image: Image, box: Box
    ) -> tuple[npt.NDArray[np.float32], float, npt.NDArray[np.float32]]:
        """Find all points of a face, and tell what lies before it.

        Parameters
        ----------
        image, box
            As in `landmarks_dense`.

        Returns
        -------
        points, confidence
            As `landmarks_dense` gives them.
        seen : (68,) float32
            How probable it is that each of the 68 landmarks is seen, in [0, 1].
        """


Seen = npt.NDArray[np.float32]


def dense_and_seen(backend: Any, image: Image, box: Box) -> tuple[Landmarks, float, Seen | None]:
    """Find all points of a face, and which landmarks are seen where the backend knows it.

    Parameters
    ----------
    backend : DenseBackend
        Perhaps a `SeeingBackend`.
    image : (h, w, 3) uint8
        RGB.
    box : Box
        The face's, source pixels.

    Returns
    -------
    points, confidence
        As `DenseBackend.landmarks_dense` gives them.
    seen : (68,) float32 or None
        As `SeeingBackend.landmarks_seen` gives it; None where the backend does not know.
    """
    if hasattr(backend, "landmarks_seen"):
        return cast(SeeingBackend, backend).landmarks_seen(image, box)
    points, confidence = cast(DenseBackend, backend).landmarks_dense(image, box)
    return points, confidence, None


class DenseDetector(Wrapped):
    """A backend, or one with the refiner behind it, whose dense points are at hand.

    Landmarks, boxes and confidences are the backend's own.

    Parameters
    ----------
    detector : Detector
        The backend.

    Attributes
    ----------
    count : int
        How many dense points it has.

    Raises
    ------
    UsageError
        Where the backend has no dense points.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__(detector)
        if not hasattr(self.innermost, "landmarks_dense"):
            raise UsageError(
                f"detector {detector.name}: has no dense points; take mesh or mesh{REFINED}, or "
                "leave out --dense"
            )
        self._dense = cast(DenseBackend, self.innermost)
        self.count = self._dense.dense_points
        self._found: list[tuple[Landmarks, Landmarks, Seen | None]] = []

    def landmarks(self, image: Image, box: Box) -> tuple[Landmarks, float]:
        """Find the landmarks as the backend does; the dense points are kept until `dense_of`."""
        points, confidence, seen = dense_and_seen(self._dense, image, box)
        landmarks = self.refined(image, self._dense.landmarks_of(points))
        self._found.append((landmarks, np.ascontiguousarray(points[:, :2], np.float32), seen))
        return landmarks, confidence

    def seen_of(self, landmarks: Landmarks) -> Seen | None:
        """Tell which landmarks are seen. To be asked before `dense_of`, which forgets it.

        Parameters
        ----------
        landmarks : (68, 2) float32
            The very array that `landmarks` returned.

        Returns
        -------
        (68,) float32 or None
            Probabilities; None where the backend does not know.
        """
        return next((seen for own, _, seen in self._found if own is landmarks), None)

    def dense_of(self, landmarks: Landmarks) -> npt.NDArray[np.float32]:
        """Give the dense points that were found with landmarks. To be asked once a frame.

        What was found for the frame is forgotten.

        Parameters
        ----------
        landmarks : (68, 2) float32
            The very array that `landmarks` returned.

        Returns
        -------
        (count, 2) float32
            Source pixels, NaN where these landmarks have none.
        """
        found = next((dense for own, dense, _ in self._found if own is landmarks), None)
        self._found.clear()
        return np.full((self.count, 2), np.nan, np.float32) if found is None else found

    def blendshapes(self, points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Read blendshapes from dense points, where `has_blendshapes` says that it can be done.

        Parameters
        ----------
        points : (n, count, 2) float32
            As `dense_of` gives them, source pixels.

        Returns
        -------
        (n, 52) float32
            In [0, 1]; NaN gives NaN.
        """
        return cast(BlendshapeBackend, self.innermost).blendshapes(points)

    def latest(self) -> npt.NDArray[np.float32]:
        """Give the dense points that were found last; all are forgotten.

        Returns
        -------
        (count, 2) float32
            Source pixels.
        """
        dense = self._found[-1][1]
        self._found.clear()
        return dense
