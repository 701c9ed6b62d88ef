"""Videos made by PyAV whose pictures tell their numbers, in every container and codec that is read.

A picture's number is drawn twice in large blocks, as it is and inverted, so that damage shows as no
number and not as another one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from glee.pipeline.clips import Clip
from glee.pipeline.images.frames import FrameIndex, index_frames, read_frames

WIDTH, HEIGHT, RATE = 320, 240, 25
BITS = 8
DARK, BRIGHT = 40, 215
# How far from the two a block may be, and still be believed.
CLEAR = 55

Image = npt.NDArray[np.uint8]


def draw(number: int, width: int = WIDTH, height: int = HEIGHT) -> Image:
    """A picture that tells its number, (height, width, 3) uint8 RGB, over a texture that moves."""
    x, y = np.arange(width), np.arange(height)[:, None]
    texture = 110 + 25 * np.sin((x + 3 * number) / 9) + 25 * np.cos((y - 2 * number) / 7)
    image = np.repeat(texture[..., None], 3, axis=2)
    image[..., 2] += 15
    for row, inverted in ((1, False), (3, True)):
        for bit in range(BITS):
            bright = bool(number >> bit & 1) != inverted
            block = np.s_[row * height // 6 : (row + 1) * height // 6, _columns(bit, width)]
            image[block] = BRIGHT if bright else DARK
    return np.clip(image, 0, 255).astype(np.uint8)


def number_of(image: Image) -> int | None:
    """The number that a picture shows; None where the blocks do not agree."""
    height, width = image.shape[:2]
    grey = image.astype(np.float64).mean(axis=2)
    rows = []
    for row in (1, 3):
        bits = []
        for bit in range(BITS):
            columns = _columns(bit, width)
            inset = (columns.stop - columns.start) // 4
            band = np.s_[
                row * height // 6 + height // 18 : (row + 1) * height // 6 - height // 18,
                columns.start + inset : columns.stop - inset,
            ]
            value = float(grey[band].mean())
            if min(abs(value - DARK), abs(value - BRIGHT)) > CLEAR:
                return None
            bits.append(value > (DARK + BRIGHT) / 2)
        rows.append(bits)
    if any(one == other for one, other in zip(*rows, strict=True)):
        return None
    return sum(1 << bit for bit, set_ in enumerate(rows[0]) if set_)


def _columns(bit: int, width: int) -> slice:
    return slice(bit * width // BITS, (bit + 1) * width // BITS)


@dataclass(frozen=True)
class Recipe:
    """How a video is made. stamps: of the pictures, in 1 / `rate` s; None for 0, 1, 2 ...

    lost: numbers of packets, in the order of the file, that are left out. sound: seconds of it.
    aspect: of a pixel. turn: degrees in the header, counter-clockwise. base: of the stream's time.
    """

    codec: str
    suffix: str
    format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    pixels: str = "yuv420p"
    size: tuple[int, int] = (WIDTH, HEIGHT)
    rate: int = RATE
    count: int = 40
    group: int = 10
    stamps: Sequence[int] | None = None
    lost: Collection[int] = ()
    sound: float = 0.0
    aspect: Fraction | None = None
    turn: int = 0
    muxing: Mapping[str, str] = field(default_factory=dict)


def make(folder: Path, recipe: Recipe, name: str = "video") -> Path:
    """Write a video; its path."""
    path = folder / f"{name}{recipe.suffix}"
    with av.open(str(path), "w", format=recipe.format, options=dict(recipe.muxing)) as container:
        stream: Any = container.add_stream(
            recipe.codec, rate=recipe.rate, options=dict(recipe.options)
        )
        stream.width, stream.height = recipe.size
        stream.pix_fmt = recipe.pixels
        stream.codec_context.gop_size = recipe.group
        stream.codec_context.thread_count = 1
        if recipe.aspect is not None:
            stream.codec_context.sample_aspect_ratio = recipe.aspect
        if recipe.turn:
            stream.set_display_rotation(recipe.turn)
        sound: Any = container.add_stream("mp2", rate=48000) if recipe.sound else None
        _write_pictures(container, stream, recipe)
        if sound is not None:
            _write_sound(container, sound, recipe.sound)
    return path


def _write_pictures(container: Any, stream: Any, recipe: Recipe) -> None:
    stamps = range(recipe.count) if recipe.stamps is None else recipe.stamps
    written = 0
    for number in [*range(len(stamps)), None]:
        picture = None
        if number is not None:
            drawn = draw(number, *recipe.size)
            picture = av.VideoFrame.from_ndarray(drawn, format="rgb24")
            picture.pts, picture.time_base = stamps[number], Fraction(1, recipe.rate)
        for packet in stream.encode(picture):
            if written not in recipe.lost:
                container.mux(packet)
            written += 1


def _write_sound(container: Any, stream: Any, seconds: float) -> None:
    for number in range(int(seconds * 48000 / 1152)):
        silence = np.zeros((1, 2 * 1152), np.int16)
        frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="stereo")
        frame.sample_rate, frame.pts = 48000, number * 1152
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def clip_of(path: Path) -> Clip:
    """The file as a clip, whatever its name."""
    return Clip("folder", "s", "c", path.parent, path)


def shown(path: Path, index: FrameIndex, start: int, stop: int) -> list[int | str | None]:
    """What rows show: a number, "?" where none can be told, None where unreadable."""
    found: list[int | str | None] = []
    for image in read_frames(clip_of(path), index.part(start, stop), start, stop):
        number = None if image is None else number_of(image)
        found.append("?" if image is not None and number is None else number)
    return found


def read_all(path: Path, *, chunk: int = 0, deinterlace: bool = False) -> list[int | str | None]:
    """What all rows show, read at once or in chunks."""
    index = index_frames(clip_of(path), deinterlace=deinterlace)
    step = chunk or index.count
    parts = (
        shown(path, index, start, min(start + step, index.count))
        for start in range(0, index.count, step)
    )
    return [number for part in parts for number in part]


B = {"bf": "2"}
X264 = {"bf": "2", "preset": "ultrafast", "b-pyramid": "none"}
CORPUS = {
    "mp4-h264": Recipe("libx264", ".mp4", options={"bf": "3", "preset": "veryfast"}),
    "mp4-fragmented": Recipe(
        "libx264",
        ".mp4",
        options=X264,
        muxing={"movflags": "frag_keyframe+empty_moov"},
    ),
    "mp4-hevc": Recipe("libx265", ".mp4", options={"x265-params": "log-level=none:bframes=2"}),
    "mp4-mpeg4": Recipe("mpeg4", ".mp4", options=B),
    "mov-h264": Recipe("libx264", ".mov", options=X264),
    "mov-prores-10-bit": Recipe("prores", ".mov", pixels="yuv422p10le"),
    "mov-qtrle-alpha": Recipe("qtrle", ".mov", pixels="argb"),
    "mkv-h264": Recipe("libx264", ".mkv", options=X264),
    "mkv-hevc-10-bit": Recipe(
        "libx265",
        ".mkv",
        pixels="yuv420p10le",
        options={"x265-params": "log-level=none"},
    ),
    "mkv-ffv1": Recipe("ffv1", ".mkv"),
    "mkv-mpeg2": Recipe("mpeg2video", ".mkv", options=B),
    "webm-vp8-hidden-pictures": Recipe(
        "libvpx",
        ".webm",
        options={"auto-alt-ref": "1", "lag-in-frames": "12", "cpu-used": "8"},
    ),
    "webm-vp9-hidden-pictures": Recipe(
        "libvpx-vp9",
        ".webm",
        options={"auto-alt-ref": "1", "lag-in-frames": "12", "cpu-used": "8"},
    ),
    "webm-vp9-alpha": Recipe(
        "libvpx-vp9",
        ".webm",
        pixels="yuva420p",
        options={"cpu-used": "8", "auto-alt-ref": "0"},
    ),
    "avi-mjpeg": Recipe("mjpeg", ".avi", pixels="yuvj420p"),
    "avi-mpeg4": Recipe("mpeg4", ".avi", options={"bf": "0"}),
    "avi-mpeg4-b": Recipe("mpeg4", ".avi", options=B),
    "avi-mpeg2-b": Recipe("mpeg2video", ".avi", options=B),
    "avi-h264-b": Recipe("libx264", ".avi", options={"bf": "3", "preset": "veryfast"}),
    "avi-huffyuv": Recipe("huffyuv", ".avi", pixels="yuv422p"),
    "avi-raw": Recipe("rawvideo", ".avi", pixels="bgr24", count=20),
    "avi-msmpeg4": Recipe("msmpeg4v3", ".avi"),
    "ts-h264": Recipe("libx264", ".ts", options=X264),
    "m2ts-h264": Recipe("libx264", ".m2ts", "mpegts", options=X264),
    "ts-mpeg2": Recipe("mpeg2video", ".ts", options=B),
    "mpg-mpeg2": Recipe("mpeg2video", ".mpg", "mpeg", options=B),
    "vob-mpeg2": Recipe("mpeg2video", ".vob", "vob", options=B),
    "mpg-mpeg1": Recipe("mpeg1video", ".mpg", "mpeg"),
    "wmv": Recipe("wmv2", ".wmv", "asf"),
    "flv": Recipe("flv", ".flv"),
    "flv-h264": Recipe("libx264", ".flv", options=X264),
    "3gp-h263": Recipe("h263", ".3gp", size=(352, 288)),
    "mxf-mpeg2": Recipe("mpeg2video", ".mxf", pixels="yuv422p", options={"b": "8M"}),
    "dv": Recipe("dvvideo", ".dv", size=(720, 576), count=20),
    "nut-h264": Recipe("libx264", ".nut", options=X264),
    "h264-bare": Recipe("libx264", ".h264", "h264", options=X264),
    "mp4-as-avi": Recipe("libx264", ".avi", "mp4", options=X264),
    "gif": Recipe("gif", ".gif", pixels="rgb8", count=20),
}
