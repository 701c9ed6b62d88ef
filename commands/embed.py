"""`glee embed`: the frozen identity model's output, kept in the shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import (
    FOLDER,
    device_option,
    facenet_option,
    init_option,
    overwrite_option,
    preset_option,
)


@click.command()
@click.argument("work", type=FOLDER)
@preset_option
@facenet_option
@init_option
@device_option
@overwrite_option
@click.pass_obj
def embed(settings: dict[str, Any], /, work: Path, **options: Any) -> None:
    """Keep the frozen identity model's output in the shards.

    `glee train --identity-branch cached` then takes it from WORK instead of computing it in every
    step.
    """
    from ..model.training.embed import embed as run_stage

    summary = run_stage(work, progress=settings["progress"], **options)
    click.echo(
        f"embed: {summary.frames} frames in {summary.shards - summary.kept} shards, "
        f"{summary.kept} shards had them, {summary.seconds:.1f} s; weights {summary.weights[:12]}"
    )
