"""`glee config`: where the options of the commands come from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from .options import SummaryGroup, echo_json, json_option
from .settings import settings_of


@click.group(cls=SummaryGroup)
def config() -> None:
    """Show where the options of the commands come from."""


@config.command()
@click.argument("command", nargs=-1)
@json_option
@click.pass_context
def show(context: click.Context, /, command: tuple[str, ...], json: bool) -> None:
    """Show every option of a command, its value, and where that comes from.

    COMMAND is one or two words, such as: model import. The command line comes first, then the
    environment, then glee.toml, then the default.
    """
    settings = settings_of(context, command)
    if json:
        echo_json([{**asdict(setting), "value": _plain(setting.value)} for setting in settings])
        return
    lines = [(f"{s.command} --{s.option}", _shown(s.value), s.origin) for s in settings]
    wide, wider = (max(len(line[i]) for line in lines) for i in (0, 1))
    for name, value, origin in lines:
        click.echo(f"{name:{wide}}  {value:{wider}}  {origin}")


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
