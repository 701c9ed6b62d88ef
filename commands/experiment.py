"""`glee experiment`: the paper's tables and figures on one's own shards."""

from __future__ import annotations

from pathlib import Path

import click

from .options import (
    device_option,
    facenet_option,
    init_option,
    out_option,
    preset_option,
    seed_option,
    split_option,
    work_option,
)
from .training_options import BATCH_HELP, EPOCHS_HELP, missing_option

NAMES = ("table1", "table2", "table3", "table4", "table5", "figure1", "figure4", "figure5")


@click.command()
@click.argument("name", type=click.Choice(NAMES))
@work_option(
    "Give it several times, once for each dataset, and once for FEC, for the pre-training.",
    multiple=True,
    required=True,
)
@out_option("It takes the runs and the results.", required=True)
@preset_option
@seed_option(0)
@click.option("--quick", is_flag=True, help="Train one epoch of one fold, to see that it works.")
@click.option("--epochs", type=click.IntRange(1), help=f"{EPOCHS_HELP} [default: the preset's]")
@click.option("--batch", type=click.IntRange(1), help=f"{BATCH_HELP} [default: the preset's]")
@facenet_option
@init_option
@split_option
@missing_option
@device_option
def experiment(
    name: str,
    work: tuple[Path, ...],
    out: Path,
    preset: str,
    seed: int,
    quick: bool,
    epochs: int | None,
    batch: int | None,
    facenet: str,
    init: str | None,
    split: str,
    missing: str,
    device: str,
) -> None:
    """Make a table or figure of the paper from shards, beside what was published.

    \b
    table1  BP4D            table4  trained on BP4D, tested on all of BP4D+
    table2  DISFA           table5  the nine ablations and one more, on BP4D
    table3  BP4D+           figure1, figure4, figure5  the representations, on BP4D

    A killed experiment goes on where it stopped. Writes NAME.md, NAME.csv, NAME.json and NAME.png.
    """
    from ..reports.experiments.experiment import run_experiment

    summary = run_experiment(
        name,
        work,
        out,
        preset=preset,
        seed=seed,
        quick=quick,
        device=device,
        facenet=facenet,
        split=split,
        missing=missing,
        changes={"epochs": epochs, "batch": batch, "init": init},
    )
    click.echo(summary.text)
    click.echo("written: " + ", ".join(str(path) for path in summary.files))
