"""The Action Units of a clip in two passes: readings wait until it is known what rest is.

Readings wait in a nameless file beside the tables, 360 bytes a row, so that memory does not grow
with the clip.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ...fitting.visibility import HIDDEN, by_region
from ..analysis.face_stream import FaceRows
from .estimate import SOURCE, AUEstimates, au_figures, columns_of_aus, estimate, intensities
from .person_baseline import (
    AUTO,
    LEAST_FRAMES,
    NONE,
    PERCENTILE,
    USUAL,
    BaselineFrames,
    ReadingCounts,
)
from .readings import AUS, AUReadings, seen_by_au

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FaceBaseline:
    """A person's readings at rest, and where they are from.

    Attributes
    ----------
    rest : (m,) float64
        See `AUReadings`.
    kind : str
        "auto", "frames", "none", or "usual": what is usual for people, where too few frames show
        the person.
    frames : int
        How many it was taken from.
    restless : tuple of int
        The AUs that are present in four fifths of the frames or more, by the auto baseline.
    """

    rest: Floats
    kind: str
    frames: int
    restless: tuple[int, ...] = ()


class ClipEstimates:
    """Estimates of one clip's rows, in the order in which they were added.

    Parameters
    ----------
    readings : AUReadings
        Of the model.
    baseline : BaselineFrames
        Which frames show people at rest.
    folder : Path
        Where the waiting readings are kept.
    """

    def __init__(self, readings: AUReadings, baseline: BaselineFrames, folder: Path) -> None:
        self.readings = readings
        self._asked, self._folder = baseline, folder
        self._counts: dict[int, ReadingCounts] = {}
        self._baselines: dict[int, FaceBaseline] | None = None
        self._file: IO[bytes] | None = None
        self._width = 2 + 2 * len(readings.columns) + len(AUS)

    def __enter__(self) -> ClipEstimates:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, rows: FaceRows) -> None:
        """Read rows.

        Parameters
        ----------
        rows : FaceRows
            Those that follow the ones before.
        """
        valid = np.array([rows.valid(i) for i in range(len(rows))])
        parts = np.stack([rows.visibility(i) for i in range(len(rows))])
        seen = seen_by_au(np.asarray(by_region(parts), np.float64))
        read = np.where(valid[:, None], self.readings.of(rows.fit.f_exp), np.nan)
        std = self.readings.std(rows.fit.f_exp_std)
        face = np.array([one.face_id for one in rows.faces], np.float64)
        hidden = (seen < HIDDEN)[:, columns_of_aus(self.readings)]
        for i in np.flatnonzero(valid):
            if self._asked.kind == AUTO or self._asked.has(rows.faces[i].frame):
                counts = self._counts.setdefault(int(face[i]), self._no_counts())
                counts.add(np.where(hidden[i], np.nan, read[i]))
        row = np.column_stack([face, valid, read, std, seen]).astype(np.float32)
        self._waiting().write(row.tobytes())

    def _waiting(self) -> IO[bytes]:
        """The file, made when it is first needed: whoever writes tables has made the folder."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder, prefix=".glee-aus-")
        return self._file

    def _no_counts(self) -> ReadingCounts:
        return ReadingCounts(self.readings.largest)

    def baselines(self) -> dict[int, FaceBaseline]:
        """The faces' readings at rest, once all rows are added.

        Returns
        -------
        dict of int to FaceBaseline
            By face number, of those that have any.

        Raises
        ------
        DataError
            Where the frames that were named show no usable face.
        """
        if self._baselines is None:
            if self._asked.kind == "frames" and not self._counts:
                raise DataError(
                    "no usable face in the frames of --baseline; name frames in which the face is "
                    "seen at rest, or give auto"
                )
            self._baselines = {face: self._baseline(own) for face, own in self._counts.items()}
        return self._baselines

    def _baseline(self, counts: ReadingCounts) -> FaceBaseline:
        of, figures = columns_of_aus(self.readings), au_figures()
        usual, most = figures.usual[of], figures.most[of]
        if self._asked.kind == "frames":
            rest = counts.percentile(50.0)
            return FaceBaseline(np.where(np.isnan(rest), usual, rest), "frames", counts.frames)
        if counts.frames < LEAST_FRAMES:
            return FaceBaseline(usual, USUAL, counts.frames)
        low = counts.percentile(PERCENTILE)
        known = np.where(np.isnan(low), usual, low)
        rest = np.minimum(known, most)
        # Present even at the percentile, hence in four fifths of the frames.
        at_rest = intensities(known - rest, figures.full[of])
        moved = sorted({AUS[a] for a in of[at_rest >= figures.present[of]]})
        return FaceBaseline(rest, AUTO, counts.frames, tuple(moved))

    def blocks(self, size: int) -> Iterator[AUEstimates]:
        """Give the estimates of all rows.

        Parameters
        ----------
        size : int
            So many rows at a time, at most.

        Yields
        ------
        AUEstimates
            Block after block, in the order of the rows.
        """
        waiting = self._waiting()
        known = {face: one.rest for face, one in self.baselines().items()}
        count, m = 4 * self._width, len(self.readings.columns)
        other = np.zeros(m)
        if self._asked.kind != NONE:
            other = au_figures().usual[columns_of_aus(self.readings)]
        waiting.seek(0)
        while content := waiting.read(count * size):
            rows = np.frombuffer(content, np.float32).reshape(-1, self._width).astype(np.float64)
            rest = np.stack([known.get(int(face), other) for face in rows[:, 0]])
            read, std, seen = np.split(rows[:, 2:], [m, 2 * m], axis=1)
            yield estimate(self.readings, read, std, seen, rest)

    def as_json(self) -> dict[str, Any]:
        """Say where the estimates are from.

        Returns
        -------
        dict
            Of types that JSON has.
        """
        return {
            "source": SOURCE,
            "baseline": self._asked.kind,
            "faces": {
                str(face): {
                    "kind": one.kind,
                    "frames": one.frames,
                    "restless": [f"AU{au:02}" for au in one.restless],
                }
                for face, one in sorted(self.baselines().items())
            },
        }

    def notes(self) -> list[str]:
        """Say what a reader of the tables must know of their baselines.

        Returns
        -------
        list of str
            Lines without the clip's name.
        """
        lines = []
        several = len(self.baselines()) > 1
        for face, one in sorted(self.baselines().items()):
            whose = f"face {face}: " if several else ""
            if one.restless:
                named = ", ".join(f"AU{au:02}" for au in one.restless)
                lines.append(
                    f"{whose}{named} present in four fifths of the clip or more; taken over what "
                    "is usual for people at rest (--baseline FRAMES names frames at rest)"
                )
            if one.kind == USUAL:
                lines.append(
                    f"{whose}{one.frames} frames are too few for the person's own baseline "
                    f"({LEAST_FRAMES} needed); what is usual for people is taken"
                )
        return lines
