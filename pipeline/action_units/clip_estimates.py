"""The Action Units of a clip in two passes: readings wait until it is known what rest is.

Readings wait in a nameless file beside the tables, 500 bytes a row, so that memory does not grow
with the clip.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from ...errors import DataError, OutputError
from ...fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from ...fitting.visibility import HIDDEN, by_region
from ...fitting.witness import OUTPUTS
from .estimate import (
    SOURCE,
    AUEstimates,
    Others,
    au_figures,
    columns_of_aus,
    estimate,
    intensities,
)
from .person_baseline import (
    AUTO,
    BINS,
    CALM,
    CLOSED_AT_REST,
    LEAST_FRAMES,
    NONE,
    PERCENTILE,
    USUAL,
    BaselineFrames,
    ReadingCounts,
)
from .readings import AUS, AUReadings, au_readings, seen_by_au

if TYPE_CHECKING:
    from ..analysis.face_stream import FaceRows

Floats = npt.NDArray[np.float64]

# Numbers that a row has one of, see `WaitingRows`.
SINGLE = 7
# Rows, and faces, that are looked at together.
BLOCK, FACES = 4096, 64
# The network's outputs in the order of ARKIT_NAMES, and which count for how calm a face is: where
# somebody looks does not.
_ORDER = [OUTPUTS.index(name) for name in ARKIT_NAMES]
_COUNTED = np.array([not name.startswith("eyeLook") for name in ARKIT_NAMES])
OUTPUTS_SEEN = float(_COUNTED.sum())
_OF_NETWORK = cast(AUReadings, au_readings(ARKIT_NAMES))
# Frames further from each other, seconds, say nothing of each other.
CLOSE = 0.1


def network_outputs(rows: FaceRows) -> Floats:
    """The blendshape network's outputs (n, 51) in the order of ARKIT_NAMES; NaN without any."""
    found = np.full((len(rows), len(ARKIT_NAMES)), np.nan)
    for row, face in zip(found, rows.faces, strict=True):
        if face.blendshapes is not None:
            row[:] = np.asarray(face.blendshapes, np.float64)[_ORDER]
    return found


def activity(outputs: Floats) -> Floats:
    """How much the network sees move in a face: (n,), the sum of outputs (n, 51)."""
    return np.asarray(outputs[:, _COUNTED].sum(axis=1))


@dataclass(frozen=True, eq=False)
class WaitingRows:
    """What is kept of n rows.

    Attributes
    ----------
    face, frame, time : (n,) float64
        The face's number, the frame's, and seconds from the first frame.
    named, activity : (n,) float64
        1 where the frame was named as one at rest, and `activity`.
    moved, apart : (n,) float64
        See `estimate.Others`, but `moved` not over rest; `apart` is 0 where it is not known.
    read, std, network : (n, m) float64
        Readings, their deviations, and those of the network's outputs; NaN where not known.
    seen : (n, a) float64
        How far the regions are seen.
    """

    face: Floats
    frame: Floats
    time: Floats
    named: Floats
    activity: Floats
    moved: Floats
    apart: Floats
    read: Floats
    std: Floats
    network: Floats
    seen: Floats

    @staticmethod
    def width(m: int) -> int:
        """Numbers a row, with m readings."""
        return SINGLE + 3 * m + len(AUS)

    def packed(self) -> npt.NDArray[np.float32]:
        """The rows as one array (n, width)."""
        every = [getattr(self, one.name) for one in fields(self)]
        return np.column_stack(every).astype(np.float32)

    @classmethod
    def unpacked(cls, rows: npt.NDArray[np.float32], m: int) -> WaitingRows:
        """The rows of an array that `packed` made."""
        ends = np.cumsum([1] * SINGLE + [m, m, m])
        parts = np.split(rows.astype(np.float64), ends, axis=1)
        return cls(*(part[:, 0] for part in parts[:SINGLE]), *parts[SINGLE:])

    def steady(self) -> WaitingRows:
        """The rows with what is read in them made steady: the median of three frames.

        A frame whose landmarks jump is so left out; a blink of two frames stays. The first and the
        last frame of a run stay as they are.
        """
        order = np.lexsort((self.frame, self.face))
        face, frame, time = self.face[order], self.frame[order], self.time[order]
        follows = (np.diff(face) == 0) & (np.diff(frame) == 1) & (np.diff(time) <= CLOSE)
        inner = np.flatnonzero(follows[:-1] & follows[1:]) + 1
        changed = {}
        for name in ("read", "moved"):
            values = getattr(self, name).copy()
            three = np.stack([values[order[inner + step]] for step in (-1, 0, 1)])
            middle = np.median(three, axis=0)
            values[order[inner]] = np.where(np.isfinite(middle), middle, three[1])
            changed[name] = values
        return replace(self, **changed)

    def part(self, first: int, last: int) -> WaitingRows:
        """The rows from first to last, which is not among them."""
        return WaitingRows(*(getattr(self, one.name)[first:last] for one in fields(self)))


