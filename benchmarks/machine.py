"""What a benchmark ran on, and the form in which it writes its figures."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    *("glee", "numpy", "scipy", "numba", "ncnn", "torch", "dlib-bin"),
    "opencv-python-headless",
)


@dataclass(frozen=True)
class Target:
    """One figure that was aimed at. better: "higher" or "lower"; value None where not measured.

    at_least: lower end of a range whose upper end is `target`.
    """

    name: str
    value: float | None
    target: float
    better: str
    at_least: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The target with ``met``."""
        met = None
        if self.value is not None:
            higher = self.better == "higher"
            met = bool(self.value >= self.target if higher else self.value <= self.target)
            met = met and (self.at_least is None or self.value >= self.at_least)
        own = {name: value for name, value in asdict(self).items() if name != "at_least"}
        if self.at_least is not None:
            own["at_least"] = self.at_least
        return {**own, "met": met}


def machine() -> dict[str, Any]:
    """Processor, cores, operating system and versions."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [x for x in information.read_text().splitlines() if x.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def least_disturbed(row: dict[str, Any]) -> dict[str, float]:
    """Of the epochs after the first, the one whose processes queued least for a core."""
    epochs: list[dict[str, float]] = row["later_epochs"]
    return min(epochs, key=lambda epoch: epoch["queued_ms"])


def write_results(path: Path | None, content: dict[str, Any], targets: list[Target]) -> None:
    """Print the targets, and write all to a JSON file where one is named."""
    print()
    for target in targets:
        row = target.as_json()
        value = "not measured" if target.value is None else f"{target.value:.4g}"
        sign = ">=" if target.better == "higher" else "<="
        met = {True: "met", False: "MISSED", None: ""}[row["met"]]
        print(f"{target.name:28s} {value:>14s}  aimed at {sign} {target.target:g}  {met}")
    if path is not None:
        every = {**content, "machine": machine(), "targets": [t.as_json() for t in targets]}
        path.write_text(json.dumps(every, indent=1) + "\n")
