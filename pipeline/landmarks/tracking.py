"""Detect, then track: the face of a run of frames, with each frame's confidence and reason.

The detector looks at the whole image until it finds a face, for small ones on every N-th frame.
From then on the landmarks of one frame give the box of the next, and the detector only looks at
what is around the face: on every N-th frame, and at once where the landmarks jump, are implausible
or unsure. A face that it misses again and again is lost, and the whole image is searched. Where the
face's appearance changes all at once, another face has come in front of it: the track is lost too,
and for a while only the same face is followed. A new face is looked at whichever way it may be
turned, and again until its box has settled.

Everything begins anew with each run of frames, so that a chunk's result depends on its own frames
alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ..images.crops import face_view
from ..options import TrackingOptions
from .detector import (
    TURN,
    Box,
    Detector,
    Image,
    Landmarks,
    TurnedBox,
    angle_of,
    landmark_angle,
    nearest_turn,
    overlap,
    rotation,
    upright_score,
)
from .face_identity import FaceMemory, Plausibility, appearance_descriptor, assess

# Detections below this score do not start a track.
MINIMUM_SCORE = 0.1
# Factor on the trust in a track for each time the detector misses it.
MISS = 0.75
# Agreement below which the detector is asked at once.
UNSURE = 0.6
# Jumps between two frames: of the middle, over the inter-ocular distance; and in size, as a factor.
JUMP = 0.5
GROWTH = 1.3
# Faces that are looked at when one is to be found.
CANDIDATES = 4
# Part of the image's longer side from which on a quick search misses hardly a face: where it found
# one of this size, no larger one is missed.
LARGE = 0.16
# A new face's box has settled where it overlaps the one before by this much; so many looks at most.
SETTLED, LOOKS = 0.9, 4
# A detection that overlaps the tracked box by this much confirms it.
SAME_FACE = 0.4

# The surroundings that the detector sees: sides of the box, and pixels for one side.
SURROUNDINGS = 1.8
FACE_SIDE = 104
# A large face is drawn at most so many times as large before it is averaged down: one of 6,600
# pixels still has half of its own each way. A box as long as a strip of 100,000 pixels asked for a
# square of 90,000.
FINEST = 32
# Zoom of a second look, in which dlib's faces are still of 80 pixels.
FURTHER = 0.8
# By how much less sure a look may be that is looked at again.
CLOSE = 0.15


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """A frame's face.

    Attributes
    ----------
    landmarks : (68, 2) float32
        Source pixels, NaN where none were found.
    confidence : float
        In [0, 1].
    reason : str
        One of `shards.content.REASONS`, "ok" where the frame is valid.
    """

    landmarks: Landmarks
    confidence: float
    reason: str


@dataclass
class _Track:
    shape: Plausibility
    box: Box
    trust: float


class FaceTracker:
    """Follows one face through a run of frames: the largest at first, then the same one.

    Parameters
    ----------
    detector : Detector
        The backend.
    options : TrackingOptions or None
        How often the detector checks the track, and which frames are valid; None for the defaults.
    memory : FaceMemory or None
        What is known of the face from before; None for nothing.
    """

    def __init__(
        self,
        detector: Detector,
        options: TrackingOptions | None = None,
        memory: FaceMemory | None = None,
    ) -> None:
        options = options or TrackingOptions()
        self._detector = detector
        self._every = options.detect_every
        self._minimum = options.minimum_confidence
        self._track: _Track | None = None
        self._last_box: Box | None = None
        self._memory = memory or FaceMemory()
        self._number = 0
        self._gap = False

    @property
    def person(self) -> int:
        """Of the followed face, from 0; rises where it is, or may be, another person's."""
        return self._memory.person

    def follow(self, image: Image | None) -> TrackedFrame:
        """Find the face of the run's next frame.

        Parameters
        ----------
        image : (h, w, 3) uint8 or None
            RGB; None where the frame is unreadable.

        Returns
        -------
        TrackedFrame
            With a reason where there is no valid face.
        """
        scheduled = self._number % self._every == 0
        self._number += 1
        if image is None:
            self._gap = True
            return missing_frame("unreadable")
        tracked = self._step(image, scheduled=scheduled)
        self._memory.pass_on(image)
        self._gap = False
        return tracked

    def _step(self, image: Image, *, scheduled: bool) -> TrackedFrame:
        if self._track is None:
            return self._find(image, thorough=scheduled, otherwise="no_face")
        track = self._track
        landmarks, agreement = self._detector.landmarks(image, track.box)
        shape = assess(landmarks)
        odd = self._gap or agreement < UNSURE or _jumped(track, shape)
        if scheduled or odd:
            detection = detect_around(self._detector, image, track.box)
            if detection is None:
                track.trust *= MISS
            else:
                track.trust = 1.0
                if overlap(detection[0], self._detector.box_of(landmarks)) < SAME_FACE:
                    landmarks, agreement = self._from_box(image, detection[0])
                    shape = assess(landmarks)
        if agreement * track.trust >= self._minimum and shape.plausible:
            appearance = appearance_descriptor(image, landmarks)
            if not self._memory.is_other(image, appearance):
                self._memory.keep(image, appearance, agreement * track.trust, anew=False)
                return self._keep(landmarks, shape, agreement, track.trust)
        self._track = None
        return self._find(image, thorough=scheduled, otherwise="lost_track")

    def _find(self, image: Image, *, thorough: bool, otherwise: str) -> TrackedFrame:
        """Find a face in the whole image; `otherwise` is the reason where there is none.

        Small ones are only looked for where no large one is there.
        """
        same, others, refused = self._search(image, thorough=False)
        if thorough and (same is None or not self._is_surely_wanted(image, same)):
            same, others, refused = self._search(image, thorough=True)
        if same is not None:
            return self._follow_new(image, same)
        if not others:
            return refused or missing_frame(otherwise)
        if self._memory.refuse():
            return missing_frame("lost_track")
        return self._follow_new(image, others[0])

    def _search(
        self, image: Image, *, thorough: bool
    ) -> tuple[TrackedFrame | None, list[TrackedFrame], TrackedFrame | None]:
        """The face to follow; valid faces of others; the best that is not valid."""
        faces = self._detector.detect(image, thorough=thorough)
        faces = [face for face in faces if face[1] >= MINIMUM_SCORE]
        faces.sort(key=lambda face: self._preference(face[0]), reverse=True)
        others: list[TrackedFrame] = []
        refused: TrackedFrame | None = None
        for face in faces[:CANDIDATES]:
            found = self._new_face(image, *face)
            if found.reason != "ok":
                refused = refused or found
            elif self._memory.is_other(image, appearance_descriptor(image, found.landmarks)):
                others.append(found)
            else:
                return found, others, refused
        return None, others, refused

    def _is_surely_wanted(self, image: Image, face: TrackedFrame) -> bool:
        """Whether no search for small faces can show one that comes before this one."""
        near, area, *_ = self._preference(self._detector.box_of(face.landmarks))
        return near or math.sqrt(area) >= LARGE * max(image.shape[:2])

    def _new_face(self, image: Image, box: Box, score: float) -> TrackedFrame:
        """A detected face, with the reason against it if there is one."""
        box = best_orientation(self._detector, image, box, score)
        landmarks, agreement = self._from_box(image, box)
        if not np.isfinite(landmarks).all():
            return missing_frame("nan")
        # Of a backend that does not know of turned boxes, these are of chin and hair.
        wrong_way_up = math.cos(landmark_angle(landmarks) - angle_of(box)) < 0.0
        if wrong_way_up or not assess(landmarks).plausible:
            return TrackedFrame(landmarks, agreement, "implausible")
        if agreement < self._minimum:
            return TrackedFrame(landmarks, agreement, "low_confidence")
        return TrackedFrame(landmarks, agreement, "ok")

    def _follow_new(self, image: Image, face: TrackedFrame) -> TrackedFrame:
        """Follow a new face, against which there is nothing."""
        appearance = appearance_descriptor(image, face.landmarks)
        self._memory.keep(image, appearance, face.confidence, anew=True)
        return self._keep(face.landmarks, assess(face.landmarks), face.confidence, 1.0)

    def _preference(self, box: Box) -> tuple[bool, float, float, float]:
        """Where the last face was first, then the largest; the position only breaks ties."""
        near = self._last_box is not None and overlap(box, self._last_box) > 0.1
        return near, box.area, -box.left, -box.top

    def _from_box(self, image: Image, box: Box) -> tuple[Landmarks, float]:
        """Landmarks of a detected face, in the box that they have of themselves, as when tracked.

        Twice at least, and again while that box still moves: detections are coarse.
        """
        landmarks, _ = self._detector.landmarks(image, box)
        own = self._detector.box_of(landmarks)
        for _ in range(LOOKS):
            landmarks, agreement = self._detector.landmarks(image, own)
            before, own = own, self._detector.box_of(landmarks)
            if overlap(before, own) >= SETTLED:
                break
        return landmarks, agreement

    def _keep(
        self, landmarks: Landmarks, shape: Plausibility, agreement: float, trust: float
    ) -> TrackedFrame:
        self._last_box = self._detector.box_of(landmarks)
        self._track = _Track(shape, self._last_box, trust)
        return TrackedFrame(landmarks, min(max(agreement * trust, 0.0), 1.0), "ok")


