"""A work folder in a notebook: subjects, clips and frames as tables, crops and landmarks as arrays.

>>> import glee
>>> work = glee.open("work/disfa")
>>> work.frames.query("valid and subject == 'SN001'")["jawOpen"].plot()
>>> work.crops[0].shape
(200, 200, 3)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...errors import DataError, in_shell
from ...pipeline.shards.crop_blocks import CropBlocks
from ...pipeline.shards.shard import REASONS, SHARD_FOLDER, Shard, list_shards, read_shard

POSE = ("rot_x", "rot_y", "rot_z", "pos_x", "pos_y", "pos_z")


def open_work(path: str | Path) -> Any:
    """Open a work folder of `glee preprocess`, or a table of `glee analyze` or OpenFace.

    Nothing but names of files and headers of tables is read yet.

    Parameters
    ----------
    path : str or Path
        The work folder; a table, CSV or Parquet; or a folder of tables.

    Returns
    -------
    WorkFolder, Analysis or Analyses
        Reads what it is asked for. An Analysis is of a table, Analyses, by name, of a folder of
        tables.

    Raises
    ------
    DataError
        Where there is none of these.
    ShardError
        Where the work folder holds no shards.

    Examples
    --------
    >>> work = open_work("work/disfa")
    >>> work
    WorkFolder('work/disfa'): 27 subjects, 27 clips, 135 shards
    >>> talk = open_work("out/talk.parquet")
    """
    folder = Path(path)
    if (folder / SHARD_FOLDER).is_dir():
        return WorkFolder(folder, list_shards(folder))
    from .analysis_result import Analysis, open_tables

    if folder.suffix.lower() in (".csv", ".parquet") and not folder.is_dir():
        return Analysis(folder)
    if folder.is_dir() and (tables := open_tables(folder)) is not None:
        return tables
    raise DataError(
        f"{folder}: no work folder and no table; `glee preprocess --out {in_shell(folder)}` or "
        "`glee analyze` makes one"
    )


class WorkFolder:
    """A work folder. What is asked for is read once and kept; crops are read when indexed.

    Attributes
    ----------
    path : Path
        The folder.
    paths : tuple of Path
        Its shards, sorted by subject, clip and chunk.
    """

    def __init__(self, path: Path, paths: Sequence[Path]) -> None:
        self.path = path
        self.paths = tuple(paths)

    def __repr__(self) -> str:
        return (
            f"WorkFolder({str(self.path)!r}): {len(self.subjects)} subjects, "
            f"{len({path.parent for path in self.paths})} clips, {len(self.paths)} shards"
        )

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Names of the subjects, sorted.

        >>> open_work("work/disfa").subjects[:2]
        ('SN001', 'SN002')
        """
        return tuple(sorted({path.parent.parent.name for path in self.paths}))

    @cached_property
    def shards(self) -> tuple[Shard, ...]:
        """All shards, their arrays in memory and their crops on disk.

        Raises
        ------
        ShardError
            Where one is damaged.
        """
        return tuple(read_shard(path, verify=False) for path in self.paths)

    @cached_property
    def clips(self) -> pd.DataFrame:
        """One row a clip: names, source, fps, width, height; how many frames, valid, fitted.

        >>> open_work("work/disfa").clips.groupby("subject")["frames"].sum()
        """
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for shard in self.shards:
            header = shard.header
            row = rows.setdefault(
                (header.subject, header.clip),
                {
                    "subject": header.subject,
                    "clip": header.clip,
                    "dataset": header.dataset,
                    "source": header.source,
                    "fps": header.fps,
                    "width": header.frame_size[0],
                    "height": header.frame_size[1],
                    **dict.fromkeys(("frames", "valid", "fitted"), 0),
                },
            )
            row["frames"] += len(shard)
            row["valid"] += int(shard.frames.valid.sum())
            row["fitted"] += 0 if shard.fit is None else int(shard.fit.converged.sum())
        return pd.DataFrame(list(rows.values()))

    @cached_property
    def frames(self) -> pd.DataFrame:
        """One row a frame, in the order of the shards; row i belongs to `crops[i]`.

        Columns: subject, clip, frame (in the clip, from 0), frame_id (the dataset's own number),
        valid, reason, confidence; the labels (AU1 ..., -1 unknown); where fitted rmse (pixels),
        rot_x ... pos_z (radians, decimetres) and the blendshapes by name, NaN where a frame is not.

        >>> frames = open_work("work/disfa").frames
        >>> frames.loc[frames["AU12"] >= 2, "mouthSmileLeft"].mean()
        """
        tables = [_frame_table(shard) for shard in self.shards]
        table = pd.concat(tables, ignore_index=True)
        for name in ("subject", "clip", "reason"):
            table[name] = table[name].astype("category")
        for name in table.columns:
            if name.startswith("AU"):
                table[name] = table[name].fillna(-1).astype(np.int8)
        return table

    @cached_property
    def landmarks(self) -> npt.NDArray[np.float32]:
        """All landmarks, (n, 68, 2) float32 source pixels, NaN where missing; rows as `frames`."""
        return np.concatenate([shard.frames.landmarks for shard in self.shards])

    @cached_property
    def landmarks_dense(self) -> npt.NDArray[np.float32]:
        """All points of the face mesh, (n, 478, 2) float32 source pixels, NaN where missing.

        Raises
        ------
        DataError
            Where a shard was made without them, or with another number of them.
        """
        arrays = [shard.frames.landmarks_dense for shard in self.shards]
        found = [array for array in arrays if array is not None]
        if len(found) < len(arrays) or len({array.shape[1] for array in found}) > 1:
            raise DataError(
                f"{self.path}: dense points are not in all shards; make them with "
                "`glee preprocess --dense`"
            )
        return np.concatenate(found)

    @cached_property
    def f_shape(self) -> npt.NDArray[np.float32]:
        """Shape coefficients of all frames, (n, 60) float32, NaN where not fitted.

        Raises
        ------
        DataError
            Where no shard is fitted.
        """
        arrays = [None if shard.fit is None else shard.fit.f_shape for shard in self.shards]
        known = [array.shape[1] for array in arrays if array is not None]
        if not known:
            raise DataError(
                f"{self.path}: nothing is fitted; run `glee fit3d {in_shell(self.path)}` first"
            )
        return np.concatenate(
            [
                np.full((len(shard), known[0]), np.nan, np.float32) if array is None else array
                for shard, array in zip(self.shards, arrays, strict=True)
            ]
        )

    @cached_property
    def crops(self) -> Crops:
        """The aligned faces, read when indexed: `crops[i]`, `crops[10:20]`, `crops[mask]`.

        >>> work = open_work("work/disfa")
        >>> smiling = work.frames["mouthSmileLeft"] > 0.6
        >>> work.crops[smiling].shape
        (812, 200, 200, 3)
        """
        return Crops(self.shards)


