"""`glee verify`: datasets before any work, shards after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from .options import (
    FOLDER,
    dataset_option,
    dataset_options,
    dataset_options_of,
    echo_json,
    echo_lines,
    json_option,
    root_option,
)


@click.command()
@click.argument("work", type=FOLDER, required=False)
@dataset_option()
@root_option()
@dataset_options
@json_option
@click.pass_obj
def verify(
    settings: dict[str, Any],
    /,
    work: Path | None,
    dataset: str | None,
    root: Path | None,
    frame_offset: int | None,
    labels: str | None,
    images: Path | None,
    url_map: Path | None,
    json: bool,
) -> int:
    """Check a dataset before any work, or shards after it.

    Give --dataset and --root for a dataset, WORK for shards. The exit status is 1 where something
    is wrong.
    """
    from ..pipeline.verification import verify_dataset, verify_shards

    options = dataset_options_of(frame_offset, labels, images, url_map)
    if dataset is not None and root is not None and work is None:
        report = verify_dataset(
            dataset, root, dataset_options=options, progress=settings["progress"]
        )
    elif work is not None and dataset is None:
        report = verify_shards(
            work, root=root, dataset_options=options, progress=settings["progress"]
        )
    else:
        raise UsageError("give WORK to check shards, or --dataset and --root to check a dataset")
    if json:
        echo_json(report.as_json())
    else:
        echo_lines(report.lines())
    return 0 if report.ok else 1
