"""Frames of a clip, each in its place or unreadable.

Frames of a clip from OpenCV, one at a time and in order; each in its place or unreadable.

The cut-out around a face whose box is known: one face of a photograph as a frame of fixed size.

Photographs of a collection such as FEC differ in size and may show several people. Cut out and
scaled alike, they are frames of one size in which the face in question is the largest and central.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ..clips import Clip, FaceBox
from .image_header import MAXIMUM_PIXELS, claimed_size

# A worker owns one core; more decoding threads would take those of the others.
_ONE_THREAD = (cv2.CAP_PROP_N_THREADS, 1)
# FFmpeg writes a line for every damaged block; what matters of it is in the frames' reasons.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

logger = logging.getLogger(__name__)

HEAD_BYTES = 1 << 20
# Containers that store a duration but no frame count are off by one frame after rounding.
_ROUNDING = 1
# A container that declares more than this many times its frames does not tell the truth.
_MAXIMUM_OVERCLAIM = 8
# How far before a chunk to land when seeking has overshot, in frames.
_SEEK_BACK = (32, 512)

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """What decoding a clip's frames needs to know, found without decoding them all.

    count: frames. size: (width, height), pixels. fps: 0 for images. times: int64, presentation
    times in microseconds, ascending, from frame `first` on; empty where the file does not give
    them, and for images. tolerance: microseconds by which a frame's time may be off.
    source_size, source_hash: bytes, and SHA-256 of the head of the source.
    """

    count: int
    size: tuple[int, int]
    fps: float
    times: npt.NDArray[np.int64]
    tolerance: int
    source_size: int
    source_hash: str
    first: int = 0

    def part(self, start: int, stop: int) -> FrameIndex:
        """What is needed of it to read the frames start .. stop - 1."""
        times = self.times[start - self.first : stop - self.first]
        return replace(self, times=times, first=start)


def index_frames(clip: Clip) -> FrameIndex:
    """Count and locate the frames of a clip; a video's packets are read but not decoded.

    Raises DataError where the source cannot be opened or holds no frame.
    """
    if clip.kind == "images":
        return _index_images(clip)
    path = clip.source
    capture = _open(path)
    fps, declared = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    first = _first_decodable(capture, path)
    first_time = _time(capture)
    capture.release()
    times = _packet_times(path)
    if len(times) == 0:
        raise DataError(f"{path}: holds no frame; get the file again")
    count = _frame_count(path, declared, times)
    step = np.diff(times)
    tolerance = max(int(step.min()) // 2, 1) if len(step) else 1
    exact = bool(np.all(step > 0)) and _place(times, first_time, tolerance) >= 0
    if count > len(times):
        typical = int(np.median(step)) if len(step) else 1
        lost = np.arange(1, count - len(times) + 1)
        times = np.concatenate([times, times[-1] + typical * lost])
    size, digest = _source_identity([path])
    return FrameIndex(
        count=count,
        size=(first.shape[1], first.shape[0]),
        fps=float(fps) if np.isfinite(fps) and fps > 0 else 0.0,
        times=times if exact else np.empty(0, np.int64),
        tolerance=tolerance,
        source_size=size,
        source_hash=digest,
    )


def _frame_count(path: Path, declared: int, times: npt.NDArray[np.int64]) -> int:
    """Frames of a video: those that are there, or, where it is cut, those it declares.

    Raises DataError where frames are lost in its middle, or it declares far too many.
    """
    found = len(times)
    if declared <= found + _ROUNDING:
        return found
    if declared > _MAXIMUM_OVERCLAIM * found:
        raise DataError(
            f"{path}: declares {declared} frames but holds {found}: truncated; get it again"
        )
    if _can_be_reached(path, declared - 1, int(times[-1])):
        raise DataError(
            f"{path}: damaged, {declared - found} of {declared} frames are lost in its middle "
            "and which ones cannot be told; get the file again or convert it"
        )
    logger.warning("%s: truncated, holds %d of %d frames", path, found, declared)
    return declared


def read_frames(clip: Clip, index: FrameIndex, start: int, stop: int) -> Iterator[Image | None]:
    """The frames start .. stop - 1, in order: (h, w, 3) uint8 RGB each, None where unreadable.

    One frame is in memory at a time. A video's frames are told apart by their presentation times,
    so that a damaged frame leaves a gap and the ones after it stay in their place.

    Raises DataError where the source cannot be opened.
    """
    if clip.kind == "images":
        for number, name in enumerate(clip.images[start:stop], start):
            image = read_image(clip.source / name)
            yield cut_out(image, clip.boxes[number]) if clip.boxes and image is not None else image
        return
    capture = _open(clip.source)
    try:
        if len(index.times):
            yield from _read_timed(capture, index.part(start, stop), start)
        else:
            yield from _read_counted(capture, start, stop)
    finally:
        capture.release()


def read_image(path: Path) -> Image | None:
    """An image file as (h, w, 3) uint8 RGB, whatever its depth and channels; None if unreadable.

    One whose header tells no size, or more than MAXIMUM_PIXELS, counts as unreadable.
    """
    try:
        data = np.fromfile(path, np.uint8)
        size = claimed_size(data.tobytes())
        if size is None or not 0 < size[0] * size[1] <= MAXIMUM_PIXELS:
            return None
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        return None
    return None if image is None else _rgb(image)


def _open(path: Path) -> cv2.VideoCapture:
    if not path.is_file():
        raise DataError(f"{path}: no such video")
    capture = cv2.VideoCapture(_name(path), cv2.CAP_FFMPEG, _ONE_THREAD)
    if not capture.isOpened():
        empty = path.stat().st_size == 0
        what = "is empty" if empty else "cannot be opened as a video (truncated or of another kind)"
        raise DataError(f"{path}: {what}; get the file again")
    size = (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    if size[0] * size[1] > MAXIMUM_PIXELS:
        raise DataError(f"{path}: claims frames of {size[0]:.0f} x {size[1]:.0f}; get it again")
    return capture


def _name(path: Path) -> str:
    """A path in full: a relative one with a colon would be taken for a protocol.

    Raises DataError where it is no text, of which OpenCV dies.
    """
    name = str(path.absolute())
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        shown = name.encode("utf-8", "backslashreplace").decode("utf-8")
        raise DataError(f"{shown}: this name is not UTF-8; rename the file or folder") from None
    return name


def _first_decodable(capture: cv2.VideoCapture, path: Path) -> Image:
    done, image = capture.read()
    if not done or image is None:
        raise DataError(f"{path}: no frame can be decoded; get the file again or convert it")
    return np.asarray(image, np.uint8)


def _packet_times(path: Path) -> npt.NDArray[np.int64]:
    """Presentation times of all packets, microseconds, sorted; they are not decoded."""
    capture = cv2.VideoCapture(_name(path), cv2.CAP_FFMPEG)
    capture.set(cv2.CAP_PROP_FORMAT, -1)
    times = []
    while capture.grab():
        times.append(_time(capture))
    capture.release()
    return np.sort(np.array(times, np.int64))


def _can_be_reached(path: Path, number: int, last: int) -> bool:
    """Whether a frame can be found by the file's index after time `last`, microseconds.

    An AVI whose packets are damaged counts on without them, so that all later times are wrong; its
    index still leads to the frames at the end. A truncated file has none there.
    """
    capture = cv2.VideoCapture(_name(path), cv2.CAP_FFMPEG)
    capture.set(cv2.CAP_PROP_POS_FRAMES, number)
    reached = capture.grab() and _time(capture) > last
    capture.release()
    return bool(reached)


def _time(capture: cv2.VideoCapture) -> int:
    return round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1000.0)


def _read_timed(capture: cv2.VideoCapture, index: FrameIndex, start: int) -> Iterator[Image | None]:
    """Frames by presentation time; what the decoder leaves out is None."""
    times, tolerance = index.times, index.tolerance
    grabbed = _seek(capture, start, int(times[0]) + tolerance)
    wanted = 0
    while grabbed and wanted < len(times):
        time = _time(capture)
        if time > times[-1] + tolerance:
            break
        position = _place(times, time, tolerance)
        if position >= wanted:
            for _ in range(wanted, position):
                yield None
            done, image = capture.retrieve()
            yield _rgb(image) if done and image is not None else None
            wanted = position + 1
        grabbed = wanted < len(times) and capture.grab()
    for _ in range(wanted, len(times)):
        yield None


def _place(times: npt.NDArray[np.int64], time: int, tolerance: int) -> int:
    """Index of the frame with this presentation time; -1 where there is none."""
    after = int(np.searchsorted(times, time))
    near = [i for i in (after - 1, after) if 0 <= i < len(times)]
    best = min(near, key=lambda i: abs(int(times[i]) - time))
    return best if abs(int(times[best]) - time) <= tolerance else -1


def _seek(capture: cv2.VideoCapture, start: int, latest: int) -> bool:
    """Grab frame `start` or one before it: one whose time is not after `latest`, microseconds."""
    for back in (0, *_SEEK_BACK) if start else ():
        if start > back and capture.set(cv2.CAP_PROP_POS_FRAMES, start - back):
            grabbed = capture.grab()
            if grabbed and _time(capture) <= latest:
                return True
    capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
    return bool(capture.grab())


def _read_counted(capture: cv2.VideoCapture, start: int, stop: int) -> Iterator[Image | None]:
    """Frames by counting from the first: for files whose packets carry no usable times."""
    for position in range(stop):
        grabbed = capture.grab()
        if position >= start:
            done, image = capture.retrieve() if grabbed else (False, None)
            yield _rgb(image) if done and image is not None else None


def _rgb(image: npt.NDArray[Any]) -> Image:
    """BGR, BGRA or grey, of 8 or 16 bits, as RGB of 8 bits."""
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    channels = 1 if image.ndim == 2 else image.shape[2]
    code = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}[channels]
    return np.asarray(cv2.cvtColor(image, code), np.uint8)


def _index_images(clip: Clip) -> FrameIndex:
    paths = [clip.source / name for name in clip.images]
    if clip.boxes:
        shape: tuple[int, ...] = (SIDE, SIDE)
    else:
        first = next((image for path in paths if (image := read_image(path)) is not None), None)
        if first is None:
            raise DataError(f"{paths[0]}: none of the clip's {len(paths)} images can be read")
        shape = first.shape
    size, digest = _source_identity(paths)
    if clip.boxes:
        digest = hashlib.sha256(f"{digest} {clip.boxes}".encode()).hexdigest()
    return FrameIndex(
        count=len(paths),
        size=(shape[1], shape[0]),
        fps=0.0,
        times=np.empty(0, np.int64),
        tolerance=0,
        source_size=size,
        source_hash=digest,
    )


def _source_identity(paths: list[Path]) -> tuple[int, str]:
    """Total size of files, and SHA-256 over names, sizes and the head of the first."""
    digest = hashlib.sha256()
    total = 0
    try:
        for path in paths:
            size = path.stat().st_size
            total += size
            if len(paths) > 1:
                digest.update(f"{path.name} {size}\n".encode())
        with paths[0].open("rb") as file:
            digest.update(file.read(HEAD_BYTES))
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from error
    return total, digest.hexdigest()


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
