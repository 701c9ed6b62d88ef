"""A Slurm of one node on the loopback interface, for tests; its daemons end with them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "scancel", "squeue", "sinfo")


def missing() -> str:
    """Why no Slurm can be started here; empty where one can."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_search_path()) is None]
    if absent:
        return f"{', '.join(absent)} not installed (apt-get install slurm-wlm)"
    return "" if os.geteuid() == 0 else "slurmd needs root"


def _search_path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class OneNodeSlurm:
    """slurmctld and slurmd as child processes, with a configuration of their own."""

    def __init__(self, folder: Path, cpus: int = 4) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "PATH": _search_path(),
            "SLURM_CONF": str(folder / "slurm.conf"),
        }
        self._cpus = cpus
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self, patience: float = 40.0) -> None:
        """Raises RuntimeError with the daemons' logs where the node does not become idle."""
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "slurm.conf").write_text(self._configuration())
        for name in ("slurmctld", "slurmd"):
            log = (self.folder / f"{name}.log").open("wb")
            self._daemons.append(
                subprocess.Popen(
                    [str(shutil.which(name, path=_search_path())), "-D"],
                    env=self.environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
        deadline = time.monotonic() + patience
        while "idle" not in self.ask("sinfo", "-h", "-o", "%T"):
            if time.monotonic() > deadline or any(d.poll() is not None for d in self._daemons):
                self.stop()
                raise RuntimeError(f"Slurm did not start:\n{self.logs()}")
            time.sleep(0.3)

    def ask(self, *words: str) -> str:
        """What a client program prints; empty where it fails."""
        try:
            done = subprocess.run(
                words, env=self.environment, capture_output=True, text=True, timeout=20
            )
        except subprocess.TimeoutExpired:
            return ""
        return done.stdout if done.returncode == 0 else ""

    def jobs(self, state: str = "") -> list[str]:
        """Numbers of the jobs in the queue, of one state (such as RUNNING) or of any."""
        only = ["-t", state] if state else []
        return self.ask("squeue", "-h", "-o", "%i", *only).split()

    def logs(self) -> str:
        """The ends of both daemons' logs."""
        return "\n".join(path.read_text()[-2000:] for path in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        """Cancel what is queued, and end the two daemons."""
        if not self._daemons:
            return
        waiting = self.jobs()
        if waiting:
            self.ask("scancel", *waiting)
            deadline = time.monotonic() + 10
            while self.jobs() and time.monotonic() < deadline:
                time.sleep(0.3)
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(10)
            if daemon.poll() is None:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()

    def _configuration(self) -> str:
        host = socket.gethostname().split(".")[0]
        ports = _free_ports(2)
        settings = {
            "ClusterName": "glee-tests",
            "SlurmctldHost": f"{host}(127.0.0.1)",
            "SlurmUser": "root",
            "SlurmdUser": "root",
            "SlurmctldPort": ports[0],
            "SlurmdPort": ports[1],
            "AuthType": "auth/none",
            "CredType": "cred/none",
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "JobAcctGatherType": "jobacct_gather/none",
            "AccountingStorageType": "accounting_storage/none",
            "MpiDefault": "none",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core",
            # So that two jobs fit on a machine of any size.
            "SlurmdParameters": "config_overrides",
            "ReturnToService": 2,
            "KillWait": 3,
            "StateSaveLocation": self.folder / "state",
            "SlurmdSpoolDir": self.folder / "spool",
            "SlurmctldPidFile": self.folder / "slurmctld.pid",
            "SlurmdPidFile": self.folder / "slurmd.pid",
        }
        lines = [f"{name}={value}" for name, value in settings.items()]
        node = f"NodeName={host} NodeAddr=127.0.0.1 CPUs={self._cpus} RealMemory=8000 State=UNKNOWN"
        partition = "PartitionName=tests Nodes=ALL Default=YES MaxTime=INFINITE State=UP"
        return "\n".join([*lines, node, partition, ""])


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports
