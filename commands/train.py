"""`glee train`: GLEE-Net on shards, fold by fold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import in_shell
from .options import (
    FOLDER,
    dry_run_option,
    echo_lines,
    former_name,
    init_option,
    out_option,
    preset_option,
    split_option,
)
from .training_options import PresetValued, ablation_option, runtime_of, training_options


@click.command()
@click.argument("work", type=FOLDER)
@out_option("It is the folder of the run. [default: WORK/runs/PRESET]")
@click.option(
    "--fold",
    default="all",
    show_default=True,
    help="The fold that is meant. It is 1, 2, 3, all, or every: one network of all subjects.",
)
@preset_option
@ablation_option()
@init_option
@split_option
@click.option(
    "--person-specific/--no-person-specific",
    cls=PresetValued,
    default=None,
    help="Take f_exp less its median over the person's frames.",
)
@click.option(
    "--identity-branch",
    cls=PresetValued,
    field="identity",
    type=click.Choice(["live", "cached"]),
    help="Compute V_id in every step, or take it from `glee embed`.",
)
@former_name("--identity", "identity-branch")
@click.option(
    "--identity-adversary",
    cls=PresetValued,
    type=float,
    help="Strength of a reversed gradient on the subject.",
)
@dry_run_option
@training_options
@click.pass_obj
def train(
    settings: dict[str, Any],
    /,
    work: Path,
    out: Path | None,
    fold: str,
    preset: str,
    dry_run: bool,
    identity_branch: str | None,
    **changes: Any,
) -> None:
    """Train GLEE-Net, each fold on subjects that its test does not have.

    It learns from WORK's shards. A run that was interrupted goes on where it stopped. Under
    torchrun or srun, its processes share each batch.
    """
    from ..model.options import train_options
    from ..model.prediction.evaluation import evaluate as measure_run
    from ..model.training.training import EVERY_SUBJECT
    from ..model.training.training import train as train_run

    changes["identity"] = identity_branch
    runtime, device = runtime_of(settings, changes), changes.pop("device")
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
        runtime=runtime,
    )
    if summary.leads and fold == EVERY_SUBJECT:
        click.echo(
            f"{run}: one network of all subjects; `glee evaluate {in_shell(run)} --work OTHER`"
        )
    elif summary.leads:
        click.echo(measure_run(run).table)
        click.echo(f"run: {run}")
