"""Action Units and blinks seen by eye in real clips, and what blendshapes make of these frames."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from face_measures import area_under_curve
from landmark_measures import gaps
from landmark_videos import AROUND, BLINKS, NEAR, REAL, blinks_in
from numpy.typing import NDArray

from glee.errors import DataError
from glee.pipeline.datasets.action_units import BLENDSHAPES

Floats = NDArray[np.float64]

SEEN = REAL / "au_seen.csv"
COLUMNS = ["clip", "frame", "au", "present"]
CLOSED, BLINK = 43, 45  # closed eyes are coded by the one number, in the table by the other
LEAST = 3  # frames with and without an AU for which an area is given
# What is usual for a person: a percentile of each coefficient over the clip's frames. Coefficients
# only grow from 0, so rest is low among them; but some people are never at rest.
BASELINES: dict[str, float | None] = {"20th percentile": 20.0, "median": 50.0, "none": None}
BASELINE = "20th percentile"
# A blink: eyeBlink, mean of both eyes, rises by this much over its median of AROUND frames to both
# sides. Many blinks last two frames, and the curve is smoothed.
RISE = 0.2
# Frames from the first to before the last in which the eyes are plainly open, iris and pupil in
# sight, however wide; each was looked at.
OPEN: dict[str, tuple[range, ...]] = {
    "driving_d10.mp4": (range(0, 219), range(228, 330), range(345, 364), range(372, 448)),
    "driving_d3.mp4": (range(168, 206), range(278, 354)),
    "driving_d19.mp4": (range(108, 136),),
}


@dataclass(frozen=True, eq=False)
class Scored:
    """Blendshapes of a clip's n frames. names: (k,). values: (n, k), NaN without a face.

    landmarks: (n, 68, 2) pixels where there are such.
    """

    names: tuple[str, ...]
    values: Floats
    landmarks: Floats | None = None


def read_seen(path: Path = SEEN) -> list[tuple[str, int, int, bool]]:
    """Clip, frame from 0, AU, and whether it is plainly there.

    Raises DataError where the table is missing or is no such table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(line for line in file if not line.startswith("#")))
        if not rows or rows[0] != COLUMNS:
            raise ValueError(f"its columns are not {', '.join(COLUMNS)}")
        return [
            (clip, int(frame), int(au), bool(int(there))) for clip, frame, au, there in rows[1:]
        ]
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read as Action Units that were seen ({error})"
        ) from None


def action_unit(of: Scored, au: int) -> Floats:
    """Weighted mean of the blendshapes of an AU: (n,); those that are missing count as still."""
    shapes = BLENDSHAPES[BLINK if au == CLOSED else au]
    total = np.zeros(len(of.values))
    for name, weight in shapes.items():
        if name in of.names:
            total += weight * of.values[:, of.names.index(name)]
    return total / sum(shapes.values())


def less_usual(of: Scored, percentile: float | None) -> Scored:
    """The blendshapes less what is usual for the clip's person."""
    if percentile is None or not np.isfinite(of.values).any():
        return of
    usual = np.nanpercentile(of.values, percentile, axis=0)
    return Scored(of.names, of.values - usual, of.landmarks)


def seen_areas(
    clips: Mapping[str, Scored], seen: list[tuple[str, int, int, bool]]
) -> dict[str, Any]:
    """Area under the curve by AU, their mean, and counts. clips: by file name.

    A frame without a face scores 0, as a face at rest does; such frames are counted.
    """
    row: dict[str, Any] = {"by_baseline": {}}
    coded = {au: [one for one in seen if one[2] == au] for au in sorted({one[2] for one in seen})}
    coded = {
        au: own
        for au, own in coded.items()
        if min(sum(one[3] for one in own), sum(not one[3] for one in own)) >= LEAST
    }
    row["frames"] = {
        str(au): [sum(one[3] for one in own), sum(not one[3] for one in own)]
        for au, own in coded.items()
    }
    for label, percentile in BASELINES.items():
        rested = {name: less_usual(clip, percentile) for name, clip in clips.items()}
        areas = {}
        for au, own in coded.items():
            scores = np.array([action_unit(rested[clip], au)[frame] for clip, frame, _, _ in own])
            there = np.array([one[3] for one in own])
            areas[str(au)] = area_under_curve(np.nan_to_num(scores), there)
            if label == BASELINE:
                row["without_face"] = row.get("without_face", 0) + int(np.isnan(scores).sum())
        row["by_baseline"][label] = {"mean": float(np.mean(list(areas.values()))), "auc": areas}
    row["baseline"] = BASELINE
    row["auc"] = row["by_baseline"][BASELINE]["auc"]
    row["mean"] = row["by_baseline"][BASELINE]["mean"]
    return row


def blink_counts(clips: Mapping[str, Scored]) -> dict[str, dict[str, Any]]:
    """Blinks counted by eye that f_exp and the landmarks' lid gap show, and false ones.

    False: in frames that were looked through for blinks and are far from any, or in which the eyes
    are plainly open.
    """
    rows: dict[str, dict[str, Any]] = {}
    for name, clip in clips.items():
        ways = {"f_exp": rises(clip)}
        if clip.landmarks is not None:
            ways["landmarks"] = blinks_in(gaps(clip.landmarks)["lid_gap"])
        for way, found in ways.items():
            row = rows.setdefault(way, {"counted": 0, "found": 0, "false": 0, "false_at": []})
            false = [f for f in found if any(f in there for there in OPEN.get(name, ()))]
            if name in BLINKS:
                frames, counted = BLINKS[name]
                row["counted"] += len(counted)
                row["found"] += sum(any(abs(c - f) <= NEAR for f in found) for c in counted)
                false += [
                    f for f in found if f in frames and all(abs(c - f) > NEAR for c in counted)
                ]
            row["false"] += len(false)
            row["false_at"] += [f"{name} {frame}" for frame in false]
    return rows


def rises(of: Scored) -> list[int]:
    """The frames of the largest eyeBlink of every blink."""
    curve = action_unit(of, 43)
    with np.errstate(all="ignore"):
        usual = np.array(
            [np.nanmedian(curve[max(i - AROUND, 0) : i + AROUND + 1]) for i in range(len(curve))]
        )
    closed = np.append(curve > usual + RISE, False)
    found: list[int] = []
    start = None
    for frame, inside in enumerate(closed):
        if inside and start is None:
            start = frame
        elif not inside and start is not None:
            found.append(start + int(np.nanargmax(curve[start:frame])))
            start = None
    return found
