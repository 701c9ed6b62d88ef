"""`glee experiment`: the paper's tables and figures on one's own shards."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FOLDER

NAMES = ("table1", "table2", "table3", "table4", "table5", "figure4", "figure5")


@click.command()
@click.argument("name", type=click.Choice(NAMES))
@click.option(
    "--work",
    "works",
    type=FOLDER,
    multiple=True,
    required=True,
    help="Shards of a dataset, fitted; of FEC for the pre-training. Give it several times.",
)
@click.option("-o", "--out", type=FOLDER, required=True, help="Folder of runs and results.")
@click.option(
    "--preset", type=click.Choice(["paper", "compact"]), default="paper", show_default=True
)
@click.option("--seed", default=0, show_default=True)
@click.option("--quick", is_flag=True, help="One epoch of one fold: to see that it works.")
@click.option("--epochs", type=click.IntRange(1), help="Of each training. [default: the preset's]")
@click.option("--batch", type=click.IntRange(1), help="Frames of a step. [default: the preset's]")
@click.option("--facenet", default="", help="20180402-114759-vggface2.pt, for both FaceNets.")
@click.option("--split", default="", help="File of folds: JSON, fold to test subjects.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def experiment(
    name: str,
    works: tuple[Path, ...],
    out: Path,
    preset: str,
    seed: int,
    quick: bool,
    epochs: int | None,
    batch: int | None,
    facenet: str,
    split: str,
    device: str,
) -> None:
    """Train what a table or figure of the paper needs, and show it beside the published figures.

    \b
    table1  BP4D            table4  trained on BP4D, tested on all of BP4D+
    table2  DISFA           table5  the nine ablations, on BP4D
    table3  BP4D+           figure4, figure5  what the representations look like, on BP4D

    A killed experiment goes on where it stopped. Writes NAME.md, NAME.csv, NAME.json and NAME.png.
    """
    from ..reports.experiments.experiment import run_experiment

    summary = run_experiment(
        name,
        works,
        out,
        preset=preset,
        seed=seed,
        quick=quick,
        device=device,
        facenet=facenet,
        split=split,
        changes={"epochs": epochs, "batch": batch},
    )
    click.echo(summary.text)
    click.echo("written: " + ", ".join(str(path) for path in summary.files))
