"""`glee doctor`: whether this machine has what glee needs, and what to do where it has not."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .options import ANY_PATH, DATASETS_HELP, FOLDER, cluster_option, json_option


@click.command()
@click.argument("work", type=FOLDER, required=False)
@click.option("--dataset", help=f"Of a planned run, for the room it needs. {DATASETS_HELP}")
@click.option("--root", type=ANY_PATH, help="Where that dataset lies.")
@cluster_option
@json_option
def doctor(
    work: Path | None, dataset: str | None, root: Path | None, cluster: str | None, as_json: bool
) -> int:
    """Check versions, cores, GPU, weights, models, and the folder WORK (default: this one).

    Each line is ok, a note, or says what to do. Exit status 1 where something needed is wrong.
    """
    from ..reports.doctor import examine

    findings = examine(work or Path(), dataset=dataset, root=root, cluster=cluster or "local")
    if as_json:
        click.echo(json.dumps([finding.as_json() for finding in findings], indent=1))
    else:
        click.echo("\n".join(finding.line() for finding in findings))
    return 0 if all(finding.ok or not finding.needed for finding in findings) else 1
