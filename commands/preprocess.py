"""`glee preprocess`: landmarks, aligned crops and labels into shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import (
    ANY_PATH,
    DATASETS_HELP,
    FOLDER,
    cluster_config_option,
    cluster_option,
    dataset_options,
    dataset_options_of,
    device_option,
    dry_run_option,
    echo_lines,
    flip_option,
    overwrite_option,
    weights_option,
    workers_option,
)


@click.command()
@click.option("--dataset", required=True, help=DATASETS_HELP)
@click.option("--root", required=True, type=ANY_PATH, help="Where the dataset lies.")
@click.option("-o", "--out", required=True, type=FOLDER, help="Work folder for the shards.")
@click.option(
    "--detector",
    default="auto",
    show_default=True,
    help="Landmark backend: dlib, mesh, fan, fan:FACE_DETECTOR, auto, or an installed one.",
)
@weights_option
@device_option
@flip_option
@click.option(
    "--refine/--no-refine", default=None, help="Refine the landmarks. [default: as --detector says]"
)
@click.option(
    "--dense", is_flag=True, default=None, help="Keep all points of the mesh backend too."
)
@click.option(
    "--deinterlace", is_flag=True, default=None, help="Make interlaced pictures from both fields."
)
@click.option("--detect-every", default=10, show_default=True, help="Frames between detections.")
@click.option("--minimum-confidence", default=0.4, show_default=True, help="Of a valid frame.")
@click.option("--crop-size", default=200, show_default=True, help="Side of a crop, pixels.")
@click.option("--encoding", default="jpeg", show_default=True, help="Of crops: jpeg, png, raw.")
@click.option("--quality", default=93, show_default=True, help="Of JPEG crops.")
@click.option("--chunk-frames", default=1024, show_default=True, help="Most frames of a shard.")
@dataset_options
@workers_option
@cluster_option
@cluster_config_option
@overwrite_option
@dry_run_option
@click.pass_obj
def preprocess(
    settings: dict[str, Any],
    /,
    dataset: str,
    root: Path,
    out: Path,
    weights: Path | None,
    workers: int | None,
    cluster: str | None,
    cluster_config: Path | None,
    overwrite: bool,
    dry_run: bool,
    frame_offset: int | None,
    labels: str | None,
    images: Path | None,
    url_map: Path | None,
    **options: Any,
) -> None:
    """Find landmarks, align faces, and pack crops, landmarks and labels into shards.

    A run that was interrupted goes on where it stopped.
    """
    from ..pipeline.preprocess import PreprocessOptions
    from ..pipeline.preprocess import preprocess as run_stage

    own = dataset_options_of(frame_offset, labels, images, url_map)
    if dry_run:
        from ..pipeline.dry_run import preprocess_dry_run
        from ..pipeline.landmarks.backends import BackendSettings

        chosen = PreprocessOptions(**options)
        place = None if weights is None else str(weights.resolve())
        lines = preprocess_dry_run(
            dataset,
            root,
            out,
            chosen,
            settings=BackendSettings(place, chosen.device, chosen.flip),
            workers=workers,
            cluster=cluster,
            cluster_config=cluster_config,
            progress=settings["progress"],
            dataset_options=own,
        )
        echo_lines(lines)
        return
    summary = run_stage(
        dataset,
        root,
        out,
        options=PreprocessOptions(**options),
        weights=weights,
        workers=workers,
        cluster=cluster,
        cluster_config=cluster_config,
        overwrite=overwrite,
        progress=settings["progress"],
        dataset_options=own,
    )
    echo_lines(summary.lines())