@dataclass(frozen=True, eq=False)
class FaceBaseline:
    """A person's readings at rest, and where they are from.

    Attributes
    ----------
    rest : (m,) float64
        See `AUReadings`.
    kind : str
        "auto", "frames", or "usual": what is usual for people, where too few frames show the
        person.
    frames : int
        How many it was taken from.
    moved : float
        `AUReadings.moved` at rest; NaN where it is not known.
    restless : tuple of int
        The AUs that are seen even in the calmest frames.
    """

    rest: Floats
    kind: str
    frames: int
    moved: float = np.nan
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
    name : str
        The clip's, for errors.
    """

    def __init__(
        self, readings: AUReadings, baseline: BaselineFrames, folder: Path, name: str
    ) -> None:
        self.readings = readings
        self._name = name
        self._asked, self._folder = baseline, folder
        self._calmness: dict[int, ReadingCounts] = {}
        self._frames: Counter[int] = Counter()
        self._baselines: dict[int, FaceBaseline] | None = None
        self._rows = 0
        # The row and the frame in which a face was last, and how many rows lie between a face's
        # frames at most: so far a block looks beyond its ends.
        self._last: dict[int, tuple[int, int]] = {}
        self._reach = 1
        self._file: IO[bytes] | None = None

    def __enter__(self) -> ClipEstimates:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._file is not None:
            with suppress(OSError):  # what a full disk did not take is not needed any more
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
        outputs = network_outputs(rows)
        waiting = WaitingRows(
            face=np.array([one.face_id for one in rows.faces], np.float64),
            frame=np.array([one.frame for one in rows.faces], np.float64),
            time=np.array([one.time for one in rows.faces], np.float64),
            named=np.array([self._asked.has(one.frame) for one in rows.faces], np.float64),
            activity=np.where(valid, activity(outputs), np.nan),
            moved=np.where(valid, self.readings.moved(rows.fit.f_exp), np.nan),
            apart=np.nan_to_num(1.0 - np.asarray(rows.fit.rules_share, np.float64)),
            read=np.where(valid[:, None], self.readings.of(rows.fit.f_exp), np.nan),
            std=self.readings.std(rows.fit.f_exp_std),
            network=_OF_NETWORK.of(outputs),
            seen=seen_by_au(np.asarray(by_region(parts), np.float64)),
        )
        for face in set(waiting.face[valid].tolist()):
            own = waiting.activity[valid & (waiting.face == face)]
            counts = self._calmness.setdefault(int(face), ReadingCounts(np.array([OUTPUTS_SEEN])))
            counts.add(own[:, None])
            self._frames[int(face)] += len(own)
        for one in rows.faces:
            row, frame = self._last.get(one.face_id, (self._rows, -1))
            if one.frame == frame + 1:
                self._reach = max(self._reach, self._rows - row)
            self._last[one.face_id] = (self._rows, one.frame)
            self._rows += 1
        try:
            file = self._waiting()
            file.write(waiting.packed().tobytes())
            file.flush()
        except OSError as error:
            raise OutputError(
                f"cannot write in {self._folder}: {error.strerror or error}; free space or choose "
                "a folder that can be written"
            ) from None

    def _waiting(self) -> IO[bytes]:
        """The file, made when it is first needed: whoever writes tables has made the folder."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(  # noqa: SIM115 - closed by __exit__
                dir=self._folder, prefix=".glee-aus-"
            )
        return self._file

    def _blocks(self, size: int, beyond: int = 0) -> Iterator[WaitingRows]:
        """The rows that wait, so many at a time, and up to so many before and after them."""
        file, m = self._waiting(), len(self.readings.columns)
        width = WaitingRows.width(m)
        for start in range(0, self._rows, size):
            first, last = max(start - beyond, 0), min(start + size + beyond, self._rows)
            file.seek(4 * width * first)
            content = file.read(4 * width * (last - first))
            yield WaitingRows.unpacked(np.frombuffer(content, np.float32).reshape(-1, width), m)

    def _steady_blocks(self, size: int) -> Iterator[WaitingRows]:
        """The rows that wait, made steady where frames belong together."""
        if self._asked.kind == USUAL:
            yield from self._blocks(size)
            return
        for number, rows in enumerate(self._blocks(size, self._reach)):
            start = min(self._reach, number * size)
            yield rows.steady().part(start, start + size)

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
            known = {AUTO: self._calm_frames, "frames": self._named_frames}
            find = known.get(self._asked.kind)
            self._baselines = {} if find is None else find()
        return self._baselines

    def _named_frames(self) -> dict[int, FaceBaseline]:
        counts: dict[int, ReadingCounts] = {}
        for part in self._parts(list(self._frames)):
            found = self._counted(lambda rows: rows.named > 0, "read", part)
            counts |= {face: own for face, own in found.items() if own.frames}
        if not counts:
            raise DataError(
                f"{self._name}: no usable face in the frames of --baseline; name frames in which "
                "the face is seen at rest, or give auto"
            )
        usual = au_figures().usual[columns_of_aus(self.readings)]
        baselines = {face: FaceBaseline(usual, USUAL, 0) for face in self._frames}
        for face, own in counts.items():
            *median, moved = own.percentile(50.0)
            rest = np.where(np.isnan(median), usual, median)
            baselines[face] = FaceBaseline(rest, "frames", own.frames, float(moved))
        return baselines

    def _parts(self, faces: list[int]) -> list[set[int]]:
        """The faces, so many at a time: in a film each cut makes new ones."""
        return [set(faces[at : at + FACES]) for at in range(0, len(faces), FACES)]

    def _calm_frames(self) -> dict[int, FaceBaseline]:
        """See person_baseline.py for why it is taken so."""
        limit = {face: own.percentile(CALM)[0] for face, own in self._calmness.items()}
        bin_width = OUTPUTS_SEEN / BINS

        def is_calm(rows: WaitingRows) -> npt.NDArray[np.bool_]:
            own = np.array([limit.get(int(face), np.nan) for face in rows.face])
            return np.asarray(rows.activity <= own + bin_width)

        usual = au_figures().usual[columns_of_aus(self.readings)]
        found = {face: FaceBaseline(usual, USUAL, n) for face, n in self._frames.items()}
        long = [face for face, n in self._frames.items() if n >= LEAST_FRAMES]
        for part in self._parts(long):
            every = self._counted(lambda rows: rows.face >= 0, "read", part)
            calm = self._counted(is_calm, "read", part)
            network = self._counted(is_calm, "network", part)
            found |= {
                face: self._rest(own, calm.get(face), network.get(face))
                for face, own in every.items()
            }
        return found

    def _rest(
        self, every: ReadingCounts, calm: ReadingCounts | None, network: ReadingCounts | None
    ) -> FaceBaseline:
        """The rest of a face from all of its frames, and its calmest; None without a network."""
        of, figures = columns_of_aus(self.readings), au_figures()
        usual, most = figures.usual[of], figures.most[of]
        if every.frames < LEAST_FRAMES:
            return FaceBaseline(usual, USUAL, every.frames)
        if calm is None or network is None:
            (*low, moved), frames = every.percentile(PERCENTILE), every.frames
            limited = np.ones(len(of), bool)
        else:
            closed = np.array([au in CLOSED_AT_REST for au, _ in self.readings.columns])
            (*low, moved), frames = calm.percentile(50.0), calm.frames
            limited = closed | (network.percentile(50.0)[:-1] > figures.network[of])
        rest = np.where(np.isnan(low), usual, low)
        seen = intensities(rest - most, figures.full[of]) >= figures.present[of]
        restless = tuple(sorted({AUS[a] for a in of[limited & seen]}))
        rest = np.where(limited, np.minimum(rest, most), rest)
        return FaceBaseline(rest, AUTO, frames, float(moved), restless)

    def _counted(
        self,
        wanted: Callable[[WaitingRows], npt.NDArray[np.bool_]],
        what: str,
        faces: set[int],
    ) -> dict[int, ReadingCounts]:
        """Histograms of these faces of what is read in the wanted rows, hidden regions left out.

        `moved` follows in the last column.
        """
        of = columns_of_aus(self.readings)
        largest = np.append(self.readings.largest, self.readings.moving.sum())
        counts: dict[int, ReadingCounts] = {}
        for rows in self._blocks(BLOCK):
            known = wanted(rows) & np.isfinite(rows.read).all(axis=1)
            values = np.where((rows.seen < HIDDEN)[:, of], np.nan, getattr(rows, what))
            values = np.column_stack([values, rows.moved])
            for face in faces & set(rows.face[known].tolist()):
                own = counts.setdefault(int(face), ReadingCounts(largest))
                own.add(values[known & (rows.face == face)])
        return counts

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
        known = self.baselines()
        usual = np.zeros(len(self.readings.columns))
        if self._asked.kind != NONE:
            usual = au_figures().usual[columns_of_aus(self.readings)]
        other = FaceBaseline(usual, USUAL, 0)
        for rows in self._steady_blocks(size):
            own = [known.get(int(face), other) for face in rows.face]
            moved = rows.moved - [one.moved for one in own]
            others = Others(np.nan_to_num(np.maximum(moved, 0.0)), rows.apart)
            rest = np.stack([one.rest for one in own])
            yield estimate(self.readings, rows.read, rows.std, rows.seen, rest, others=others)

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
                    f"{whose}{named} there even in the calmest frames; taken over what is usual "
                    "for people at rest (--baseline FRAMES names frames at rest)"
                )
        usual = [(face, one) for face, one in self.baselines().items() if one.kind == USUAL]
        if usual:
            lines.append(self._without_own_baseline(usual, several=several))
        return lines

    def _without_own_baseline(self, usual: list[tuple[int, FaceBaseline]], *, several: bool) -> str:
        """One line for all of these faces: a film has hundreds."""
        why = f"{usual[0][1].frames} frames are too few for the person's own baseline"
        if several:
            why = (
                f"{len(usual)} of {len(self.baselines())} faces: too few frames for an own baseline"
            )
        needed = f"({LEAST_FRAMES} needed)"
        if self._asked.kind == "frames":
            needed = "(none of those of --baseline)"
        return f"{why} {needed}; what is usual for people is taken"
