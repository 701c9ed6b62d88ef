"""`glee embed`: the frozen identity model's output, kept in the shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import FOLDER, overwrite_option, preset_option


@click.command()
@click.argument("work", type=FOLDER)
@preset_option
@click.option("--facenet", default="", help="20180402-114759-vggface2.pt.")
@click.option("--init", default="", help="A run of `glee pretrain`, instead of --facenet.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@overwrite_option
@click.pass_obj
def embed(settings: dict[str, Any], /, work: Path, **options: Any) -> None:
    """Keep what the frozen identity model sees in WORK's shards.

    `glee train --identity cached` then takes it from there instead of computing it in every step.
    """
    from ..model.training.embed import embed as run_stage

    summary = run_stage(work, progress=settings["progress"], **options)
    click.echo(
        f"embed: {summary.frames} frames in {summary.shards - summary.kept} shards, "
        f"{summary.kept} shards had them, {summary.seconds:.1f} s; weights {summary.weights[:12]}"
    )
