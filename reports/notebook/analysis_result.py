"""What `glee analyze` found in a video, as pandas tables that are read when they are asked for.

>>> import glee
>>> talk = glee.analyze("talk.mp4")        # or glee.open("out/talk.parquet")
>>> talk.aus["AU12"].mean()
>>> talk.by({"question": (0, 12.5), "answer": (12.5, 60)})["mean"].unstack("AU")
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...errors import DataError, require_extra
from ...fitting.morphable_model.landmark_scheme import ARKIT_NAMES, COUNT
from ..coding.events import INTENSITY_THRESHOLDS, PROBABILITY_THRESHOLDS
from .au_summary import AUValues, FaceOfClip, faces_of_clip, joined, parts_of_clip, summarise
from .clip_table import GLEE, INTENSITY, PRESENCE, PROBABILITY, SUFFIXES, ClipTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POSE = {
    GLEE: ("rot_x", "rot_y", "rot_z", "pos_x", "pos_y", "pos_z", "yaw", "pitch", "roll"),
    "openface": ("pose_Tx", "pose_Ty", "pose_Tz", "pose_Rx", "pose_Ry", "pose_Rz"),
}


class Analysis:
    """A video's table. What is asked for is read once and kept; making one reads the header alone.

    Rows are those of the table, a row a face and frame; a frame without a face has its row too,
    with `valid` False, a reason, and NaN. `len(result)`, `result.columns` and `result["jawOpen"]`
    are the table's; `result.table` is all of it.

    Parameters
    ----------
    path : Path
        CSV or Parquet of `glee analyze` in its form glee or openface, or CSV of OpenFace's
        FeatureExtraction.
    notes : sequence of str
        What a reader must know of the analysis.
    kept : object
        Lives as long as the result: a temporary folder.

    Attributes
    ----------
    path : Path
        The table.
    name : str
        The clip's.
    notes : tuple of str

    Raises
    ------
    DataError
        Where there is no such table.
    """

    def __init__(self, path: Path, notes: Sequence[str] = (), kept: Any = None) -> None:
        self.path = Path(path)
        self.name = self.path.stem.removesuffix(".openface")
        self.notes = tuple(notes)
        self._kept = kept
        self._source = ClipTable(self.path)

    def __repr__(self) -> str:
        units = self.au_source
        lines = [
            f"Analysis({str(self.path)!r}): {len(self.columns)} columns; "
            + (f"Action Units {units}" if units else "no Action Units")
        ]
        return "\n".join([*lines, *self.notes])

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{self.table._repr_html_()}"

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, key: Any) -> Any:
        return self.table[key]

    @property
    def columns(self) -> pd.Index:
        """Names of the table's columns."""
        return pd.Index(self._source.columns)

    @property
    def table(self) -> pd.DataFrame:
        """All of the table, as it is in the file."""
        return self._source.whole

    @property
    def au_source(self) -> str:
        """Where the Action Units are from, in words; "" where there are none."""
        return self._source.au_source

    @property
    def frames(self) -> pd.DataFrame:
        """A row a row of the table: frame, face_id, timestamp, valid, reason, confidence, quality.

        Frames count from 0, also those of OpenFace's tables; `timestamp` is in seconds. OpenFace
        has no quality and no reasons: a face that was not followed is "no_success".

        >>> talk.frames["reason"].value_counts()
        """
        return self._source.frames

    @property
    def faces(self) -> tuple[int, ...]:
        """Numbers of the faces that were found; empty where none was."""
        face = self.frames["face_id"]
        return tuple(sorted(set(face[face >= 0].tolist())))

    @cached_property
    def aus(self) -> pd.DataFrame:
        """Action Units AU01 and so on, rows as `frames`; NaN where the row is not valid.

        Intensities from 0 to 5 where the table has them, else probabilities of a trained run.

        >>> talk.aus.join(talk.frames["timestamp"]).plot(x="timestamp", y="AU12")
        """
        return self._units(PROBABILITY if self._source.au_kind == PROBABILITY else INTENSITY)

    @cached_property
    def present(self) -> pd.DataFrame:
        """Presence, 1 or 0, rows as `frames`; NaN where the row is not valid.

        The table's own `_c` columns; of AUs without one, intensity 1 or more, or probability 0.5
        or more.
        """
        least = PROBABILITY_THRESHOLDS[0]
        if self._source.au_kind == INTENSITY:
            least = INTENSITY_THRESHOLDS[0]
        found = (self.aus >= least).astype(np.float64).where(self.aus.notna(), np.nan)
        if self._source.au_kind != PROBABILITY:
            own = self._units(PRESENCE)
            found = pd.concat([found.drop(columns=own.columns, errors="ignore"), own], axis=1)
        return found[sorted(found.columns)]

    @cached_property
    def au_std(self) -> pd.DataFrame:
        """Standard deviations of the intensities, as `aus`; no columns where glee gave none."""
        return self._units("std")

    @cached_property
    def au_visible(self) -> pd.DataFrame:
        """How far each AU's part of the face is seen, 0 to 1, rows and columns as `aus`."""
        return self._units("visible")

    @cached_property
    def au_sides(self) -> pd.DataFrame:
        """Intensities of the person's own left and right: AU01_left, AU01_right and so on."""
        sides = [self._units(f"{side}_r").add_suffix(f"_{side}") for side in ("left", "right")]
        both = pd.concat(sides, axis=1)
        return both[sorted(both.columns)]

    def _units(self, kind: str) -> pd.DataFrame:
        if not self._source.au_kind:
            raise DataError(
                f"{self.path}: has no Action Units; analyze the video again without --aus none "
                '(in Python aus="none")'
            )
        return self._source.action_units(kind)

    @cached_property
    def blendshapes(self) -> pd.DataFrame:
        """Blendshapes by name, 0 to 1, rows as `frames`; NaN where not fitted.

        Raises
        ------
        DataError
            Where the table has none, as OpenFace's.
        """
        names = [name for name in self._source.columns if name in ARKIT_NAMES]
        return self._measured(names, "blendshapes")

    @cached_property
    def pose(self) -> pd.DataFrame:
        """Head pose in the table's own columns and units, rows as `frames`.

        glee's are rot_x ... pos_z (radians, decimetres) and yaw, pitch, roll (degrees); OpenFace's
        pose_Tx ... pose_Rz (millimetres, radians).
        """
        names = [name for name in _POSE[self._source.form] if name in self._source.columns]
        return self._measured(names, "pose")

    @cached_property
    def gaze(self) -> pd.DataFrame:
        """Directions of gaze in the table's own columns `gaze_...`, rows as `frames`."""
        names = [name for name in self._source.columns if name.startswith("gaze_")]
        return self._measured(names, "gaze")

    @cached_property
    def landmarks(self) -> npt.NDArray[np.float32]:
        """Landmarks, (n, 68, 2) float32 pixels, y down, rows as `frames`; NaN where missing.

        >>> glee.plot.landmarks(talk.landmarks[0])
        """
        names = [f"{axis}_{i}" for axis in "xy" for i in range(COUNT)]
        known = set(self._source.columns)
        table = self._measured([name for name in names if name in known], "landmarks")
        if len(table.columns) < len(names):
            raise DataError(f"{self.path}: has no landmarks x_0 to y_{COUNT - 1}; analyze again")
        return np.ascontiguousarray(
            table.to_numpy(np.float32).reshape(-1, 2, COUNT).transpose(0, 2, 1)
        )

    def _measured(self, names: list[str], what: str) -> pd.DataFrame:
        if not names:
            raise DataError(
                f"{self.path}: has no {what}; analyze the video again with `glee analyze`"
            )
        return self._source.measured(names)

    @cached_property
    def lost(self) -> pd.Series:
        """How many rows are not valid, by reason."""
        frames = self.frames
        return frames.loc[~frames["valid"], "reason"].value_counts().rename("rows")

    def summary(self) -> pd.DataFrame:
        """Sum up the clip, a row an AU.

        Returns
        -------
        DataFrame
            Index: AU, before it face_id where there are several faces. `mean`, `std` and `max` over
            the valid frames, `present`, the share of them in which it is present, `events`, how
            many `glee events` finds; and of the face, the same for all its AUs: `frames` of the
            clip, `valid` ones, `lost` ones, and these by reason, such as `lost_no_face`.

        Examples
        --------
        >>> talk.summary().sort_values("present").tail()
        """
        faces = self._faces
        parts = (
            ((face.face,) if len(faces) > 1 else (), table)
            for face in faces
            for table in summarise(self._au_values, face, [np.ones(len(face.frames), bool)])
        )
        return joined(parts, ["face_id"] if len(faces) > 1 else [])

    def by(self, condition: Any) -> pd.DataFrame:
        """Sum up the parts of the clip that a condition tells apart.

        Parameters
        ----------
        condition : str, array, Series, mapping or callable
            A column of the table; one value a row of it, or a frame of the clip (a Series with the
            labels of `frames` is matched by them); name -> (start, end) in seconds, or several such
            spans, the end not in it; or a function of `table` that gives any of these.

        Returns
        -------
        DataFrame
            As `summary`, with the condition first in the index. Frames whose value is missing are
            a part of their own; those outside of all spans are in none. An event counts where its
            apex is.

        Raises
        ------
        UsageError
            Where it is none of these, or of another length.

        Examples
        --------
        >>> talk.by({"question": (0, 12.5), "answer": (12.5, 60)})["mean"].unstack("AU")
        >>> talk.by(lambda table: table["yaw"].abs() > 30)["present"]
        """
        if callable(condition):
            condition = condition(self.table)
        name, labels, masks_of = parts_of_clip(condition, self.frames, self._column)
        faces = self._faces
        several = len(faces) > 1
        found = [(face, summarise(self._au_values, face, masks_of(face))) for face in faces]
        parts = (
            ((label, face.face) if several else (label,), tables[i])
            for i, label in enumerate(labels)
            for face, tables in found
        )
        name = f"{name}_" if name in ("AU", "face_id") or name in found[0][1][0] else name
        return joined(parts, [name, "face_id"] if several else [name])

    def report(self, path: str | Path | None = None, video: str | Path | None = None) -> Path:
        """Write the report of the video as one HTML file, see `glee analyze --report`.

        Parameters
        ----------
        path : str or Path, optional
            The file; by default beside the table, under its name. A result without `out` has its
            tables in a folder that goes with it, so give a path then.
        video : str or Path, optional
            What is played; it is linked by its path relative to the report.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        DataError
            Where the table has no Action Units.
        OutputError
            Where the file cannot be written.
        """
        from ..video_report import video_report

        out = self.path.with_suffix(".html") if path is None else Path(path)
        return video_report(self.path, out, None if video is None else Path(video))

    def plot(
        self,
        aus: Sequence[str] | None = None,
        *,
        face: int | None = None,
        most: int = 6,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw Action Units over time; stretches in which the face is lost are grey.

        Parameters
        ----------
        aus : sequence of str, optional
            Which, such as "AU12"; by default the `most` that vary most.
        face : int, optional
            Whose; by default the first.
        most : int
            Lines where no AUs are given.
        ax : Axes, optional
            To draw on; new ones by default.

        Returns
        -------
        Axes
            Those drawn on.

        Raises
        ------
        UsageError
            Where there is no such AU or face.
        """
        require_extra("figures", ("matplotlib",), "Analysis.plot")
        from . import plot

        return plot.action_units(self, names=aus, face=face, most=most, ax=ax)

    def _column(self, name: str) -> pd.Series:
        if name in self.frames:
            return self.frames[name]
        if name not in self._source.columns:
            raise DataError(f"{self.path}: has no column {name!r}")
        return self.table[name]

    @cached_property
    def _faces(self) -> list[FaceOfClip]:
        if not len(self.frames):
            raise DataError(f"{self.path}: has no frames; analyze the video again")
        return faces_of_clip(self.frames, str(self.path))

    @cached_property
    def _au_values(self) -> AUValues:
        kind = "probability" if self._source.au_kind == PROBABILITY else "intensity"
        return AUValues(self.aus, self.present, kind, self.frames)


class Analyses(Mapping[str, Analysis]):
    """Results of several clips by name, and what failed.

    Parameters
    ----------
    results : mapping
        Name -> result.
    errors : mapping
        Input -> why there is none, a line.

    Attributes
    ----------
    errors : dict of str to str
    """

    def __init__(
        self, results: Mapping[str, Analysis], errors: Mapping[str, str] | None = None
    ) -> None:
        self._results = dict(results)
        self.errors = dict(errors or {})

    def __getitem__(self, name: str) -> Analysis:
        if name in self._results:
            return self._results[name]
        raise KeyError(self.errors.get(name, f"{name}: is not among {', '.join(self._results)}"))

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def __repr__(self) -> str:
        failed = [f"failed: {line}" for line in self.errors.values()]
        head = f"Analyses of {', '.join(self._results) or 'nothing'}"
        return "\n".join([head, *failed])

    def summary(self) -> pd.DataFrame:
        """Sum up all clips; see `Analysis.summary`.

        Returns
        -------
        DataFrame
            With the clip first in the index, and the face where a clip has several. Clips that
            failed are not in it but in `errors`.

        Raises
        ------
        DataError
            Where there is no result at all.
        """
        if not self._results:
            raise DataError(f"no clip was analysed: {'; '.join(self.errors.values())}")
        tables = {name: result.summary() for name, result in self._results.items()}
        several = any("face_id" in table.index.names for table in tables.values())
        parts: list[tuple[tuple[Any, ...], pd.DataFrame]] = []
        for name, table in tables.items():
            if several and "face_id" not in table.index.names:
                faces = self._results[name].faces
                table = pd.concat({faces[0] if faces else -1: table}, names=["face_id"])
            if not several:
                parts.append(((name,), table))
                continue
            for face in dict.fromkeys(table.index.get_level_values("face_id")):
                parts.append(((name, face), table.loc[face]))
        return joined(iter(parts), ["clip", "face_id"] if several else ["clip"])


def open_tables(folder: Path) -> Analyses | None:
    """Open the finished tables of a folder.

    Parameters
    ----------
    folder : Path
        OUT of `glee analyze`. Other files in it are passed over.

    Returns
    -------
    Analyses or None
        By the clips' names; of a clip that has both CSV and Parquet, the latter, and where it has
        OpenFace's form too, that as NAME.openface. None where there are no tables.
    """
    found: dict[str, Analysis] = {}
    stems = set()
    for suffix in SUFFIXES:
        for path in sorted(folder.glob(f"*{suffix}")):
            if path.stem in stems or path.name.startswith("."):
                continue
            try:
                result = Analysis(path)
            except DataError:
                continue
            stems.add(path.stem)
            found[path.stem if result.name in found else result.name] = result
    return Analyses(dict(sorted(found.items()))) if found else None
