"""`glee train-landmarks`: the refiner of landmarks, trained on renders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import FOLDER, echo_lines, output_option, renders_option, seed_option


@click.command("train-landmarks")
@output_option("It takes the weights, .npz.")
@click.option(
    "--backend",
    multiple=True,
    default=("mesh",),
    show_default=True,
    help="Landmark backend whose landmarks are refined; give it again for more.",
)
@renders_option(7680)
@click.option(
    "--steps",
    default=2700,
    show_default=True,
    help="Number of steps of the training, of 48 examples each.",
)
@seed_option(20)
@click.option(
    "--renders-folder",
    type=FOLDER,
    help="Folder in which the faces are kept. [default: OUTPUT.renders]",
)
@click.pass_obj
def train_landmarks(
    settings: dict[str, Any],
    /,
    output: Path,
    backend: tuple[str, ...],
    renders: int,
    steps: int,
    seed: int,
    renders_folder: Path | None,
) -> None:
    """Train the refiner of landmarks on renders, whose truth is exact.

    A run that was interrupted goes on where it stopped.
    """
    from ..pipeline.landmarks.refiner.training import TrainOptions
    from ..pipeline.landmarks.refiner.training import train_landmarks as run
    from ..pipeline.summary import progress_bar

    options = TrainOptions(backend, renders=renders, steps=steps, seed=seed)
    with progress_bar("train", steps, "step", shown=settings["progress"]) as bar:

        def count(more: int) -> None:
            bar.update(more)

        trained = run(output, options, renders_folder=renders_folder, stepped=count)
    echo_lines(trained.lines())
