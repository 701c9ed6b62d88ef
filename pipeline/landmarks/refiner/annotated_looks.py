"""Looks at annotated photographs, from which the refiner of photographs learns.

Each photograph is looked at several times: as it is, mirrored, from boxes that are a little off, in
other colours, blurred, of fewer pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ....errors import DataError
from ...images.crops import Image
from ..detector import Box, Detector, TurnedBox, angle_of, overlap
from ..mesh.architecture import CROP_SIDE
from ..mesh.backend import box_around
from ..mesh.points import LandmarkDefinition
from .augmentation import coloured
from .photograph_refiner import both_looks, mirrored_back
from .photographs import Photograph
from .second_look import Seen, look

Floats = npt.NDArray[np.float64]

FEWEST = 20  # photographs from which something can be learnt
# Looks at a photograph, in pairs of one as it is and one mirrored: many where there are few
# photographs, but never more than so many numbers in memory.
MOST_LOOKS, LEAST_LOOKS, LOOKS_IN_ALL = 8, 2, 4000
SAME_FACE = 0.4  # overlap from which a found face is the annotated one
# Standard deviations of a box's place and size, in sides, and of its angle, radians.
MOVED, GROWN, TURNED = 0.03, 0.04, 0.05
COLOURED, BLURRED, COARSENED = 0.5, 0.3, 0.3  # shares of the looks


@dataclass(frozen=True, eq=False)
class Material:
    """What was seen in n photographs, in m looks.

    Attributes
    ----------
    names : of the photographs in which the annotated face was found
    missed : of the others
    photograph : (m,) int64, whose look it is; looks of one follow one another, the first as it is,
        the second mirrored, both unspoilt
    seen : of the looks
    truth : (m, 68, 2) float64, the annotation in the look, crop pixels
    """

    names: tuple[str, ...]
    missed: tuple[str, ...]
    photograph: npt.NDArray[np.int64]
    seen: Seen
    truth: Floats


def gather(
    photographs: Iterable[Photograph],
    count: int,
    detector: Detector,
    definition: LandmarkDefinition,
    *,
    seed: int,
    stepped: Callable[[int], None] = lambda photographs: None,
) -> Material:
    """Look at photographs.

    Parameters
    ----------
    photographs : each is read when its turn comes
    count : how many there are
    detector : finds the faces
    definition : of the 68 landmarks on the mesh
    seed : of the looks
    stepped : told of one more photograph

    Returns
    -------
    Material
        of those whose annotated face was found

    Raises
    ------
    DataError
        it was found in too few
    """
    looks = min(max(LOOKS_IN_ALL // max(count, 1), LEAST_LOOKS), MOST_LOOKS) // 2 * 2
    names: list[str] = []
    missed: list[str] = []
    whose: list[int] = []
    seen: list[Seen] = []
    truths: list[Floats] = []
    for number, photograph in enumerate(photographs):
        stepped(1)
        box = _face_of(photograph, detector)
        if box is None:
            missed.append(photograph.name)
            continue
        crops, truth = _looks(photograph, box, looks, np.random.default_rng([seed, 7, number]))
        whose += [len(names)] * looks
        names.append(photograph.name)
        found = look(crops, definition)
        seen.append(found._replace(near=found.near.astype(np.float16)))
        truths.append(truth)
    if len(names) < FEWEST:
        raise DataError(_too_few(len(names), missed))
    joined = Seen(*(np.concatenate(part) for part in zip(*seen, strict=True)))
    return Material(
        tuple(names), tuple(missed), np.array(whose), joined, np.concatenate(truths).astype(float)
    )


def _too_few(found: int, missed: list[str]) -> str:
    lost = f"; no face is found where the annotation of {', '.join(missed[:5])} has one"
    more = f" and of {len(missed) - 5} more" if len(missed) > 5 else ""
    return (
        f"{found} photographs can be learnt from, and fewer than {FEWEST} teach nothing that "
        f"holds on others{lost + more if missed else ''}; give more photographs"
    )


def _face_of(photograph: Photograph, detector: Detector) -> Box | None:
    """The box of the annotated face, as a tracker would have it in its second look."""
    wanted = box_around(photograph.landmarks)
    boxes = [box for box, _ in detector.detect(photograph.picture, thorough=True)]
    if not boxes:
        return None
    best = max(boxes, key=lambda box: overlap(box, wanted))
    points, _ = detector.landmarks(photograph.picture, best)
    extents = [Box(*each.min(0), *each.max(0)) for each in (points, photograph.landmarks)]
    if not np.isfinite(points).all() or overlap(*extents) < SAME_FACE:
        return None
    return detector.box_of(points)


def _looks(
    photograph: Photograph, box: Box, count: int, rng: np.random.Generator
) -> tuple[Image, Floats]:
    """Crops (count, 256, 256, 3) and the annotation in them (count, 68, 2), crop pixels."""
    crops, truths = [], []
    for pair in range(count // 2):
        own = box if pair == 0 else _moved(box, rng)
        plain, transform = both_looks(photograph.picture, own)
        truth = photograph.landmarks @ transform[:, :2].T + transform[:, 2]
        crops += [crop if pair == 0 else _spoilt(crop, rng) for crop in plain]
        truths += [truth, mirrored_back(truth)]  # mirroring is its own inverse
    return np.stack(crops), np.stack(truths)


def _moved(box: Box, rng: np.random.Generator) -> TurnedBox:
    side = box.right - box.left
    x, y = rng.normal(0.0, MOVED, 2) * side
    more = rng.normal(0.0, GROWN) * side
    angle = angle_of(box) + rng.normal(0.0, TURNED)
    return TurnedBox(
        box.left + x - more, box.top + y - more, box.right + x + more, box.bottom + y + more, angle
    )


def _spoilt(crop: Image, rng: np.random.Generator) -> Image:
    """A crop in other colours, blurred, of fewer pixels, or coded coarsely."""
    if rng.random() < COLOURED:
        crop = coloured(crop, rng)
    kind = rng.random()
    if kind < BLURRED:
        crop = np.asarray(cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.5, 2.5)), np.uint8)
    elif kind < BLURRED + COARSENED:
        side = int(rng.integers(80, 200))
        small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
        quality = int(rng.integers(40, 95))
        coded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        small = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
        crop = np.asarray(cv2.resize(small, (CROP_SIDE, CROP_SIDE)), np.uint8)
    return crop
