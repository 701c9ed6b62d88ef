"""`glee status`: how far a work folder is."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FOLDER, echo_json, echo_lines, json_option


@click.command()
@click.argument("work", type=FOLDER)
@json_option
def status(work: Path, json: bool) -> None:
    """Show how far a work folder is, and who is at work in it."""
    from ..pipeline.work_lock import work_status, work_status_facts

    if json:
        echo_json(work_status_facts(work))
        return
    echo_lines(work_status(work))
