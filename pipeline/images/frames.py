"""Frames of a clip, each in its place or unreadable.

Frames of a clip, one at a time and in order; each in its place or unreadable.

The cut-out around a face whose box is known: one face of a photograph as a frame of fixed size.

Photographs of a collection such as FEC differ in size and may show several people. Cut out and
scaled alike, they are frames of one size in which the face in question is the largest and central.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ..clips import Clip, FaceBox
from .image_header import MAXIMUM_BYTES, claimed_size, image_fault, size_fault
from .video_index import VideoIndex, index_video
from .video_rows import read_rows

# What OpenCV says of a damaged image is in the frames' reasons.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

logger = logging.getLogger(__name__)

# Bytes of a clip's files that are read to know them again: all of them up to here. Of larger clips
# each file's share of it, but LEAST_HASHED at least, in blocks spread over the file.
MOST_HASHED = 256 << 20
LEAST_HASHED = 64 << 10
BLOCKS = 16
_PIECE = 1 << 20
# Images of a run of frames that are named where they cannot be read.
_NAMED = 3
# Depths that cameras write into 16 bits: 10-bit images are not dark, they only look so.
_DEPTHS = (10, 12, 14, 16)
Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """What reading a clip's frames needs to know.

    count: frames. size: (width, height) as shown, pixels. fps: 0 for images. times: int64,
    microseconds from the first frame, ascending, from frame `first` on; empty where the file does
    not give them, and for images. source_size, source_hash: bytes, and SHA-256 of what the source
    holds. video: where a video's pictures are found; None for images.
    """

    count: int
    size: tuple[int, int]
    fps: float
    times: npt.NDArray[np.int64]
    source_size: int
    source_hash: str
    first: int = 0
    video: VideoIndex | None = None

    def part(self, start: int, stop: int) -> FrameIndex:
        """What is needed of it to read the frames start .. stop - 1."""
        times = self.times[start - self.first : stop - self.first]
        video = None if self.video is None else self.video.part(start, stop)
        return replace(self, times=times, first=start, video=video)

    def describe(self) -> str:
        """A video's codec and container, and its oddities, for a summary; "" for images."""
        return "" if self.video is None else self.video.describe()


def index_frames(clip: Clip, *, deinterlace: bool = False, identify: bool = True) -> FrameIndex:
    """Count and locate the frames of a clip; a video is decoded only where its packets do not tell.

    deinterlace : make interlaced pictures whole from both their fields
    identify : find out size and hash of the source, for which its files are read; 0 and "" without

    Raises DataError where the source cannot be opened or holds no frame.
    """
    if clip.kind == "images":
        return _index_images(clip, identify=identify)
    found = index_video(clip.source, deinterlace=deinterlace)
    size, digest = _source_identity(clip.source.parent, [clip.source.name]) if identify else (0, "")
    return FrameIndex(
        count=found.count,
        size=found.size,
        fps=found.fps,
        times=found.times,
        source_size=size,
        source_hash=digest,
        video=found.index,
    )


def read_frames(clip: Clip, index: FrameIndex, start: int, stop: int) -> Iterator[Image | None]:
    """The frames start .. stop - 1, in order: (h, w, 3) uint8 RGB each, None where unreadable.

    One frame is in memory at a time, and what the decoder holds.

    Raises DataError where the source cannot be opened.
    """
    if index.video is not None:
        yield from read_rows(clip.source, index.video, start, stop)
        return
    unreadable = 0
    for number, name in enumerate(clip.images[start:stop], start):
        image = read_image(clip.source / name)
        if image is None:
            unreadable += 1
            if unreadable <= _NAMED:
                path = clip.source / name
                logger.warning("%s: cannot be read (%s)", path, _fault_of(path))
        yield cut_out(image, clip.boxes[number]) if clip.boxes and image is not None else image


def read_image(path: Path) -> Image | None:
    """An image file as (h, w, 3) uint8 RGB, whatever its depth and channels; None if unreadable.

    One whose header tells no size, or one that `size_fault` refuses, counts as unreadable.
    """
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            return None
        data = np.fromfile(path, np.uint8)
        size = claimed_size(data.tobytes())
        if size is None or size_fault(*size):
            return None
        image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        if image is None and data[:2].tobytes() in (b"II", b"MM"):
            # OpenCV does not make colours of a TIFF of grey real numbers.
            image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error):
        return None
    if image is None or image.ndim not in (2, 3) or image.shape[2:] not in ((), (1,), (3,), (4,)):
        return None
    return _rgb(_eight_bits(image))


def _fault_of(path: Path) -> str:
    """Why an image cannot be read."""
    try:
        if (size := path.stat().st_size) > MAXIMUM_BYTES:
            return f"it has {size} bytes; {MAXIMUM_BYTES} are the most"
        return image_fault(path.read_bytes())
    except OSError as error:
        return error.strerror or type(error).__name__


def _remedy(path: Path) -> str:
    """What can be done about an image that cannot be read."""
    try:
        large = path.stat().st_size > MAXIMUM_BYTES
        size = None if large else claimed_size(path.read_bytes())
    except OSError:
        return "mend that, then run again"
    if large or (size is not None and size_fault(*size)):
        return "cut out the face, or make it smaller"
    return "get it again, or save it as PNG"


