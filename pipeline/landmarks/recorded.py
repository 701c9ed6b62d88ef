"""Landmarks that another program found: a CSV file a clip, of OpenFace or of the same columns.

`--detector openface:DIR` and `csv:DIR` take them in a backend's place. Frames are known by their
number, from 1 on; each frame of the clip has one row. OpenFace 2 separates by "," and OpenFace 1 by
", ": both are read.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...errors import DataError, UsageError
from ..clips import Clip
from .detector import Image, Landmarks
from .tracking import TrackedFrame, missing_frame

# Who wrote the files, as it stands before the colon.
OPENFACE, CSV = "openface", "csv"
KINDS = (OPENFACE, CSV)

_POINTS = 68
_AXES = tuple(f"{axis}_{point}" for axis in "xy" for point in range(_POINTS))
# A clip's landmarks lie in its picture; of other pictures many do not.
_OUTSIDE = 0.25
# Seconds that a frame's time may be from its number, and the least share of a frame's duration.
_TIME = 0.5
# Larger is no table of a clip: a row has some 6 kB.
_MOST_BYTES = 4 << 30


class RecordedFolder(NamedTuple):
    """Where landmarks of clips are.

    Attributes
    ----------
    kind : str
        One of KINDS.
    folder : Path
        With the CSV files.
    """

    kind: str
    folder: Path


@dataclass(frozen=True, eq=False)
class RecordedLandmarks:
    """The landmarks of a clip's n frames.

    Attributes
    ----------
    landmarks : (n, 68, 2) float32
        Source pixels.
    confidence : (n,) float32
        In [0, 1].
    found : (n,) bool
        Whether the program found a face.
    """

    landmarks: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]
    found: npt.NDArray[np.bool_]


def recorded_folder(detector: str) -> RecordedFolder | None:
    """Read `openface:DIR` or `csv:DIR`.

    Parameters
    ----------
    detector : str
        As a user names a backend.

    Returns
    -------
    RecordedFolder or None
        None where it names a backend.

    Raises
    ------
    UsageError
        Where there is no such folder.
    """
    kind, colon, folder = detector.partition(":")
    if kind not in KINDS:
        return None
    if not colon or not folder or not Path(folder).is_dir():
        raise UsageError(
            f"detector {detector}: {folder or 'nothing'} is no folder; give {kind}:DIR with a CSV "
            "file a clip"
        )
    return RecordedFolder(kind, Path(folder).resolve())


def recorded_file(folder: Path, clip: Clip) -> Path:
    """Find a clip's CSV file: by the source's path below the dataset's folder, or by its names.

    Parameters
    ----------
    folder : Path
        With the CSV files.
    clip : Clip
        The clip.

    Returns
    -------
    Path
        DIR/PATH.csv, DIR/SUBJECT/CLIP.csv, DIR/CLIP.csv or DIR/NAME.csv, the first that is there.

    Raises
    ------
    DataError
        Where there is none.
    """
    path = Path(clip.relative_source)
    bare = path if clip.images and len(clip.images) > 1 else path.with_suffix("")
    names = (
        f"{bare}.csv",
        f"{clip.subject}/{clip.name}.csv",
        f"{clip.name}.csv",
        f"{bare.name}.csv",
    )
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DataError(
        f"{folder}: holds no landmarks of {clip.label}; "
        f"looked for {', '.join(dict.fromkeys(names))}"
    )


def file_mark(path: Path) -> str:
    """SHA-256 of a file's bytes, of which a shard states the first twelve digits."""
    return hashlib.sha256(_content(path)).hexdigest()[:12]


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path}: has more than 4 GB; give the landmarks of one clip")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def read_recorded(
    path: Path, *, frames: int, size: tuple[int, int], fps: float = 0.0
) -> RecordedLandmarks:
    """Read a clip's landmarks and check that they can be the clip's.

    Parameters
    ----------
    path : Path
        CSV with the columns frame, x_0 to x_67, y_0 to y_67, and, where they are there,
        confidence, success, timestamp and face_id.
    frames : int
        Of the clip.
    size : (int, int)
        Width and height of the clip's pictures, pixels.
    fps : float
        Of the clip; 0 where it is not known, then times are not compared.

    Returns
    -------
    RecordedLandmarks
        Of all frames.

    Raises
    ------
    DataError
        Where it is no such table, frames are missing or doubled, or it is of another clip.
    """
    columns = _columns(path)
    number = columns["frame"]
    if not np.array_equal(number, np.round(number)):
        raise DataError(f"{path}: column frame holds {_first_odd(number)}; frames count 1, 2, 3")
    if len(np.unique(columns.get("face_id", np.zeros(1)))) > 1:
        raise DataError(
            f"{path}: holds several faces; give the file of one, as FeatureExtraction's"
        )
    _check_numbers(path, number.astype(np.int64), frames)
    order = np.argsort(number)
    found = np.asarray(columns.get("success", np.ones(frames))[order] > 0, np.bool_)
    confidence = columns.get("confidence", np.ones(frames))[order]
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise DataError(f"{path}: column confidence leaves 0 to 1; give a share")
    points = np.stack([columns[name][order] for name in _AXES], 1)
    landmarks = points.reshape(frames, 2, _POINTS).transpose(0, 2, 1)
    found &= np.asarray(np.isfinite(landmarks).all((1, 2)), np.bool_)
    inside = np.asarray(((landmarks >= 0) & (landmarks < np.array(size))).all(2))
    outside = 1.0 - float(inside[found].mean()) if found.any() else 0.0
    if outside > _OUTSIDE:
        raise DataError(
            f"{path}: {100 * outside:.0f} % of the points lie outside pictures of "
            f"{size[0]}x{size[1]} pixels; it is of another clip or size"
        )
    _check_times(path, columns, order, fps)
    return RecordedLandmarks(landmarks.astype(np.float32), confidence.astype(np.float32), found)


