"""`glee report`: a work folder or a run as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import DataError, in_shell
from .options import FOLDER, output_option

if TYPE_CHECKING:
    from ..reports.report import Report


@click.command()
@click.argument("folder", metavar="WORK|RUN", type=FOLDER)
@output_option("[default: report.html in that folder]", required=False)
def report(folder: Path, output: Path | None) -> None:
    """Write an HTML report on the shards of a work folder, or on a trained run.

    It is one file that needs nothing else.
    """
    from ..reports.report import write_report

    target = output or folder / "report.html"
    write_report(target, folder_report(folder))
    click.echo(target)


def folder_report(folder: Path) -> Report:
    """The report that a folder gets: that of a work folder, or that of a run.

    Raises
    ------
    DataError : where the folder is neither.
    ShardError : where a shard cannot be read.
    """
    from ..model.prediction.predictions import PREDICTIONS_FILE
    from ..pipeline.shards.content import SHARD_FOLDER
    from ..pipeline.shards.mistaken import no_shards
    from ..reports.run_report import run_report
    from ..reports.work_report import work_report

    if (folder / SHARD_FOLDER).is_dir():
        return work_report(folder)
    if any(folder.glob(f"fold*/{PREDICTIONS_FILE}")):
        return run_report(folder)
    if any(folder.glob("*.parquet")) or any(folder.glob("*.csv")):
        raise DataError(
            f"{folder}: holds tables, as `glee analyze` writes them; their report comes from "
            f"`glee analyze VIDEO -o {in_shell(folder)} --report`, which keeps the tables that are "
            "there"
        )
    raise DataError(
        no_shards(folder, "is neither a work folder with shards nor a run with a trained fold")
    )
