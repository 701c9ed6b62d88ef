"""`glee predict`: AU probabilities of videos, images or shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import (
    ANY_PATH,
    FOLDER,
    RUN,
    device_option,
    former_name,
    model_option,
    output_option,
    workers_option,
)


@click.command()
@click.argument("run", type=RUN)
@click.argument("source", type=ANY_PATH)
@output_option("It is a CSV table with a row for every frame.")
@click.option(
    "--keep-shards", type=FOLDER, help="Work folder to write, with the shards that are made."
)
@former_name("--work", "keep-shards")
@model_option
@device_option
@workers_option
@click.pass_obj
def predict(
    settings: dict[str, Any],
    /,
    run: Path,
    source: Path,
    output: Path,
    keep_shards: Path | None,
    model: Path | None,
    device: str,
    workers: int | None,
) -> None:
    """Predict Action Units of videos, images or shards by a trained run.

    SOURCE is a video, an image, a folder of both, or a work folder. Videos and images are prepared
    as the training frames of RUN were. Frames made another way are refused; people whom every
    network of the run was trained on are left out.
    """
    from ..model.prediction.predict import predict_table
    from ..whole_files import write_whole

    table = predict_table(
        run,
        source,
        work=keep_shards,
        model=model,
        workers=workers,
        device=device,
        progress=settings["progress"],
    )
    write_whole(output, table.text.encode())
    click.echo(f"{output}: {table.frames} frames predicted, {table.invalid} without a usable face")
