"""`glee doctor`: whether this machine has what glee needs, and what to do where it has not."""

from __future__ import annotations

from pathlib import Path

import click

from .options import (
    FOLDER,
    cluster_config_option,
    cluster_option,
    dataset_option,
    detector_option,
    echo_json,
    echo_lines,
    json_option,
    root_option,
)


@click.command()
@click.argument("work", type=FOLDER, required=False)
@dataset_option("The room that its shards need is looked for.")
@root_option()
@cluster_option("The queue is asked too. [default: what [cluster] says, or local]")
@cluster_config_option
@detector_option("It is looked at too.", default=None)
@json_option
def doctor(
    work: Path | None,
    dataset: str | None,
    root: Path | None,
    cluster: str | None,
    cluster_config: Path | None,
    detector: str | None,
    json: bool,
) -> int:
    """Check what this machine has, and say what to do where it lacks something.

    Versions, cores, GPU, weights, models and the folder WORK (without it, this folder) are looked
    at. Each line is ok, a note, or says what to do. The exit status is 1 where something that is
    needed is wrong.
    """
    from ..pipeline.cluster.cluster import check_cluster
    from ..pipeline.cluster.options import read_cluster_options
    from ..reports.doctor import examine

    options = read_cluster_options(work, cluster_config)
    check_cluster(cluster, None, options)
    findings = examine(
        work or Path(),
        dataset=dataset,
        root=root,
        cluster=cluster or options.kind,
        queue=options.queue,
        detector=detector,
    )
    if json:
        echo_json([finding.as_json() for finding in findings])
    else:
        echo_lines([finding.line() for finding in findings])
    return 0 if all(finding.ok or not finding.needed for finding in findings) else 1