def _eight_bits(image: npt.NDArray[Any]) -> Image:
    """An image of any depth in 8 bits; real numbers lie in [0, 1], or in the range of integers."""
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        most = int(image.max(initial=0))
        depth = next(depth for depth in _DEPTHS if most < 1 << depth)
        return np.asarray(image >> (depth - 8), np.uint8)
    values = np.nan_to_num(image.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    largest = float(values.max(initial=0.0))
    scale = 255.0 if largest <= 1.0 else 1.0 if largest <= 255.0 else 255.0 / 65535.0
    return np.asarray(np.clip(values * scale + 0.5, 0.0, 255.0), np.uint8)


def _rgb(image: npt.NDArray[Any]) -> Image:
    """BGR, BGRA or grey as RGB."""
    channels = 1 if image.ndim == 2 else image.shape[2]
    code = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}[channels]
    return np.asarray(cv2.cvtColor(image, code), np.uint8)


def _index_images(clip: Clip, *, identify: bool) -> FrameIndex:
    paths = [clip.source / name for name in clip.images]
    if clip.boxes:
        shape: tuple[int, ...] = (SIDE, SIDE)
    else:
        first = next((image for path in paths if (image := read_image(path)) is not None), None)
        if first is None:
            which = (
                "cannot be read" if len(paths) == 1 else f"none of {len(paths)} images is readable"
            )
            raise DataError(f"{paths[0]}: {which} ({_fault_of(paths[0])}); {_remedy(paths[0])}")
        shape = first.shape
    size, digest = _source_identity(clip.source, clip.images) if identify else (0, "")
    if clip.boxes:
        digest = hashlib.sha256(f"{digest} {clip.boxes}".encode()).hexdigest()
    return FrameIndex(
        count=len(paths),
        size=(shape[1], shape[0]),
        fps=0.0,
        times=np.empty(0, np.int64),
        source_size=size,
        source_hash=digest,
    )


def _source_identity(folder: Path, names: Sequence[str]) -> tuple[int, str]:
    """Total size of a clip's files, and SHA-256 over what they hold; of several with their names.

    Times do not count: a copy of a dataset has others. An image that cannot be read counts as such.
    """
    sizes = {name: _size(folder / name, alone=len(names) == 1) for name in dict.fromkeys(names)}
    share = MOST_HASHED // len(sizes) if sum(sizes.values()) > MOST_HASHED else MOST_HASHED
    found = {
        name: _content_hash(folder / name, size, max(share, LEAST_HASHED))
        for name, size in sizes.items()
    }
    if len(names) == 1:
        if not found[names[0]]:
            raise DataError(f"{folder / names[0]}: cannot be read; get the file again")
        return sizes[names[0]], found[names[0]]
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name} {sizes[name]} {found[name]}\n".encode(errors="surrogateescape"))
    return sum(sizes[name] for name in names), digest.hexdigest()


def _size(path: Path, *, alone: bool) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        if alone:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error
        return 0


def _content_hash(path: Path, size: int, most: int) -> str:
    """SHA-256 of a file, or, where it is larger than `most`, of blocks spread evenly over it.

    "" where it cannot be read.
    """
    starts, length = [0], size
    if size > most:
        length = most // BLOCKS
        starts = [number * (size - length) // (BLOCKS - 1) for number in range(BLOCKS)]
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for start in starts:
                file.seek(start)
                left = length
                while left > 0 and (piece := file.read(min(left, _PIECE))):
                    digest.update(piece)
                    left -= len(piece)
    except OSError:
        return ""
    return digest.hexdigest()


# Side of the frame, pixels, and of what it shows, in sides of the face's box.
SIDE = 320
SURROUNDINGS = 2.0
BORDER_GREY = 128


def cut_out(image: npt.NDArray[np.uint8], box: FaceBox) -> npt.NDArray[np.uint8]:
    """A square around a face, grey where it leaves the image: (SIDE, SIDE, 3) uint8 RGB.

    image: (h, w, 3) uint8 RGB. box: in parts of its width and height.
    """
    height, width = image.shape[:2]
    left, right, top, bottom = (np.array(box) * (width, width, height, height)).tolist()
    half = max(0.5 * SURROUNDINGS * max(right - left, bottom - top), 1.0)
    corner = np.array([(left + right) / 2 - half, (top + bottom) / 2 - half])
    scale = SIDE / (2 * half)
    if scale < 1:
        # Averaged down: the part of the image first, since a warp would sample it.
        low = np.floor(corner).astype(int)
        side = max(round(2 * half), 1)
        part = _part(image, int(low[0]), int(low[1]), side)
        return np.asarray(cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    transform = np.column_stack([scale * np.eye(2), 0.5 * scale - 0.5 - scale * corner])
    grey = (BORDER_GREY,) * 3
    drawn = cv2.warpAffine(image, transform, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderValue=grey)
    return np.asarray(drawn, np.uint8)


def _part(image: npt.NDArray[np.uint8], left: int, top: int, side: int) -> npt.NDArray[np.uint8]:
    height, width = image.shape[:2]
    part = np.full((side, side, 3), BORDER_GREY, np.uint8)
    x0, x1 = max(left, 0), min(left + side, width)
    y0, y1 = max(top, 0), min(top + side, height)
    if x0 < x1 and y0 < y1:
        part[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    return part
