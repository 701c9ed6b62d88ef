"""`glee pretrain`: the expression embedding, on triplets of faces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import FOLDER, dry_run_option, echo_lines, out_option, preset_option
from .training_options import ablation_option, runtime_of, training_options


@click.command()
@click.argument("work", type=FOLDER)
@out_option("It is the folder of the run.", required=True)
@preset_option
@ablation_option("It has to leave the global branch, as no-lb does.")
@click.option("--margin", type=float, help="Margin of Eq. 4. [default: by type, 0.1 or 0.2]")
@click.option(
    "--triplets",
    type=click.IntRange(1),
    help="Number of triplets to draw from labels, where WORK has no table of triplets.",
)
@dry_run_option
@training_options
@click.pass_obj
def pretrain(
    settings: dict[str, Any],
    /,
    work: Path,
    out: Path,
    preset: str,
    dry_run: bool,
    **changes: Any,
) -> None:
    """Pre-train the expression embedding on triplets of faces.

    Global and local branch learn from the triplets in WORK by Eq. 4. In a folder of `glee
    preprocess --dataset fec` these are people's judgements; in labelled shards they are drawn from
    the labels. `glee train --init RUN` goes on from the run. A run that was interrupted goes on
    where it stopped.
    """
    from ..model.options import pretrain_options
    from ..model.training.pretraining import pretrain as run_training

    runtime, device = runtime_of(settings, changes), changes.pop("device")
    if dry_run:
        from ..model.training.pretraining import pretraining_dry_run

        echo_lines(pretraining_dry_run(work, out, pretrain_options(preset, **changes)))
        return
    summary = run_training(
        work,
        out,
        pretrain_options(preset, **changes),
        device=device,
        runtime=runtime,
    )
    click.echo(
        f"{summary.triplets} triplets, {summary.steps} steps, loss {summary.loss:.4f}\n"
        f"held-out triplet accuracy {100 * summary.accuracy:.1f} % of {summary.held_out} "
        "(chance 33.3 %)"
    )
