"""glee's own table of an analysis: one row a face and frame, the same in CSV and Parquet.

A CSV file grows row by row and is flushed with every block; every file takes its final name only
when it is whole. The other tables write their CSV files by the same means.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...fitting.morphable_model.landmark_scheme import COUNT
from ...fitting.visibility import REGIONS, by_region
from ...whole_files import TEMPORARY_SUFFIX, replaced_when_whole, temporary_beside
from ..action_units.clip_estimates import ClipEstimates
from ..action_units.estimate import AUEstimates
from ..action_units.readings import AUS, AUReadings
from .face_stream import FaceRows
from .gaze import yaw_pitch_roll

# Rows of one group of a Parquet file: written when they are complete.
GROUP_ROWS = 1024

_HEAD = (
    ("frame", "%d", pa.int64()),
    ("face_id", "%d", pa.int32()),
    ("timestamp", "%.6f", pa.float64()),
    ("valid", "%d", pa.bool_()),
    ("reason", "%s", pa.string()),
    ("confidence", "%.4f", pa.float32()),
    ("quality", "%.4f", pa.float32()),
    ("rmse", "%.4f", pa.float32()),
    ("rmse_iod", "%.5f", pa.float32()),
)
_VISIBLE = tuple((f"visible_{region}", "%.3f", pa.float32()) for region in REGIONS)
_POSE = tuple(
    (name, "%.6f", pa.float64()) for name in ("rot_x", "rot_y", "rot_z", "pos_x", "pos_y", "pos_z")
)
_ANGLES = tuple((name, "%.3f", pa.float32()) for name in ("yaw", "pitch", "roll"))

Column = tuple[str, str, Any]


def columns(expressions: tuple[str, ...], au_names: tuple[str, ...]) -> tuple[Column, ...]:
    """List the columns, in order.

    Parameters
    ----------
    expressions : tuple of str
        Names of the blendshapes.
    au_names : tuple of str
        ("AU1", ...).

    Returns
    -------
    tuple of Column
        Name, printf format and Arrow type of each.
    """
    points = tuple((f"{axis}_{i}", "%.3f", pa.float32()) for axis in "xy" for i in range(COUNT))
    gaze = tuple(
        (f"gaze_{eye}_{axis}", "%.5f", pa.float32()) for eye in ("right", "left") for axis in "xyz"
    )
    shapes = tuple((name, "%.5f", pa.float32()) for name in expressions)
    return (
        *_HEAD,
        *_VISIBLE,
        *_POSE,
        *_ANGLES,
        *points,
        *gaze,
        *shapes,
        *((name, "%.5f", pa.float32()) for name in au_names),
    )


def estimate_columns(readings: AUReadings) -> tuple[Column, ...]:
    """List the columns of estimated Action Units: AU01_r, AU01_c, and so on, AU by AU.

    Parameters
    ----------
    readings : AUReadings
        Of the model.

    Returns
    -------
    tuple of Column
        Intensity `_r` (0 to 5), presence `_c`, standard deviation `_std`, and how far the region is
        seen `_visible`; then `_left_r` and `_right_r` of AUs with sides.
    """
    found: list[Column] = []
    for au in AUS:
        name = f"AU{au:02}"
        found += [(f"{name}_r", "%.3f", pa.float32()), (f"{name}_c", "%d", pa.float32())]
        found += [(f"{name}_std", "%.3f", pa.float32()), (f"{name}_visible", "%.3f", pa.float32())]
        sides = [side for number, side in readings.columns if number == au and side]
        found += [(f"{name}_{side}_r", "%.3f", pa.float32()) for side in sides]
    return tuple(found)


def estimate_values(readings: AUReadings, estimates: AUEstimates) -> Iterator[tuple[float, ...]]:
    """Give the values of each row, as `estimate_columns` orders them.

    Parameters
    ----------
    readings : AUReadings
        Of the model.
    estimates : AUEstimates
        Of the rows.

    Yields
    ------
    tuple
        One value a column; NaN where unknown.
    """
    columns = []
    for place, au in enumerate(AUS):
        columns += [estimates.intensity[:, place], estimates.present[:, place]]
        columns += [estimates.std[:, place], estimates.visible[:, place]]
        columns += [
            estimates.sides[:, column]
            for column, (number, side) in enumerate(readings.columns)
            if number == au and side
        ]
    yield from zip(*(column.tolist() for column in columns), strict=True)


def values(rows: FaceRows) -> Iterator[tuple[Any, ...]]:
    """Give the values of each row, as `columns` orders them.

    Parameters
    ----------
    rows : FaceRows
        Fitted faces.

    Yields
    ------
    tuple
        One value a column; NaN where unknown.
    """
    fit = rows.fit
    seen = by_region(np.stack([rows.visibility(i) for i in range(len(rows))]))
    angles = yaw_pitch_roll(fit.pose)
    for i, face in enumerate(rows.faces):
        yield (
            face.frame,
            face.face_id,
            face.time,
            rows.valid(i),
            rows.reason(i),
            face.tracked.confidence,
            rows.quality(i),
            float(fit.rmse[i]),
            float(fit.rmse_iod[i]),
            *seen[i].tolist(),
            *fit.pose[i].tolist(),
            *angles[i].tolist(),
            *face.tracked.landmarks.T.ravel().tolist(),
            *rows.gaze[i].ravel().tolist(),
            *fit.f_exp[i].tolist(),
            *rows.au[i].tolist(),
        )


class GleeTable:
    """Writes OUT/NAME.csv and OUT/NAME.parquet; both take their names when the block ends.

    Parameters
    ----------
    folder : Path
        OUT.
    name : str
        NAME.
    expressions : tuple of str
        Names of the blendshapes.
    au_names : tuple of str
        ("AU1", ...), of a trained run.
    estimates : ClipEstimates or None
        Action Units that are known once all rows are: they are added when the block ends.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        expressions: tuple[str, ...],
        au_names: tuple[str, ...] = (),
        estimates: ClipEstimates | None = None,
    ) -> None:
        self.paths: tuple[Path, ...] = (folder / f"{name}.csv", folder / f"{name}.parquet")
        self._columns = columns(expressions, au_names)
        self._estimates = estimates
        self._schema = pa.schema([(name, kind) for name, _, kind in self._columns])
        self._files = ExitStack()
        self._waiting: list[tuple[Any, ...]] = []

    def __enter__(self) -> GleeTable:
        with ExitStack() as files:
            text, parquet = (files.enter_context(streamed_file(path)) for path in self.paths)
            files.push(lambda *error: self._complete(text, parquet) if error[0] is None else None)
            self._text = TextTable(text, [(name, form) for name, form, _ in self._columns])
            files.callback(self._text.close)
            self._parquet = pq.ParquetWriter(parquet, self._schema)
            files.callback(self._parquet.close)
            self._files = files.pop_all()
        return self

    def __exit__(self, *error: Any) -> bool | None:
        if error[0] is None:
            self._flush()
        return self._files.__exit__(*error)

    def write(self, rows: FaceRows) -> None:
        """Add rows: at once to the CSV file, in groups to the Parquet file.

        Parameters
        ----------
        rows : FaceRows
            Those that follow the ones before.
        """
        new = list(values(rows))
        self._text.write(new)
        self._waiting += new
        if len(self._waiting) >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            arrays = _arrow_columns(self._waiting, self._schema.types)
            self._parquet.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
            self._waiting = []

    def _complete(self, text: Path, parquet: Path) -> None:
        """Add the estimates to files that are otherwise whole."""
        if self._estimates is None:
            return
        found = self._estimates
        added = estimate_columns(found.readings)

        def blocks() -> Iterator[list[tuple[float, ...]]]:
            for block in found.blocks(GROUP_ROWS):
                yield list(estimate_values(found.readings, block))

        with_more_columns(text, [(name, form) for name, form, _ in added], chain_rows(blocks()))
        schema = pa.schema([*self._schema, *((name, kind) for name, _, kind in added)])
        with parquet.open("rb") as before:
            parquet.unlink()
            groups = pq.ParquetFile(before).iter_batches(GROUP_ROWS)
            with pq.ParquetWriter(parquet, schema) as after:
                for group, block in zip(groups, blocks(), strict=True):
                    arrays = _arrow_columns(block, [kind for _, _, kind in added])
                    table = pa.Table.from_arrays([*group.columns, *arrays], schema=schema)
                    after.write_table(table)


