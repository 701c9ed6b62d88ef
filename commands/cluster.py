"""`glee cluster`: what would be submitted to a queue."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from .options import FOLDER, cluster_config_option, json_option


@click.group()
def cluster() -> None:
    """Clusters: what would be submitted."""


@cluster.command()
@click.argument("work", type=FOLDER, required=False)
@click.option("--cluster", "spec", required=True, help="slurm, pbs, lsf or sge.")
@cluster_config_option
@json_option
def preview(work: Path | None, spec: str, cluster_config: Path | None, as_json: bool) -> None:
    """The script of one job, with the options of WORK or of --cluster-config."""
    from ..pipeline.cluster.options import read_cluster_options
    from ..pipeline.cluster.queue_cluster import job_script

    options = read_cluster_options(work, cluster_config)
    script = job_script(spec, options)
    if as_json:
        content = {"cluster": spec, "options": asdict(options), "script": script}
        script = json.dumps(content, indent=1)
    click.echo(script)
