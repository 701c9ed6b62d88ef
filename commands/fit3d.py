"""`glee fit3d`: the morphable model fitted to the landmarks of shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..pipeline.options import Fit3dOptions
from .options import (
    FOLDER,
    ModelFile,
    cluster_config_option,
    cluster_option,
    dry_run_option,
    echo_lines,
    overwrite_option,
    workers_option,
)


@click.command()
@click.argument("work", type=FOLDER)
@click.option(
    "--identity",
    type=click.Choice(["subject", "frame"]),
    default=Fit3dOptions.identity,
    show_default=True,
    help="One f_shape a subject, or one a frame (the paper's).",
)
@click.option("--focal", type=float, help="Focal length, pixels. [default: 1.5 x longer side]")
@click.option(
    "--bounds/--no-bounds", default=Fit3dOptions.bounds, show_default=True, help="f_exp in [0, 1]."
)
@click.option(
    "--curves/--no-curves",
    default=Fit3dOptions.curves,
    show_default=True,
    help="Sliding landmarks.",
)
@click.option("--expression-weight", type=float, help="Of |f_exp|^2. [default: by the noise]")
@click.option("--shape-weight", type=float, help="Of |f_shape|^2. [default: by the noise]")
@click.option("--robust", type=click.Choice(["huber", "geman-mcclure"]), help="Robust loss.")
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
    "--smooth/--no-smooth", default=None, help="Smooth landmarks in time. [default: of videos]"
)
@click.option("--dense", flag_value="beside", help="Fit the shards' dense points too.")
@click.option("--dense-only", "dense", flag_value="only", help="Only these, not the landmarks.")
@click.option("--paper", is_flag=True, help="Eq. 3 as published: one identity a frame, no more.")
@click.option(
    "--temporal",
    default=Fit3dOptions.temporal,
    show_default=True,
    help="Smoothness of f_exp in time.",
)
@click.option("--estimate-focal", is_flag=True, help="One focal length a subject, from its frames.")
@click.option(
    "--sample-frames",
    default=Fit3dOptions.sample_frames,
    show_default=True,
    help="For a subject's identity.",
)
@click.option("--model", type=ModelFile(dir_okay=False), help="Another morphable model.")
@workers_option
@cluster_option
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
    **options: Any,
) -> None:
    """Fit the 3D morphable model to the landmarks in WORK's shards."""
    from ..pipeline.fit3d import fit3d as run_stage

    if dry_run:
        from ..pipeline.dry_run import fit3d_dry_run

        lines = fit3d_dry_run(work, workers=workers, cluster=cluster, cluster_config=cluster_config)
        echo_lines(lines)
        return
    if paper:
        options |= {"identity": "frame", "whiten": False, "prior": False, "smooth": False}
    summary = run_stage(
        work,
        options=Fit3dOptions(**options),
        workers=workers,
        cluster=cluster,
        cluster_config=cluster_config,
        overwrite=overwrite,
        progress=settings["progress"],
    )
    echo_lines(summary.lines())