def _arrow_columns(rows: Sequence[tuple[Any, ...]], kinds: Sequence[Any]) -> list[Any]:
    """Arrow's columns of rows of values, NaN as null. kinds: Arrow type of each column."""
    columns: list[Any] = list(zip(*rows, strict=True))
    # Arrow takes a number from Python in ten times as long as NumPy does.
    numbers = [place for place, kind in enumerate(kinds) if pa.types.is_floating(kind)]
    for place in numbers:
        columns[place] = np.array(columns[place], np.float64).astype(kinds[place].to_pandas_dtype())
    return [
        pa.array(column, kind, from_pandas=True)
        for column, kind in zip(columns, kinds, strict=True)
    ]


def chain_rows(blocks: Iterable[Iterable[tuple[float, ...]]]) -> Iterator[tuple[float, ...]]:
    """The rows of blocks, one after the other."""
    for block in blocks:
        yield from block


def with_more_columns(
    path: Path,
    columns: Sequence[tuple[str, str]],
    rows: Iterable[Sequence[Any]],
    missing: str = "",
) -> None:
    """Add columns at the right of a CSV file that has its rows.

    The file as it was loses its name at once: one that is cut short leaves nothing else behind.

    Parameters
    ----------
    path : Path
        A temporary file of a table.
    columns : sequence of (str, str)
        Name and printf format of each.
    rows : iterable of sequence
        One a row of the table.
    missing : str
        What stands for NaN.
    """
    line_of = LineFormat([form for _, form in columns], missing)
    with path.open(encoding="utf-8", newline="") as before:
        path.unlink()
        with path.open("w", encoding="utf-8", newline="") as after:
            head = before.readline().rstrip("\n")
            after.write(",".join([head, *(name for name, _ in columns)]) + "\n")
            for line, row in zip(before, rows, strict=True):
                after.write(line.rstrip("\n") + "," + line_of.text(row) + "\n")


