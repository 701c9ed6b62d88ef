"""Checksums of damaged files made right again, so that damage reaches what lies behind them."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib

import h5py
import numpy as np

from glee.fitting.array_files import check_heaps_in
from glee.fitting.morphable_model.model_file import _checksum
from glee.pipeline.shards.hdf5 import digest

_CENTRAL, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"
_DIGEST_BYTES = 32


def zip_right(content: bytes) -> bytes:
    """A zip with the CRC of each stored member as its bytes are now."""
    out = bytearray(content)
    at = content.find(_CENTRAL)
    while at >= 0 and at + 46 <= len(out):
        method, size = struct.unpack_from("<H8xI", out, at + 10)
        header = struct.unpack_from("<I", out, at + 42)[0]
        if method == zipfile.ZIP_STORED and out[header : header + 4] == _LOCAL:
            names = sum(struct.unpack_from("<HH", out, header + 26))
            begin = header + 30 + names
            crc = zlib.crc32(out[begin : begin + size])
            struct.pack_into("<I", out, at + 16, crc)
            struct.pack_into("<I", out, header + 14, crc)
        at = content.find(_CENTRAL, at + 4)
    return bytes(out)


def shard_right(content: bytes) -> bytes:
    """A shard with the checksums of its content and of its bytes as they are now."""
    image = bytearray(content[:-_DIGEST_BYTES])
    _renew(image, "content_sha256", digest)
    return bytes(image) + hashlib.sha256(image).digest()


def model_right(content: bytes) -> bytes:
    """A model file with the checksum of its arrays as they are now."""
    image = bytearray(content)
    _renew(image, "checksum", _model_digest)
    return bytes(image)


def _renew(image: bytearray, attribute: str, of_file) -> None:
    """Write a checksum over the one that an attribute holds, where the file can be read at all."""
    try:
        check_heaps_in(bytes(image))
        with h5py.File(io.BytesIO(bytes(image)), "r") as file:
            old, new = str(file.attrs[attribute]).encode(), of_file(file).encode()
    except Exception:  # h5py raises anything
        return
    place = image.find(old) if len(old) == len(new) else -1
    if place >= 0:
        image[place : place + len(new)] = new


def _model_digest(file: h5py.File) -> str:
    arrays: dict[str, np.ndarray] = {}

    def take(name: str, node: object) -> None:
        if isinstance(node, h5py.Dataset):
            words = node.dtype.kind == "O"
            arrays[name] = np.array(node.asstr()[()], np.str_) if words else node[()]

    file.visititems(take)
    return _checksum(arrays)
