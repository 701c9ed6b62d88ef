"""Options of a cluster, from the table `[cluster]` of a TOML file; checked one by one.

And what workers have in common: one thread each, and on this machine a name.
"""

from __future__ import annotations

import logging
import re
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ...errors import UsageError, did_you_mean

logger = logging.getLogger(__name__)

# Of a work folder. Its table [cluster] may be another person's, as the folder may.
OPTIONS_FILE = "glee.toml"
CLUSTER_TABLE = "cluster"

QUEUES = ("slurm", "pbs", "lsf", "sge")
LOG_FOLDER = "cluster-logs"
# Minutes without any worker before a run gives up: a queue may be long, a scheduler's workers not.
_QUEUE_PATIENCE = 24 * 60.0
_SCHEDULER_PATIENCE = 10.0
_WALLTIME = re.compile(r"(\d+-)?\d+:\d\d(:\d\d)?")
_MEMORY = re.compile(r"\d+(\.\d+)? ?([KMGT]i?)?B")
# Each stands in a line of a job's script, where a blank would begin another option.
_NAME = re.compile(r"[\w.@:+,/=%-]+")
# Stands in a job's command, where the node's shell puts in variables and must find nothing else.
_SCRATCH = re.compile(r"(?:[\w./@:+,=%~-]|\$\w+|\$\{\w+\})+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# What a work folder's own file may say; all else would run its writer's code, or write elsewhere.
FOLDER_KEYS = (
    *("workers", "queue", "account", "walltime", "cores", "memory", "jobs", "minimum_jobs"),
    *("maximum_jobs", "interface", "port", "wait_minutes", "connect_seconds"),
    "stuck_minutes",
)

# How Dask names the processes of this machine's workers.
WORKER_NAME = "Dask Worker"
# A worker has one core. These are read when BLAS, OpenMP and Numba are loaded.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


@dataclass(frozen=True)
class ClusterOptions:
    """Where and how tasks run; nothing here changes a result.

    Attributes
    ----------
    kind : where the tasks run, where --cluster does not say
    workers : processes, where --workers does not say
    queue : partition of the queue system
    account : (or project) that pays
    walltime : of one job, [days-]hours:minutes[:seconds]
    cores : of one job, which holds one worker process a core
    memory : of one job, such as 16GB
    jobs : how many
    minimum_jobs, maximum_jobs : instead of `jobs`, between which the tasks at hand decide
    interface : of the network that driver and workers share, such as ib0
    directives : further lines of the job script's head
    prologue : shell lines before the workers start
    python : of the workers; None for this one
    scratch : folder on the node for what workers spill
    log_folder : of the jobs' logs; None for the work folder's `cluster-logs`
    dashboard : whether the address of Dask's page is logged
    port : of the driver's scheduler; 0 for any
    wait_minutes : without any worker before giving up; None for a day in a queue, 10 minutes else
    connect_seconds : for a scheduler to answer
    stuck_minutes : without a result, after which a worker is ended and its tasks go to others;
        None for never
    """

    kind: str = "local"
    workers: int | None = None
    queue: str | None = None
    account: str | None = None
    walltime: str = "04:00:00"
    cores: int = 4
    memory: str = "8GB"
    jobs: int = 1
    minimum_jobs: int | None = None
    maximum_jobs: int | None = None
    interface: str | None = None
    directives: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()
    python: str | None = None
    scratch: str | None = None
    log_folder: str | None = None
    dashboard: bool = False
    port: int = 0
    wait_minutes: float | None = None
    connect_seconds: float = 30.0
    stuck_minutes: float | None = None

    def patience_minutes(self, *, queue: bool) -> float:
        """How long a run goes on without any worker.

        Parameters
        ----------
        queue : whether the workers are a queue's jobs

        Returns
        -------
        Minutes.
        """
        if self.wait_minutes is not None:
            return self.wait_minutes
        return _QUEUE_PATIENCE if queue else _SCHEDULER_PATIENCE

    @property
    def adaptive(self) -> bool:
        """Whether the number of jobs follows the tasks."""
        return self.maximum_jobs is not None

    def check(self, where: str) -> None:
        """Refuse values that make no sense.

        Parameters
        ----------
        where : the file, for the message

        Raises
        ------
        UsageError
            Names the value and what to give instead.
        """
        for name, least, most in (
            ("workers", 1, 100_000),
            ("cores", 1, 4096),
            ("jobs", 1, 100_000),
            ("minimum_jobs", 0, 100_000),
            ("maximum_jobs", 1, 100_000),
            ("port", 0, 65535),
            ("wait_minutes", 0.01, 1e6),
            ("connect_seconds", 0.1, 3600),
            ("stuck_minutes", 0.05, 1e6),
        ):
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise UsageError(f"{where}: {name} is {value}; give {least} to {most}")
        if not _WALLTIME.fullmatch(self.walltime):
            raise UsageError(f"{where}: walltime is {self.walltime!r}; give it as 04:00:00")
        if not _MEMORY.fullmatch(self.memory):
            raise UsageError(f"{where}: memory is {self.memory!r}; give it as 16GB")
        if self.minimum_jobs is not None and self.maximum_jobs is None:
            raise UsageError(f"{where}: minimum_jobs needs maximum_jobs; give both")
        if self.adaptive and (self.minimum_jobs or 0) > (self.maximum_jobs or 0):
            raise UsageError(f"{where}: minimum_jobs is above maximum_jobs; swap them")
        for name, pattern, remedy in (
            ("queue", _NAME, "give its name, without blanks"),
            ("account", _NAME, "give its name, without blanks"),
            ("interface", _NAME, "give its name, such as ib0"),
            ("scratch", _SCRATCH, "give a path without blanks and quotes, such as /scratch/$USER"),
        ):
            value = getattr(self, name)
            if value is not None and not pattern.fullmatch(value):
                raise UsageError(f"{where}: {name} is {value!r}; {remedy}")
        lines = [*self.directives, *self.prologue, *(self.kind, self.python, self.log_folder)]
        if any(_CONTROL.search(line) for line in lines if line is not None):
            raise UsageError(f"{where}: a value has a line break; give one line a string")


def read_cluster_options(work: Path | None = None, config: Path | None = None) -> ClusterOptions:
    """The table `[cluster]` of a file, or else of a work folder's `glee.toml`; or defaults.

    A work folder may come from somebody else. What in its file would run code, as an address whose
    answers are unpickled or a line of shell does, is named in the log and left out.

    Parameters
    ----------
    work : the work folder, which need not have the file
    config : the user's own TOML file, which is read instead, and must have the table

    Raises
    ------
    UsageError
        A file cannot be read, or a key or value is not known.
    """
    path = config if config is not None else None if work is None else Path(work) / OPTIONS_FILE
    if path is None or (config is None and not path.exists()):
        return ClusterOptions()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{path}: cannot be read as TOML ({reason}); mend it") from None
    if config is not None and CLUSTER_TABLE not in content:
        raise UsageError(f"{path}: has no table [{CLUSTER_TABLE}]; put the options under it")
    table = content.get(CLUSTER_TABLE, {})
    if not isinstance(table, dict):
        raise UsageError(f"{path}: {CLUSTER_TABLE} is no table; write [{CLUSTER_TABLE}]")
    # A table of the user's settings holds those of `glee cluster preview` too.
    values = {key: value for key, value in table.items() if not isinstance(value, dict)}
    typed = {key: _typed(key, value, path) for key, value in values.items()}
    if config is None:
        typed = _harmless(typed, path)
    options = ClusterOptions(**typed)
    options.check(str(path))
    return options


def _harmless(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """Leave out what a work folder's file may not say, and name it."""
    kept = {key: value for key, value in values.items() if key in FOLDER_KEYS}
    if "kind" in values and "://" not in values["kind"]:
        kept["kind"] = values["kind"]  # no address: a queue's name, or one that is refused later
    left_out = [key for key in values if key not in kept]
    if left_out:
        logger.warning(
            "%s: [cluster] %s: not taken from a work folder, which may be another person's; "
            "if it is yours, put the table into your settings or give --cluster-config %s",
            *(path, ", ".join(left_out), path),
        )
    return kept


def stage_cluster_options(work: Path, config: Path | None) -> ClusterOptions:
    """`read_cluster_options` with the jobs' logs in the work folder where no other is given.

    Parameters
    ----------
    work : the stage's work folder
    config : TOML file with the table, instead of the work folder's
    """
    options = read_cluster_options(work, config)
    if options.log_folder is not None:
        return options
    return replace(options, log_folder=str(Path(work).resolve() / LOG_FOLDER))


def check_log_folder(options: ClusterOptions) -> None:
    """Check that the logs' folder can stand in a line of a job's script.

    Parameters
    ----------
    options : of the jobs

    Raises
    ------
    UsageError
        The path has a line break or another control character.
    """
    if _CONTROL.search(options.log_folder or ""):
        raise UsageError(
            f"{options.log_folder!r} has control characters, which a job's script cannot hold; "
            "rename the work folder, or give another log_folder"
        )


def _typed(key: str, value: Any, path: Path) -> Any:
    kinds = {field.name: str(field.type) for field in fields(ClusterOptions)}
    if key not in kinds:
        near = did_you_mean(key, kinds)
        raise UsageError(f"{path}: {key} is no cluster option; {near}known are: {', '.join(kinds)}")
    kind = kinds[key].removesuffix(" | None")
    if kind.startswith("tuple"):
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        kind = "list of strings"
    elif kind == "float" and type(value) in (int, float):
        return float(value)
    elif type(value).__name__ == kind:
        return value
    raise UsageError(f"{path}: {key} is {value!r}; give a {kind}")
