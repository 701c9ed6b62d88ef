"""What is in a shard: a table of its content, for people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .shards.shard import REASONS, Shard, read_shard


def describe_shard(path: Path) -> str:
    """A table of a shard's source, options, frames, labels and fit, as text of several lines.

    Raises ShardError where the shard cannot be read or does not agree with its checksum.
    """
    shard = read_shard(Path(path))
    rows = [*_source(shard), *_frames(shard), *_labels(shard), *_fit(shard)]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {value}" for name, value in rows)


def shard_facts(path: Path) -> dict[str, Any]:
    """The same as plain data: header, frames by reason, labels by AU and code, the fit's spread.

    Raises ShardError as `describe_shard` does.
    """
    shard = read_shard(Path(path))
    header, frames, fit = shard.header, shard.frames, shard.fit
    counts = np.bincount(frames.reason, minlength=len(REASONS))
    labels = {}
    for column, name in enumerate(header.au_names):
        levels, times = np.unique(shard.labels[:, column], return_counts=True)
        labels[name] = {str(v): int(n) for v, n in zip(levels, times, strict=True)}
    facts: dict[str, Any] = {
        "shard": str(shard.path),
        **asdict(header),
        "frames": len(shard),
        "reasons": {REASONS[i]: int(count) for i, count in enumerate(counts) if count},
        "crop_size": shard.crop_size,
        "encoding": shard.encoding,
        "labels": labels,
        "fit": None,
    }
    if fit is not None:
        rmse = fit.rmse[fit.converged]
        facts["fit"] = {
            "model": fit.model,
            "focal": fit.focal,
            "options": dict(fit.options),
            "converged": int(fit.converged.sum()),
            "median_rmse": float(np.median(rmse)) if rmse.size else None,
        }
    return facts


def _source(shard: Shard) -> list[tuple[str, str]]:
    header = shard.header
    width, height = header.frame_size
    rate = f", {header.fps:.4g} frames/s" if header.fps else ""
    options = ", ".join(f"{name} {value}" for name, value in sorted(header.options.items()))
    return [
        ("shard", str(shard.path)),
        ("dataset", f"{header.dataset}, subject {header.subject}, clip {header.clip}"),
        ("source", f"{header.source}, {header.source_size} bytes, {width}x{height}{rate}"),
        ("made by", f"glee {header.glee_version}, detector {header.detector}"),
        ("options", options),
    ]


def _frames(shard: Shard) -> list[tuple[str, str]]:
    header, frames = shard.header, shard.frames
    valid = frames.valid
    rows = [
        (
            "frames",
            f"{len(shard)} (clip's {header.start} to {header.stop - 1}), {valid.sum()} valid",
        )
    ]
    for number, name in enumerate(REASONS):
        where = np.flatnonzero(frames.reason == number) if number else np.empty(0, int)
        if where.size:
            rows.append((f"  {name}", f"{where.size}: {_runs(frames.frame_id[where])}"))
    if valid.any():
        rows.append(("confidence", _spread(frames.confidence[valid], ".2f")))
    kilobytes = np.diff(shard.crop_offset).mean() / 1024
    side = shard.crop_size
    rows.append(("crops", f"{side}x{side} {shard.encoding}, {kilobytes:.1f} KB each"))
    return rows


def _labels(shard: Shard) -> list[tuple[str, str]]:
    header = shard.header
    if not header.au_names:
        return [("labels", "none")]
    known = shard.labels >= 0
    rows = [("labels", f"{header.label_kind} of {len(header.au_names)} AUs")]
    for column, name in enumerate(header.au_names):
        values = shard.labels[known[:, column], column]
        levels, times = np.unique(values, return_counts=True)
        counts = ", ".join(f"{v}: {n}" for v, n in zip(levels, times, strict=True))
        unknown = len(shard) - len(values)
        rows.append((f"  {name}", counts + (f", unknown: {unknown}" if unknown else "")))
    return rows


def _fit(shard: Shard) -> list[tuple[str, str]]:
    fit = shard.fit
    if fit is None:
        return [("fit", "none")]
    done = fit.converged
    shown = {name: value for name, value in fit.options.items() if name != "source"}
    options = ", ".join(f"{name} {value}" for name, value in sorted(shown.items()))
    rows = [
        ("fit", f"{done.sum()} frames converged, model {fit.model}, focal {fit.focal:.0f} pixels"),
        ("  options", options),
    ]
    if done.any():
        rows.append(("  rmse", f"{_spread(fit.rmse[done], '.2f')} pixels"))
        rows.append(("  iterations", _spread(fit.iterations[done], ".0f")))
        angles = np.degrees(fit.pose[done, :3])
        for axis, name in enumerate(("turn x", "turn y", "turn z")):
            rows.append((f"  {name}", f"{_spread(angles[:, axis], '.1f')} degrees"))
    return rows


def _spread(values: npt.NDArray[np.generic], form: str) -> str:
    low, middle, high = np.percentile(np.asarray(values, np.float64), [5, 50, 95])
    return f"median {middle:{form}} (5 % {low:{form}}, 95 % {high:{form}})"


def _runs(numbers: npt.NDArray[np.int64], most: int = 8) -> str:
    """Frame numbers as runs, such as "3-9 12"."""
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    runs = [
        f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in np.split(numbers, breaks)
    ]
    return " ".join(runs[:most]) + (
        f" and {len(runs) - most} more runs" if len(runs) > most else ""
    )
