"""What one pass over a video's file gives: its packets, and the pictures that the decoder made."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from av.video.frame import PictureType, VideoFrame

from .video import Orientation, first_plane, orientation_of

# Packets of MPEG-4 this small hold no picture: they repeat the one before, or stand in for one.
_EMPTY_VOP = 16
# MPEG-4's start code of a picture and coding type of B-frames; VP8's bit of what is shown.
_VOP, _VOP_B = b"\0\0\1\xb6", 2
_VP8_SHOWN = 0x10


@dataclass
class Packets:
    """The stream's packets in the order of the file, without those that an edit list leaves out.

    shown: whether each holds a picture that is shown. damaged: times of those that the demuxer
    calls damaged. plain: a packet is a picture, none is predicted from a later one. end: bytes.
    """

    codec: str
    pts: list[int | None] = field(default_factory=list)
    last: int = -1
    keys: list[bool] = field(default_factory=list)
    shown: list[bool] = field(default_factory=list)
    damaged: set[int | None] = field(default_factory=set)
    left_out: int = 0
    plain: bool = True
    end: int = 0

    def add(self, packet: Any) -> None:
        """Note a packet; what is empty, or left out by an edit list, is no picture."""
        if packet.size == 0:
            return
        self.end = max(self.end, (packet.pos or 0) + packet.size)
        if packet.is_discard:
            self.left_out += 1
            return
        if packet.is_corrupt:
            self.damaged.add(packet.pts)
        self.pts.append(packet.pts)
        stamp = packet.pts if packet.dts is None else packet.dts
        self.last = max(self.last, -1 if stamp is None else stamp)
        self.keys.append(packet.is_keyframe)
        shown = True
        if self.codec == "vp8":
            shown = bool(bytes(packet)[0] & _VP8_SHOWN)
        elif self.codec == "mpeg4":
            shown = packet.size > _EMPTY_VOP
            self.plain &= _is_one_picture(bytes(packet))
        self.shown.append(shown)
        self.plain &= shown


def _is_one_picture(data: bytes) -> bool:
    """Whether a packet of MPEG-4 holds one picture, and that is no B-frame (ISO 14496-2, VOP)."""
    at = data.find(_VOP)
    coding = at + len(_VOP)
    if at < 0 or coding >= len(data) or data.find(_VOP, coding) >= 0:
        return False
    return data[coding] >> 6 != _VOP_B


@dataclass
class Pictures:
    """The decoder's output."""

    stamps: list[int | None] = field(default_factory=list)
    keys: list[bool] = field(default_factory=list)
    damaged: list[bool] = field(default_factory=list)
    both_ways: list[bool] = field(default_factory=list)
    interlaced: list[bool] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    shape: tuple[tuple[int, int], Orientation] | None = None

    def add(self, picture: VideoFrame, packets: Packets) -> None:
        """Note a picture; packets: those that were read until now."""
        self.stamps.append(picture.pts)
        self.keys.append(picture.key_frame)
        self.damaged.append(picture.is_corrupt or picture.pts in packets.damaged)
        self.both_ways.append(picture.pict_type == PictureType.B)
        self.interlaced.append(picture.interlaced_frame)
        self.marks.append(checksum(picture))
        if self.shape is None:
            self.shape = (picture.width, picture.height), orientation_of(picture)

    def kept(self, *, damaged: bool) -> npt.NDArray[np.int64]:
        """Numbers of the pictures that are rows, ascending.

        Left out is a part that comes twice, and in a damaged file what its clock contradicts.
        """
        numbers = np.setdiff1d(np.arange(len(self.stamps)), self._repeated())
        if not damaged or None in self.stamps:
            return numbers
        stamps, keys = np.array(self.stamps, np.int64), np.array(self.keys)
        while len(back := np.flatnonzero(np.diff(stamps[numbers]) <= 0)):
            # Neither side can be trusted, nor what is predicted from it, up to the next key.
            first = int(back[0])
            later = np.flatnonzero(keys[numbers[first + 2 :]])
            end = first + 2 + int(later[0]) if len(later) else len(numbers)
            numbers = np.delete(numbers, np.s_[first:end])
        return numbers

    def _repeated(self) -> list[int]:
        """Pictures of a part that comes twice, as in a file that is put together wrongly.

        There the clock goes back, and some pictures are, under the same times, the same. Where they
        are not, a new recording begins with a new clock, whose pictures all count.
        """
        seen: dict[int, int] = {}
        gone: list[int] = []
        back: list[int] = []
        latest, same = -(1 << 62), False
        for number, (stamp, mark) in enumerate(zip(self.stamps, self.marks, strict=True)):
            if stamp is None:
                return []
            if stamp > latest:
                gone += back if same else []
                latest, back, same = stamp, [], False
            elif stamp == latest and not back and mark == self.marks[number - 1]:
                gone.append(number)  # one packet that stands there twice
            elif stamp < latest or back:
                back.append(number)
                same |= seen.get(stamp) == mark
            seen.setdefault(stamp, mark)
        return gone + (back if same else [])


def checksum(picture: VideoFrame) -> int:
    """A checksum of a decoded picture, the same wherever decoding began."""
    return zlib.crc32(first_plane(picture).data)
