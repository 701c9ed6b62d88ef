"""Frames of a clip, one at a time and in order, from OpenCV; each in its own place or unreadable."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .clips import Clip

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

    count: frames. size: (width, height), pixels. fps: 0 for images. times: (count,) int64,
    presentation times in microseconds, ascending; empty where the file does not give them, and for
    images. source_size, source_hash: bytes, and SHA-256 of the head of the source.
    """

    count: int
    size: tuple[int, int]
    fps: float
    times: npt.NDArray[np.int64]
    source_size: int
    source_hash: str


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
    found = len(times)
    if found == 0:
        raise DataError(f"{path}: holds no frame; get the file again")
    count = found
    if declared > found + _ROUNDING:
        if declared > _MAXIMUM_OVERCLAIM * found:
            raise DataError(
                f"{path}: declares {declared} frames but holds {found}: truncated; get it again"
            )
        logger.warning("%s: truncated, holds %d of %d frames", path, found, declared)
        count = declared
    step = np.diff(times)
    exact = bool(np.all(step > 0)) and _place(times, first_time, _tolerance(times)) >= 0
    if exact and count > found:
        typical = int(np.median(step)) if len(step) else 1
        more = times[-1] + typical * np.arange(1, count - found + 1)
        times = np.concatenate([times, more])
    size, digest = _source_identity([path])
    return FrameIndex(
        count=count,
        size=(first.shape[1], first.shape[0]),
        fps=float(fps) if np.isfinite(fps) and fps > 0 else 0.0,
        times=times if exact else np.empty(0, np.int64),
        source_size=size,
        source_hash=digest,
    )


def read_frames(clip: Clip, index: FrameIndex, start: int, stop: int) -> Iterator[Image | None]:
    """The frames start .. stop - 1, in order: (h, w, 3) uint8 RGB each, None where unreadable.

    One frame is in memory at a time. A video's frames are told apart by their presentation times,
    so that a damaged frame leaves a gap and the ones after it stay in their place.

    Raises DataError where the source cannot be opened.
    """
    if clip.kind == "images":
        for name in clip.images[start:stop]:
            yield read_image(clip.source / name)
        return
    capture = _open(clip.source)
    try:
        if len(index.times):
            yield from _read_timed(capture, index.times, start, stop)
        else:
            yield from _read_counted(capture, start, stop)
    finally:
        capture.release()


def read_image(path: Path) -> Image | None:
    """An image file as (h, w, 3) uint8 RGB, whatever its depth and channels; None if unreadable."""
    try:
        data = np.fromfile(path, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error):
        return None
    return None if image is None else _rgb(image)


def _open(path: Path) -> cv2.VideoCapture:
    if not path.is_file():
        raise DataError(f"{path}: no such video")
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        empty = path.stat().st_size == 0
        what = "is empty" if empty else "cannot be opened as a video (truncated or of another kind)"
        raise DataError(f"{path}: {what}; get the file again")
    return capture


def _first_decodable(capture: cv2.VideoCapture, path: Path) -> Image:
    done, image = capture.read()
    if not done or image is None:
        raise DataError(f"{path}: no frame can be decoded; get the file again or convert it")
    return np.asarray(image, np.uint8)


def _packet_times(path: Path) -> npt.NDArray[np.int64]:
    """Presentation times of all packets, microseconds, sorted; they are not decoded."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    capture.set(cv2.CAP_PROP_FORMAT, -1)
    times = []
    while capture.grab():
        times.append(_time(capture))
    capture.release()
    return np.sort(np.array(times, np.int64))


def _time(capture: cv2.VideoCapture) -> int:
    return round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1000.0)


def _read_timed(
    capture: cv2.VideoCapture, times: npt.NDArray[np.int64], start: int, stop: int
) -> Iterator[Image | None]:
    """Frames by presentation time; what the decoder leaves out is None."""
    tolerance = _tolerance(times)

    def place() -> int:
        return _place(times, _time(capture), tolerance)

    grabbed = _seek(capture, start, place)
    wanted = start
    while grabbed and wanted < stop:
        position = place()
        if position >= stop:
            break
        if position >= wanted:
            for _ in range(wanted, position):
                yield None
            done, image = capture.retrieve()
            yield _rgb(image) if done and image is not None else None
            wanted = position + 1
        grabbed = wanted < stop and capture.grab()
    for _ in range(wanted, stop):
        yield None


def _tolerance(times: npt.NDArray[np.int64]) -> int:
    return max(int(np.diff(times).min()) // 2, 1) if len(times) > 1 else 1


def _place(times: npt.NDArray[np.int64], time: int, tolerance: int) -> int:
    """Index of the frame with this presentation time; -1 where there is none."""
    after = int(np.searchsorted(times, time))
    near = [i for i in (after - 1, after) if 0 <= i < len(times)]
    best = min(near, key=lambda i: abs(int(times[i]) - time))
    return best if abs(int(times[best]) - time) <= tolerance else -1


def _seek(capture: cv2.VideoCapture, start: int, place: Callable[[], int]) -> bool:
    """Grab the first frame to look at for a chunk: `start` itself or one before it."""
    if start == 0:
        return bool(capture.grab())
    for back in (0, *_SEEK_BACK):
        if start > back and capture.set(cv2.CAP_PROP_POS_FRAMES, start - back):
            grabbed = capture.grab()
            if grabbed and 0 <= place() <= start:
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


def _rgb(image: npt.NDArray[np.generic]) -> Image:
    """BGR, BGRA or grey, of 8 or 16 bits, as RGB of 8 bits."""
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    channels = 1 if image.ndim == 2 else image.shape[2]
    code = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}[channels]
    return np.asarray(cv2.cvtColor(image, code), np.uint8)


def _index_images(clip: Clip) -> FrameIndex:
    paths = [clip.source / name for name in clip.images]
    first = next((image for path in paths if (image := read_image(path)) is not None), None)
    if first is None:
        raise DataError(f"{paths[0]}: none of the clip's {len(paths)} images can be read")
    size, digest = _source_identity(paths)
    return FrameIndex(
        count=len(paths),
        size=(first.shape[1], first.shape[0]),
        fps=0.0,
        times=np.empty(0, np.int64),
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
