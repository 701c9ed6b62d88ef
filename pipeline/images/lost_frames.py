"""Pictures that a damaged video has lost, told by time stamps, or by the index of an AVI file."""

from __future__ import annotations

import struct
from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

# A rate is constant where so many of the steps between time stamps are alike, within this much:
# a tick of rounding to either side, and a part of the step.
_ALIKE, _ALIKE_IN_HARMED = 0.85, 0.6
_TICKS, _PART = 1.5, 0.01
_FEWEST_STEPS = 8
_FEWEST_BEFORE_LAST = 3
# B-frames in a row that an encoder makes at most (x264's own bound).
_MOST_B_FRAMES = 16
# Head and entries of an AVI file's index (OpenDML AVI 1.02, `idx1`), and how far behind the last
# packet it may begin.
_INDEX_HEAD, _INDEX_ENTRY = struct.Struct("<4sI"), np.dtype([("id", "S4"), ("rest", "<u4", 3)])
_INDEX_SEARCH = 1 << 16


def constant_step(stamps: npt.NDArray[np.int64], *, harmed: bool = False) -> float:
    """The step of time stamps that rise by one step, or now and then by a multiple of it, in ticks.

    0 where the rate is variable, or where there are too few to tell.

    stamps : (n,) int64, ticks of the stream's time base
    harmed : the file is known to be damaged, so that more may be missing
    """
    steps = np.diff(stamps)
    if len(steps) < _FEWEST_STEPS or steps.min() <= 0:
        return 0.0
    usual = float(np.median(steps))
    alike = np.abs(steps - usual) <= _TICKS + _PART * usual
    if alike.mean() < (_ALIKE_IN_HARMED if harmed else _ALIKE):
        return 0.0
    step = float(steps[alike].mean())
    times = np.round(steps / step)
    # Where a clock rounds, a gap of k steps is off by a tick too, not by k of them.
    exact = np.abs(steps - times * step) <= _TICKS + _PART * step * np.maximum(times, 1)
    return step if bool(exact.all() and times.min() >= 1) else 0.0


def lost_stamps(stamps: npt.NDArray[np.int64], *, harmed: bool = False) -> npt.NDArray[np.int64]:
    """The time stamps that are missing among those of a constant rate; none where it is variable.

    stamps : (n,) int64, rising, ticks of the stream's time base
    harmed : as in `constant_step`
    """
    step = constant_step(stamps, harmed=harmed)
    none = np.empty(0, np.int64)
    if step == 0.0:
        return none
    missing = np.round(np.diff(stamps) / step).astype(np.int64) - 1
    if missing.sum() > len(stamps):
        return none  # a clock that was set anew, not so many pictures lost
    found = [
        np.round(stamps[i] + step * np.arange(1, missing[i] + 1)).astype(np.int64)
        for i in np.flatnonzero(missing)
    ]
    return np.concatenate(found) if found else none


def lost_before_the_last(stamps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The time stamps missing before the last one, where all others keep a constant step.

    stamps : (n,) int64, rising, ticks of the stream's time base
    """
    steps = np.diff(stamps)
    none = np.empty(0, np.int64)
    if len(steps) < _FEWEST_BEFORE_LAST:
        return none
    step = float(steps[:-1].mean())
    allowed = _TICKS + _PART * step
    missing = round(float(steps[-1]) / step) - 1
    alike = bool((np.abs(steps[:-1] - step) <= allowed).all())
    exact = abs(float(steps[-1]) - (missing + 1) * step) <= allowed * (missing + 1)
    if not (alike and exact and 0 < missing <= _MOST_B_FRAMES):
        return none
    filled = stamps[-2] + step * np.arange(1, missing + 1)
    return np.asarray(np.round(filled), np.int64)


def behind_damage(
    damaged: npt.NDArray[np.bool_], keys: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """The rows that show damage: what is damaged, and what is predicted from it.

    A picture that is predicted from a damaged one shows the damage too, though no decoder says so;
    the next key picture ends it.

    damaged, keys : (n,) bool, in the order of the rows
    """
    rows = np.arange(len(damaged))
    last_damage = np.maximum.accumulate(np.where(damaged, rows, -1))
    last_key = np.maximum.accumulate(np.where(keys & ~damaged, rows, -1))
    return np.asarray(damaged | (last_damage > last_key))


def decoded_after_damage(
    stamps: Sequence[int | None], keys: Sequence[bool], damaged: Container[int | None]
) -> set[int | None]:
    """The packets that are damaged or decoded after such a one, up to the next key picture.

    A B-frame is shown before the picture that it is predicted from, so that the rows do not tell.

    stamps, keys : of the packets in the order of the file
    damaged : stamps of the damaged packets
    """
    found: set[int | None] = set()
    broken = leading_broken = False
    first: int | None = None
    for stamp, key in zip(stamps, keys, strict=True):
        if key:
            first, leading_broken, broken = stamp, broken, False
        # Shown before the key picture and decoded after it: nothing behind is predicted from it.
        leading = None not in (first, stamp) and stamp < first  # type: ignore[operator]
        if stamp in damaged:
            broken, leading_broken = broken or not leading, leading_broken or leading
        if broken or (leading and leading_broken):
            found.add(stamp)
    return found


def avi_index_count(path: Path, end: int, stream: int) -> int | None:
    """How many packets of a stream an AVI file's index states; None where no index follows them.

    end : where the last packet ends, bytes
    stream : number of the stream

    A file that is cut off has no index; one that has lost packets in its middle still states them.
    """
    with path.open("rb") as file:
        file.seek(end)
        at = file.read(_INDEX_SEARCH).find(b"idx1")
        if at < 0:
            return None
        file.seek(end + at)
        _, size = _INDEX_HEAD.unpack(file.read(_INDEX_HEAD.size).ljust(_INDEX_HEAD.size, b"\0"))
        data = file.read(min(size, path.stat().st_size))
    entries = np.frombuffer(data[: len(data) // 16 * 16], _INDEX_ENTRY)["id"]
    own = f"{stream:02d}".encode()
    return int(np.isin(entries, [own + b"dc", own + b"db"]).sum())
