"""Worker processes of this machine: as many as wanted, each replaced when it is lost."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from ...errors import ClusterError

logger = logging.getLogger(__name__)

# Ends of workers before they serve, one after the other, that are borne before a run gives up.
FAILED_STARTS = 12
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# BLAS reads these when it is loaded, so they must stand before a worker starts.
_ENVIRONMENT = dict.fromkeys((*THREAD_VARIABLES, "NUMBA_NUM_THREADS"), "1")
# Seconds for workers to end when they are told to.
_GOODBYE = 20.0
# What this process has loaded of these, its workers will need.
_PRELOADED = ("glee.pipeline.", "glee.fitting.")
# No stage needs these, and pyarrow behind them starts a thread, which a fork would not copy.
_NOT_PRELOADED = "glee.pipeline.analysis"


class LocalWorkers:
    """Keeps a number of workers for a scheduler of this machine, through a nursery process.

    A worker that is killed, while it starts or later, gets a successor; so does the nursery.
    """

    def __init__(self, address: str, count: int, config: dict[str, Any]) -> None:
        self._address = address
        self._count = count
        self._config = config
        self._lock = threading.Lock()
        self._closing = False
        self._nursery: subprocess.Popen[bytes] | None = None
        self._serving: set[str] = set()
        self._started = 0
        self._failures = 0
        self._problem = ""
        self._keeper = threading.Thread(target=self._keep, name="glee-workers", daemon=True)
        self._keeper.start()

    def look(self) -> None:
        """Raises ClusterError where workers do not come up again and again."""
        if self._problem:
            raise ClusterError(self._problem)

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            self._closing = True
            nursery = self._nursery
            if nursery is not None and nursery.stdin is not None:
                with suppress(OSError):
                    nursery.stdin.close()
        if nursery is not None:
            try:
                nursery.wait(_GOODBYE)
            except subprocess.TimeoutExpired:
                nursery.kill()
        self._keeper.join(_GOODBYE)

    def _keep(self) -> None:
        while not self._problem:
            try:
                nursery = self._open()
            except OSError as error:
                self._problem = f"workers cannot be started here: {error.strerror or error}"
                return
            if nursery is None:
                return
            assert nursery.stdout is not None
            for line in nursery.stdout:
                self._note(line.decode().strip())
            nursery.wait()
            self._serving.clear()
            if self._closing:
                return
            self._fail()

    def _open(self) -> subprocess.Popen[bytes] | None:
        """A nursery with all workers started; None where they are no longer wanted."""
        with self._lock:
            if self._closing:
                return None
            self._nursery = subprocess.Popen(
                [sys.executable, "-m", "glee.pipeline.cluster.worker_nursery"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **_ENVIRONMENT},
                # Ctrl-C is for this process, which ends the workers in its turn.
                start_new_session=True,
            )
        setup = {
            "address": self._address,
            "path": sys.path,
            "modules": [
                name
                for name in list(sys.modules)
                if name.startswith(_PRELOADED) and not name.startswith(_NOT_PRELOADED)
            ],
            "config": self._config,
        }
        self._say(json.dumps(setup))
        for _ in range(self._count):
            self._start()
        return self._nursery

    def _note(self, line: str) -> None:
        event, _, process = line.partition(" ")
        if event == "up":
            self._serving.add(process)
            self._failures = 0
        elif event == "down" and not self._closing:
            if process in self._serving:
                self._serving.discard(process)
            else:
                self._fail()
            if not self._problem:
                self._start()

    def _fail(self) -> None:
        self._failures += 1
        if self._failures > FAILED_STARTS:
            self._problem = (
                f"workers of this machine ended {self._failures} times while they started "
                "(killed for memory?); give fewer workers, run again: what is done stays"
            )
        else:
            time.sleep(0.05 * self._failures)

    def _start(self) -> None:
        self._started += 1
        self._say(f"start {self._started}")

    def _say(self, line: str) -> None:
        with self._lock:
            nursery = self._nursery
            if self._closing or nursery is None or nursery.stdin is None:
                return
            with suppress(OSError):  # it is dead, and `_keep` is about to see it
                nursery.stdin.write(f"{line}\n".encode())
                nursery.stdin.flush()
