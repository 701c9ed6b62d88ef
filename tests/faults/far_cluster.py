"""A Dask scheduler and two workers, each a process, for runs that are given its address."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import psutil


class FarCluster:
    """Started when it is asked for, mended where something of it was killed."""

    def __init__(self, folder):
        self._folder = folder
        self._file = folder / "scheduler.json"
        self._scheduler = None
        self._workers = []
        self._environment = dict(os.environ)

    def start(self, nap):
        """Scheduler and workers run when this returns the address."""
        self._environment["STEADY_NAP"] = str(nap)
        if self._scheduler is None or self._scheduler.poll() is not None:
            self.stop()
            self._file.unlink(missing_ok=True)
            words = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
            self._scheduler = self._run("scheduler", *words, "--scheduler-file", str(self._file))
            end = time.monotonic() + 60
            while not self._file.exists() or not self._file.read_text().strip():
                assert time.monotonic() < end
                time.sleep(0.05)
        address = json.loads(self._file.read_text())["address"]
        self._workers = [worker for worker in self._workers if worker.poll() is None]
        words = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "30"]
        while len(self._workers) < 2:
            self._workers.append(self._run("worker", address, *words))
        return address

    def scheduler(self):
        if self._scheduler is None or self._scheduler.poll() is not None:
            return []
        return [psutil.Process(self._scheduler.pid)]

    def workers(self):
        return [psutil.Process(worker.pid) for worker in self._workers if worker.poll() is None]

    def stop(self):
        for process in filter(None, (*self._workers, self._scheduler)):
            process.kill()
            process.wait()
        self._workers, self._scheduler = [], None

    def _run(self, what, *words):
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{what}", *words],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
