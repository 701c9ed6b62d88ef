"""The index of a video: which pictures it holds, in which rows they belong, and how to find them.

Where the container's table of packets can be trusted to be that of the pictures, the packets are
only listed. Everything else is decoded once: interlaced and damaged files, variable rates,
transport and program streams, AVI with B-frames. Then each picture's place in the decoder's output
and a checksum of it are kept, by which a reader that has sought knows that it sees the same.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from .lost_frames import (
    avi_index_count,
    behind_damage,
    constant_step,
    decoded_after_damage,
    lost_before_the_last,
    lost_stamps,
)
from .video import Orientation, PictureMaker, Video, open_video, orientation_of
from .video_listing import Packets, Pictures

logger = logging.getLogger(__name__)

# Codecs whose decoders do not notice damage: only checksums tell that a seek gave the same.
_UNCHECKED = frozenset(("ffv1", "huffyuv", "utvideo"))
# Containers in which every packet states the time of its own picture.
_TIMED = ("mov", "matroska")
# Codecs of which a packet is one picture that is shown, where it is not interlaced.
_ONE_PICTURE = frozenset(
    ("av1", "dnxhd", "dvvideo", "ffv1", "h264", "hevc", "huffyuv", "mjpeg", "mpeg1video")
    + ("mpeg2video", "mpeg4", "png", "prores", "qtrle", "rawvideo", "utvideo", "vp8", "vp9")
)
# Pictures that are decoded to see that the table of packets is that of the pictures.
_PROBED = 4
# A container that declares more than this many times its frames does not tell the truth.
_MAXIMUM_OVERCLAIM = 8
# AVI headers of writers that round durations are one off.
_ROUNDING = 1
# Deinterlacing looks at the pictures around, so that reading begins earlier.
_NEIGHBOURS = 2
_MOST_RATE = 1000.0
# Steps by which a time stamp is too far behind the last picture to be believed in a damaged file.
_FAR_BEHIND = 64
# Steps of a constant rate that leave none out.
_MOST_STEP = 1.5
# How far a damaged file's clock jumps back and forth, seconds.
_DISORDER = 1.0
_SAME_RATE = 0.005
# Part of a damaged file's pictures that have a time, beyond which those without are left out.
_MOSTLY = 0.75
# Part of the pictures beyond which a video is called interlaced.
_INTERLACED = 0.05


@dataclass(frozen=True, eq=False)
class VideoIndex:
    """Where a video's rows are found, from row `first` on; n rows.

    stamps: (n,) int64, time stamps in the stream's time base, each a row's own; empty where they do
    not tell pictures apart. outputs: (n,) int64, a picture's number in the decoder's output, -1
    where it is lost; empty where the packets' times tell. marks: (n,) uint32, checksums of the
    decoded pictures, likewise. readable: (n,) bool. keys: rows of key pictures, ascending.
    interlaced: whether pictures are. deinterlace: whether they are to be deinterlaced.
    orientation: how pictures are turned upright. notes: what a user should know, a line each.
    """

    container: str
    codec: str
    stamps: npt.NDArray[np.int64]
    outputs: npt.NDArray[np.int64]
    marks: npt.NDArray[np.uint32]
    readable: npt.NDArray[np.bool_]
    keys: npt.NDArray[np.int64]
    orientation: Orientation
    intra_only: bool = False
    interlaced: bool = False
    deinterlace: bool = False
    notes: tuple[str, ...] = ()
    first: int = 0

    def part(self, start: int, stop: int) -> VideoIndex:
        """What is needed of it to read the rows start .. stop - 1: from a key picture on."""
        begin = max(start - _NEIGHBOURS * self.deinterlace, self.first)
        before = int(np.searchsorted(self.keys, begin, side="right"))
        anchor = max(int(self.keys[before - 1]) if before else 0, self.first)
        stop += _NEIGHBOURS * self.deinterlace
        inside = slice(anchor - self.first, stop - self.first)
        end = int(np.searchsorted(self.keys, stop))
        return replace(
            self,
            stamps=self.stamps[inside],
            outputs=self.outputs[inside],
            marks=self.marks[inside],
            readable=self.readable[inside],
            keys=self.keys[max(before - 1, 0) : end],
            first=anchor,
        )

    def describe(self) -> str:
        """Codec and container, and what else there is to say, for a summary."""
        own = f"{self.codec} in {self.container}"
        if self.interlaced:
            own += ", interlaced" + (" (deinterlaced)" if self.deinterlace else "")
        return "; ".join((own, *self.notes))


@dataclass(frozen=True, eq=False)
class IndexedVideo:
    """A video's index, its displayed size (width, height), rate and rows' times, microseconds.

    times: (n,) int64, ascending; empty where the stream gives none that rise.
    """

    index: VideoIndex
    count: int
    size: tuple[int, int]
    fps: float
    times: npt.NDArray[np.int64]


def index_video(path: Path, *, deinterlace: bool = False) -> IndexedVideo:
    """The index of a video file. Raises DataError where it holds no picture that can be decoded.

    deinterlace : of interlaced pictures, show one picture a frame made from both fields
    """
    with open_video(path) as video:
        listed = _listed(video) if video.container_name in (*_TIMED, "avi") else None
    if listed is not None:
        with open_video(path) as video:
            found = _from_packets(video, listed)
            if found is not None:
                return found
    with open_video(path) as video:
        return _from_pictures(video, deinterlace)


def _listed(video: Video) -> Packets:
    packets = Packets(video.codec)
    for packet in video.packets():
        packets.add(packet)
    if not packets.pts:
        raise DataError(f"{video.path}: holds no frame; get the file again")
    return packets


def _from_packets(video: Video, packets: Packets) -> IndexedVideo | None:
    """The index by the packets alone; None where they do not tell the pictures for certain."""
    stamps = _plain_stamps(video, packets)
    if stamps is None:
        return None
    probe = list(islice(video.pictures(), _PROBED))
    shown = [picture.pts for picture in probe]
    wanted = min(_PROBED, len(stamps))
    sound = not any(picture.is_corrupt or picture.interlaced_frame for picture in probe)
    if not sound or len(probe) < wanted or shown != stamps[: len(shown)].tolist():
        return None
    keys = np.array(packets.keys)[np.argsort(np.array(packets.pts, np.int64))]
    index = VideoIndex(
        container=video.container_name,
        codec=video.codec,
        stamps=stamps,
        outputs=np.empty(0, np.int64),
        marks=np.empty(0, np.uint32),
        readable=np.ones(len(stamps), bool),
        keys=np.flatnonzero(keys),
        orientation=orientation_of(probe[0]),
    )
    return _described(video, index, (probe[0].width, probe[0].height), stamps)


def _plain_stamps(video: Video, packets: Packets) -> npt.NDArray[np.int64] | None:
    """The pictures' time stamps, ascending, where each packet is a picture at a constant rate."""
    unknown = None in packets.pts or packets.damaged or not packets.plain
    if (
        unknown
        or video.codec not in _ONE_PICTURE - _UNCHECKED
        or not (packets.keys[0] or packets.left_out)
    ):
        return None
    stamps = np.sort(np.array(packets.pts, np.int64))
    step = constant_step(stamps)
    if step == 0.0 or np.diff(stamps).max() > _MOST_STEP * step:
        return None
    if video.container_name == "avi":
        # An AVI file has no times of presentation: they are right where nothing is reordered.
        plain = video.stream.codec_context.codec.intra_only or video.codec == "mpeg4"
        in_order = plain and packets.pts == list(range(len(stamps)))
        return stamps if in_order and _missing_in_avi(video, packets) == 0 else None
    declared = video.stream.frames
    return stamps if declared in (0, len(stamps) + packets.left_out) else None


