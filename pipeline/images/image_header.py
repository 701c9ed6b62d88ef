"""The size that an image file claims, before anything of that size is allocated; what is wrong.

Sources: the PNG specification (ISO/IEC 15948), JPEG (ITU-T T.81, annex B), TIFF 6.0 and BigTIFF as
libtiff describes it, the WebP container specification (RFC 9649), and the Windows bitmap headers.
"""

from __future__ import annotations

import struct

# Larger than any camera's; a file of a few bytes may claim any size.
MAXIMUM_PIXELS = 150_000_000
# OpenCV turns and scales no longer ones (its `warpAffine` counts in 16 bits).
MAXIMUM_SIDE = 32766
# The longer side over the shorter one; of a narrower picture a detector's small copy has no width.
MAXIMUM_ASPECT = 32
# Larger than a picture of MAXIMUM_PIXELS without any compression.
MAXIMUM_BYTES = 2 << 30

_PNG = b"\x89PNG\r\n\x1a\n"
# JPEG markers that are followed by the image's size; and those that stand alone.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
# TIFF tags of width and height, and the types that they may have.
_WIDTH, _HEIGHT = 256, 257
_TIFF_TYPES = {3: "H", 4: "I"}
_BIG_TIFF_TYPES = {**_TIFF_TYPES, 16: "Q"}
_MOST_TIFF_ENTRIES = 4096
# Some cameras write a little after an image's end.
_TAIL = 4096


def claimed_size(data: bytes) -> tuple[int, int] | None:
    """Read the size in the header of a PNG, JPEG, BMP, TIFF or WebP.

    Parameters
    ----------
    data : the file's content, or its beginning

    Returns
    -------
    (width, height) or None
        pixels; None where there is none
    """
    try:
        if data.startswith(_PNG):
            return struct.unpack_from(">II", data, 16)
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(b"BM"):
            return _bmp(data)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff(data)
        if data[:4] in (b"II+\0", b"MM\0+"):
            return _big_tiff(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
    except struct.error:
        pass
    return None


def size_fault(width: int, height: int) -> str:
    """Say why a picture of a claimed size is not decoded.

    Parameters
    ----------
    width, height : int, pixels

    Returns
    -------
    str
        For the brackets of a message; "" where the size is none to refuse.
    """
    claim = f"it claims {width} x {height} pixels"
    if not 0 < width * height <= MAXIMUM_PIXELS:
        return f"{claim}; {MAXIMUM_PIXELS} are the most"
    longer, shorter = max(width, height), min(width, height)
    if longer > MAXIMUM_SIDE:
        return f"{claim}; {MAXIMUM_SIDE} are the most of one side"
    if longer > MAXIMUM_ASPECT * shorter:
        return f"{claim}; one side may be {MAXIMUM_ASPECT} times the other at most"
    return ""


def image_fault(data: bytes) -> str:
    """Say why an image that could not be read could not.

    Parameters
    ----------
    data : the file's content

    Returns
    -------
    str
        For the brackets of a message.
    """
    if not data:
        return "the file is empty"
    size = claimed_size(data)
    if size is None:
        return "it is no PNG, JPEG, BMP, TIFF or WebP with a size in its header"
    if fault := size_fault(*size):
        return fault
    if data.startswith(b"\xff\xd8") and b"\xff\xd9" not in data[-_TAIL:]:
        return "the JPEG is cut off before its end"
    if data.startswith(_PNG) and b"IEND" not in data[-_TAIL:]:
        return "the PNG is cut off before its end"
    return "its content is damaged, or of a kind that OpenCV does not decode"


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            at += 1
            continue
        kind = data[at + 1]
        if kind in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        if kind == 0xFF:
            at += 1
        elif kind in _ALONE:
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _bmp(data: bytes) -> tuple[int, int]:
    if struct.unpack_from("<I", data, 14)[0] == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)


def _tiff(data: bytes) -> tuple[int, int] | None:
    order = "<" if data[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, directory)
    found = {}
    for entry in range(min(count, _MOST_TIFF_ENTRIES)):
        at = directory + 2 + 12 * entry
        tag, kind = struct.unpack_from(f"{order}HH", data, at)
        if tag in (_WIDTH, _HEIGHT) and kind in _TIFF_TYPES:
            (found[tag],) = struct.unpack_from(f"{order}{_TIFF_TYPES[kind]}", data, at + 8)
    return (found[_WIDTH], found[_HEIGHT]) if len(found) == 2 else None


def _big_tiff(data: bytes) -> tuple[int, int] | None:
    order = "<" if data[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(f"{order}Q", data, 8)
    (count,) = struct.unpack_from(f"{order}Q", data, directory)
    found = {}
    for entry in range(min(count, _MOST_TIFF_ENTRIES)):
        at = directory + 8 + 20 * entry
        tag, kind = struct.unpack_from(f"{order}HH", data, at)
        if tag in (_WIDTH, _HEIGHT) and kind in _BIG_TIFF_TYPES:
            (found[tag],) = struct.unpack_from(f"{order}{_BIG_TIFF_TYPES[kind]}", data, at + 12)
    return (found[_WIDTH], found[_HEIGHT]) if len(found) == 2 else None


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        return width, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None
