"""What fit3d fits of a shard's frames: landmarks smoothed in time, and dense points behind them.

A clip is smoothed in blocks of frames counted from its first one, each with the frames around it,
from whichever shards they lie in: the result is the same whatever chunks the frames lie in. How
much, follows from second differences of the whole clip, which are counted shard by shard. The
shards keep the landmarks as they were detected.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ShardError, UsageError
from ..fitting.landmark_smoothing import (
    REACH,
    DifferenceCounts,
    Piece,
    TrackNoise,
    smooth_pieces,
)
from ..fitting.morphable_model.landmark_scheme import inter_ocular_distance
from ..fitting.visibility import PARTS
from .shards.hdf5 import file_state
from .shards.shard import Shard, read_shard

Landmarks = npt.NDArray[np.float64]

# Frames of a block, and of its surroundings on both sides. The smoother's memory of a frame at
# this distance is below 1e-6 (`landmark_smoothing.STIFFEST`).
BLOCK, CONTEXT = 64, 64
# A face that moves or grows by more from one frame to the next is not the same shot: its middle,
# in inter-ocular distances, and its size, as a factor.
CUT, GROWTH = 0.5, 1.3
# A part that is seen less is hidden.
HALF = 0.5
# So many shards' landmarks are kept for the shards beside them, and smoothed ones, 1 MB each.
KEPT = 16


class Stretch(NamedTuple):
    """Frames of a clip that follow each other in its shards.

    Attributes
    ----------
    landmarks : (n, 68, 2) float64
        Source pixels, NaN where not valid.
    frame_id : (n,) int64
        The dataset's own numbers.
    hidden : (n, 7) bool
        Whether each part of the face is hidden.
    """

    landmarks: Landmarks
    frame_id: npt.NDArray[np.int64]
    hidden: npt.NDArray[np.bool_]

    def part(self, chosen: slice) -> Stretch:
        """Take some of the frames.

        Parameters
        ----------
        chosen : slice
            Which.

        Returns
        -------
        Stretch
            Of these.
        """
        return Stretch(self.landmarks[chosen], self.frame_id[chosen], self.hidden[chosen])


def fitted_points(
    path: Path, shard: Shard, track: TrackNoise | None, dense: str | None
) -> Landmarks:
    """Give what is fitted of a shard's frames. Dense points are not smoothed.

    Parameters
    ----------
    path : Path
        The shard's, beside those of its clip.
    shard : Shard
        The same, read.
    track : TrackNoise or None
        The noise of the clip's landmarks; None to leave them as they are.
    dense : str or None
        Whether dense points are fitted too, see `Fit3dOptions`.

    Returns
    -------
    (n, 68, 2) or (n, 68 + d, 2) float64
        Source pixels, NaN where not valid; dense points behind the landmarks.

    Raises
    ------
    UsageError
        Where the shard has no dense points.
    """
    landmarks = smoothed_chunk(path, shard, track)
    if not dense:
        return landmarks
    if shard.frames.landmarks_dense is None:
        raise UsageError(f"{path}: holds no dense points; run `glee preprocess` with --dense")
    points = shard.frames.landmarks_dense.astype(np.float64)
    points[~shard.frames.valid] = np.nan
    return np.concatenate([landmarks, points], axis=1)


def with_defaults(options: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Complete the options of a fit that was made before there were all of today's.

    An option that came later, and whose default leaves the fit as it was, stands here; a shard
    without it is then not fitted again.

    Parameters
    ----------
    options : mapping or None
        As a shard holds them.

    Returns
    -------
    mapping or None
        With all options; None for None.
    """
    later = {"dense": None, "witness": False, "visibility": False}
    later |= {"jaw_by_pose": None, "units": None}
    return None if options is None else {**later, **options}


def points_in_context(
    shard: Shard, noise: TrackNoise | None, dense: str | None, context: int
) -> tuple[Landmarks, npt.NDArray[np.float64], slice]:
    """Give the points of a chunk between some of its neighbours', where there are any.

    What lies further away than that has no say in the solution of a fit's temporal term.

    Parameters
    ----------
    shard : Shard
        The chunk.
    noise, dense
        As those of `fitted_points`.
    context : int
        Frames of either neighbour; 0 for none.

    Returns
    -------
    tuple
        Points (n, p, 2) float64, how far each part is seen (n, 7) float64, and where the chunk's
        own frames lie among them.
    """
    index, first = int(shard.path.stem), 0
    parts = [(fitted_points(shard.path, shard, noise, dense), visibility_of(shard))]
    for number, some in ((index - 1, slice(-context, None)), (index + 1, slice(context))):
        path = _path_beside(shard.path, number)
        if context and number >= 0 and path.exists():
            beside = read_shard(path, verify=False)
            points = fitted_points(path, beside, noise, dense)[some]
            at, first = (0, len(points)) if number < index else (len(parts), first)
            parts.insert(at, (points, visibility_of(beside)[some]))
    landmarks, seen = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return landmarks, seen, slice(first, first + len(shard))


