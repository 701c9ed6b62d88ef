"""`glee fit3d`: the morphable model fitted to the landmarks of shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..pipeline.options import Fit3dOptions
from .options import (
    FOLDER,
    cluster_config_option,
    cluster_option,
    dry_run_option,
    echo_lines,
    focal_option,
    former_name,
    identity_option,
    model_option,
    overwrite_option,
    workers_option,
)


@click.command()
@click.argument("work", type=FOLDER)
@identity_option("Frame is the paper's way.", default=Fit3dOptions.identity, show_default=True)
@focal_option
@click.option(
    "--bounds/--no-bounds",
    default=Fit3dOptions.bounds,
    show_default=True,
    help="Keep f_exp in [0, 1] and f_shape in [-3, 3].",
)
@click.option(
    "--curves/--no-curves",
    default=Fit3dOptions.curves,
    show_default=True,
    help="Let the jaw line's landmarks slide along its curve.",
)
@click.option(
    "--jaw-by-pose/--no-jaw-by-pose",
    default=None,
    help="Move the jaw's points to the contour that is seen at the pose. [default: move them]",
)
@click.option(
    "--expression-weight",
    type=float,
    help="Weight of |f_exp|^2. [default: by the landmarks' error]",
)
@click.option(
    "--shape-weight", type=float, help="Weight of |f_shape|^2. [default: by the landmarks' error]"
)
@click.option(
    "--temporal-weight",
    default=Fit3dOptions.temporal,
    show_default=True,
    help="Weight of f_exp's squared change from frame to frame.",
)
@former_name("--temporal", "temporal-weight")
@click.option(
    "--robust",
    type=click.Choice(["huber", "geman-mcclure", "absolute"]),
    help="Robust loss of the landmarks' distances; absolute: the distances themselves, as Eq. 3 is "
    "written. [default: squares]",
)
@click.option(
    "--pixels",
    is_flag=True,
    help="Measure distances in pixels, not by that between the outer eye corners. Weights are then "
    "in their unit too.",
)
@click.option(
    "--whiten/--no-whiten",
    default=None,
    help="Weigh landmarks by the detector's noise. [default: where it is known]",
)
@click.option(
    "--prior/--no-prior",
    default=None,
    help="Hold f_exp to plausible expressions. [default: with ARKit's blendshapes]",
)
@click.option(
    "--smooth/--no-smooth", default=None, help="Smooth the landmarks in time. [default: for videos]"
)
@click.option(
    "--witness/--no-witness",
    default=None,
    help="Hear the network's blendshapes beside the landmarks. [default: where there are any]",
)
@click.option(
    "--visibility/--no-visibility",
    default=None,
    help="Weigh hidden parts of a face little. [default: where the shards know of them]",
)
@click.option(
    "--dense",
    is_flag=True,
    help="Take all points of the mesh backend too. They are fitted beside the landmarks.",
)
@click.option("--dense-only", is_flag=True, help="Fit these points instead of the landmarks.")
@click.option(
    "--paper",
    is_flag=True,
    help="Fit Eq. 3 as published: each frame by itself, without priors. It keeps what the paper "
    "does not state: bounds (--no-bounds), jaw points chosen by pose (--no-jaw-by-pose), squared "
    "distances (--robust absolute), and distances divided by that between the outer eye corners, "
    "in which 1e-4 is 1e-4 times its square in pixels (--pixels). --no-curves compares sliding "
    "points with points.",
)
@click.option(
    "--estimate-focal", is_flag=True, help="Estimate one focal length of each subject's frames."
)
@click.option(
    "--sample-frames",
    default=Fit3dOptions.sample_frames,
    show_default=True,
    help="Number of frames from which a subject's f_shape is estimated.",
)
@model_option
@workers_option
@cluster_option("[default: what [cluster] says, or local]")
@cluster_config_option
@overwrite_option
@dry_run_option
@click.pass_obj
def fit3d(
    settings: dict[str, Any],
    /,
    work: Path,
    workers: int | None,
    cluster: str | None,
    cluster_config: Path | None,
    overwrite: bool,
    dry_run: bool,
    paper: bool,
    dense: bool,
    dense_only: bool,
    pixels: bool,
    temporal_weight: float,
    model: Path | None,
    **options: Any,
) -> None:
    """Fit the 3D morphable model to the landmarks in the shards.

    Each frame of WORK gets expression coefficients f_exp without identity, and its pose; each
    subject gets its face shape f_shape.
    """
    from ..pipeline.fit3d import fit3d as run_stage

    if dry_run:
        from ..pipeline.dry_run import fit3d_dry_run

        lines = fit3d_dry_run(work, workers=workers, cluster=cluster, cluster_config=cluster_config)
        echo_lines(lines)
        return
    options["temporal"] = temporal_weight
    if options["jaw_by_pose"]:
        options["jaw_by_pose"] = None  # as it is where nothing is said
    options["units"] = "pixels" if pixels else None
    options["dense"] = "only" if dense_only else "beside" if dense else None
    options["model"] = None if model is None else str(model)
    asked = Fit3dOptions(**options)
    summary = run_stage(
        work,
        options=asked.as_published() if paper else asked,
        workers=workers,
        cluster=cluster,
        cluster_config=cluster_config,
        overwrite=overwrite,
        progress=settings["progress"],
    )
    echo_lines(summary.lines())