def _from_pictures(video: Video, deinterlace: bool) -> IndexedVideo:
    """The index by decoding everything once."""
    packets, pictures = Packets(video.codec), Pictures()
    for packet in video.packets():
        packets.add(packet)
        for picture in video.decode(packet):
            pictures.add(picture, packets)
    if pictures.shape is None:
        raise DataError(f"{video.path}: no frame can be decoded; get the file again or convert it")
    interlaced = float(np.mean(pictures.interlaced)) > _INTERLACED
    harmed = bool(any(pictures.damaged) or video.failed or packets.damaged)
    harmed |= video.container_name not in (*_TIMED, "avi") and _in_disorder(pictures, video)
    if harmed:
        harms = {s for s, bad in zip(pictures.stamps, pictures.damaged, strict=True) if bad}
        harms |= {pts for pts, _ in video.failed} | packets.damaged
        after = decoded_after_damage(packets.pts, packets.keys, harms)
        pictures.damaged = [
            bad or stamp in after
            for stamp, bad in zip(pictures.stamps, pictures.damaged, strict=True)
        ]
    kept = np.arange(len(pictures.stamps))
    if video.container_name != "avi":
        kept = pictures.kept(damaged=harmed)
        if harmed:
            kept = _with_a_time(kept, pictures)
    known = [pictures.stamps[number] for number in kept]
    rising = None not in known
    stamps = np.array(known if rising else range(len(kept)), np.int64)
    rising = rising and bool((np.diff(stamps) > 0).all())
    if harmed and video.container_name == "avi" and len(kept) != packets.last + 1 and not rising:
        raise DataError(
            f"{video.path}: damaged, {packets.last + 1} frames are there and {len(kept)} can be "
            "decoded, and which ones cannot be told; get the file again or convert it"
        )
    lost = (
        _lost(video, packets, pictures, stamps, interlaced, harmed)
        if rising
        else np.empty(0, np.int64)
    )
    tail = _missing_at_the_end(video, packets, len(kept) + len(lost))
    lost = np.concatenate([lost, _ahead(stamps, lost, tail)])
    every = np.concatenate([stamps, lost])
    # Those that are lost come where they belong by time; the others stay in the decoder's order.
    order = np.argsort(every, kind="stable") if rising else np.arange(len(every))
    gone = np.zeros(len(lost), bool)
    outputs = np.concatenate([kept, np.full(len(lost), -1)])[order]
    keys = np.concatenate([np.array(pictures.keys)[kept], gone])[order]
    flagged = np.concatenate([np.array(pictures.damaged)[kept], gone])[order]
    both_ways = np.concatenate([np.array(pictures.both_ways)[kept], gone])[order]
    holes = outputs < 0
    flagged |= _before_a_hole(holes, both_ways)
    if video.container_name == "asf" or (harmed and video.container_name not in _TIMED):
        # What is lost may begin in the packet before, and a decoder of WMV does not say so.
        flagged |= np.append(holes[1:], False)
    if tail and video.container_name == "avi" and both_ways.any() and not rising:
        # B-frames that are shown before the last picture and stored after it may be cut off.
        flagged[len(kept) - 1] = True
    damaged = behind_damage(flagged | holes, keys)
    if harmed and video.container_name not in (*_TIMED, "avi"):
        # The first key picture behind damage may have got a time that is not its own.
        damaged = behind_damage(damaged, keys & ~_first_behind(damaged))
    unique = None not in known and len(np.unique(every)) == len(every)
    notes = _notes(video, packets, pictures, len(lost), int(damaged.sum()) - len(lost))
    index = VideoIndex(
        container=video.container_name,
        codec=video.codec,
        stamps=every[order] if unique else np.empty(0, np.int64),
        outputs=outputs,
        marks=np.concatenate([np.array(pictures.marks)[kept], gone]).astype(np.uint32)[order],
        readable=~damaged,
        keys=np.flatnonzero(keys & ~damaged),
        orientation=pictures.shape[1],
        interlaced=interlaced,
        deinterlace=deinterlace and interlaced,
        notes=notes,
    )
    usable = every[order] if None not in known else np.empty(0, np.int64)
    return _described(video, index, pictures.shape[0], usable)


