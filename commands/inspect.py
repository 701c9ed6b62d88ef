"""`glee inspect`: what is in a shard."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .options import FILE, SHARD_FILE, json_option


@click.command()
@click.argument("shard", type=SHARD_FILE)
@click.option("--png", type=FILE, help="Write a contact sheet: crops, landmarks, fitted mesh.")
@json_option
def inspect(shard: Path, png: Path | None, as_json: bool) -> None:
    """What is in a SHARD."""
    from ..pipeline.shards.views import describe_shard, shard_facts

    text = json.dumps(shard_facts(shard), indent=1) if as_json else describe_shard(shard)
    click.echo(text)
    if png is not None:
        from ..pipeline.shards.views import contact_sheet

        contact_sheet(shard, png)
