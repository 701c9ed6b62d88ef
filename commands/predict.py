"""`glee predict`: AU probabilities of videos, images or shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import ANY_PATH, FOLDER, MODEL_FILE, output_option, workers_option


@click.command()
@click.argument("run", type=FOLDER)
@click.argument("source", type=ANY_PATH)
@output_option("CSV, a row for every frame.")
@click.option("--work", type=FOLDER, help="Keep the shards here. [default: thrown away]")
@click.option("--model", type=MODEL_FILE, help="The morphable model, if not the embedded.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@workers_option
@click.pass_obj
def predict(
    settings: dict[str, Any],
    /,
    run: Path,
    source: Path,
    output: Path,
    work: Path | None,
    model: Path | None,
    device: str,
    workers: int | None,
) -> None:
    """AU probabilities of SOURCE by a trained RUN: a video, an image, a folder of both, or shards.

    Videos and images are prepared as the run's training frames were. Frames made another way are
    refused; people whom every network of the run was trained on are left out.
    """
    from ..model.prediction.predict import predict_table
    from ..whole_files import write_whole

    table = predict_table(
        run,
        source,
        work=work,
        model=model,
        workers=workers,
        device=device,
        progress=settings["progress"],
    )
    write_whole(output, table.text.encode())
    click.echo(f"{output}: {table.frames} frames predicted, {table.invalid} without a usable face")
