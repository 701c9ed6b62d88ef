"""`glee calibrate`: a model's landmarks laid where a detector marks them."""

from __future__ import annotations

from pathlib import Path

import click

from .options import (
    detector_device_option,
    echo_lines,
    flip_option,
    model_option,
    output_option,
    renders_option,
    seed_option,
    weights_option,
)


@click.command()
@click.argument("detector")
@output_option("It is a morphable model, .h5.")
@model_option
@click.option(
    "--dense",
    is_flag=True,
    help="Take all points of the mesh backend too. They are written beside OUTPUT, as .dense.npz.",
)
@renders_option(360)
@seed_option(68)
@weights_option
@detector_device_option
@flip_option
def calibrate(
    detector: str,
    output: Path,
    model: Path | None,
    dense: bool,
    renders: int,
    seed: int,
    weights: Path | None,
    detector_device: str | None,
    flip: bool | None,
) -> None:
    """Lay a model's landmarks where a detector marks them, and measure its noise.

    DETECTOR is a landmark backend. It is measured on random renders, whose landmarks are known. The
    model file that is written serves `glee fit3d --model` and its --whiten.
    """
    from ..pipeline.calibration import calibrate as lay_landmarks
    from ..pipeline.landmarks.backends import BackendSettings

    settings = BackendSettings(None if weights is None else str(weights), detector_device, flip)
    report = lay_landmarks(
        detector,
        output,
        model=model,
        renders=renders,
        seed=seed,
        settings=settings,
        dense=dense,
    )
    echo_lines(report.lines())
