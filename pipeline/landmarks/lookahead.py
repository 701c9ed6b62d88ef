"""A backend that takes several frames at once, for a tracker that takes one after the other.

The box of a frame comes from the landmarks of the one before it. So that a group of frames can go
through the network together, all of them are first given the first one's box; then those whose box
turns out to be another are done again, together. As the boxes of a face that hardly moves are
equal, two rounds do for most groups. What the tracker gets are landmarks of the very boxes that it
asks for: the same as frame by frame, but for the rounding of sums.
"""

from __future__ import annotations

from collections.abc import Sequence

from .detector import BatchDetector, Box, Detector, Image, Landmarks, Wrapped

# Rounds after which a group is left to the tracker's own questions.
_ROUNDS = 4


def batched(detector: Detector) -> Detector:
    """Put a backend behind a `Lookahead` where it is faster with several frames at once.

    Parameters
    ----------
    detector : Detector
        The backend.

    Returns
    -------
    Detector
        The same, or a `Lookahead`.
    """
    return Lookahead(detector) if frames_together(detector) > 1 else detector  # type: ignore[arg-type]


def frames_together(detector: Detector) -> int:
    """Tell how many frames a backend likes to have at once.

    Parameters
    ----------
    detector : Detector
        The backend.

    Returns
    -------
    int
        1 or more.
    """
    return max(int(getattr(detector, "batch", 1)), 1)


class Lookahead(Wrapped):
    """A backend for one run of frames; `show` it each group of frames before they are tracked.

    Parameters
    ----------
    detector : BatchDetector
        The backend that takes several frames at once.
    """

    def __init__(self, detector: BatchDetector) -> None:
        super().__init__(detector)
        self._batched = detector
        self._images: list[Image] = []
        self._known: dict[tuple[int, Box], tuple[Landmarks, float]] = {}

    def show(self, images: Sequence[Image]) -> None:
        """Take the frames that will be asked for next.

        Parameters
        ----------
        images : sequence of (h, w, 3) uint8
            RGB, in order.
        """
        self._images = list(images)
        self._known = {}

    def landmarks(self, image: Image, box: Box) -> tuple[Landmarks, float]:
        """Find the landmarks as the backend does; those of the frames after it come along."""
        frame = next((at for at, other in enumerate(self._images) if other is image), None)
        if frame is None:
            return self.backend.landmarks(image, box)
        if (frame, box) not in self._known:
            self._find_from(frame, box)
        return self._known[frame, box]

    def _find_from(self, frame: int, box: Box) -> None:
        """Landmarks of frame `frame` in a box, and of those after it in the boxes that follow."""
        boxes = dict.fromkeys(range(frame, len(self._images)), box)
        for _ in range(_ROUNDS):
            asked = [at for at, one in boxes.items() if (at, one) not in self._known]
            if not asked:
                return
            landmarks, confidences = self._batched.landmarks_of_batch(
                [self._images[at] for at in asked], [boxes[at] for at in asked]
            )
            for at, points, confidence in zip(asked, landmarks, confidences, strict=True):
                self._known[at, boxes[at]] = (points, float(confidence))
            for at in range(frame + 1, len(self._images)):
                before = self._known.get((at - 1, boxes[at - 1]))
                if before is None:
                    break
                boxes[at] = self.backend.box_of(before[0])