def missing_frame(reason: str) -> TrackedFrame:
    """Make a frame without landmarks.

    Parameters
    ----------
    reason : str
        Why it has none.

    Returns
    -------
    TrackedFrame
        Its landmarks NaN, its confidence 0.
    """
    return TrackedFrame(np.full((68, 2), np.nan, np.float32), 0.0, reason)


def _jumped(track: _Track, shape: Plausibility) -> bool:
    if not shape.plausible:
        return True
    moved = math.dist(shape.middle, track.shape.middle)
    growth = shape.size / track.shape.size
    return moved > JUMP * track.shape.size or not 1 / GROWTH < growth < GROWTH


def best_orientation(detector: Detector, image: Image, box: Box, score: float) -> Box:
    """Turn a new face's box the way in which the detector is surest that it is a face.

    Detectors find some upside-down faces too, but take chin and hair for brows and mouth there:
    their boxes and the confidence of landmarks do not tell, the scores do.

    Parameters
    ----------
    detector : Detector
        The backend.
    image : (h, w, 3) uint8
        RGB.
    box : Box
        Where the detector found the face, source pixels.
    score : float
        Of that detection, in [0, 1].

    Returns
    -------
    Box
        The same box, or a `TurnedBox`.
    """
    if score >= upright_score(detector):
        return box
    # A box that knows its angle can only be wrong about the way up.
    turns = (math.pi,) if isinstance(box, TurnedBox) else (math.pi, TURN, -TURN)
    rivals = []
    for turn in turns:
        turned = TurnedBox(*box, angle_of(box) + turn)
        detection = detect_around(detector, image, turned)
        if detection is not None and detection[1] > score - CLOSE:
            rivals.append((turned, *detection))
    if not rivals:
        return box
    again = detect_around(detector, image, box)
    sure = score if again is None else max(score, again[1])
    rivals = [rival for rival in rivals if rival[2] > sure - CLOSE]
    # Of one look in a thousand the scores are the wrong way round.
    best, sure = box, sure + _further_score(detector, image, box)
    for turned, found, near in rivals:
        if (surer := near + _further_score(detector, image, turned)) > sure:
            best, sure = found, surer
    return best


