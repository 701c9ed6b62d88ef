"""Which report a folder gets: that of a work folder or that of a run."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError
from ..model.prediction.predictions import PREDICTIONS_FILE
from ..pipeline.shards.shard import SHARD_FOLDER
from .report import Report
from .run_report import run_report
from .work_report import work_report


def folder_report(folder: Path) -> Report:
    """Raises DataError where the folder is neither, ShardError for a shard that cannot be read."""
    if (folder / SHARD_FOLDER).is_dir():
        return work_report(folder)
    if any(folder.glob(f"fold*/{PREDICTIONS_FILE}")):
        return run_report(folder)
    if any(folder.glob("*.parquet")) or any(folder.glob("*.csv")):
        raise DataError(
            f"{folder}: holds tables, as `glee analyze` writes them, and these have no report; for "
            "one on a video in folder V: `glee preprocess --dataset folder --root V --out W`, "
            "`glee fit3d W`, `glee report W`"
        )
    raise DataError(
        f"{folder}: neither a work folder with shards nor a run with a trained fold; "
        "give what `glee preprocess --out` or `glee train` made"
    )
