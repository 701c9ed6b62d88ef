"""`glee status`: how far a work folder is."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FOLDER, echo_lines


@click.command()
@click.argument("work", type=FOLDER)
def status(work: Path) -> None:
    """How far WORK is: shards made and fitted, and who is at work."""
    from ..pipeline.work_status import work_status

    echo_lines(work_status(work))
