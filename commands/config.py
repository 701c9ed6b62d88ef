"""`glee config`: where the options of the commands come from."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from .options import json_option
from .settings import Setting, effective_settings


@click.group()
def config() -> None:
    """Settings: options from glee.toml and the environment."""


@config.command()
@click.argument("command", nargs=-1)
@json_option
@click.pass_context
def show(context: click.Context, command: tuple[str, ...], as_json: bool) -> None:
    """Every option of COMMAND (such as: model import), its value, and where that comes from.

    The command line comes first, then glee.toml, then the environment, then the default.
    """
    settings = effective_settings(context, command)
    if as_json:
        click.echo(json.dumps([_plain(setting) for setting in settings], indent=1))
        return
    lines = [(f"{s.command} --{s.option}", _shown(s.value), s.origin) for s in settings]
    wide, wider = (max(len(line[i]) for line in lines) for i in (0, 1))
    for name, value, origin in lines:
        click.echo(f"{name:{wide}}  {value:{wider}}  {origin}")


def _plain(setting: Setting) -> dict[str, Any]:
    value = setting.value
    return {**asdict(setting), "value": str(value) if isinstance(value, Path) else value}


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
