"""`glee report`: a work folder or a run as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FOLDER, output_option


@click.command()
@click.argument("folder", metavar="WORK|RUN", type=FOLDER)
@output_option("The file to write. [default: FOLDER/report.html]", required=False)
def report(folder: Path, output: Path | None) -> None:
    """One HTML file on the shards of WORK, or on a trained RUN; it needs nothing else."""
    from ..reports.folder_report import folder_report
    from ..reports.report import write_report

    target = output or folder / "report.html"
    write_report(target, folder_report(folder))
    click.echo(target)