def _further_score(detector: Detector, image: Image, box: Box) -> float:
    detection = detect_around(detector, image, box, FURTHER)
    return 0.0 if detection is None else detection[1]


def detect_around(
    detector: Detector, image: Image, box: Box, zoom: float = 1.0
) -> tuple[TurnedBox, float] | None:
    """Detect a face in what is around a box.

    Parameters
    ----------
    detector : Detector
        The backend.
    image : (h, w, 3) uint8
        RGB.
    box : Box
        The face's box, source pixels; where the face is turned, it is looked at turned back.
    zoom : float
        Of the face in the same number of pixels; below 1 there is more around it.

    Returns
    -------
    (TurnedBox, float) or None
        The detection that overlaps the box most, and its score; None where there is none.
    """
    turn = nearest_turn(angle_of(box))
    scale = zoom * FACE_SIDE / max(box.right - box.left, 1.0)
    size = round(FACE_SIDE * SURROUNDINGS)
    middle = np.array([box.left + box.right, box.top + box.bottom]) / 2.0
    linear = scale * (rotation(-turn) if turn else np.eye(2))
    transform = np.column_stack([linear, size / 2.0 - linear @ middle])
    best: tuple[TurnedBox, float] | None = None
    most = 0.0
    for found, score in detector.detect(_view(image, scale, transform, size)):
        in_source = _in_source(found, scale, transform, turn)
        if overlap(in_source, box) > most:
            best, most = (in_source, score), overlap(in_source, box)
    return best


def _in_source(
    box: Box, scale: float, transform: npt.NDArray[np.float64], turn: float
) -> TurnedBox:
    """A view's box in source pixels."""
    middle = np.array([box.left + box.right, box.top + box.bottom]) / 2.0
    x, y = (middle - transform[:, 2]) @ transform[:, :2] / scale**2
    across, down = (box.right - box.left) / 2 / scale, (box.bottom - box.top) / 2 / scale
    return TurnedBox(x - across, y - down, x + across, y + down, angle_of(box) + turn)


def _view(image: Image, scale: float, transform: npt.NDArray[np.float64], size: int) -> Image:
    """Part of an image, resized: (size, size, 3); large faces are averaged down, not sampled."""
    finer = min(max(math.ceil(0.5 / scale), 1), FINEST)
    view = face_view(image, finer * transform, finer * size, 1, border=0)
    if finer > 1:
        view = np.asarray(cv2.resize(view, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    return view
