"""A finished table of a clip on disk: glee's own or OpenFace's, CSV or Parquet, read when asked.

Both forms are brought to one set of frames: numbers from 0, a face's number, seconds, `valid` and
a reason.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import DataError, near_path
from ...pipeline.action_units.estimate import SOURCE

SUFFIXES = (".parquet", ".csv")
GLEE, OPENFACE = "glee", "openface"
# OpenFace tells that a face was not followed, and not why.
NOT_FOLLOWED = "no_success"
INTENSITY, PROBABILITY, PRESENCE = "r", "probability", "c"
_AU_COLUMN = re.compile(r"AU(\d{1,2})(?:_(r|c|std|visible|left_r|right_r))?")
_FRAMES = ("frame", "face_id", "timestamp", "valid", "reason", "confidence", "quality")


class ClipTable:
    """A table of a clip: its header is read at once, its rows when they are asked for.

    Parameters
    ----------
    path : Path
        CSV or Parquet of `glee analyze`, or CSV of OpenFace's FeatureExtraction.

    Attributes
    ----------
    columns : tuple of str
        Names, in order.
    form : str
        "glee" or "openface".

    Raises
    ------
    DataError
        Where it is none of these.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns = self._header()
        missing = [name for name in ("frame", "timestamp") if name not in self.columns]
        if missing or not {"valid", "success"} & set(self.columns):
            lacking = missing[0] if missing else "valid"
            raise DataError(
                f"{path}: has no column {lacking!r}; give a table of `glee analyze` in the form "
                "glee or openface, or of OpenFace's FeatureExtraction"
            )
        self.form = GLEE if "valid" in self.columns else OPENFACE

    def _header(self) -> tuple[str, ...]:
        if self.path.suffix.lower() not in SUFFIXES:
            raise DataError(f"{self.path}: is no table; give a .csv or .parquet")
        if not self.path.is_file():
            raise DataError(
                f"{self.path}: no such file; {near_path(self.path)}give a table of `glee analyze`"
            )
        try:
            if self._parquet:
                names = pq.read_schema(self.path).names
                return tuple(name for name in names if not name.startswith("__index_level_"))
            # The first line alone: pandas would parse a quarter of a megabyte.
            with self.path.open(encoding="utf-8", newline="") as file:
                line = io.StringIO(file.readline())
            names = list(pd.read_csv(line, nrows=0, skipinitialspace=True).columns)
        except (ValueError, OSError, pa.ArrowException) as error:
            raise self._damaged(error) from None
        return tuple(str(name).strip() for name in names)

    @property
    def _parquet(self) -> bool:
        return self.path.suffix.lower() == ".parquet"

    def _damaged(self, error: Exception) -> DataError:
        reason = " ".join(str(error).split())[:200]
        return DataError(f"{self.path}: cannot be read as a table ({reason}); analyze again")

    @cached_property
    def whole(self) -> pd.DataFrame:
        """All columns as they are in the file."""
        return self._read(None)

    def _read(self, names: Sequence[str] | None) -> pd.DataFrame:
        if not self.path.is_file():
            raise DataError(f"{self.path}: is no longer there; analyze the video again")
        try:
            if self._parquet:
                columns = None if names is None else list(names)
                return pd.read_parquet(self.path, columns=columns).reset_index(drop=True)
            table = pd.read_csv(self.path, skipinitialspace=True, low_memory=False)
        except (ValueError, OSError, pa.ArrowException) as error:
            raise self._damaged(error) from None
        return table.rename(columns=lambda name: str(name).strip())

    def read(self, names: Sequence[str]) -> pd.DataFrame:
        """Read columns of numbers: those alone from Parquet, once and for all from CSV.

        Parameters
        ----------
        names : sequence of str
            That the table has.

        Returns
        -------
        DataFrame
            A row a row of the table.

        Raises
        ------
        DataError
            Where the file is damaged, gone, or holds something else than numbers there.
        """
        apart = self._parquet and "whole" not in self.__dict__
        table = self._read(names) if apart else self.whole[list(names)]
        for name in names:
            if not (pd.api.types.is_numeric_dtype(table[name]) or table[name].isna().all()):
                raise DataError(f"{self.path}: column {name!r} holds something else than numbers")
        return table

    @cached_property
    def frames(self) -> pd.DataFrame:
        """What is said of each row: frame, face_id, timestamp, valid, reason and so on."""
        numbers = [name for name in (*_FRAMES, "success") if name in self.columns]
        numbers = [name for name in numbers if name != "reason"]
        table = self.read(numbers)
        if table[["frame", "timestamp"]].isna().any(axis=None):
            raise DataError(f"{self.path}: a row has no frame or no timestamp; analyze again")
        flags = table["valid" if self.form == GLEE else "success"]
        valid = flags.fillna(0).to_numpy(np.float64) == 1
        reason = pd.Series(np.where(valid, "ok", NOT_FOLLOWED))
        if "reason" in self.columns:
            own = self._read(["reason"]) if self._parquet else self.whole
            reason = own["reason"].astype("string").fillna(NOT_FOLLOWED).astype(object)
        first = 1 if self.form == OPENFACE else 0
        nothing = pd.Series(np.nan, index=table.index)
        return pd.DataFrame(
            {
                "frame": table["frame"].astype(np.int64) - first,
                "face_id": table.get("face_id", pd.Series(0, index=table.index)).astype(np.int64),
                "timestamp": table["timestamp"].astype(np.float64),
                "valid": valid,
                "reason": reason.to_numpy(object),
                "confidence": table.get("confidence", nothing),
                "quality": table.get("quality", nothing),
            }
        )

    def measured(self, names: Sequence[str]) -> pd.DataFrame:
        """Read columns of numbers, NaN where the face was not followed: OpenFace writes 0 there.

        Parameters
        ----------
        names : sequence of str
            That the table has.

        Returns
        -------
        DataFrame
            A row a row of the table.
        """
        table = self.read(names)
        return table.where(self.frames["valid"], np.nan) if self.form == OPENFACE else table

    def au_columns(self, kind: str) -> dict[str, str]:
        """Name the columns of Action Units of a kind.

        Parameters
        ----------
        kind : str
            "r", "c", "std", "visible", "left_r", "right_r", or "probability" of a trained run.

        Returns
        -------
        dict of str to str
            AU01 and so on -> the column, by number.
        """
        found = {}
        for name in self.columns:
            match = _AU_COLUMN.fullmatch(name)
            if match is not None and (match[2] or PROBABILITY) == kind:
                found[f"AU{int(match[1]):02}"] = name
        return dict(sorted(found.items()))

    def action_units(self, kind: str) -> pd.DataFrame:
        """Read the Action Units of a kind, NaN where the row is not valid.

        Parameters
        ----------
        kind : str
            As in `au_columns`.

        Returns
        -------
        DataFrame
            Columns AU01 and so on, float64.
        """
        names = self.au_columns(kind)
        table = self.read(list(names.values())).astype(np.float64)
        table.columns = pd.Index(list(names))
        return table.where(self.frames["valid"], np.nan)

    @property
    def au_kind(self) -> str:
        """What the best columns of Action Units are: "r", "probability", "c", or "" for none."""
        kinds = (INTENSITY, PROBABILITY, PRESENCE)
        return next((kind for kind in kinds if self.au_columns(kind)), "")

    @property
    def au_source(self) -> str:
        """Where the Action Units are from, in words; "" for none."""
        if self.au_kind == PROBABILITY:
            return "probabilities by a trained run"
        if self.au_kind and self.form == OPENFACE:
            return "as in the table of OpenFace's form"
        return SOURCE if self.au_kind else ""
