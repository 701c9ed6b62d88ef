"""The process that starts this machine's workers: it imports once, forks each, and ends them all.

python -m glee.pipeline.cluster.worker_nursery, by `local_workers`. On stdin
comes a JSON line (`address` of the scheduler, `path` for imports, `modules` to import, `config`
of Dask), then a line a command:
`start NAME`. On stdout go `up PID` when a worker serves and `down PID` when it has ended. When
stdin closes, or this process is killed, the workers end.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from .dask_cluster import silence_dask

# Seconds for a worker to find its scheduler, which is in the process that started this one.
_SCHEDULER_WITHIN = 60


def main() -> None:
    """Serve the commands on stdin until it closes."""
    report = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no report
    buffer = bytearray()
    while b"\n" not in buffer:
        part = os.read(0, 1 << 16)
        if not part:
            return
        buffer += part
    setup, _, rest = bytes(buffer).partition(b"\n")
    _Nursery(json.loads(setup), report).serve(rest)


def _prepare(setup: dict[str, Any]) -> None:
    """Import what the tasks will need. A module that cannot be imported here fails in its task."""
    sys.path[:] = setup["path"]
    import dask

    dask.config.set(setup["config"])
    import_module("distributed.worker")
    silence_dask()
    for name in setup["modules"]:
        with suppress(Exception):
            import_module(name)


class _Nursery:
    """Starts workers and reports their ends."""

    def __init__(self, setup: dict[str, Any], report: int) -> None:
        self._setup = setup
        self._report = report
        self._workers: set[int] = set()
        # Only this process can write to it: its workers read the end when it is gone.
        self._lifeline, self._held = os.pipe()
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._woken, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def serve(self, rest: bytes) -> None:
        """Until stdin closes; then no worker is left."""
        _prepare(self._setup)
        while True:
            *lines, rest = rest.split(b"\n")
            for line in lines:
                self._start(line.decode().removeprefix("start "))
            ready, _, _ = select.select([0, self._woken], [], [])
            if self._woken in ready:
                with suppress(BlockingIOError):
                    os.read(self._woken, 1 << 12)
                self._bury()
            if 0 in ready:
                part = os.read(0, 1 << 12)
                if not part:
                    break
                rest += part
        self._end()

    def _start(self, name: str) -> None:
        address = self._setup["address"]
        if not _may_fork():
            descriptors = (self._lifeline, self._report)
            words = [address, name, *map(str, descriptors), json.dumps(self._setup)]
            command = [sys.executable, "-m", "glee.pipeline.cluster.worker_nursery", *words]
            self._workers.add(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=descriptors).pid
            )
            return
        process = os.fork()
        if process:
            self._workers.add(process)
            return
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(self._held)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            be_worker(address, name, self._lifeline, self._report)
            code = 0
        finally:
            os._exit(code)

    def _bury(self) -> None:
        with suppress(ChildProcessError):
            while (process := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                self._workers.discard(process)
                _say(self._report, f"down {process}")

    def _end(self) -> None:
        for process in self._workers:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for process in self._workers:
            with suppress(ChildProcessError):
                os.waitpid(process, 0)


def _may_fork() -> bool:
    """Whether this process has one thread, so that a copy of it is whole."""
    if not sys.platform.startswith("linux"):
        return False
    return len(list(Path("/proc/self/task").iterdir())) == 1


def be_worker(address: str, name: str, lifeline: int, report: int) -> None:
    """Run tasks of the scheduler at the address until it, or the lifeline's other end, is gone."""
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    asyncio.run(_work(address, name, report))


async def _work(address: str, name: str, report: int) -> None:
    distributed: Any = import_module("distributed")
    worker = await distributed.Worker(
        address,
        name=name,
        nthreads=1,
        host="127.0.0.1",
        # Results are small: nothing to spill, nothing to pause for.
        memory_limit=0,
        death_timeout=_SCHEDULER_WITHIN,
        dashboard=False,
    )
    _say(report, f"up {os.getpid()}")
    await worker.finished()


def _end_with(lifeline: int) -> None:
    os.read(lifeline, 1)
    os._exit(1)


def _say(report: int, text: str) -> None:
    with suppress(OSError):  # nobody listens any more
        os.write(report, f"{text}\n".encode())


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        _prepare(json.loads(sys.argv[5]))
        be_worker(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
