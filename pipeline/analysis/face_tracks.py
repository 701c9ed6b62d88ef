"""Several faces followed side by side: one tracker a face, detections shared out among them.

Each face has a tracker of its own, which only ever sees its surroundings; the whole image is
searched here, on every N-th frame and after a loss. A face that is lost is remembered for a while
where it should have moved to by then; a detection there is the same face again where it looks like
it, any other one is a new face. After a cut between two pictures, who does not look the same for
certain is a new face, too. Where two trackers come to lie on one face, as when one passes behind
the other, the one whose face was expected there keeps it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..landmarks.detector import Box, Image, Wrapped, overlap
from ..landmarks.face_identity import FaceMemory
from ..landmarks.tracking import MINIMUM_SCORE, FaceTracker, TrackedFrame, missing_frame
from ..options import TrackingOptions
from .gaze import IrisDetector

logger = logging.getLogger(__name__)

# Frames for which a lost face is remembered.
MEMORY = 45
# While a face is followed, every so many searches of the whole image look for small ones too: such
# a search takes as long as following a face through 20 frames.
SMALL_EVERY = 5
# Boxes that overlap by this much are of one face.
SAME_FACE = 0.35
# How far from where it is expected a lost face may come back, in sides of its box; and by how much
# more for every frame that it was lost.
NEAR, DRIFT = 0.6, 0.03
# How different it may look then: over 45 frames of real videos a face comes to differ by up to 0.76
# from what it was, as appearances are compared.
RETURNED = 0.6
# Weight of the newest frame in a face's velocity.
_NEWEST = 0.2

Irises = npt.NDArray[np.float32]
Tracked = tuple[TrackedFrame, Irises]
# A box and its score.
Detection = tuple[Box, float]
# A face's id, its landmarks and its irises.
FoundFace = tuple[int, TrackedFrame, Irises]


class _Window(Wrapped):
    """The detector as one tracker sees it: in the whole image it finds the face it is offered."""

    whole: Image | None = None
    offered: Detection | None = None

    def detect(self, image: Image, *, thorough: bool = False) -> list[tuple[Box, float]]:
        if image is self.whole:
            return [] if self.offered is None else [self.offered]
        return super().detect(image, thorough=thorough)


@dataclass(eq=False)
class _Face:
    face_id: int
    window: _Window
    tracker: FaceTracker
    box: Box
    memory: FaceMemory
    person: int
    velocity: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    lost: int = 0

    def expected(self) -> Box:
        """Where the face should be in the next frame."""
        return _moved(self.box, self.velocity * (self.lost + 1))

    def found_at(self, box: Box) -> None:
        step = (_centre(box) - _centre(self.box)) / (self.lost + 1)
        self.velocity = (1 - _NEWEST) * self.velocity + _NEWEST * step
        self.box, self.lost = box, 0


class FaceTracks:
    """Follows several faces; ids count from 0 in the order of appearance and size.

    Parameters
    ----------
    detector : IrisDetector
        The backend.
    most : int
        So many faces are followed, at most.
    options : TrackingOptions or None
        How each is followed, and on which frames the whole image is searched; None for the
        defaults.
    """

    def __init__(
        self, detector: IrisDetector, *, most: int, options: TrackingOptions | None = None
    ) -> None:
        self._detector = detector
        self._most = most
        self._options = options or TrackingOptions()
        self._faces: list[_Face] = []
        self._next_id = 0
        self._number = 0
        self._said_too_many = False

    def follow(self, image: Image | None) -> list[FoundFace]:
        """Find the faces of the next frame.

        Parameters
        ----------
        image : (h, w, 3) uint8 or None
            RGB; None where the frame is unreadable.

        Returns
        -------
        list of FoundFace
            Id, landmarks and irises of each, by id; the id is -1 where there is no face.
        """
        scheduled = self._number % self._options.detect_every == 0
        self._number += 1
        if image is None:
            reason = "unreadable"
            found = {face.face_id: _not_found(reason) for face in self._faces}
        else:
            reason = "no_face"
            found = self._step(image, scheduled=scheduled)
        if not found:
            found = {-1: _not_found(reason)}
        return [(face_id, *found[face_id]) for face_id in sorted(found)]

    def _step(self, image: Image, *, scheduled: bool) -> dict[int, Tracked]:
        found: dict[int, Tracked] = {}
        for face in self._faces:
            if not face.lost:
                tracked = self._track(face, image, None)
                self._name_anew(face)
                found[face.face_id] = tracked
        self._separate(found)
        away = any(face.face_id not in found or _is_lost(found, face) for face in self._faces)
        if scheduled or away:
            self._assign(image, found, thorough=scheduled and self._may_add_small(found))
        for face in list(self._faces):
            if face.face_id in found and found[face.face_id][0].reason == "ok":
                continue
            face.lost += 1
            face.memory.pass_on(image)
            found[face.face_id] = _not_found("lost_track")
            if face.lost > MEMORY:
                self._faces.remove(face)
                del found[face.face_id]
        return found

    def _name_anew(self, face: _Face) -> None:
        """A new id where it is another person's face now."""
        if face.memory.person != face.person:
            face.person, face.face_id = face.memory.person, self._next_id
            self._next_id += 1

    def _may_add_small(self, found: dict[int, Tracked]) -> bool:
        """Whether it is time to look for small faces: there is room for more of them."""
        live = sum(not _is_lost(found, face) for face in self._faces)
        searches = (self._number - 1) // self._options.detect_every
        return live == 0 or (live < self._most and searches % SMALL_EVERY == 0)

    def _track(self, face: _Face, image: Image, offered: Detection | None) -> Tracked:
        face.window.whole, face.window.offered = image, offered
        tracked = face.tracker.follow(image)
        face.window.whole = None
        irises = self._detector.irises_of(tracked.landmarks)
        return tracked, irises

    def _separate(self, found: dict[int, Tracked]) -> None:
        """Where two trackers lie on one face, the one expected elsewhere has lost its own."""
        live = [face for face in self._faces if not _is_lost(found, face)]
        boxes = {face.face_id: self._detector.box_of(_landmarks(found, face)) for face in live}
        for place, one in enumerate(live):
            for other in live[place + 1 :]:
                if _is_lost(found, one) or _is_lost(found, other):
                    continue
                if overlap(boxes[one.face_id], boxes[other.face_id]) < SAME_FACE:
                    continue
                away = max(one, other, key=lambda face: _distance(face, boxes[face.face_id]))
                found[away.face_id] = _not_found("lost_track")
                away.tracker = self._new_tracker(away.window, away.memory)
        for face in live:
            if not _is_lost(found, face):
                face.found_at(boxes[face.face_id])

    def _assign(
        self,
        image: Image,
        found: dict[int, Tracked],
        *,
        thorough: bool,
    ) -> None:
        """Give detections that nobody follows to lost faces, then to new ones, largest first."""
        taken = [face.box for face in self._faces if not _is_lost(found, face)]
        faces = self._detector.detect(image, thorough=thorough)
        free = [
            (box, score)
            for box, score in faces
            if score >= MINIMUM_SCORE and all(overlap(box, other) < SAME_FACE for other in taken)
        ]
        lost = [face for face in self._faces if _is_lost(found, face)]
        pairs = sorted(
            (
                (_distance(face, box), face.face_id, place)
                for face in lost
                for place, (box, _) in enumerate(free)
            ),
        )
        by_id = {face.face_id: face for face in lost}
        used: set[int] = set()
        for distance, face_id, place in pairs:
            face = by_id.get(face_id)
            if face is None or place in used or distance > NEAR + DRIFT * face.lost:
                continue
            if self._follow_anew(face, image, free[place], found):
                used.add(place)
                del by_id[face_id]
        fresh = [one for place, one in enumerate(free) if place not in used]
        self._add_new(image, sorted(fresh, key=lambda one: -one[0].area), found)

    def _add_new(
        self,
        image: Image,
        detections: list[Detection],
        found: dict[int, Tracked],
    ) -> None:
        for detection in detections:
            if sum(face.lost == 0 for face in self._faces) >= self._most:
                if not self._said_too_many:
                    logger.info("more than %d faces; the largest are followed", self._most)
                self._said_too_many = True
                return
            window, memory = _Window(self._detector), FaceMemory(RETURNED)
            tracker = self._new_tracker(window, memory)
            face = _Face(self._next_id, window, tracker, detection[0], memory, memory.person)
            if self._follow_anew(face, image, detection, found):
                self._faces.append(face)
                self._next_id += 1
            else:
                found.pop(face.face_id, None)

    def _follow_anew(
        self,
        face: _Face,
        image: Image,
        detection: Detection,
        found: dict[int, Tracked],
    ) -> bool:
        """Whether a detection is followed; one that looks different from the face is not."""
        face.tracker = self._new_tracker(face.window, face.memory)
        result = self._track(face, image, detection)
        if result[0].reason != "ok":
            return False
        found.pop(face.face_id, None)
        self._name_anew(face)
        found[face.face_id] = result
        face.found_at(self._detector.box_of(result[0].landmarks))
        return True

    def _new_tracker(self, window: _Window, memory: FaceMemory) -> FaceTracker:
        return FaceTracker(window, self._options, memory)


def _not_found(reason: str) -> Tracked:
    return missing_frame(reason), np.full((2, 2), np.nan, np.float32)


def _is_lost(found: dict[int, Tracked], face: _Face) -> bool:
    return face.face_id not in found or found[face.face_id][0].reason != "ok"


def _landmarks(found: dict[int, Tracked], face: _Face) -> npt.NDArray[np.float32]:
    return found[face.face_id][0].landmarks


def _distance(face: _Face, box: Box) -> float:
    """Between a box and where a face is expected, in sides of the face's box."""
    side = max(face.box.right - face.box.left, 1.0)
    return float(np.linalg.norm(_centre(box) - _centre(face.expected()))) / side


def _centre(box: Box) -> npt.NDArray[np.float64]:
    return np.array([box.left + box.right, box.top + box.bottom]) / 2.0


def _moved(box: Box, step: npt.NDArray[np.float64]) -> Box:
    x, y = step
    return Box(box.left + x, box.top + y, box.right + x, box.bottom + y)
