"""The random choices of an epoch: the order of the frames, crops, mirroring and light.

As in JAA-Net, training sees random 176x176 crops of the aligned 200x200 face, mirrored half of the
time, and testing the centre. Every choice depends on the seed, the epoch and the frame's index
only, so nothing changes with batches, workers or a resumed run.

A full shuffle of frames asks a different file for every frame. Here blocks (a few frames of a clip
that are read at once) are shuffled, and then every frame is moved on by a random way of up to
WINDOW positions. So a step needs only as many new blocks as it has frames in blocks, while its
frames come from as many blocks as the window has: about a thousand, from everywhere in the data.
`benchmarks/train.py` holds the labels of such batches, and the loss, against a full shuffle.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

ALIGNED_SIZE = 200
NETWORK_SIZE = 176


def stored_size(image_size: int) -> int:
    """Give the side of the aligned face of which the network sees `image_size`, both in pixels."""
    return round(image_size * ALIGNED_SIZE / NETWORK_SIZE)


def resized_face(face: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Resize an aligned face.

    Parameters
    ----------
    face : (s, s, 3) uint8
        RGB.
    size : int
        New side, pixels.

    Returns
    -------
    (size, size, 3) uint8
        RGB; the same array where it has that size already.
    """
    if face.shape[0] == size:
        return face
    method = cv2.INTER_AREA if size < face.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(face, (size, size), interpolation=method), np.uint8)


def mirrored_expressions(names: tuple[str, ...]) -> npt.NDArray[np.int64] | None:
    """Find for each expression the one that a mirrored face shows instead.

    Parameters
    ----------
    names : tuple of str
        Of blendshapes, ...Left beside ...Right.

    Returns
    -------
    (e,) int64 or None
        Indices into names. None where no name has a side, as in a statistical basis: nobody knows
        then what the mirrored face's coefficients are.
    """
    swap = {"Left": "Right", "Right": "Left"}
    position = {name: index for index, name in enumerate(names)}
    mirrored = np.arange(len(names))
    for name, index in position.items():
        side = next((side for side in swap if name.endswith(side)), "")
        mirrored[index] = position.get(name.removesuffix(side) + swap.get(side, ""), index)
    return mirrored if (mirrored != np.arange(len(names))).any() else None


@dataclass(frozen=True, eq=False)
class EpochDraw:
    """The random choices of one epoch over n frames.

    Attributes
    ----------
    order : (n,) int64
        A permutation of the frames.
    top, left : (n,) int64
        Corner of each frame's crop, pixels.
    mirror : (n,) bool
        Whether the frame is mirrored.
    gain : (n, 3) float32
        Factor on each colour in [-1, 1].
    offset : (n, 1) float32
        Added to all colours in [-1, 1].
    """

    order: npt.NDArray[np.int64]
    top: npt.NDArray[np.int64]
    left: npt.NDArray[np.int64]
    mirror: npt.NDArray[np.bool_]
    gain: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]


def draw_epoch(
    count: int,
    *,
    seed: int,
    epoch: int,
    margin: int,
    mirror: bool = True,
    light: float = 0.0,
    block: npt.NDArray[np.int64] | None = None,
) -> EpochDraw:
    """Draw one epoch's choices.

    Parameters
    ----------
    count : int
        Frames.
    seed : int
        Of the run.
    epoch : int
        Number of the epoch, from 0.
    margin : int
        Stored size minus crop size, pixels.
    mirror : bool
        Mirror half of the frames.
    light : float
        Strength of the change of brightness, contrast and colour; 0 leaves them.
    block : (count,) int64, optional
        Which frames are read together, for `frame_order`; by default each lies in a block of its
        own.

    Returns
    -------
    EpochDraw
        The choices.
    """
    random = np.random.default_rng([seed, epoch])
    order = frame_order(np.arange(count) if block is None else block, random)
    corner = random.integers(0, margin + 1, (2, count))
    flipped = random.random(count) < 0.5
    uniform = random.uniform(-1, 1, (count, 5))
    gain = 1 + light * (uniform[:, :1] + uniform[:, 1:4] / 3)
    return EpochDraw(
        order=order,
        top=corner[0],
        left=corner[1],
        mirror=flipped & mirror,
        gain=gain.astype(np.float32),
        offset=(0.5 * light * uniform[:, 4:]).astype(np.float32),
    )


# Frames that are mixed, and (of 16 frames) the blocks of 1024 that a reader has to remember.
WINDOW = 16384


def frame_order(
    block: npt.NDArray[np.int64], random: np.random.Generator, *, window: int = WINDOW
) -> npt.NDArray[np.int64]:
    """Permute n frames at random so that each block is used up within `window` frames or so.

    With no more frames than the window, all permutations are equally likely.

    Parameters
    ----------
    block : (n,) int64
        Which block each frame lies in.
    random : Generator
        Its next numbers are taken.
    window : int
        Frames that are mixed.

    Returns
    -------
    (n,) int64
        The permutation.
    """
    count = len(block)
    if count <= window:
        return random.permutation(count)
    _, number = np.unique(block, return_inverse=True)
    rank = random.permutation(int(number.max()) + 1)
    by_block = np.argsort(rank[number], kind="stable")
    position = np.arange(count) + window * random.random(count)
    return by_block[np.argsort(position, kind="stable")]
