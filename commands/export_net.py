"""`glee export-net`: a trained network as one file for torch.export."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FOLDER, output_option


@click.command("export-net")
@click.argument("run", type=FOLDER)
@output_option("Ends with .pt2.")
@click.option("--fold", help="Which network of the RUN, where it has several.")
def export_net(run: Path, output: Path, fold: str | None) -> None:
    """The network of a trained RUN, for torch.export.load: image and f_exp to probabilities."""
    from ..model.prediction.export_network import export_network

    difference = export_network(run, output, fold=fold)
    click.echo(f"{output}: probabilities within {difference:.1e} of the run's own")
