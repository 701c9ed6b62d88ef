"""What a user gets from a checkout of glee, as parts that can be compared; for same_results.py.

A part is one dataset or attribute of a shard, one figure of `results.json`, one column of a table.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

KINDS = ("shards", "results", "tables")
# Which glee wrote a shard, and checksums, which cover that; the datasets are compared themselves.
PROCESSOR = "processor"  # of the root and of the fit
NOT_CONTENT = ("glee_version", "content_sha256", "followed_by")
# Of results.json: how long it took, and which glee it was.
NOT_FIGURES = ("seconds", "versions.glee")
LONGEST = 120  # characters that are kept as they are; what is longer is kept as a digest


class Results:
    """Everything that is compared of one checkout.

    Attributes
    ----------
    commit : str or None
        Of the checkout, with "+" where files are changed; None where Git does not know.
    quick : bool
        Whether it is of the short way, without training.
    video : str or None
        Name of the video whose tables these are; None without tables.
    parts : dict
        kind -> file -> part -> its value in JSON, or where that is long a SHA-256 of it.
    numbers : dict
        (kind, file, part) -> the part as an array of numbers, where it is one.
    """

    def __init__(self, checkout: Path | None, *, quick: bool) -> None:
        self.commit = None if checkout is None else _commit(checkout)
        self.quick = quick
        self.video: str | None = None
        self.parts: dict[str, dict[str, dict[str, str]]] = {kind: {} for kind in KINDS}
        self.numbers: dict[tuple[str, str, str], NDArray[Any]] = {}

    def add(self, kind: str, file: str, part: str, value: Any) -> None:
        """Add one part; bytes are taken as they are, arrays with type and shape."""
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            plain = np.ascontiguousarray(value)
            head = f"{plain.dtype.str}{plain.shape}\n".encode()
            digest = hashlib.sha256(head + plain.tobytes()).hexdigest()
            self.numbers[kind, file, part] = plain
        elif isinstance(value, bytes):
            digest = hashlib.sha256(value).hexdigest()
        else:
            value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
            digest = json.dumps(value, sort_keys=True)
            if len(digest) > LONGEST:
                digest = hashlib.sha256(digest.encode()).hexdigest()
            if isinstance(value, int | float):
                self.numbers[kind, file, part] = np.array(value)
        self.parts[kind].setdefault(file, {})[part] = digest

    def save(self, path: Path) -> None:
        """Write the parts as JSON and the numbers beside them, as .npz."""
        names = ("commit", "quick", "video", "parts")
        content = {name: getattr(self, name) for name in names}
        path.write_text(json.dumps({**content, "numbers": list(self.numbers)}, indent=1) + "\n")
        arrays = {str(i): array for i, array in enumerate(self.numbers.values())}
        np.savez_compressed(path.with_suffix(".npz"), **arrays)

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what `save` wrote; without the .npz, differences are told without their size."""
        content = json.loads(path.read_text())
        results = cls(None, quick=content["quick"])
        results.commit, results.video = content["commit"], content["video"]
        results.parts = content["parts"]
        if path.with_suffix(".npz").is_file():
            with np.load(path.with_suffix(".npz")) as arrays:
                keys = enumerate(content["numbers"])
                results.numbers = {tuple(key): arrays[str(i)] for i, key in keys}
        return results


def _commit(checkout: Path) -> str | None:
    words = ["git", "-C", str(checkout), "describe", "--always", "--abbrev=12", "--dirty=+"]
    found = subprocess.run([*words, "--exclude=*"], capture_output=True, text=True)
    return found.stdout.strip() or None


def run_glee(folder: Path, words: list[str]) -> None:
    """Run `glee` in a folder whose `package/glee` is the checkout; the script ends if it fails.

    Kernels are compiled anew, in `folder`: Numba does not see that a kernel which another one calls
    has changed, so that compiled code kept beside the sources could hide a difference. Settings of
    the user's environment are left out.
    """
    environment = {name: x for name, x in os.environ.items() if not name.startswith("GLEE_")}
    environment |= {
        "PYTHONPATH": str(folder / "package"),
        "NUMBA_CACHE_DIR": str(folder / "kernels"),
    }
    check = "import glee, os; print(os.path.realpath(glee.__file__))"
    for command in (["-c", check], ["-m", "glee.cli", "--quiet", *words]):
        ran = subprocess.run(
            [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True
        )
        if ran.returncode:
            sys.exit(f"glee {' '.join(words)}\nfailed with {ran.returncode}:\n{ran.stderr[-4000:]}")
        if command[0] == "-c":
            expected = (folder / "package/glee/__init__.py").resolve()
            if Path(ran.stdout.strip()) != expected:
                sys.exit(f"{ran.stdout.strip()} would be run, not {expected}")


def read_shards(results: Results, work: Path) -> None:
    """Add each dataset and attribute of a work folder's shards."""
    for path in sorted(work.rglob("*.h5")):
        file = path.relative_to(work).as_posix()
        with h5py.File(path, "r", locking=False) as shard:
            _read_node(results, file, "", shard)


def _read_node(results: Results, file: str, name: str, node: h5py.Group | h5py.Dataset) -> None:
    for key, value in node.attrs.items():
        if key != PROCESSOR and (name or key not in NOT_CONTENT):
            for leaf, content in _leaves(f"{name}@{key}", _from_json(value)):
                results.add("shards", file, leaf, content)
    if isinstance(node, h5py.Dataset):
        results.add("shards", file, name, node[()])
        return
    for child in node:
        _read_node(results, file, f"{name}/{child}", node[child])


def _from_json(value: Any) -> Any:
    """An attribute that is an object in JSON (options), taken apart; others as they are."""
    if isinstance(value, str) and value.startswith("{"):
        return json.loads(value)
    return value


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        value = {str(i): item for i, item in enumerate(value)}
    if isinstance(value, dict) and value:
        for key, content in value.items():
            yield from _leaves(f"{name}.{key}" if name else key, content)
    else:
        yield name, value


def read_results(results: Results, path: Path) -> None:
    """Add each figure of `results.json` but for those that tell times and the version of glee."""
    for name, value in _leaves("", json.loads(path.read_text())):
        if not any(name == left or name.startswith(f"{left}.") for left in NOT_FIGURES):
            results.add("results", path.name, name, value)


def read_predictions(results: Results, demo: Path) -> None:
    """Add each array of the predictions that the demo's runs keep."""
    for path in sorted(demo.rglob("predictions.npz")):
        file = path.relative_to(demo).as_posix()
        with np.load(path) as arrays:
            for name in arrays:
                results.add("results", file, name, arrays[name])


def read_tables(results: Results, folder: Path, name: str) -> None:
    """Add the tables in a folder, column by column, and the bytes of those that are text.

    Parameters
    ----------
    name : str
        What the tables are called in the comparison, before the name of their file.
    """
    for path in sorted(folder.iterdir()):
        file = f"{name}/{path.name}"
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            results.add("tables", file, "types", [f"{x.name} {x.type}" for x in table.schema])
            columns = table.to_pandas()
        else:
            results.add("tables", file, "bytes", path.read_bytes())
            columns = pd.read_csv(path)
        results.add("tables", file, "columns", [str(column) for column in columns])
        for column in columns:
            results.add("tables", file, f"column {column}", columns[column].to_numpy())
