"""`glee demo`: the whole path on built-in data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import FOLDER, dry_run_option, echo_lines, overwrite_option, workers_option


@click.command()
@click.option("-o", "--out", type=FOLDER, default=Path("demo"), show_default=True)
@click.option("--seed", default=0, show_default=True)
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
    """The whole path on built-in data, into OUT/report.html and OUT/results.json."""
    if dry_run:
        from ..reports.demo.demo import demo_dry_run

        echo_lines(demo_dry_run(out, seed=seed, overwrite=overwrite))
        return
    from ..reports.demo.demo import demo as run_demo

    run_demo(out, seed=seed, workers=workers, overwrite=overwrite, progress=settings["progress"])
    click.echo(f"{out / 'report.html'}\n{out / 'results.json'}")
