"""`glee train-landmarks`: a refiner of landmarks, from annotated photographs or from renders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import FOLDER, echo_lines, output_option, renders_option, seed_option

_OF_RENDERS = ("backend", "renders", "steps", "renders_folder")


@click.command("train-landmarks")
@output_option("It takes the weights, .npz.")
@click.option(
    "--photos",
    type=FOLDER,
    help="Folder of photographs with iBUG's .pts files beside them: learn from these.",
)
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
@click.pass_context
def train_landmarks(
    context: click.Context,
    /,
    output: Path,
    photos: Path | None,
    seed: int,
    **of_renders: Any,
) -> None:
    """Train a refiner of landmarks on annotated photographs, or on renders.

    With --photos it learns, in minutes, to bring the landmarks of mesh nearer to those of people
    (300-W's, or your own), tells the error before and after on photographs held out, and writes a
    file for --detector mesh+refiner:FILE.

    Without, it trains the refiner of mesh+refiner on renders, whose truth is exact. A run that was
    interrupted goes on where it stopped.
    """
    progress = context.obj["progress"]
    if photos is None:
        _train_on_renders(output, seed, progress, **of_renders)
        return
    for name in _OF_RENDERS:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = name.replace("_", "-")
            raise click.UsageError(f"--{option} is of renders; leave it out beside --photos")
    _train_on_photographs(photos, output, seed, progress)


def _train_on_photographs(photos: Path, output: Path, seed: int, progress: bool) -> None:
    from ..pipeline.landmarks.refiner.fine_tuning import planned_steps, train_on_photographs
    from ..pipeline.summary import progress_bar

    with progress_bar("train", planned_steps(photos), "step", shown=progress) as bar:

        def count(more: int) -> None:
            bar.update(more)

        trained = train_on_photographs(photos, output, seed=seed, stepped=count)
    echo_lines(trained.lines())


def _train_on_renders(
    output: Path,
    seed: int,
    progress: bool,
    *,
    backend: tuple[str, ...],
    renders: int,
    steps: int,
    renders_folder: Path | None,
) -> None:
    from ..pipeline.landmarks.refiner.training import TrainOptions, train_landmarks
    from ..pipeline.summary import progress_bar

    options = TrainOptions(backend, renders=renders, steps=steps, seed=seed)
    with progress_bar("train", steps, "step", shown=progress) as bar:

        def count(more: int) -> None:
            bar.update(more)

        trained = train_landmarks(output, options, renders_folder=renders_folder, stepped=count)
    echo_lines(trained.lines())
