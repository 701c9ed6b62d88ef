"""A landmark backend: what it must have, what wraps it, and the boxes that it is asked about.

A backend finds faces in an image and 68 landmarks in a face's box. `Detector` says what it must
have; `Wrapped` is a backend in another one's place, which changes one thing about it. A face's box
may know how the face is turned in the image: it is a `TurnedBox` then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Landmarks = npt.NDArray[np.float32]

# Ending of a backend's name whose landmarks the refiner goes over.
REFINED = "+refiner"
# What the 68 points mean: iBUG's annotations of 300-W, as the field's scripts take them; or the
# points of the embedded model, which the refiner learnt from renders.
IBUG, ANATOMICAL = "ibug68", "anatomical"

# What a backend that only knows upright faces turns images by, so that none is off by more than
# half of it, radians.
TURN = math.pi / 4


class Box(NamedTuple):
    """A face's rectangle, source pixels.

    Attributes
    ----------
    left, top, right, bottom : float
        Its sides.
    """

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """Square pixels; 0 where empty."""
        return max(self.right - self.left, 0.0) * max(self.bottom - self.top, 0.0)


def landmark_definition(name: str) -> str:
    """What the 68 points of the backend of a name mean, which shards state: IBUG or ANATOMICAL.

    The refiner of a file learnt from people's annotations: its name has a colon.
    """
    return ANATOMICAL if name.endswith(REFINED) else IBUG


def calibrated_name(name: str, known: Container[str]) -> str:
    """The name under which a model knows how a backend marks faces.

    Parameters
    ----------
    name : str
        The backend's, as shards state it.
    known : container of str
        The backends that a model is calibrated to.

    Returns
    -------
    str
        The same, or that of the backend before a refiner that learnt from photographs: it marks
        the same points, only better.
    """
    return name if name in known else name.partition(f"{REFINED}:")[0]


class TurnedBox(Box):
    """A `Box` of four numbers with an angle beside them; equal to a `Box` where the angle is 0.

    Attributes
    ----------
    angle : float
        Of the line from the right to the left eye, radians, from x towards y.
    """

    angle: float

    def __new__(
        cls, left: float, top: float, right: float, bottom: float, angle: float
    ) -> TurnedBox:
        """The box around a face that is turned by `angle` about the box's middle."""
        box = super().__new__(cls, left, top, right, bottom)
        box.angle = angle
        return box

    def __eq__(self, other: object) -> bool:
        """Equal sides and angles."""
        same = isinstance(other, Box) and tuple(self) == tuple(other)
        return same and self.angle == angle_of(other)  # type: ignore[arg-type]

    def __ne__(self, other: object) -> bool:
        """As `==` has it, not as tuples do."""
        return not self == other

    def __hash__(self) -> int:
        """As that of a `Box`."""
        return hash(tuple(self))


class Detector(Protocol):
    """A backend. It keeps no memory of images: equal arguments give equal results.

    Boxes of turned faces are a `TurnedBox`; landmarks of a backend that does not heed them are not
    taken for valid ones.

    Attributes
    ----------
    name, version : str
        What a shard is marked with.
    upright_from : float
        Score of `detect` from which a face is upright for certain, so that it need not be looked
        at again. A backend that does not inherit from this class may leave it out.
    """

    name: str
    version: str
    upright_from: float = math.inf

    def detect(self, image: Image, *, thorough: bool = False) -> list[tuple[Box, float]]:
        """Find the faces of an image.

        Parameters
        ----------
        image : (h, w, 3) uint8
            RGB.
        thorough : bool
            Look for small faces too, at more cost.

        Returns
        -------
        list of (Box, float)
            Boxes with scores in [0, 1].
        """

    def landmarks(self, image: Image, box: Box) -> tuple[Landmarks, float]:
        """Find the landmarks of a face.

        Parameters
        ----------
        image : (h, w, 3) uint8
            RGB.
        box : Box
            The face's box, source pixels.

        Returns
        -------
        landmarks : (68, 2) float32
            Source pixels.
        confidence : float
            In [0, 1].
        """

    def box_of(self, landmarks: Landmarks) -> Box:
        """Give the box that `detect` would give to the face with these landmarks.

        Parameters
        ----------
        landmarks : (68, 2) float32
            Source pixels.

        Returns
        -------
        Box
            Source pixels.
        """


class BatchDetector(Detector, Protocol):
    """A backend that is faster with the faces of several frames at once.

    Attributes
    ----------
    batch : int
        Frames that it likes to have at once.
    """

    batch: int

    def landmarks_of_batch(
        self, images: Sequence[Image], boxes: Sequence[Box]
    ) -> tuple[Landmarks, npt.NDArray[np.float32]]:
        """Find the landmarks of a face in each of n images, as `landmarks` does.

        Parameters
        ----------
        images : n of (h, w, 3) uint8
            RGB.
        boxes : n of Box
            A face's box in each of them, source pixels.

        Returns
        -------
        landmarks : (n, 68, 2) float32
            Source pixels.
        confidence : (n,) float32
            In [0, 1].
        """


