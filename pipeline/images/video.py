"""A video file by PyAV: opened by its content, decoded picture by picture, as upright RGB.

Only demuxers of `DEMUXERS` are asked, and only the protocol `file`: playlists and lists of files,
which would open other files, are refused whatever their name is. One thread decodes: a worker owns
one core, more threads would take those of the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from ...errors import DataError
from .image_header import MAXIMUM_PIXELS, size_fault

# FFmpeg's names of the demuxers that may open a file; none of them opens another one.
DEMUXERS = (
    "3gp",
    "asf",
    "avi",
    "dv",
    "flv",
    "gif",
    "h264",
    "hevc",
    "ivf",
    "m4v",
    "matroska",
    "mov",
    "mpeg",
    "mpegts",
    "mpegvideo",
    "mxf",
    "nut",
    "obu",
    "ogg",
    "webm",
)
# What files that name other files begin with.
_PLAYLISTS = (b"ffconcat", b"#EXTM3U", b"v=0", b"<?xml", b"<MPD", b"[playlist]", b"<asx", b"<smil")
_HEAD = 256
# Pixels are taken for square where their aspect is this near to 1, and where it makes no sense.
_NEARLY_SQUARE = 0.01
_MOST_ASPECT = 4
# A demuxer that fails so often without a packet in between has come to the end.
_MOST_FAILURES = 16
# Codecs whose decoders leave in a damaged picture what its memory held, or the picture before, and
# say nothing of it, unless they are told to give such pictures up.
_STRICT = frozenset(("ffv1", "h264", "hevc", "huffyuv", "mjpeg", "png", "utvideo"))
_UPRIGHT = (1, 0, 0, 1)
_LARGE_BLOCK = 30 << 20

Image = npt.NDArray[np.uint8]
# Signs of the display matrix [[a, b], [c, d]]: shown x = a x + c y, shown y = b x + d y.
Orientation = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Video:
    """An open file and the video stream in it that is read.

    failed: the packets that could not be decoded, as (pts, dts), in the order of the file.
    """

    path: Path
    container: Any
    stream: VideoStream
    failed: list[tuple[int | None, int | None]] = field(default_factory=list)

    @property
    def container_name(self) -> str:
        """FFmpeg's first name of the demuxer: "mov", "matroska", "avi" ..."""
        return str(self.container.format.name).split(",")[0]

    @property
    def codec(self) -> str:
        """The codec's own name, whatever decoder is used: "h264", "av1" ..."""
        return str(self.stream.codec_context.codec.canonical_name)

    @property
    def aspect(self) -> Fraction:
        """Width of a pixel over its height; 1 where it is nearly that, or not to be believed."""
        aspect = self.stream.sample_aspect_ratio or Fraction(1)
        if aspect <= 0 or not 1 / _MOST_ASPECT <= aspect <= _MOST_ASPECT:
            return Fraction(1)
        return Fraction(1) if abs(aspect - 1) <= _NEARLY_SQUARE else aspect

    def seek(self, stamp: int) -> bool:
        """Go to the key picture at or before a time stamp; whether the container can."""
        try:
            self.container.seek(stamp, stream=self.stream, backward=True)
        except (av.error.FFmpegError, OverflowError):
            return False
        return True

    def packets(self) -> Iterator[Any]:
        """The stream's packets, the last one empty, which makes the decoder give what it holds."""
        failures = 0
        while failures < _MOST_FAILURES:
            try:
                for packet in self.container.demux(self.stream):
                    failures = 0
                    yield packet
                    if packet.size == 0 and packet.dts is None:
                        return
                return
            except (av.error.EOFError, av.error.MemoryError):
                return
            except av.error.FFmpegError:
                failures += 1

    def decode(self, packet: Any) -> list[VideoFrame]:
        """The pictures that the decoder gives for a packet; none where it fails."""
        try:
            return list(packet.decode())
        except (av.error.FFmpegError, ValueError):
            self.failed.append((packet.pts, packet.dts))
            return []

    def pictures(self) -> Iterator[VideoFrame]:
        """All pictures from here on, in the decoder's output order."""
        for packet in self.packets():
            yield from self.decode(packet)