class Crops:
    """Aligned faces of all frames as a sequence of (size, size, 3) uint8 RGB arrays.

    Parameters
    ----------
    shards : sequence of Shard
        Of a work folder, in order.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._reader = CropBlocks(tuple(shards))
        lengths = [len(shard) for shard in shards]
        self._shard = np.repeat(np.arange(len(shards)), lengths)
        self._row = np.concatenate([np.arange(length) for length in lengths])

    def __len__(self) -> int:
        return len(self._row)

    def __getitem__(self, index: Any) -> npt.NDArray[np.uint8]:
        """Read some crops.

        Parameters
        ----------
        index : int, slice or array
            One frame, or several by slice, indices or a boolean mask.

        Returns
        -------
        (size, size, 3) or (k, size, size, 3) uint8
            RGB.
        """
        if isinstance(index, int | np.integer):
            position = range(len(self))[int(index)]
            return self._reader.crop(int(self._shard[position]), int(self._row[position]))
        chosen = np.arange(len(self))[np.asarray(index) if not isinstance(index, slice) else index]
        return np.stack([self[int(i)] for i in chosen]) if len(chosen) else self[:1][:0]

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        return (self[i] for i in range(len(self)))


def _frame_table(shard: Shard) -> pd.DataFrame:
    header, frames, fit = shard.header, shard.frames, shard.fit
    columns: dict[str, Any] = {
        "subject": header.subject,
        "clip": header.clip,
        "frame": np.arange(header.start, header.stop),
        "frame_id": frames.frame_id,
        "valid": frames.valid,
        "reason": np.array(REASONS)[frames.reason],
        "confidence": frames.confidence,
    }
    columns |= {name: shard.labels[:, i] for i, name in enumerate(header.au_names)}
    if fit is not None:
        columns |= {"fitted": fit.converged, "rmse": fit.rmse}
        columns |= {name: fit.pose[:, i] for i, name in enumerate(POSE)}
        columns |= {name: fit.f_exp[:, i] for i, name in enumerate(fit.expression_names)}
    return pd.DataFrame(columns)
