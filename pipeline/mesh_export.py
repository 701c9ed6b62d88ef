"""The fitted meshes of a shard as files for other programs."""

from __future__ import annotations

from pathlib import Path

from ..errors import ShardError, UsageError
from ..fitting.exporters.export import export_fits
from ..fitting.morphable_model.model_file import load_model
from .shards.shard import read_shard


def export_shard(
    path: Path, output: Path, *, frame: int | None = None, model_path: Path | None = None
) -> None:
    """Write the fits of a shard, or of its frame number `frame` (from 0), as .obj, .glb or .npz.

    Raises ShardError where the shard is not fitted or with another model, UsageError for a frame
    that it does not have or another ending, OutputError where the file cannot be written.
    """
    shard, model = read_shard(path), load_model(model_path)
    if shard.fit is None:
        raise ShardError(f"{path}: is not fitted; run `glee fit3d` on its work folder first")
    if shard.fit.model != model.name:
        raise ShardError(
            f"{path}: was fitted with model {shard.fit.model}, not {model.name}; give that model"
        )
    if frame is not None and not 0 <= frame < len(shard):
        raise UsageError(f"frame {frame}: the shard has frames 0 to {len(shard) - 1}")
    rows = slice(None) if frame is None else slice(frame, frame + 1)
    fit = shard.fit
    export_fits(output, model, fit.f_shape[rows], fit.f_exp[rows], fit.pose[rows], shard.header.fps)