def points_digest(shard: Shard, *, dense: bool = False, witness: bool = False) -> str:
    """Digest what a shard's fit depends on.

    Parameters
    ----------
    shard : Shard
        The shard.
    dense : bool
        Its dense points are fitted too.
    witness : bool
        Its blendshapes are heard too.

    Returns
    -------
    str
        SHA-256, in hexadecimal.
    """
    digest = hashlib.sha256(repr((shard.header.frame_size, shard.header.detector)).encode())
    digest.update(np.ascontiguousarray(shard.frames.valid).tobytes())
    digest.update(np.ascontiguousarray(shard.frames.landmarks).tobytes())
    if dense and shard.frames.landmarks_dense is not None:
        digest.update(np.ascontiguousarray(shard.frames.landmarks_dense).tobytes())
    if witness and shard.frames.blendshapes is not None:
        digest.update(np.ascontiguousarray(shard.frames.blendshapes).tobytes())
    if shard.frames.visibility is not None:
        digest.update(np.ascontiguousarray(shard.frames.visibility).tobytes())
    return digest.hexdigest()


def noise_by_clip(shards: Iterable[Shard]) -> Mapping[str, TrackNoise | None]:
    """Estimate the noise of each clip of a subject, from all its shards in order.

    Their landmarks are kept at hand.

    Parameters
    ----------
    shards : iterable of Shard
        The subject's, in the order of their paths.

    Returns
    -------
    mapping
        Clip -> its noise; None where it cannot be smoothed.
    """
    by_clip = groupby(shards, lambda shard: shard.path.parent.name)
    return {clip: clip_noise(map(keep_at_hand, own)) for clip, own in by_clip}


def clip_noise(shards: Iterable[Stretch]) -> TrackNoise | None:
    """Estimate the noise of a clip.

    Parameters
    ----------
    shards : iterable of Stretch
        Its shards in their order.

    Returns
    -------
    TrackNoise or None
        None where the clip cannot be smoothed.
    """
    counts = DifferenceCounts()
    before: Stretch | None = None
    for new in shards:
        whole, first = new, 0
        if before is not None:
            first = len(before.landmarks)
            whole = Stretch(*(np.concatenate(pair) for pair in zip(before, new, strict=True)))
        begins, _ = _ends_of_runs(whole)
        counts.add(whole.landmarks, first, np.where(_usable(whole), begins.cumsum(), -1))
        before = whole.part(slice(-REACH, None))
    return counts.noise()


