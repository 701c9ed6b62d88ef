"""What `glee doctor` looks at: the installation, this machine, and the folder of a planned run."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..errors import GleeError, UsageError, did_you_mean, in_shell, visible

LEAST_PYTHON = (3, 11)
# Bytes of a frame in a shard: crop (JPEG 200 x 200), landmarks, labels, fit. Measured: 13.2 KB.
FRAME_BYTES = 16_000
# Share of a disk's room that a run should not need.
_SPARE = 1.2
_SECONDS = 10.0  # that a queue system has to answer
_PACKAGES = (
    *("numpy", "scipy", "numba", "ncnn", "torch", "h5py", "av", "opencv-python-headless"),
    *("dask", "distributed", "pandas", "pyarrow"),
)
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_QUEUE_QUESTIONS = {
    "slurm": ("sinfo", "-h", "-o", "%P %a %D"),
    "pbs": ("qstat", "-Q"),
    "lsf": ("bqueues",),
    "sge": ("qconf", "-sql"),
}
# Those whose answers begin with a queue's name, never cut to a column's width.
_NAMES_WHOLE = ("slurm", "sge")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    name : str
        Of the thing.
    ok : bool
        Whether it is as it should be.
    text : str
        What was found.
    remedy : str
        What to do where it is not ok.
    needed : bool
        glee cannot do what was asked for without it.
    """

    name: str
    ok: bool
    text: str
    remedy: str = ""
    needed: bool = True

    def line(self) -> str:
        """Give one line: ok, note or FIX."""
        sign = "ok  " if self.ok else "FIX " if self.needed else "note"
        return f"{sign}  {self.name}: {self.text}" + (f"; {self.remedy}" if self.remedy else "")

    def as_json(self) -> dict[str, Any]:
        """Give plain data."""
        return asdict(self)


def examine(
    folder: Path,
    *,
    dataset: str | None = None,
    root: Path | None = None,
    cluster: str = "local",
    queue: str | None = None,
    detector: str | None = None,
) -> list[Finding]:
    """Look at the installation, this machine, and the folder of a planned run.

    Parameters
    ----------
    folder : Path
        Where a run would write.
    dataset : str, optional
        What it would read.
    root : Path, optional
        Where the dataset lies.
    cluster : str
        Where it would run, as `preprocess` has it.
    queue : str, optional
        Partition or queue that its jobs would be in.
    detector : str, optional
        Landmark backend that it would use.

    Returns
    -------
    list of Finding
        In order.

    Raises
    ------
    UsageError
        Where only one of dataset and root is given.
    """
    if (dataset is None) != (root is None):
        raise UsageError("give both --dataset and --root, or neither of them")
    checks: list[Callable[[], Iterator[Finding]]] = [
        _versions,
        _cores,
        _gpu,
        lambda: _detectors(detector),
        lambda: _models(folder),
        lambda: _locking(folder),
        lambda: _cluster(cluster, queue),
        lambda: _room(folder, dataset, root),
    ]
    return [finding for check in checks for finding in check()]


def _versions() -> Iterator[Finding]:
    python = platform.python_version()
    enough = sys.version_info[:2] >= LEAST_PYTHON
    wanted = ".".join(map(str, LEAST_PYTHON))
    yield Finding(
        "python",
        enough,
        f"{python} on {platform.system()} {platform.machine()}, glee {__version__}",
        "" if enough else f"install Python {wanted} or later",
    )
    yield Finding("packages", True, ", ".join(f"{p} {_version(p)}" for p in _PACKAGES))
    yield from _unmet()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def _unmet() -> Iterator[Finding]:
    """Requirements of the installed glee that are missing or too old."""
    from packaging.requirements import Requirement

    try:
        texts = metadata.requires("glee-net") or []
    except metadata.PackageNotFoundError:
        yield Finding(
            "installation", False, "glee-net is not installed", "pip install .", needed=False
        )
        return
    for text in texts:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        found = _version(requirement.name)
        if found == "missing" or not requirement.specifier.contains(found, prereleases=True):
            yield Finding(
                requirement.name,
                False,
                f"{found}, glee needs {requirement.specifier}",
                f"pip install '{requirement.name}{requirement.specifier}'",
            )


