"""`glee export-net`: a trained network as one file for torch.export."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FOLDER, output_option


@click.command("export-net")
@click.argument("run", type=FOLDER)
@output_option("Its name ends with .pt2.")
@click.option("--fold", help="The fold that is meant. It may be left out where RUN has only one.")
def export_net(run: Path, output: Path, fold: str | None) -> None:
    """Write a trained network as one file for torch.export.load.

    The network of RUN takes an image and f_exp, and gives probabilities.
    """
    from ..model.prediction.export_network import export_network

    difference = export_network(run, output, fold=fold)
    click.echo(f"{output}: probabilities within {difference:.1e} of the run's own")
