"""How far a work folder is, from its files alone: whoever asks, and whatever runs or ran."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import h5py

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

from ..errors import DataError, in_shell, visible
from .shards.shard import SHARD_FOLDER
from .work_folder import Plan, read_plan
from .work_lock import LOCK_FILE, read_holder


def work_status(work: Path) -> list[str]:
    """Say which shards are made and fitted, who is at work, and when the last change was.

    Parameters
    ----------
    work : Path
        The work folder.

    Returns
    -------
    list of str
        Lines of text.

    Raises
    ------
    DataError
        Where the folder is none.
    ShardError
        Where its plan cannot be read.
    """
    work = Path(work)
    if not (work / SHARD_FOLDER).is_dir():
        raise DataError(
            f"{work}: no work folder; `glee preprocess --out {in_shell(work)}` makes one"
        )
    made = sorted((work / SHARD_FOLDER).glob("*/*/*.h5"))
    plan = read_plan(work)
    lines = [
        *_shard_lines(plan, made),
        f"fit3d: {sum(map(_fitted, made))} of {len(made)} shards fitted",
        _run_line(work / LOCK_FILE),
        *_last_change(made),
    ]
    return [visible(line) for line in lines]


def work_status_facts(work: Path) -> dict[str, Any]:
    """Give what `work_status` says as plain data.

    Parameters
    ----------
    work : Path
        The work folder.

    Returns
    -------
    dict
        Among others `expected`: shards that the plan asks for, None before it is written.
        `run`: who holds or held the folder, None where nobody signed. `at_work`: None where this
        file system has no locks. `changed`: seconds since 1970 of the newest shard, None without
        shards.

    Raises
    ------
    DataError, ShardError
        As `work_status`.
    """
    work_status(work)
    made = sorted((Path(work) / SHARD_FOLDER).glob("*/*/*.h5"))
    plan = read_plan(Path(work))
    lock = Path(work) / LOCK_FILE
    return {
        "work": str(work),
        "dataset": None if plan is None else plan.dataset,
        "clips": None if plan is None else len(plan.clips),
        "frames": None if plan is None else sum(clip.frames for clip in plan.clips),
        "shards": len(made),
        "expected": None if plan is None else sum(clip.shards for clip in plan.clips),
        "fitted": sum(map(_fitted, made)),
        "run": read_holder(lock),
        "at_work": _held(lock),
        "changed": max((path.stat().st_mtime for path in made if path.exists()), default=None),
    }


def _shard_lines(plan: Plan | None, made: list[Path]) -> list[str]:
    if plan is None:
        return [f"preprocess: {len(made)} shards made; not known of how many, still at the index"]
    have: dict[tuple[str, str], int] = {}
    for path in made:
        key = (path.parent.parent.name, path.parent.name)
        have[key] = have.get(key, 0) + 1
    expected = sum(clip.shards for clip in plan.clips)
    count = sum(min(clip.shards, have.get((clip.subject, clip.clip), 0)) for clip in plan.clips)
    whole = sum(have.get((clip.subject, clip.clip), 0) >= clip.shards for clip in plan.clips)
    frames = sum(clip.frames for clip in plan.clips)
    subjects = len({clip.subject for clip in plan.clips})
    share = 100 * count // max(1, expected)
    return [
        f"{plan.dataset}: {subjects} subjects, {len(plan.clips)} clips, {frames} frames",
        f"preprocess: {count} of {expected} shards made ({share} %), "
        f"{whole} of {len(plan.clips)} clips whole",
    ]


def _fitted(path: Path) -> bool:
    try:
        with h5py.File(path, "r", locking=False) as file:
            return "fit" in file
    except OSError:  # replaced or damaged; `glee verify` tells
        return False


def _run_line(lock: Path) -> str:
    holder = read_holder(lock)
    who = "unknown" if holder is None else "{stage} on {host}, pid {pid}".format(**holder)
    held = _held(lock)
    if held:
        return f"run: {who}, since {holder['since']}" if holder else "run: at work"
    if holder is None:
        return "run: none at work"
    state = "none at work" if held is False else "perhaps at work (this file system has no locks)"
    return f"run: {state}; {who}, started {holder['since']}, did not come to its end"


def _held(lock: Path) -> bool | None:
    """Whether a run holds the lock; None where that cannot be told."""
    if fcntl is None:
        return None
    try:
        handle = os.open(lock, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(handle)
    return False


def _last_change(made: list[Path]) -> list[str]:
    times = []
    for path in made:
        try:
            times.append((path.stat().st_mtime, path))
        except FileNotFoundError:
            continue
    if not times:
        return []
    when, path = max(times)
    ago = max(0, round(time.time() - when))
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))
    return [f"last change: {stamp} ({ago} s ago), {path}"]
