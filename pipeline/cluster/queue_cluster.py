"""Workers as jobs of Slurm, PBS, LSF or SGE, through dask-jobqueue; lost jobs are replaced."""

from __future__ import annotations

import logging
import math
import shlex
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from ...errors import ClusterError, UsageError, did_you_mean
from .dask_cluster import SETTINGS, DaskCluster, silence_dask
from .options import ONE_THREAD, QUEUES, ClusterOptions, check_log_folder
from .security import LOOPBACK, NO_PAGES, certificate_files, run_security

logger = logging.getLogger(__name__)

_SUBMIT_COMMANDS = {"slurm": "sbatch", "pbs": "qsub", "lsf": "bsub", "sge": "qsub"}
# Seconds that a job may be without the workers it had; their nannies may bring them back.
_LOST_AFTER = 20.0
# Seconds between two looks at how many jobs are worth it, and looks before a job too many ends.
_ADAPT_EVERY, _ADAPT_AFTER = 5, 12


def job_script(spec: str, options: ClusterOptions) -> str:
    """The script of one job as it would be submitted, with a placeholder for the scheduler.

    Parameters
    ----------
    spec : "slurm", "pbs", "lsf" or "sge"
    options : of the job

    Raises
    ------
    UsageError
        The spec is another, or dask-jobqueue is missing.
    """
    if spec not in QUEUES:
        near = did_you_mean(spec, QUEUES) or f"give one of {', '.join(QUEUES)} "
        raise UsageError(
            f"cluster {spec!r} has no job script; {near}by --cluster, or as kind in [cluster]"
        )
    job = getattr(_jobqueue(), f"{spec.upper()}Cluster").job_cls
    # Without a log folder, which would be made.
    arguments = _job_arguments(spec, replace(options, log_folder=None))
    return str(job("tls://SCHEDULER:PORT", name="glee", **arguments).job_script())


@contextmanager
def queue_cluster(spec: str, workers: int | None, options: ClusterOptions) -> Iterator[DaskCluster]:
    """Jobs of a queue system for the time of a stage.

    Parameters
    ----------
    spec : "slurm", "pbs", "lsf" or "sge"
    workers : processes, in as many jobs as they need; None for the jobs that the options state
    options : of the jobs

    Raises
    ------
    UsageError
        dask-jobqueue is missing.
    ClusterError
        The queue's commands are missing, it refuses a job, or the scheduler cannot start here.
    """
    check_log_folder(options)
    jobqueue, command = _jobqueue(), _SUBMIT_COMMANDS[spec]
    if shutil.which(command) is None:
        raise ClusterError(f"{command} is not on the PATH; run this where jobs can be submitted")
    if workers is not None:
        jobs = math.ceil(workers / options.cores)
        options = replace(options, jobs=jobs, minimum_jobs=None, maximum_jobs=None)
    import dask

    distributed: Any = import_module("distributed")
    silence_dask()
    security = run_security()
    why_refused: list[str] = []
    try:
        with (
            dask.config.set({**SETTINGS, **({} if options.dashboard else NO_PAGES)}),
            certificate_files(security, Path(options.log_folder or ".")) as lines,
            _started(spec, jobqueue, options, (security, lines), why_refused) as cluster,
            distributed.Client(cluster) as client,
        ):
            logger.info("scheduler: %s", cluster.scheduler_address)
            if options.dashboard:
                logger.info("dashboard: %s", cluster.dashboard_link)
            yield DaskCluster(
                client,
                options.patience_minutes(queue=True) * 60,
                workers=(options.maximum_jobs or options.jobs) * options.cores,
                stuck_minutes=options.stuck_minutes,
                keep_workers=_JobKeeper(cluster, options, why_refused).look,
                log=f"the queue and the jobs' logs in {options.log_folder or 'this folder'}",
            )
    except AssertionError as error:
        # Dask cannot close a cluster whose jobs were refused, and this hides why.
        if not why_refused:
            raise
        raise _refusal(why_refused) from error


def _started(
    spec: str,
    jobqueue: Any,
    options: ClusterOptions,
    key: tuple[Any, list[str]],
    why_refused: list[str],
) -> Any:
    """Start a scheduler here; `key` is the run's, and the lines by which its jobs find it."""
    security, lines = key
    queue = getattr(jobqueue, f"{spec.upper()}Cluster")
    arguments = _job_arguments(spec, options)
    arguments["job_script_prologue"] = [*lines, *arguments["job_script_prologue"]]
    # Of the interface that jobs come by, and of no other.
    host: Any = import_module("distributed.utils")
    where = {"interface": options.interface} if options.interface else {"host": host.get_ip()}
    try:
        return _keyed_by_files(queue)(
            job_cls=_noting_refusals(queue.job_cls, why_refused),
            **arguments,
            security=security,
            protocol="tls://",
            scheduler_options={
                "dashboard_address": LOOPBACK,
                "dashboard": options.dashboard,
                "port": options.port,
                **where,
            },
            silence_logs=logging.CRITICAL,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"the scheduler cannot start here: {' '.join(str(error).split())}; "
            "see `interface` and `port` of the table [cluster]"
        ) from error


def _keyed_by_files(queue: Any) -> Any:
    """The class of a cluster whose jobs have the run's key from their script's lines.

    Dask would write it into one folder for all runs, and its path without quotes into the command.
    """

    class Cluster(queue):  # type: ignore[misc]
        def _get_worker_security(self, security: Any) -> None:
            return None

    return Cluster


def _refusal(why_refused: list[str]) -> ClusterError:
    return ClusterError(
        f"the queue refused a job: {why_refused[-1]}; see `glee cluster preview` and mend the "
        "table [cluster] (PBS, LSF, SGE and blanks in the work folder's path: give log_folder)"
    )


