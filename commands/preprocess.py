"""`glee preprocess`: landmarks, aligned crops and labels into shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..pipeline.options import PreprocessOptions
from .options import (
    cluster_config_option,
    cluster_option,
    dataset_option,
    dataset_options,
    dataset_options_of,
    detector_device_option,
    detector_option,
    dry_run_option,
    echo_lines,
    flip_option,
    out_option,
    overwrite_option,
    root_option,
    weights_option,
    workers_option,
)


@click.command()
@dataset_option(required=True)
@root_option(required=True)
@out_option("It is the work folder, which takes the shards.", required=True)
@detector_option()
@weights_option
@detector_device_option
@flip_option
@click.option(
    "--refine/--no-refine",
    default=None,
    help="Refine the landmarks by glee's own refiner. [default: as --detector says]",
)
@click.option(
    "--dense",
    is_flag=True,
    default=None,
    help="Take all points of the mesh backend too. They are kept in the shards.",
)
@click.option(
    "--detect-every",
    default=PreprocessOptions.detect_every,
    show_default=True,
    help="Frames from one detection to the next.",
)
@click.option(
    "--minimum-confidence",
    default=PreprocessOptions.minimum_confidence,
    show_default=True,
    help="Lowest confidence of a valid frame, from 0 to 1.",
)
@click.option(
    "--crop-size",
    default=PreprocessOptions.crop_size,
    show_default=True,
    help="Side of a crop in pixels.",
)
@click.option(
    "--encoding",
    default=PreprocessOptions.encoding,
    show_default=True,
    help="How crops are stored: jpeg, png or raw.",
)
@click.option(
    "--quality",
    default=PreprocessOptions.quality,
    show_default=True,
    help="Quality of JPEG crops, from 1 to 100.",
)
@click.option(
    "--chunk-frames",
    default=PreprocessOptions.chunk_frames,
    show_default=True,
    help="Largest number of frames in a shard.",
)
@click.option(
    "--deinterlace",
    is_flag=True,
    default=None,
    help="Make the pictures of interlaced videos whole from both of their fields.",
)
@dataset_options
@workers_option
@cluster_option("[default: what [cluster] says, or local]")
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
    detector_device: str | None,
    frame_offset: int | None,
    labels: str | None,
    images: Path | None,
    url_map: Path | None,
    **options: Any,
) -> None:
    """Find landmarks, align faces, and pack both with their labels into shards.

    A run that was interrupted goes on where it stopped.
    """
    from ..pipeline.preprocess import preprocess as run_stage

    options["device"] = detector_device
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
    for note in summary.notes():
        click.echo(note, err=True)
