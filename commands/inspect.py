"""`glee inspect`: what is in a shard."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FILE, SHARD_FILE, echo_json, json_option, never_on_what_is_read


@click.command()
@click.argument("shard", type=SHARD_FILE)
@click.option(
    "--png",
    type=FILE,
    help="Picture to write too: a sheet of crops with landmarks and fitted mesh.",
)
@json_option
@never_on_what_is_read("png")
def inspect(shard: Path, png: Path | None, json: bool) -> None:
    """Show what is in a shard."""
    from ..pipeline.shards.views import describe_shard, shard_facts

    if json:
        echo_json(shard_facts(shard))
    else:
        click.echo(describe_shard(shard))
    if png is not None:
        from ..pipeline.shards.views import contact_sheet

        contact_sheet(shard, png)
        click.echo(f"{png}: a sheet of its crops", err=True)
