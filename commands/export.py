"""`glee export`: fitted meshes of a shard."""

from __future__ import annotations

from pathlib import Path

import click

from .options import SHARD_FILE, model_option, output_option


@click.command()
@click.argument("shard", type=SHARD_FILE)
@output_option("Its ending says what it is: .obj, .glb or .npz.")
@click.option(
    "--frame", type=int, help="The one frame to write, counted from 0 in the shard. [default: all]"
)
@model_option
def export(shard: Path, output: Path, frame: int | None, model: Path | None) -> None:
    """Write a shard's fitted meshes as OBJ, glTF or NPZ.

    OBJ holds one frame of SHARD; glTF, animated, and NPZ hold all of them.
    """
    from ..pipeline.shards.views import export_shard

    export_shard(shard, output, frame=frame, model_path=model)
    which = "every frame" if frame is None else f"frame {frame}"
    click.echo(f"{output}: {which} of {shard}")