def _cores() -> Iterator[Finding]:
    from ..pipeline.cluster.cluster import available_cores
    from ..pipeline.cluster.processor import processor_kind

    cores, all_cores = available_cores(), os.cpu_count() or 1
    threads = ", ".join(f"{name}={os.environ[name]}" for name in _THREADS if name in os.environ)
    yield Finding(
        "cores",
        True,
        f"{cores} of {all_cores} for this process; threads: {threads or 'as the libraries choose'}",
    )
    yield Finding("processor", True, processor_kind())
    built: Any = np.show_config(mode="dicts")  # type: ignore[call-arg]
    blas = built.get("Build Dependencies", {}).get("blas", {})
    yield Finding("blas", True, f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip())


def _gpu() -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        yield Finding("gpu", True, f"{', '.join(names)}, CUDA {torch.version.cuda}")
        return
    built = torch.version.cuda is not None
    yield Finding(
        "gpu",
        False,
        "none; everything runs on the CPU",
        "" if built else "this PyTorch has no CUDA; install its CUDA build to use a GPU",
        needed=False,
    )


def _detectors(wanted: str | None) -> Iterator[Finding]:
    """Which landmark backends are there, and what to install for those that are not."""
    from ..pipeline.landmarks.dlib_backend import dlib_module, model_path
    from ..pipeline.landmarks.mesh.weights import WEIGHTS_PATH, read_weights

    def mesh() -> str:
        return f"{len(read_weights(WEIGHTS_PATH))} arrays of weights; the default"

    def dlib() -> str:
        return f"dlib {dlib_module().__version__}, {model_path()}"

    yield _checked("detector mesh", mesh, needed=True)
    yield _checked("detector dlib", dlib, needed=False)
    folder = Path(os.environ.get("TORCH_HOME", Path.home() / ".cache" / "torch"))
    folder = folder / "hub" / "checkpoints"
    found = sorted(path.name for path in folder.glob("*FAN4-*"))
    installed = _version("face-alignment") != "missing"
    yield Finding(
        "detector fan",
        bool(found) and installed,
        ("" if installed else "face-alignment is not installed; ")
        + (f"{', '.join(found)} in {folder}" if found else f"no weights in {folder}"),
        "" if found and installed else "only --detector fan needs them: see docs/backends.md",
        needed=False,
    )
    if wanted is not None:
        yield _checked(f"detector {wanted}", lambda: _described(wanted), needed=True)


def _described(detector: str) -> str:
    from ..pipeline.landmarks.backends import chosen_detector, load_detector

    found = load_detector(chosen_detector(detector))
    return f"{found.name} {found.version}"


def _models(folder: Path) -> Iterator[Finding]:
    from ..fitting.morphable_model.model_file import load_model
    from ..pipeline.work_folder import read_options

    def embedded() -> str:
        model = load_model()
        return f"{model.name}, calibrated to {', '.join(sorted(model.noise))}"

    yield _checked("embedded model", embedded, needed=True)
    try:
        stated = read_options(folder).get("fit3d", {}).get("model")
    except GleeError as error:
        yield Finding("work folder", False, str(error))
        return
    if stated:
        yield _checked(
            "model of the work folder", lambda: load_model(Path(stated)).name, needed=True
        )


def _checked(name: str, look: Callable[[], str], *, needed: bool) -> Finding:
    try:
        return Finding(name, True, look(), needed=needed)
    except (GleeError, ImportError) as error:
        return Finding(name, False, " ".join(str(error).split()), needed=needed)


