"""`glee evaluate`: a run's figures on unseen subjects."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .options import FOLDER, json_option


@click.command()
@click.argument("run", type=FOLDER)
@click.option("--work", type=FOLDER, help="Measure on these shards instead of the run's own.")
@click.option("--device", default="cpu", show_default=True)
@json_option
def evaluate(run: Path, work: Path | None, device: str, as_json: bool) -> None:
    """F1 of a trained RUN on its unseen subjects: per AU, mean, and what chance gives."""
    from ..model.prediction.evaluation import evaluate as measure_run

    evaluation = measure_run(run, work, device=device)
    click.echo(json.dumps(evaluation.results, indent=1) if as_json else evaluation.table)
