"""The rows of a video from its index: pictures in their places, wherever reading begins.

Reading begins at the key picture before the first row that is wanted. Every picture is held against
the index, by its time stamp and, where there is one, its checksum; where one is not what is
expected, the file is decoded from its beginning, so that any part of it gives the same pictures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.video.frame import VideoFrame

from .lost_frames import decoded_after_damage
from .video import Image, PictureMaker, Video, open_video
from .video_index import VideoIndex
from .video_listing import checksum

# How much earlier than a key picture's own time to look for it, seconds.
_SEEK_BACK = (0.0, 1.0, 10.0)

_Row = tuple[int, VideoFrame]


class _NotAsIndexedError(Exception):
    """A picture after a seek is not the one that the index has there."""


def read_rows(path: Path, index: VideoIndex, start: int, stop: int) -> Iterator[Image | None]:
    """The rows start .. stop - 1, in order: (h, w, 3) uint8 RGB each, None where unreadable.

    Raises DataError where the file cannot be opened.
    """
    part = index.part(start, stop)
    wanted = start
    with open_video(path) as video:
        maker = PictureMaker(video.aspect, part.orientation)
        for rows in _ways(path, video, part):
            try:
                for row, picture in _deinterlaced(rows) if part.deinterlace else rows:
                    if row < wanted:
                        continue
                    for _ in range(wanted, row):
                        yield None
                    yield maker.rgb(picture) if part.readable[row - part.first] else None
                    wanted = row + 1
                    if wanted == stop:
                        return
                break
            except _NotAsIndexedError:
                continue
    for _ in range(wanted, stop):
        yield None


def _ways(path: Path, video: Video, part: VideoIndex) -> Iterator[Iterator[_Row]]:
    """The rows of a part, by seeking as far as that goes, then from the file's beginning."""
    if part.first > 0 and len(part.stamps):
        base = video.stream.time_base or Fraction(1)
        for seconds in _SEEK_BACK:
            if video.seek(int(part.stamps[0]) - int(seconds / base)):
                yield _sought(video, part)
        with open_video(path) as again:
            yield _from_the_start(again, part)
        return
    yield _from_the_start(video, part)


def _sought(video: Video, part: VideoIndex) -> Iterator[_Row]:
    """The rows from the part's key picture on; raises where one is not as indexed."""
    row_of = {stamp: row for row, stamp in enumerate(part.stamps.tolist())}
    by_marks = bool(len(part.marks))
    due = [row for row in range(len(part.readable)) if not by_marks or part.outputs[row] >= 0]
    place = 0
    shown = ((picture, True) for picture in video.pictures()) if by_marks else _judged(video)
    for picture, sound in shown:
        row = row_of.get(picture.pts)
        if place == len(due):
            return
        if row is None and place == 0:
            continue  # before the key picture
        if row is None or row != due[place] or not sound:
            raise _NotAsIndexedError
        if by_marks and checksum(picture) != part.marks[row]:
            raise _NotAsIndexedError
        place += 1
        yield part.first + row, picture
    if place < len(due):
        raise _NotAsIndexedError


def _judged(video: Video) -> Iterator[tuple[VideoFrame, bool]]:
    """Pictures, and whether neither they nor what was decoded before them is damaged.

    A picture is held back until those are out that it may have been predicted from.
    """
    held: deque[VideoFrame] = deque()
    # Time stamps of the packets since the last key picture but one, in the order of the file.
    groups: deque[list[int | None]] = deque([[], []], maxlen=2)
    damaged: set[int | None] = set()
    tainted: set[int | None] = set()
    for packet in video.packets():
        if packet.is_keyframe:
            groups.append([])
        if packet.size:
            groups[-1].append(packet.pts)
        failures = len(video.failed)
        pictures = video.decode(packet)
        bad = {picture.pts for picture in pictures if picture.is_corrupt}
        damaged |= bad | ({packet.pts} if len(video.failed) > failures else set())
        if damaged:
            recent = [stamp for group in groups for stamp in group]
            keys = [place == 0 for group in groups for place in range(len(group))]
            tainted = decoded_after_damage(recent, keys, damaged)
        held += pictures
        while held and (packet.size == 0 or len(held) > video.stream.codec_context.reorder_depth):
            picture = held.popleft()
            yield picture, picture.pts not in tainted
    while held:
        picture = held.popleft()
        yield picture, picture.pts not in tainted


def _from_the_start(video: Video, part: VideoIndex) -> Iterator[_Row]:
    return _by_number(video, part) if len(part.outputs) else _by_time(video, part)


def _by_number(video: Video, part: VideoIndex) -> Iterator[_Row]:
    """Rows by the number of the picture in the decoder's output."""
    row_of = {output: row for row, output in enumerate(part.outputs.tolist()) if output >= 0}
    for number, picture in enumerate(video.pictures()):
        row = row_of.get(number)
        if row is not None and checksum(picture) == part.marks[row]:
            yield part.first + row, picture


def _by_time(video: Video, part: VideoIndex) -> Iterator[_Row]:
    """Rows by time stamps; damage, and what is predicted from it, is left out.

    Only a file that seemed sound is read so, so that damage shows here for the first time.
    """
    row_of = {stamp: row for row, stamp in enumerate(part.stamps.tolist())}
    keys = set((part.keys - part.first).tolist())
    due, sound = 0, True
    for picture, whole in _judged(video):
        row = row_of.get(picture.pts)
        if row is None:
            continue
        if row < due:
            sound = False
            continue
        sound = ((sound and row == due) or row in keys) and whole
        due = row + 1
        if sound:
            yield part.first + row, picture


def _deinterlaced(rows: Iterator[_Row]) -> Iterator[_Row]:
    """Each picture made from both its fields, by FFmpeg's filter bwdif; as many as come in.

    The filter looks at the pictures before and after, so that one comes out when the next is in.
    """
    graph: Any = None
    shape: tuple[int, int, str] | None = None
    waiting: list[int] = []
    for row, picture in rows:
        own = picture.width, picture.height, picture.format.name
        if own != shape:
            yield from _drawn(graph, waiting, last=True)
            graph, shape = _graph(picture), own
        waiting.append(row)
        graph.vpush(picture)
        yield from _drawn(graph, waiting)
    yield from _drawn(graph, waiting, last=True)


def _graph(picture: VideoFrame) -> Any:
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=picture.width,
        height=picture.height,
        format=picture.format,
        time_base=picture.time_base,
    )
    bwdif = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(bwdif)
    bwdif.link_to(sink)
    graph.configure()
    return graph


def _drawn(graph: Any, waiting: list[int], *, last: bool = False) -> Iterator[_Row]:
    if graph is None:
        return
    if last:
        graph.vpush(None)
    while waiting:
        try:
            picture = graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        yield waiting.pop(0), picture