def _noting_refusals(job: Any, why_refused: list[str]) -> Any:
    """The class of a job that notes why it was refused, which Dask would only log."""

    class Job(job):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            # Of Dask's job: the script's lines before its commands.
            quoted = _with_quoted_logs(vars(self)["job_header"], self.log_directory)
            self.job_header = quoted

        async def _submit_job(self, script_filename: str) -> Any:
            try:
                return await super()._submit_job(script_filename)
            except (OSError, RuntimeError) as error:
                lines = [line.strip() for line in str(error).splitlines() if line.strip()]
                reasons = [line for line in lines if "error" in line.lower()] or lines
                why_refused.append(reasons[-1] if reasons else repr(error))
                raise

    return Job


def _with_quoted_logs(header: str, log_folder: str | None) -> str:
    """The header with its logs' paths in quotes where they have blanks, as Slurm wants them."""
    if log_folder is None or not any(letter.isspace() for letter in log_folder):
        return header
    lines = header.split("\n")
    for number, line in enumerate(lines):
        for option in ("#SBATCH -e ", "#SBATCH -o "):
            if line.startswith(option + log_folder):
                escaped = line.removeprefix(option).replace("\\", r"\\").replace('"', r"\"")
                lines[number] = f'{option}"{escaped}"'
    return "\n".join(lines)


class _JobKeeper:
    """Keeps as many jobs as wanted: replaces those that were cancelled or ran out of time."""

    def __init__(self, cluster: Any, options: ClusterOptions, why_refused: list[str]) -> None:
        self._cluster, self._why_refused = cluster, why_refused
        self._jobs = None if options.adaptive else options.jobs
        # Job -> when it was last seen with a worker.
        self._seen: dict[Any, float] = {}
        self._arrived: set[str] = set()
        cluster.scheduler.add_plugin(_arrivals(self._arrived))
        if options.adaptive:
            cluster.adapt(
                minimum_jobs=options.minimum_jobs or 0,
                maximum_jobs=options.maximum_jobs,
                interval=f"{_ADAPT_EVERY}s",
                wait_count=_ADAPT_AFTER,
                # Only a few parcels a worker are with the scheduler at a time: each of a second
                # is worth a worker.
                target_duration="1s",
            )
        else:
            cluster.scale(jobs=options.jobs)

    def look(self) -> None:
        """Cancel what is left of lost jobs and submit others in their place.

        Raises
        ------
        ClusterError
            The queue refused a job before any worker came.
        """
        now = time.monotonic()
        present = {str(worker.name) for worker in list(self._cluster.scheduler.workers.values())}
        jobs = dict(self._cluster.worker_spec)
        for name, job in jobs.items():
            members = {f"{name}{suffix}" for suffix in job.get("group", [""])}
            # A job may come and go between two looks.
            if members & (present | self._arrived):
                self._seen[name] = now
        self._arrived.clear()
        if self._why_refused and not self._seen:
            raise _refusal(self._why_refused)
        lost = [name for name in jobs if now - self._seen.get(name, now) > _LOST_AFTER]
        if not lost:
            return
        for name in lost:  # its successor may have its name
            del self._seen[name]
        logger.warning("%d jobs lost their workers; submitting others", len(lost))
        self._cluster.sync(self._cluster.scale_down, lost)
        if self._jobs is not None:
            self._cluster.scale(jobs=self._jobs)


def _arrivals(names: set[str]) -> Any:
    """A plugin of the scheduler that notes the names of workers that come."""
    distributed: Any = import_module("distributed")

    class Arrivals(distributed.SchedulerPlugin):  # type: ignore[misc]
        name = "glee-arrivals"

        def add_worker(self, scheduler: Any, worker: str) -> None:
            names.add(str(scheduler.workers[worker].name))

    return Arrivals()


def _jobqueue() -> Any:
    # Its import makes Ctrl-C end the process with exit status 0, as if all were done.
    before = signal.getsignal(signal.SIGINT)
    try:
        return import_module("dask_jobqueue")
    except ImportError as error:
        raise UsageError(
            f"job queues need dask-jobqueue ({error}); install it in glee's checkout: "
            "pip install '.[cluster]'"
        ) from None
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGINT, before)


def _job_arguments(spec: str, options: ClusterOptions) -> dict[str, Any]:
    """Arguments of dask-jobqueue's job of this queue system."""
    arguments: dict[str, Any] = {
        "queue": options.queue,
        "walltime": options.walltime,
        "cores": options.cores,
        # One core each, since a task has one thread.
        "processes": options.cores,
        "memory": options.memory,
        "interface": options.interface,
        # A command, so a path with blanks needs quotes; None is this Python.
        "python": options.python or shlex.quote(sys.executable),
        "local_directory": options.scratch,
        "log_directory": options.log_folder,
        "job_extra_directives": list(options.directives),
        "job_script_prologue": [
            *(f"export {name}={value}" for name, value in ONE_THREAD.items()),
            "export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False",
            "export DASK_DISTRIBUTED__WORKER__HTTP__ROUTES='[]'",
            # A job begins in the folder that it was submitted in; nothing is imported from there.
            "export PYTHONSAFEPATH=1",
            *options.prologue,
        ],
        "worker_extra_args": ["--no-dashboard", "--dashboard-address", LOOPBACK],
        "job_name": "glee",
    }
    arguments["project" if spec in ("lsf", "sge") else "account"] = options.account
    if spec == "lsf":
        # LSF takes hours and minutes, and reads a script's #BSUB lines only from stdin.
        arguments["walltime"] = ":".join(options.walltime.split(":")[:2])
        arguments["use_stdin"] = True
    return arguments
