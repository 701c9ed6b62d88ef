"""`glee train`: GLEE-Net on shards, fold by fold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import FOLDER


@click.command()
@click.argument("work", type=FOLDER)
@click.option("--out", type=FOLDER, help="Folder of the run. [default: WORK/runs/PRESET]")
@click.option("--fold", default="all", show_default=True, help="1, 2, 3 or all.")
@click.option(
    "--preset", type=click.Choice(["paper", "compact"]), default="paper", show_default=True
)
@click.option("--ablation", help="A row of the paper's Table 5, such as no-3dgb.")
@click.option("--epochs", type=click.IntRange(1))
@click.option("--batch", type=click.IntRange(1), help="Frames of a step.")
@click.option("--learning-rate", type=float)
@click.option("--facenet", help="20180402-114759-vggface2.pt, weights of both FaceNets.")
@click.option("--split", help="File of folds: JSON, fold to test subjects.")
@click.option("--seed", type=int)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def train(
    work: Path, out: Path | None, fold: str, preset: str, device: str, **changes: Any
) -> None:
    """Train GLEE-Net on WORK's shards, each fold on subjects that its test does not have.

    A run that was interrupted goes on where it stopped.
    """
    from ..model.evaluation import evaluate as measure_run
    from ..model.options import train_options
    from ..model.training import train as train_run

    run = out or work / "runs" / preset
    train_run(work, run, train_options(preset, **changes), fold=fold, device=device)
    click.echo(measure_run(run).table)
