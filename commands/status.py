"""`glee status`: how far a work folder is."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .options import FOLDER, echo_lines, json_option


@click.command()
@click.argument("work", type=FOLDER)
@json_option
def status(work: Path, as_json: bool) -> None:
    """How far WORK is: shards made and fitted, and who is at work."""
    from ..pipeline.work_status import work_status, work_status_facts

    if as_json:
        click.echo(json.dumps(work_status_facts(work), indent=1))
        return
    echo_lines(work_status(work))
