"""The options that commands have: by the words of the command line, by key, by variable."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

PREFIX = "GLEE"
# The table of glee's own options.
OWN_TABLE = "glee"
# Options that say where the others come from, or that show something and stop.
_NOT_SETTABLE = ("config", "help", "version")


def leaves(
    group: click.Group, context: click.Context, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands that are no groups, by the words of the command line."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, context, (*above, name))
        elif command is not None:
            yield (*above, name), command


def options_of(command: click.Command) -> list[click.Option]:
    """The options of a command that can be set."""
    return [
        parameter
        for parameter in command.params
        if isinstance(parameter, click.Option) and long_name(parameter) not in _NOT_SETTABLE
    ]


def long_name(parameter: click.Parameter) -> str:
    """The first long name of an option without its dashes, such as "detect-every"."""
    for name in parameter.opts:
        if name.startswith("--"):
            return name[2:]
    return str(parameter.name)


def variable_prefix(words: tuple[str, ...]) -> str:
    """What the variables of a command begin with: GLEE_MODEL_IMPORT_."""
    parts = () if words == (OWN_TABLE,) else words
    return "_".join((PREFIX, *parts)).upper().replace("-", "_") + "_"


def variable_name(words: tuple[str, ...], parameter: click.Option) -> str:
    """The variable of an option: GLEE_PREPROCESS_WORKERS."""
    return variable_prefix(words) + long_name(parameter).upper().replace("-", "_")


def nearest(name: str, known: set[str]) -> str:
    """A hint at the nearest known name, or the place where all are listed."""
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else "; see `glee config show`"


def plain(value: Any) -> Any:
    """A default as it can be shown."""
    if callable(value) or type(value).__name__ == "Sentinel" or repr(value).startswith("Sentinel"):
        return None
    return str(value) if isinstance(value, Path) else value
