"""`glee train`: GLEE-Net on shards, fold by fold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import in_shell
from .options import FOLDER, PresetValued, echo_lines, preset_option, training_options


@click.command()
@click.argument("work", type=FOLDER)
@click.option("-o", "--out", type=FOLDER, help="Folder of the run. [default: WORK/runs/PRESET]")
@click.option(
    "--fold",
    default="all",
    show_default=True,
    help="1, 2, 3, all or every (one network of all subjects).",
)
@preset_option
@click.option("--ablation", help="A row of the paper's Table 5, such as no-3dgb.")
@click.option("--init", help="A run of `glee pretrain` to start from.")
@click.option("--split", help="File of folds: JSON, fold to test subjects.")
@click.option(
    "--person-specific/--no-person-specific",
    cls=PresetValued,
    default=None,
    help="f_exp less the person's median.",
)
@click.option(
    "--identity",
    cls=PresetValued,
    type=click.Choice(["live", "cached"]),
    help="V_id computed in every step, or from `glee embed`.",
)
@click.option(
    "--identity-adversary",
    cls=PresetValued,
    type=float,
    help="Strength of a reversed gradient on the subject.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be trained, and stop.")
@training_options
def train(
    work: Path,
    out: Path | None,
    fold: str,
    preset: str,
    dry_run: bool,
    device: str,
    workers: int | None,
    tensorboard: bool,
    **changes: Any,
) -> None:
    """Train GLEE-Net on WORK's shards, each fold on subjects that its test does not have.

    A run that was interrupted goes on where it stopped. Under torchrun or srun, its processes share
    each batch.
    """
    from ..model.options import train_options
    from ..model.prediction.evaluation import evaluate as measure_run
    from ..model.training.steps import surroundings_for
    from ..model.training.training import EVERY_SUBJECT
    from ..model.training.training import train as train_run

    run = out or work / "runs" / preset
    if dry_run:
        from ..model.training.training import training_plan

        echo_lines(training_plan(work, run, train_options(preset, **changes), fold))
        return
    summary = train_run(
        work,
        run,
        train_options(preset, **changes),
        fold=fold,
        device=device,
        around=surroundings_for(device, workers, tensorboard=tensorboard),
    )
    if summary.leads and fold == EVERY_SUBJECT:
        click.echo(
            f"{run}: one network of all subjects; `glee evaluate {in_shell(run)} --work OTHER`"
        )
    elif summary.leads:
        click.echo(measure_run(run).table)
