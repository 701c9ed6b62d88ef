"""`glee demo`: the whole path on built-in data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import (
    dry_run_option,
    echo_lines,
    out_option,
    overwrite_option,
    seed_option,
    workers_option,
)


@click.command()
@out_option("It takes the data, the report and the results.", default="demo", show_default=True)
@seed_option(0)
@workers_option
@overwrite_option
@dry_run_option
@click.pass_obj
def demo(
    settings: dict[str, Any],
    /,
    out: Path,
    seed: int,
    workers: int | None,
    overwrite: bool,
    dry_run: bool,
) -> None:
    """Run the whole path on built-in data, and report how right it is.

    It writes OUT/report.html and OUT/results.json.
    """
    if dry_run:
        from ..reports.demo.demo import demo_dry_run

        echo_lines(demo_dry_run(out, seed=seed, overwrite=overwrite))
        return
    from ..reports.demo.demo import demo as run_demo

    run_demo(out, seed=seed, workers=workers, overwrite=overwrite, progress=settings["progress"])
    click.echo(f"{out / 'report.html'}\n{out / 'results.json'}")
