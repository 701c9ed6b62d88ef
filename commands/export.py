"""`glee export`: fitted meshes of a shard."""

from __future__ import annotations

from pathlib import Path

import click

from .options import MODEL_FILE, SHARD_FILE, output_option


@click.command()
@click.argument("shard", type=SHARD_FILE)
@output_option(".obj, .glb or .npz.")
@click.option("--frame", type=int, help="One frame, by its place in the shard. [default: all]")
@click.option(
    "--model", "model_path", type=MODEL_FILE, help="The morphable model, if not the embedded."
)
def export(shard: Path, output: Path, frame: int | None, model_path: Path | None) -> None:
    """Fitted meshes of a SHARD: OBJ of one frame, animated glTF or NPZ of all."""
    from ..pipeline.shards.views import export_shard

    export_shard(shard, output, frame=frame, model_path=model_path)