def _locking(folder: Path) -> Iterator[Finding]:
    """Try a shard's way of writing, and HDF5's locks, in the folder itself."""
    import h5py

    nearest = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
    try:
        with tempfile.TemporaryDirectory(prefix=".glee-doctor-", dir=nearest) as trial:
            path = Path(trial) / "trial.h5"
            with h5py.File(path, "w", locking=True) as file:
                file["x"] = np.arange(4)
            with h5py.File(path, "r", locking=True) as file:
                whole = bool((file["x"][()] == np.arange(4)).all())
            path.replace(path.with_name("renamed.h5"))
        yield Finding("folder", whole, f"{nearest}: HDF5 with locks, rename")
    except BlockingIOError as error:
        yield Finding(
            "folder",
            False,
            f"{nearest}: HDF5 cannot lock files there ({error})",
            "shards need no locks; set HDF5_USE_FILE_LOCKING=FALSE for other HDF5 programs",
            needed=False,
        )
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        yield Finding(
            "folder", False, f"{nearest}: {reason}", "choose a folder that can be written"
        )


def _cluster(spec: str, queue: str | None) -> Iterator[Finding]:
    wanted = spec in _QUEUE_QUESTIONS
    question = _QUEUE_QUESTIONS[spec if wanted else "slurm"]
    name = spec if wanted else "slurm"
    if shutil.which(question[0]) is None:
        text = f"{question[0]} is not on the PATH"
        remedy = "run this where jobs can be submitted" if wanted else "only --cluster needs it"
        yield Finding(name, False, text, remedy, needed=wanted)
        return
    try:
        done = subprocess.run(
            question, capture_output=True, text=True, timeout=_SECONDS, check=True
        )
        lines = [" ".join(line.split()) for line in done.stdout.splitlines() if line.strip()]
        yield Finding(name, bool(lines), ", ".join(lines[:4]) or "has no queue", needed=wanted)
        if wanted and queue is not None and name in _NAMES_WHOLE:
            yield from _queue(name, queue, [line.split()[0].rstrip("*") for line in lines])
    except (OSError, subprocess.SubprocessError) as error:
        yield Finding(
            name,
            False,
            f"{question[0]} does not answer ({_own_words(error)})",
            "ask the cluster's administrators, or run it by hand"
            if wanted
            else "only --cluster needs it",
            needed=wanted,
        )
    if wanted and _version("dask-jobqueue") == "missing":
        yield Finding("dask-jobqueue", False, "missing", "pip install '.[cluster]'")


def _queue(system: str, queue: str, known: list[str]) -> Iterator[Finding]:
    """Whether the queue that [cluster] names is there; several may stand between commas."""
    for name in queue.split(","):
        there = name in known
        text = f"{name} is there" if there else f"{system} has no queue {name!r}"
        remedy = f"{did_you_mean(name, known)}known are: {', '.join(known)}; mend [cluster]"
        yield Finding("queue", there, text, "" if there else remedy)


def _own_words(error: Exception) -> str:
    """What a program said last before it failed, or else the failure's name."""
    said = getattr(error, "stderr", None) or ""
    said = said.decode(errors="replace") if isinstance(said, bytes) else said
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return visible(lines[-1])[:200] if lines else type(error).__name__


def _room(folder: Path, dataset: str | None, root: Path | None) -> Iterator[Finding]:
    nearest = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
    free = shutil.disk_usage(nearest).free
    if dataset is None or root is None:
        yield Finding("room", True, f"{_size(free)} free in {nearest.absolute()}")
        return
    from ..pipeline.verification import verify_dataset

    try:
        report = verify_dataset(dataset, root, progress=False)
    except GleeError as error:
        yield Finding("dataset", False, str(error))
        return
    wrong = sum(problem.wrong for problem in report.problems)
    frames = sum(subject.frames for subject in report.subjects)
    yield Finding(
        "dataset",
        report.ok,
        f"{dataset}: {len(report.subjects)} subjects, {frames} frames, {wrong} things are wrong",
        "" if report.ok else f"see `glee verify --dataset {dataset} --root {in_shell(root)}`",
    )
    needed = round(_SPARE * frames * FRAME_BYTES)
    yield Finding(
        "room",
        free >= needed,
        f"{_size(free)} free in {nearest.absolute()}, "
        f"shards of {frames} frames need {_size(needed)}",
        "" if free >= needed else "free space, or choose another folder",
    )


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
