"""`glee cluster`: what would be submitted to a queue."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FOLDER, cluster_config_option


@click.group()
def cluster() -> None:
    """Clusters: what would be submitted."""


@cluster.command()
@click.argument("work", type=FOLDER, required=False)
@click.option("--cluster", "spec", required=True, help="slurm, pbs, lsf or sge.")
@cluster_config_option
def preview(work: Path | None, spec: str, cluster_config: Path | None) -> None:
    """The script of one job, with the options of WORK or of --cluster-config."""
    from ..pipeline.cluster_options import read_cluster_options
    from ..pipeline.queue_cluster import job_script

    click.echo(job_script(spec, read_cluster_options(work, cluster_config)))