def _with_a_time(kept: npt.NDArray[np.int64], pictures: Pictures) -> npt.NDArray[np.int64]:
    """Of a damaged file's pictures those that have a time, where most have one.

    One without cannot be placed, and would move all behind it; its place is a lost one's.
    """
    timed = np.array([pictures.stamps[number] is not None for number in kept], bool)
    return kept[timed] if timed.mean() > _MOSTLY else kept


def _before_a_hole(
    lost: npt.NDArray[np.bool_], both_ways: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """The B-frames right before what is lost: what they are predicted from may be lost too."""
    found = np.zeros(len(lost), bool)
    for row in np.flatnonzero(lost):
        before = row - 1
        while before >= 0 and both_ways[before] and not found[before]:
            found[before] = True
            before -= 1
    return found


def _in_disorder(pictures: Pictures, video: Video) -> bool:
    """Whether the clock goes back a little: further back is a new recording behind the first."""
    if None in pictures.stamps:
        return False
    stamps = np.array(pictures.stamps, np.int64).astype(np.float64)
    back = -np.diff(stamps) * float(video.stream.time_base or 1)
    return bool(((back > 0) & (back < _DISORDER)).any())


def _first_behind(damaged: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The first sound row behind each damage."""
    return np.concatenate([[False], damaged[:-1] & ~damaged[1:]])


def _ahead(
    stamps: npt.NDArray[np.int64], lost: npt.NDArray[np.int64], tail: int
) -> npt.NDArray[np.int64]:
    """Time stamps of so many pictures that are cut off at the end."""
    last = max(int(stamps.max()), int(lost.max(initial=stamps.max())))
    usual = float(np.median(np.diff(stamps))) if len(stamps) > 1 else 1.0
    step = max(constant_step(stamps) or usual, 1.0)
    return np.round(last + step * np.arange(1, tail + 1)).astype(np.int64)


def _lost(
    video: Video,
    packets: Packets,
    pictures: Pictures,
    stamps: npt.NDArray[np.int64],
    interlaced: bool,
    harmed: bool,
) -> npt.NDArray[np.int64]:
    """Time stamps of pictures that the file should hold and the decoder did not give, ascending."""
    timed = video.container_name in _TIMED
    if timed and not interlaced and video.codec in _ONE_PICTURE:
        listed = zip(packets.pts, packets.shown, strict=True)
        expected = {pts for pts, shown in listed if shown and pts is not None}
    else:
        expected = {pts for pts, _ in video.failed if pts is not None}
    lost = np.array(sorted(expected - set(stamps.tolist())), np.int64)
    if harmed and len(stamps) > 1:
        # Damage to a time stamp itself: no picture is so far behind the last one.
        lost = lost[lost <= stamps[-1] + _FAR_BEHIND * np.median(np.diff(stamps))]
    if not timed or not video.failed:
        # A recording that begins between key pictures: what needs the ones before is no picture.
        lost = lost[lost > stamps[0]]
    if video.container_name == "mov" or video.container_name == "avi" and not harmed:
        return lost  # their tables state every picture: a gap is meant to be there
    there = np.sort(np.concatenate([stamps, lost]))
    if any(pictures.both_ways):
        # A file that is cut off may end with a picture whose B-frames, shown before it, are gone.
        lost = np.concatenate([lost, lost_before_the_last(there)])
        there = np.sort(np.concatenate([stamps, lost]))
    return np.sort(np.concatenate([lost, lost_stamps(there, harmed=harmed)]))


def _missing_at_the_end(video: Video, packets: Packets, found: int) -> int:
    """Pictures that a file declares and that are cut off.

    Raises DataError where they are lost in its middle, or it declares far too many.
    """
    declared = video.stream.frames
    if video.container_name == "avi":
        missing = _missing_in_avi(video, packets)
    elif video.container_name == "mov":
        missing = max(declared - packets.left_out - found, 0) if declared else 0
    else:
        return 0
    if missing and found + missing > _MAXIMUM_OVERCLAIM * found:
        raise DataError(
            f"{video.path}: declares {declared} frames but holds {found}: truncated; get it again"
        )
    if missing:
        logger.warning("%s: truncated, holds %d of %d frames", video.path, found, declared)
    return missing


def _missing_in_avi(video: Video, packets: Packets) -> int:
    """Packets cut off at the end of an AVI file; empty ones count as there.

    Raises DataError where its index states more than are there: which are lost, nothing tells.
    """
    there = packets.last + 1
    declared = video.stream.frames
    indexed = avi_index_count(video.path, packets.end, video.stream.index)
    if indexed is not None and indexed > there:
        raise DataError(
            f"{video.path}: damaged, {indexed - there} of {indexed} frames are lost in its "
            "middle and which ones cannot be told; get the file again or convert it"
        )
    if indexed is not None and indexed < there:
        raise DataError(
            f"{video.path}: damaged, holds {there - indexed} frames beside the {indexed} of its "
            "index and which ones cannot be told; get the file again or convert it"
        )
    if indexed is not None:
        return 0
    return declared - there if declared > there + _ROUNDING else 0


def _notes(
    video: Video, packets: Packets, pictures: Pictures, lost: int, damaged: int
) -> tuple[str, ...]:
    notes, count = [], len(pictures.stamps)
    if lost:
        notes.append(f"{lost} frames are lost")
    if damaged:
        notes.append(f"{damaged} frames are damaged")
    slots = video.stream.frames if video.container_name == "avi" else 0
    if not lost and slots > count:
        notes.append(f"{slots - count} of {slots} frames that it declares hold no picture")
    return tuple(notes)


def _described(
    video: Video,
    index: VideoIndex,
    stored: tuple[int, int],
    stamps: npt.NDArray[np.int64],
) -> IndexedVideo:
    """With size, rate and times. stamps: (n,) int64 of the rows, or none."""
    count = len(index.readable)
    rate = video.stream.average_rate or video.stream.guessed_rate
    fps = float(rate) if rate and 0 < rate <= _MOST_RATE else 0.0
    times = np.empty(0, np.int64)
    base = video.stream.time_base
    if len(stamps) and base and (np.diff(stamps) >= 0).all():
        seconds = (stamps - stamps[0]).astype(np.float64) * float(base)
        times = np.round(1e6 * seconds).astype(np.int64)
        if seconds[-1] > 0:
            # A container's own rate may be that of its clock, or what a variable one began with.
            seen = (count - 1) / float(seconds[-1])
            fps = fps if abs(fps / seen - 1) <= _SAME_RATE else min(seen, _MOST_RATE)
    width, height = PictureMaker(video.aspect, index.orientation).size(*stored)
    return IndexedVideo(index, count, (width, height), fps, times)
