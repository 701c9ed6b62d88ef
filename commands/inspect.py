"""`glee inspect`: what is in a shard."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FILE


@click.command()
@click.argument("shard", type=FILE)
@click.option("--png", type=FILE, help="Write a contact sheet: crops, landmarks, fitted mesh.")
def inspect(shard: Path, png: Path | None) -> None:
    """What is in a SHARD."""
    from ..pipeline.inspection import describe_shard

    click.echo(describe_shard(shard))
    if png is not None:
        from ..pipeline.contact_sheet import contact_sheet

        contact_sheet(shard, png)
