"""Crops read a block at a time: a byte range of a shard's file, without HDF5 and without its lock.

A training that shuffles reads crops from everywhere; asking each file for one crop after the other
is slow on a network's file system. A block is the encoded crops of a few frames that follow each
other, read at once; the blocks used last are kept. Nothing is open between two reads, so a reader
may be forked or pickled at any time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ShardError
from ..images.crops import decode_crop
from .shard import Shard

# Frames of a block, and blocks that are kept: about 200 MB of JPEG crops.
BLOCK_FRAMES = 16
BLOCKS_KEPT = 1024


class CropBlocks:
    """Reads crops of shards, remembering the blocks used last.

    Parameters
    ----------
    shards : sequence of Shard
        Whose crops are read.
    kept : int
        Blocks that are remembered.

    Attributes
    ----------
    reads : int
        Blocks read so far.
    """

    def __init__(self, shards: Sequence[Shard], kept: int = BLOCKS_KEPT) -> None:
        self._shards = tuple(shards)
        self._kept = kept
        self._blocks: OrderedDict[tuple[int, int], npt.NDArray[np.uint8]] = OrderedDict()
        self.reads = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_blocks": OrderedDict()}

    def crop(self, shard: int, row: int) -> npt.NDArray[np.uint8]:
        """Read the aligned crop of one frame.

        Parameters
        ----------
        shard : int
            Its place among the shards.
        row : int
            The frame in it.

        Returns
        -------
        (size, size, 3) uint8
            RGB.

        Raises
        ------
        ShardError
            Where the file is gone or cut, or the image cannot be decoded.
        """
        source = self._shards[shard]
        number = row // BLOCK_FRAMES
        block = self._block(shard, number)
        base = source.crop_offset[number * BLOCK_FRAMES]
        begin, end = source.crop_offset[row] - base, source.crop_offset[row + 1] - base
        image = decode_crop(block[begin:end], source.encoding, source.crop_size)
        if image is None:
            raise ShardError(f"{source.path}: crop {row} cannot be decoded; make the shard again")
        return image

    def _block(self, shard: int, number: int) -> npt.NDArray[np.uint8]:
        key = shard, number
        block = self._blocks.get(key)
        if block is None:
            block = _read_block(self._shards[shard], number)
            self._blocks[key] = block
            self.reads += 1
            if len(self._blocks) > self._kept:
                self._blocks.popitem(last=False)
        else:
            self._blocks.move_to_end(key)
        return block


def _read_block(shard: Shard, number: int) -> npt.NDArray[np.uint8]:
    first = number * BLOCK_FRAMES
    begin = int(shard.crop_offset[first])
    end = int(shard.crop_offset[min(first + BLOCK_FRAMES, len(shard))])
    try:
        with shard.path.open("rb", buffering=0) as file:
            file.seek(shard.crop_begin + begin)
            data = file.read(end - begin)
    except OSError as error:
        raise ShardError(f"{shard.path}: cannot be read ({error.strerror})") from error
    if len(data) != end - begin:
        raise ShardError(f"{shard.path}: cut while it was in use; run the stage again")
    return np.frombuffer(data, np.uint8)
