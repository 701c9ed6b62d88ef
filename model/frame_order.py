"""The order in which an epoch shows the frames: random, from few files at a time.

A full shuffle of frames asks a different file for every frame. Here blocks (a few frames of a clip
that are read at once) are shuffled, and then every frame is moved on by a random way of up to
WINDOW places. So a step needs only as many new blocks as it has frames in blocks, while its frames
come from as many blocks as the window has: about a thousand, from everywhere in the data.
`benchmarks/train.py` holds the labels of such batches, and the loss, against a full shuffle.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Frames that are mixed, and (of 16 frames) the blocks of 1024 that a reader has to remember.
WINDOW = 16384


def frame_order(
    block: npt.NDArray[np.int64], random: np.random.Generator, *, window: int = WINDOW
) -> npt.NDArray[np.int64]:
    """A random permutation of n frames that uses each block up within `window` frames or so.

    block: (n,) which block each frame lies in. With no more frames than the window, all
    permutations are equally likely. Returns (n,) int64.
    """
    count = len(block)
    if count <= window:
        return random.permutation(count)
    _, number = np.unique(block, return_inverse=True)
    rank = random.permutation(int(number.max()) + 1)
    by_block = np.argsort(rank[number], kind="stable")
    place = np.arange(count) + window * random.random(count)
    return by_block[np.argsort(place, kind="stable")]
