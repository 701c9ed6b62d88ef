"""`glee evaluate`: a run's figures on unseen subjects."""

from __future__ import annotations

from pathlib import Path

import click

from .options import RUN_FOLDER, device_option, echo_json, json_option, work_option
from .training_options import missing_option


@click.command()
@click.argument("run", type=RUN_FOLDER)
@work_option("Without it, the shards are those of the run.")
@missing_option
@device_option
@json_option
def evaluate(run: Path, work: Path | None, missing: str, device: str, json: bool) -> None:
    """Measure a trained run's F1 on subjects that it has not seen.

    For each Action Unit and their mean, RUN's F1 stands beside what chance gives.
    """
    from ..model.prediction.evaluation import evaluate as measure_run

    evaluation = measure_run(run, work, device=device, missing=missing)
    if json:
        echo_json(evaluation.results)
    else:
        click.echo(evaluation.table)