def smoothed_chunk(path: Path, shard: Shard, noise: TrackNoise | None) -> Landmarks:
    """Smooth the landmarks of a shard's frames.

    Parameters
    ----------
    path : Path
        The shard's, beside those of its clip.
    shard : Shard
        The same, read.
    noise : TrackNoise or None
        Of its clip; None to leave the landmarks as they are.

    Returns
    -------
    (n, 68, 2) float64
        Source pixels, NaN where not valid.

    Raises
    ------
    ShardError
        Where a shard of the clip is damaged.
    """
    own = stretch_of(shard)
    if noise is None:
        return own.landmarks
    start, stop = shard.header.start, shard.header.stop
    low = max(start // BLOCK * BLOCK - CONTEXT, 0)
    high = -(-stop // BLOCK) * BLOCK + CONTEXT
    found = _between(path, own, (start, stop), low, high)
    of = b"".join(np.ascontiguousarray(part).data for part in (*found, *vars(noise).values()))
    key = hashlib.sha256(of).digest(), low, start, stop
    if key not in _smoothed:
        done = smooth_pieces(found.landmarks, _pieces(found, low, start, stop), noise)
        _remember(_smoothed, key, done[start - low : stop - low].copy())
    return _smoothed[key].copy()


# What a chunk was smoothed from -> the result; for the identity, then for the frames.
_smoothed: OrderedDict[tuple[bytes, int, int, int], Landmarks] = OrderedDict()


def _remember(kept: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    kept[key] = value
    while len(kept) > KEPT:
        kept.popitem(last=False)


def _pieces(of: Stretch, low: int, start: int, stop: int) -> Iterator[Piece]:
    """What is smoothed together, for frames start to stop of a clip; the stretch begins at low."""
    for run in runs(of):
        first, last = run.start + low, run.stop + low
        for block in range(max(first, start) // BLOCK, -(-min(last, stop) // BLOCK)):
            begin, end = block * BLOCK, (block + 1) * BLOCK
            yield Piece(
                max(first, begin - CONTEXT) - low,
                min(last, end + CONTEXT) - low,
                max(first, begin, start) - low,
                min(last, end, stop) - low,
            )


def _between(path: Path, own: Stretch, place: tuple[int, int], low: int, high: int) -> Stretch:
    """Frames low to high of a clip, as far as it goes, one of whose shards is at hand."""
    stretches = [own]
    first, last = place
    before = after = int(path.stem)
    while first > low and before > 0:
        before -= 1
        first, _, stretch = _beside(path, before)
        stretches.insert(0, stretch)
    while last < high and _path_beside(path, after + 1).exists():
        after += 1
        _, last, stretch = _beside(path, after)
        stretches.append(stretch)
    joined = Stretch(*(np.concatenate(arrays) for arrays in zip(*stretches, strict=True)))
    chosen = slice(low - first, high - first)
    return joined.part(chosen)


def _path_beside(path: Path, number: int) -> Path:
    return path.with_name(f"{number:06d}{path.suffix}")


# Shard, with its file's state -> first and last frame, and the landmarks of those between.
_kept: OrderedDict[tuple[Path, tuple[int, int, int]], tuple[int, int, Stretch]] = OrderedDict()


def _beside(path: Path, number: int) -> tuple[int, int, Stretch]:
    beside = _path_beside(path, number)
    if not beside.exists():
        raise ShardError(
            f"{beside}: missing between shards of its clip; run `glee preprocess` again"
        )
    key = beside, file_state(beside)
    if key not in _kept:
        _keep(key, read_shard(beside, verify=False))
    _kept.move_to_end(key)
    return _kept[key]


def keep_at_hand(shard: Shard) -> Stretch:
    """Keep a shard's landmarks for the shards beside it, as long as its file stays the same.

    Parameters
    ----------
    shard : Shard
        As it lies in its work folder, where no other process writes it.

    Returns
    -------
    Stretch
        Of its frames.
    """
    return _keep((shard.path, file_state(shard.path)), shard)


def _keep(key: tuple[Path, tuple[int, int, int]], shard: Shard) -> Stretch:
    stretch = stretch_of(shard)
    _remember(_kept, key, (shard.header.start, shard.header.stop, stretch))
    return stretch


def stretch_of(shard: Shard) -> Stretch:
    """Give a shard's frames.

    Parameters
    ----------
    shard : Shard
        The shard.

    Returns
    -------
    Stretch
        NaN where a frame is not valid.
    """
    landmarks = shard.frames.landmarks.astype(np.float64)
    landmarks[~shard.frames.valid] = np.nan
    hidden = visibility_of(shard) < HALF
    return Stretch(landmarks, shard.frames.frame_id, hidden)


def visibility_of(shard: Shard) -> npt.NDArray[np.float64]:
    """Give how far each part of a face is seen in a shard's frames.

    Parameters
    ----------
    shard : Shard
        The shard.

    Returns
    -------
    (n, 7) float64
        In [0, 1]; 1 where the shard does not know, or a frame is not valid.
    """
    if shard.frames.visibility is None:
        return np.ones((len(shard), len(PARTS)))
    known = shard.frames.visibility.astype(np.float64)
    return np.where(np.isfinite(known), known, 1.0)


def smoothed(of: Stretch, noise: TrackNoise) -> Landmarks:
    """Smooth the landmarks of a stretch run by run.

    Parameters
    ----------
    of : Stretch
        Frames of a clip.
    noise : TrackNoise
        Of the clip.

    Returns
    -------
    (n, 68, 2) float64
        Source pixels, NaN where they were.
    """
    pieces = [Piece(run.start, run.stop, run.start, run.stop) for run in runs(of)]
    return smooth_pieces(of.landmarks, pieces, noise)


def runs(of: Stretch) -> Iterator[slice]:
    """Find the runs of valid frames that follow each other, without a cut between them.

    A run ends too where a part of the face is hidden or comes to be seen: what a detector draws of
    a hidden mouth has nothing to do with the mouth before and after.

    Parameters
    ----------
    of : Stretch
        Frames of a clip.

    Yields
    ------
    slice
        Of the stretch's frames.
    """
    begins, ends = _ends_of_runs(of)
    for start, last in zip(np.flatnonzero(begins), np.flatnonzero(ends), strict=True):
        yield slice(int(start), int(last) + 1)


def _ends_of_runs(of: Stretch) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether each frame is the first of a run, and whether it is the last of one, (n,)."""
    there = _usable(of)
    middle, size = of.landmarks.mean(1), inter_ocular_distance(of.landmarks)
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = np.linalg.norm(np.diff(middle, axis=0), axis=1) / size[:-1]
        growth = np.abs(np.log(size[1:] / size[:-1]))
    follows = (np.diff(of.frame_id) == 1) & (moved <= CUT) & (growth <= np.log(GROWTH))
    follows &= (of.hidden[1:] == of.hidden[:-1]).all(1) & there[1:] & there[:-1]
    return there & ~np.append(False, follows), there & ~np.append(follows, False)


def _usable(of: Stretch) -> npt.NDArray[np.bool_]:
    """Whether each frame has all its landmarks, (n,)."""
    return np.asarray(np.isfinite(of.landmarks).all((1, 2)), np.bool_)
