"""`glee calibrate`: a model's landmarks laid where a detector marks them."""

from __future__ import annotations

from pathlib import Path

import click

from .options import (
    MODEL_FILE,
    device_option,
    echo_lines,
    flip_option,
    output_option,
    weights_option,
)


@click.command()
@click.argument("detector")
@output_option("The model file to write: .h5.")
@click.option(
    "--model", "model_path", type=MODEL_FILE, help="The morphable model, if not the embedded."
)
@click.option("--dense", is_flag=True, help="Lay its dense points too, into OUTPUT's .dense.npz.")
@click.option("--renders", default=360, show_default=True, help="Random faces to draw.")
@click.option("--seed", default=68, show_default=True, help="Of the faces.")
@weights_option
@device_option
@flip_option
def calibrate(
    detector: str,
    output: Path,
    model_path: Path | None,
    dense: bool,
    renders: int,
    seed: int,
    weights: Path | None,
    device: str | None,
    flip: bool | None,
) -> None:
    """Lay a model's landmarks where DETECTOR marks them, and measure its errors.

    On random renders; the model file that is written serves fit3d's --model and --whiten.
    """
    from ..pipeline.calibration import calibrate as lay_landmarks
    from ..pipeline.landmarks.backends import BackendSettings

    settings = BackendSettings(None if weights is None else str(weights), device, flip)
    report = lay_landmarks(
        detector,
        output,
        model=model_path,
        renders=renders,
        seed=seed,
        settings=settings,
        dense=dense,
    )
    echo_lines(report.lines())
