"""Who is at work in a work folder, whether the folder is still there, and how far it is.

One run at a time holds a folder. The lock file says which; the lock ends with the process, however
that ends. How far the folder is follows from its files alone, whoever asks and whatever ran.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py

from ..errors import DataError, OutputError, visible
from ..whole_files import remove_temporaries
from .cluster.cluster import Cluster, Result, Task
from .cluster.tasks import Outcome
from .shards.content import SHARD_FOLDER
from .shards.mistaken import no_shards
from .work_folder import Plan, read_plan

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = ".glee.lock"
# Looks at a lock that is held: `glee status` holds it for a moment.
_LOCK_TRIES = 3
# Seconds between two looks whether folder and lock are still there.
_CHECK_EVERY = 2.0


class HeldFolder:
    """A work folder that this run holds, and whether it is still that folder.

    Attributes
    ----------
    path : Path
        As it was given.
    """

    def __init__(self, path: Path, handle: int) -> None:
        """Remember what the folder and its lock are now.

        Parameters
        ----------
        path : Path
            The folder.
        handle : int
            Of its lock file, open.
        """
        self.path = path
        self._folder = _identity(path.stat())
        self._lock = _identity(os.fstat(handle))

    def check(self) -> None:
        """Look whether the folder and the lock that hold this run's work are still in place.

        Raises
        ------
        OutputError
            Where the folder was moved, removed or replaced, or its lock was: what this run writes
            may be elsewhere, and another run may be at work in the folder.
        """
        if _found(self.path) != self._folder:
            raise OutputError(
                f"{self.path}: this work folder was moved, removed or replaced while a run was at "
                "work in it, and what was written may lie in both places; put the folder back and "
                "run the same command again"
            )
        if _found(self.path / LOCK_FILE) != self._lock:
            raise OutputError(
                f"{self.path / LOCK_FILE}: the lock was removed or replaced while a run was at "
                "work, and another run may have begun; end all of them, then run the same command "
                "again"
            )

    def watched(self, cluster: Cluster) -> Cluster:
        """Give a cluster that looks after this folder while its tasks run.

        Parameters
        ----------
        cluster : Cluster
            That runs them.
        """
        return _WatchfulCluster(cluster, self.check)


class _WatchfulCluster:
    """Checks something every few seconds between outcomes."""

    def __init__(self, cluster: Cluster, check: Callable[[], None]) -> None:
        self._cluster, self._check = cluster, check

    def run(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[Outcome[Task, Result]]:
        last = time.monotonic()
        for outcome in self._cluster.run(function, tasks):
            if time.monotonic() - last > _CHECK_EVERY:
                self._check()
                last = time.monotonic()
            yield outcome


def _found(path: Path) -> tuple[int, int] | None:
    """What is at a path now; None where nothing is."""
    try:
        return _identity(path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


@contextmanager
def work_in(work: Path, stage: str = "") -> Iterator[HeldFolder]:
    """Make a work folder if need be and hold it alone while the block lasts.

    Temporaries of killed runs are removed, and at the end those of this run's workers that were
    killed: whoever holds the folder is the only one to write into it.

    Parameters
    ----------
    work : Path
        The work folder.
    stage : str
        What is run, for `glee status`.

    Yields
    ------
    HeldFolder
        The folder.

    Raises
    ------
    OutputError
        Where the folder cannot be made or another run is at work in it; at the end, where it is
        not the same folder any more.
    """
    work = Path(work)
    handle = _locked(work)
    try:
        try:
            _sign(handle, stage)
        except OSError as error:
            raise OutputError(
                f"cannot write {work / LOCK_FILE}: {error.strerror}; "
                "free space or choose a folder that can be written"
            ) from error
        remove_temporaries(work)
        held = HeldFolder(work, handle)
        try:
            yield held
            held.check()
        finally:
            with suppress(OutputError):  # where it cannot be written, that is said already
                remove_temporaries(work)
    finally:
        # Still there where the run was killed.
        os.ftruncate(handle, 0)
        os.close(handle)


def refuse_if_taken(work: Path) -> None:
    """Refuse a folder that another run holds, before anything is loaded for the work.

    Parameters
    ----------
    work : Path
        The work folder, which need not be there; nothing is written.

    Raises
    ------
    OutputError
        Where another run is at work in it.
    """
    lock = Path(work) / LOCK_FILE
    for rest in reversed(range(_LOCK_TRIES)):
        if not _held(lock):
            return
        if rest:
            time.sleep(0.1)
    raise _taken(Path(work), read_holder(lock))


def _locked(work: Path) -> int:
    try:
        (work / SHARD_FOLDER).mkdir(parents=True, exist_ok=True)
        handle = os.open(work / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise OutputError(
            f"cannot use {work} as work folder: {error.strerror}; "
            "choose a folder that can be written"
        ) from error
    if fcntl is None:
        return handle
    try:
        # The lock ends with the process, however that ends.
        for rest in reversed(range(_LOCK_TRIES)):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if rest == 0:
                    raise
                time.sleep(0.1)
    except BlockingIOError:
        os.close(handle)
        raise _taken(work, read_holder(work / LOCK_FILE)) from None
    except OSError:
        # Some network file systems have no locks: what the file says has to do.
        _refuse_a_living_holder(work, handle)
    return handle


def _refuse_a_living_holder(work: Path, handle: int) -> None:
    """Where the holder was a process of this host that is gone, its lock is taken over."""
    holder = read_holder(work / LOCK_FILE)
    if holder is None or (holder["host"] == socket.gethostname() and not _lives(holder["pid"])):
        return
    os.close(handle)
    remedy = f"; if it is dead, remove {work / LOCK_FILE}: this file system has no locks"
    raise _taken(work, holder, remedy)


def _lives(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return int(process) != os.getpid()


def _taken(work: Path, holder: dict[str, str] | None, remedy: str = "") -> OutputError:
    who = "another run" if holder is None else "{stage} on {host}, pid {pid}".format(**holder)
    return OutputError(
        f"{work}: another run is at work in this folder ({who}); wait for it or choose another "
        f"folder{remedy}"
    )


def read_holder(lock: Path) -> dict[str, str] | None:
    """Read who signed a lock file.

    Parameters
    ----------
    lock : Path
        The file.

    Returns
    -------
    dict or None
        "stage", "host", "pid", "since"; None where nobody signed.
    """
    try:
        content = json.loads(lock.read_text(encoding="utf-8")[:4096])
        keys = ("stage", "host", "pid", "since")
        return {key: visible(str(content[key])) for key in keys}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sign(handle: int, stage: str) -> None:
    """Say in the lock file who holds it."""
    holder = {
        "stage": stage,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(holder).encode(), 0)


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
        raise DataError(no_shards(work, "is no work folder"))
    made = sorted((work / SHARD_FOLDER).glob("*/*/*.h5"))
    plan = read_plan(work)
    lines = [
        *_shard_lines(plan, made, at_work=bool(_held(work / LOCK_FILE))),
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


def _shard_lines(plan: Plan | None, made: list[Path], at_work: bool) -> list[str]:
    if plan is None:
        so_far = "still at the index" if at_work else "it ended before the index was made"
        return [f"preprocess: {len(made)} shards made; not known of how many, {so_far}"]
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