@contextmanager
def open_video(path: Path) -> Iterator[Video]:
    """A file's video, closed at the end.

    Raises DataError where there is none, or none that can be decoded.
    """
    name = _name(path)
    try:
        container = av.open(
            f"file:{name}",
            options={"format_whitelist": ",".join(DEMUXERS), "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise DataError(f"{path}: {_why_not(path, error)}") from None
    with container:
        stream = _stream(path, container)
        context = stream.codec_context
        # A size of nothing is told where the first picture is asked for.
        if context.width * context.height and (fault := size_fault(context.width, context.height)):
            raise DataError(f"{path}: {fault}; get the file again")
        context.thread_count = 1
        context.thread_type = "NONE"
        own = {"max_pixels": str(MAXIMUM_PIXELS)}
        if context.codec.canonical_name in _STRICT:
            own["err_detect"] = "crccheck+bitstream+buffer+explode"
        context.options = {**context.options, **own}
        yield Video(Path(path), container, stream)


def is_video(path: Path) -> bool:
    """Whether a file's content is a video that may be opened."""
    try:
        with open_video(path):
            return True
    except DataError:
        return False


def _name(path: Path) -> str:
    """A path in full: a relative one with a colon would be taken for a protocol.

    Raises DataError where it is no file, or its name is no text, which FFmpeg does not take.
    """
    name = str(Path(path).absolute())
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        shown = name.encode("utf-8", "backslashreplace").decode("utf-8")
        raise DataError(f"{shown}: this name is not UTF-8; rename the file or folder") from None
    if not Path(path).is_file():
        raise DataError(f"{path}: no such video")
    return name


def _why_not(path: Path, error: Exception) -> str:
    try:
        with Path(path).open("rb") as file:
            head = file.read(_HEAD)
    except OSError as other:
        return f"cannot be read ({other.strerror})"
    if not head:
        return "is empty; get the file again"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_PLAYLISTS):
        return "is a playlist or a list of files, which is not opened; give the videos themselves"
    what = (
        "another kind" if isinstance(error, av.error.ArgumentError) else "truncated or another kind"
    )
    return f"cannot be opened as a video ({what}); get the file again"


def _stream(path: Path, container: Any) -> VideoStream:
    stream: VideoStream | None = container.streams.best("video")
    pictures = [s for s in container.streams.video if not _is_cover(s)]
    if stream is None or _is_cover(stream):
        stream = pictures[0] if pictures else None
    if stream is None:
        raise DataError(f"{path}: cannot be opened as a video (it holds no moving picture)")
    if getattr(stream, "codec_context", None) is None:
        raise DataError(f"{path}: its codec cannot be decoded here; convert it to H.264")
    return stream


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def orientation_of(picture: VideoFrame) -> Orientation:
    """How a picture is to be turned and mirrored to be upright, by its display matrix."""
    data = picture.side_data.get("DISPLAYMATRIX")
    if data is None:
        return _UPRIGHT
    matrix = np.frombuffer(bytes(cast(Any, data)), np.int32)[[0, 1, 3, 4]].astype(np.float64)
    largest = np.abs(matrix).max()
    signs = np.round(matrix / largest).astype(int) if largest else np.zeros(4, int)
    # Only turns by right angles: the others would leave corners empty.
    exact = largest and np.allclose(matrix / largest, signs, atol=0.01)
    if not exact or abs(signs[0] * signs[3] - signs[1] * signs[2]) != 1:
        return _UPRIGHT
    a, b, c, d = signs.tolist()
    return a, b, c, d


class PictureMaker:
    """Makes upright RGB pictures of square pixels out of decoded ones; keeps the conversion."""

    def __init__(self, aspect: Fraction, orientation: Orientation) -> None:
        # A whole number is compared and multiplied in a tenth of a fraction's time.
        self._aspect = 1 if aspect == 1 else aspect
        self._orientation = orientation
        self._convert = VideoReformatter()
        # glibc gives memory back to the system, and asks for it anew, at each picture, unless a
        # larger block has been freed before; zeroing the pages took a third of a picture's time.
        np.empty(_LARGE_BLOCK, np.uint8)

    def rgb(self, picture: VideoFrame) -> Image | None:
        """(h, w, 3) uint8; None where it cannot be converted or is too large."""
        width, height = self._square(picture.width, picture.height)
        if size_fault(width, height):
            return None
        try:
            shown = self._convert.reformat(picture, format="rgb24", threads=1)
        except (av.error.FFmpegError, ValueError):
            return None
        image = _plane(shown, 3 * picture.width).reshape(picture.height, picture.width, 3)
        if image.shape[:2] != (height, width):
            # By OpenCV, which takes a fourth of the time that FFmpeg's scaler does.
            image = np.asarray(cv2.resize(image, (width, height)), np.uint8)
        return self._upright(image)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of what is made of a picture."""
        width, height = self._square(width, height)
        return (height, width) if self._orientation[1] else (width, height)

    def _square(self, width: int, height: int) -> tuple[int, int]:
        """Stretched along one side, so that no line is lost."""
        if self._aspect == 1:
            return width, height
        if self._aspect >= 1:
            return round(width * self._aspect), height
        return width, round(height / self._aspect)

    def _upright(self, image: Image) -> Image:
        a, b, c, d = self._orientation
        if b:
            image = image.transpose(1, 0, 2)
        if (c if b else a) < 0:
            image = image[:, ::-1]
        if (b or d) < 0:
            image = image[::-1]
        return np.ascontiguousarray(image)


def _plane(picture: VideoFrame, row_bytes: int) -> Image:
    """The first plane without what pads its rows: (h * row_bytes,) uint8, a copy where padded."""
    plane = picture.planes[0]
    data: Image = np.frombuffer(memoryview(plane), np.uint8)
    if plane.line_size == row_bytes:
        return data[: plane.height * row_bytes]
    rows = data[: plane.height * plane.line_size].reshape(plane.height, plane.line_size)
    return np.ascontiguousarray(rows[:, :row_bytes]).reshape(-1)


def first_plane(picture: VideoFrame) -> Image:
    """What the decoder wrote into a picture's first plane, luma in most: uint8."""
    plane = picture.planes[0]
    component = picture.format.components[0]
    packed = len(picture.planes) == 1 and not picture.format.is_planar
    bits = picture.format.padded_bits_per_pixel if packed else (component.bits + 7) // 8 * 8
    return _plane(picture, min(plane.width * bits // 8, plane.line_size))
