"""`glee export`: fitted meshes of a shard or a clip."""

from __future__ import annotations

from pathlib import Path

import click

from .options import model_option, output_option


@click.command()
@click.argument("shard", metavar="SHARD|CLIP", type=click.Path(path_type=Path))
@output_option("Its ending says what it is: .obj, .glb or .npz.")
@click.option(
    "--frame",
    type=int,
    help="The one frame to write, counted from 0 in the shard or clip. [default: all]",
)
@model_option
def export(shard: Path, output: Path, frame: int | None, model: Path | None) -> None:
    """Write the fitted meshes of a shard or a clip as OBJ, glTF or NPZ.

    CLIP is the folder of a clip's shards, WORK/shards/SUBJECT/CLIP: all its chunks, one after
    another. OBJ holds one frame; glTF, animated, and NPZ hold all of them.
    """
    from ..pipeline.shards.views import export_shard

    count = export_shard(shard, output, frame=frame, model_path=model)
    which = f"every frame, {count}," if frame is None else f"frame {frame}"
    click.echo(f"{output}: {which} of {shard}")
