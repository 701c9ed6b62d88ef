"""`glee cluster`: what would be submitted to a queue."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from .options import (
    FOLDER,
    SummaryGroup,
    cluster_config_option,
    cluster_option,
    echo_json,
    json_option,
)


@click.group(cls=SummaryGroup)
def cluster() -> None:
    """Show what would be submitted to a queue."""


@cluster.command()
@click.argument("work", type=FOLDER, required=False)
@cluster_option("Only slurm, pbs, lsf and sge have a script. [default: what [cluster] says]")
@cluster_config_option
@json_option
def preview(
    work: Path | None, cluster: str | None, cluster_config: Path | None, json: bool
) -> None:
    """Print the script of one job, with the options of WORK or of --cluster-config."""
    from ..pipeline.cluster.options import read_cluster_options
    from ..pipeline.cluster.queue_cluster import job_script

    options = read_cluster_options(work, cluster_config)
    cluster = cluster or options.kind
    script = job_script(cluster, options)
    if json:
        echo_json({"cluster": cluster, "options": asdict(options), "script": script})
    else:
        click.echo(script)