def _columns(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    """The columns that count, as numbers."""
    text = _content(path).decode("utf-8-sig", "replace")
    rows = csv.reader(io.StringIO(text), skipinitialspace=True)
    try:
        head = [name.strip() for name in next(rows, [])]
        missing = [name for name in ("frame", *_AXES) if name not in head]
        if missing:
            raise DataError(
                f"{path}: has no column {missing[0]}; it is no table of 68 landmarks "
                "(of OpenFace: FeatureExtraction -2Dfp)"
            )
        wanted = [
            (name, head.index(name))
            for name in ("frame", *_AXES, "confidence", "success", "timestamp", "face_id")
            if name in head
        ]
        table = []
        for line, row in enumerate(rows, 2):
            if not row:
                continue
            if len(row) < len(head):
                raise DataError(f"{path}: line {line} has {len(row)} of {len(head)} columns")
            try:
                table.append([float(row[place]) for _, place in wanted])
            except ValueError:
                raise DataError(f"{path}: line {line} holds what is no number") from None
    except csv.Error as error:
        raise DataError(f"{path}: is no CSV ({error})") from None
    if not table:
        raise DataError(f"{path}: holds no frame")
    values = np.array(table, np.float64)
    return {name: values[:, column] for column, (name, _) in enumerate(wanted)}


def _first_odd(number: npt.NDArray[np.float64]) -> str:
    return f"{number[np.flatnonzero(number != np.round(number))[0]]:g}"


def _check_numbers(path: Path, number: npt.NDArray[np.int64], frames: int) -> None:
    """Each of 1 to `frames` once."""
    values, counts = np.unique(number, return_counts=True)
    if (counts > 1).any():
        raise DataError(
            f"{path}: frame {values[counts > 1][0]} is there twice; frames count 1, 2, 3"
        )
    missing = np.setdiff1d(np.arange(1, frames + 1), values)
    strange = values[(values < 1) | (values > frames)]
    if len(strange):
        raise DataError(
            f"{path}: {len(values)} frames, of which {strange[0]} is not of the clip's 1 to "
            f"{frames}; it is of another clip"
        )
    if len(missing):
        raise DataError(
            f"{path}: frame {missing[0]} is missing ({len(missing)} of the clip's {frames} are); "
            "give a row for each frame, success 0 where there is no face"
        )


def _check_times(
    path: Path,
    columns: dict[str, npt.NDArray[np.float64]],
    order: npt.NDArray[np.int64],
    fps: float,
) -> None:
    if "timestamp" not in columns or not fps > 0 or len(order) < 2:
        return
    times = columns["timestamp"][order]
    took, takes = float(times[-1] - times[0]), (len(order) - 1) / fps
    # Programs that read images write 0.
    if took > 0 and abs(took - takes) > max(_TIME, 0.05 * takes):
        raise DataError(
            f"{path}: its times span {took:.1f} s, the clip's {len(order)} frames {takes:.1f} s; "
            "it is of another clip"
        )


class RecordedTracker:
    """In a `FaceTracker`'s place: gives the landmarks of one frame after the other.

    Parameters
    ----------
    recorded : RecordedLandmarks
        Of the clip.
    start : int
        The first frame to be followed, from 0.
    minimum : float
        Confidence below which a frame is not valid.
    """

    def __init__(self, recorded: RecordedLandmarks, start: int, minimum: float) -> None:
        self._recorded, self._next, self._minimum = recorded, start, minimum

    def follow(self, image: Image | None) -> TrackedFrame:
        """Give the next frame's face.

        Parameters
        ----------
        image : (h, w, 3) uint8 or None
            RGB; None where the frame is unreadable.

        Returns
        -------
        TrackedFrame
            Its landmarks.
        """
        frame, self._next = self._next, self._next + 1
        if image is None:
            return missing_frame("unreadable")
        if not self._recorded.found[frame]:
            return missing_frame("no_face")
        landmarks: Landmarks = self._recorded.landmarks[frame]
        confidence = float(self._recorded.confidence[frame])
        unsure = confidence < self._minimum or math.isnan(confidence)
        return TrackedFrame(landmarks, confidence, "low_confidence" if unsure else "ok")