class LineFormat:
    """How a row's values are written.

    Parameters
    ----------
    formats : sequence of str
        The printf format of each.
    missing : str
        What stands for NaN.
    """

    def __init__(self, formats: Sequence[str], missing: str) -> None:
        self._formats, self._missing = tuple(formats), missing
        self._whole = ",".join(formats)

    def text(self, row: Sequence[Any]) -> str:
        """Write a row's values, with commas between them."""
        # NaN alone is not equal to itself. Rows without it, which are most, take a third of the
        # time as one string.
        known = [value == value for value in row]  # noqa: PLR0124
        if all(known):
            return self._whole % tuple(row)
        cells = zip(self._formats, row, known, strict=True)
        return ",".join(
            form % value if is_known else self._missing for form, value, is_known in cells
        )


class TextTable:
    """Rows of a CSV file in a fixed format.

    Parameters
    ----------
    path : Path
        Written to from the start; whoever makes the table renames it.
    columns : sequence of (str, str)
        Name and printf format of each.
    missing : str
        What stands for NaN.
    """

    def __init__(self, path: Path, columns: Sequence[tuple[str, str]], missing: str = "") -> None:
        self._line = LineFormat([form for _, form in columns], missing)
        self._file: TextIO = path.open("w", encoding="utf-8", newline="")
        self._file.write(",".join(name for name, _ in columns) + "\n")
        self._file.flush()

    def write(self, rows: Iterable[Sequence[Any]]) -> None:
        """Add rows and hand them to the system.

        Parameters
        ----------
        rows : iterable of sequence
            One value a column each.

        Raises
        ------
        OSError
            Where there is no room.
        """
        for row in rows:
            self._file.write(self._line.text(row) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextmanager
def streamed_file(path: Path) -> Iterator[Path]:
    """Give the temporary path to write to; it is synchronised and renamed at the end.

    Where the block raises, the temporary file is removed and `path` stays as it was.

    Parameters
    ----------
    path : Path
        The file's final name.

    Yields
    ------
    Path
        The temporary one.

    Raises
    ------
    OutputError
        Where the folder or file cannot be written (permissions, full disk).
    """
    # The suffix last but one stays the file's own: video writers choose the container by it.
    temporary = temporary_beside(path.with_name(path.stem), path.suffix)
    with replaced_when_whole(path, temporary):
        _remove_what_dead_runs_left(temporary, path.suffix)
        yield temporary


def _remove_what_dead_runs_left(temporary: Path, suffix: str) -> None:
    """Temporary files of this one's file, of processes of this machine that are no more."""
    tail = f"{TEMPORARY_SUFFIX}{suffix}"
    head = temporary.name.removesuffix(f"{os.getpid()}{tail}")
    for other in temporary.parent.iterdir():
        if other.name.startswith(head) and other.name.endswith(tail):
            process = other.name[len(head) : -len(tail)]
            if process.isdecimal() and not _runs(int(process)):
                with suppress(OSError):
                    other.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
