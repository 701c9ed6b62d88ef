"""`glee pretrain`: the expression embedding, on triplets of faces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import FOLDER, echo_lines, preset_option, training_options


@click.command()
@click.argument("work", type=FOLDER)
@click.option("-o", "--out", type=FOLDER, required=True, help="Folder of the run.")
@preset_option
@click.option("--ablation", help="A row of Table 5 that leaves the global branch, such as no-lb.")
@click.option("--margin", type=float, help="Of Eq. 4. [default: by type, 0.1 or 0.2]")
@click.option(
    "--triplets", type=click.IntRange(1), help="Drawn from labels, where there is no table."
)
@click.option("--dry-run", is_flag=True, help="Say what would be trained, and stop.")
@training_options
def pretrain(
    work: Path,
    out: Path,
    preset: str,
    dry_run: bool,
    device: str,
    workers: int | None,
    tensorboard: bool,
    **changes: Any,
) -> None:
    """Pre-train global and local branch on the triplets in WORK (Eq. 4).

    Of a folder of `glee preprocess --dataset fec`, these are people's judgements; of labelled
    shards, they are drawn from the labels. `glee train --init RUN` goes on from the run. One that
    was interrupted goes on where it stopped.
    """
    from ..model.options import pretrain_options
    from ..model.training.pretraining import pretrain as run_training
    from ..model.training.steps import surroundings_for

    if dry_run:
        from ..model.training.pretraining import pretraining_dry_run

        echo_lines(pretraining_dry_run(work, out, pretrain_options(preset, **changes)))
        return
    summary = run_training(
        work,
        out,
        pretrain_options(preset, **changes),
        device=device,
        around=surroundings_for(device, workers, tensorboard=tensorboard),
    )
    click.echo(
        f"{summary.triplets} triplets, {summary.steps} steps, loss {summary.loss:.4f}\n"
        f"held-out triplet accuracy {100 * summary.accuracy:.1f} % of {summary.held_out} "
        "(chance 33.3 %)"
    )
