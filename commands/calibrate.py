"""`glee calibrate`: a model's landmarks laid where a detector marks them."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FILE, echo_lines


@click.command()
@click.argument("detector")
@click.option("-o", "--output", required=True, type=FILE, help="The model file to write: .h5.")
@click.option("--model", "model_path", type=FILE, help="The morphable model, if not the embedded.")
@click.option("--renders", default=360, show_default=True, help="Random faces to draw.")
@click.option("--seed", default=68, show_default=True, help="Of the faces.")
def calibrate(
    detector: str, output: Path, model_path: Path | None, renders: int, seed: int
) -> None:
    """Lay a model's landmarks where DETECTOR marks them, and measure its errors.

    On random renders; the model file that is written serves fit3d's --model and --whiten.
    """
    from ..pipeline.calibration import calibrate as lay_landmarks

    report = lay_landmarks(detector, output, model=model_path, renders=renders, seed=seed)
    echo_lines(report.lines())