class Wrapped(Detector):
    """A backend in the place of another one; what a subclass does not override is the other's.

    Attributes
    ----------
    backend : Detector
        The one that is wrapped.
    """

    def __init__(self, backend: Detector) -> None:
        self.backend = backend
        # Kept: to ask whether an object is of a protocol takes long for each frame.
        self._wrapped = backend if isinstance(backend, Wrapped) else None
        self.name, self.version = backend.name, backend.version
        self.upright_from = upright_score(backend)

    @property
    def innermost(self) -> Detector:
        """The backend that wraps no other."""
        return self.backend if self._wrapped is None else self._wrapped.innermost

    def detect(self, image: Image, *, thorough: bool = False) -> list[tuple[Box, float]]:
        """Find the faces of an image, as the wrapped backend does: see `Detector.detect`."""
        return self.backend.detect(image, thorough=thorough)

    def landmarks(self, image: Image, box: Box) -> tuple[Landmarks, float]:
        """Find the landmarks of a face, as the wrapped backend does: see `Detector.landmarks`."""
        return self.backend.landmarks(image, box)

    def box_of(self, landmarks: Landmarks) -> Box:
        """Give the box of landmarks, as the wrapped backend does: see `Detector.box_of`."""
        return self.backend.box_of(landmarks)

    def refined(self, image: Image, landmarks: Landmarks) -> Landmarks:
        """Give the innermost backend's landmarks as this one has them.

        Parameters
        ----------
        image : (h, w, 3) uint8
            RGB.
        landmarks : (68, 2) float32
            The innermost backend's own, source pixels.

        Returns
        -------
        (68, 2) float32
            The same, unless a wrapper refines them.
        """
        return landmarks if self._wrapped is None else self._wrapped.refined(image, landmarks)


def upright_score(detector: Detector) -> float:
    """Give the score from which a detector's faces are upright for certain.

    Parameters
    ----------
    detector : Detector
        A backend; one that somebody else wrote need not know the attribute.

    Returns
    -------
    float
        Infinite where the backend does not say.
    """
    return float(getattr(detector, "upright_from", math.inf))


def overlap(one: Box, other: Box) -> float:
    """Give the intersection over union of two boxes.

    Parameters
    ----------
    one, other : Box
        In the same pixels.

    Returns
    -------
    float
        In [0, 1].
    """
    both = Box(
        max(one.left, other.left),
        max(one.top, other.top),
        min(one.right, other.right),
        min(one.bottom, other.bottom),
    ).area
    union = one.area + other.area - both
    return both / union if union > 0 else 0.0


def angle_of(box: Box) -> float:
    """Give a box's angle.

    Parameters
    ----------
    box : Box
        With or without one.

    Returns
    -------
    float
        Radians; 0 where the box does not know it.
    """
    return box.angle if isinstance(box, TurnedBox) else 0.0


def is_upside_down(box: Box) -> bool:
    """Tell whether a face is more than a quarter turn from upright.

    Parameters
    ----------
    box : Box
        The face's.

    Returns
    -------
    bool
        False where the box does not know.
    """
    return math.cos(angle_of(box)) < 0.0


def nearest_turn(angle: float) -> float:
    """Round an angle to a multiple of TURN.

    Parameters
    ----------
    angle : float
        Radians.

    Returns
    -------
    float
        Radians, in (-pi, pi].
    """
    steps = round(angle / TURN) % 8
    return (steps if steps <= 4 else steps - 8) * TURN


def rotation(angle: float) -> npt.NDArray[np.float64]:
    """Make the matrix that turns a vector from x towards y.

    Parameters
    ----------
    angle : float
        Radians.

    Returns
    -------
    (2, 2) float64
        To be multiplied from the left.
    """
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def landmark_angle(landmarks: Landmarks) -> float:
    """Tell how a face is turned, by the way from its eyes to its mouth: in profile too.

    Parameters
    ----------
    landmarks : (68, 2) float32
        Source pixels.

    Returns
    -------
    float
        Radians, 0 where upright.
    """
    x, y = landmarks[48:].mean(0, dtype=float) - landmarks[36:48].mean(0, dtype=float)
    return math.atan2(-x, y)


def box_of_turned(
    box_of_upright: Callable[[Landmarks], Box], landmarks: Landmarks, turn: float
) -> Box:
    """Give a backend's box around turned landmarks, from how it gives upright ones theirs.

    Parameters
    ----------
    box_of_upright : callable
        (68, 2) float32 of an upright face -> Box.
    landmarks : (68, 2) float32
        Source pixels.
    turn : float
        How the face is turned, radians.

    Returns
    -------
    Box
        A `TurnedBox` where the turn is not 0.
    """
    if turn == 0.0:
        return box_of_upright(landmarks)
    turned = rotation(turn)
    box = box_of_upright((landmarks @ turned).astype(np.float32))
    x, y = turned @ [(box.left + box.right) / 2, (box.top + box.bottom) / 2]
    across, down = (box.right - box.left) / 2, (box.bottom - box.top) / 2
    return TurnedBox(x - across, y - down, x + across, y + down, turn)
