"""Options from the environment and from `glee.toml`, beneath those of the command line.

The command line comes first, then the environment, then the file, then the default. click does
that: its `auto_envvar_prefix` reads the variables GLEE_COMMAND_OPTION, its `default_map` takes what
a file has. What it does not is here: the file's tables, named as the commands are ([glee] holds the
options of `glee` itself), and the variables are checked, so that no misspelt name is passed over.

(The `glee.toml` of a work folder is another file: it states what the stages ran with.)
"""

from __future__ import annotations

import logging
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..errors import OptionsError, UsageError, did_you_mean
from .options import FormerName, former_name_note

FILE_NAME = "glee.toml"
# The table of glee's own options.
OWN_TABLE = "glee"
# The table that `--cluster-config` reads; it holds the queue's options beside those of commands.
_CLUSTER_TABLE = "cluster"
_CLUSTER_OPTION = "cluster_config"
# The first key of a statement that a stage wrote into its work folder.
_STATEMENT = "format"
# Where the content of the settings file is kept while a command runs.
_CONTENT = "glee.settings"
# Options that say where the others come from, or that show something and stop.
_NOT_SETTABLE = ("config", "help", "version")

_log = logging.getLogger(__name__)


def read_settings(
    context: click.Context, option: click.Parameter, given: Path | None
) -> Path | None:
    """Read the settings file, and take glee's own options from it: the callback of `--config`.

    Parameters
    ----------
    context : of `glee`.
    option : `--config`.
    given : the file; None for `glee.toml` in this folder, where there is one.

    Returns
    -------
    Path or None : as given.

    Raises
    ------
    OptionsError : where the file cannot be read.
    UsageError : where [glee] has an unknown key, or a value of the wrong kind.
    """
    if context.resilient_parsing:
        return given
    content, path = _read(given)
    context.meta[_CONTENT] = (content, path)
    if OWN_TABLE in content:
        context.default_map = _table(context.command, content[OWN_TABLE], path, (OWN_TABLE,))
    return given


def set_defaults(context: click.Context) -> None:
    """Give click what the settings file has for the commands, and check names that it would not.

    Parameters
    ----------
    context : of `glee`; its settings file has been read, its log has been started.

    Raises
    ------
    UsageError : where the file has an unknown table or key, or a value of the wrong kind, and where
        the environment has a variable that looks like an option of this command and is none. The
        line names the nearest name that there is.
    """
    content, path = context.meta[_CONTENT]
    tables = {name: table for name, table in content.items() if name != OWN_TABLE}
    own = context.default_map or {}
    context.default_map = {**own, **_tables(_group_of(context), context, tables, path)}
    table = content.get(_CLUSTER_TABLE)
    if isinstance(table, Mapping) and not all(
        isinstance(value, Mapping) for value in table.values()
    ):
        _offer_cluster_table(context, path)
    _check_variables(context)


def _offer_cluster_table(context: click.Context, path: str) -> None:
    """Make the settings file the default of `--cluster-config` of every command that has it."""
    for words, at in commands_below(_group_of(context), context):
        if not any(option.name == _CLUSTER_OPTION for option in at.command.params):
            continue
        table: Any = context.default_map
        for word in words:
            table = table.setdefault(word, {})
        table.setdefault(_CLUSTER_OPTION, path)


def _read(given: Path | None) -> tuple[dict[str, Any], str]:
    path = given or Path(FILE_NAME)
    if given is None and _is_of_another(path):
        _log.warning(
            "%s: belongs to another user and is left out; if you trust it, give --config %s",
            *(path, path),
        )
        return {}, ""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if given is None:
            return {}, ""
        raise OptionsError(
            f"{path}: no such settings file; leave --config out, or mend it"
        ) from None
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise OptionsError(f"{path}: cannot be read ({reason}); mend it or remove it") from None
    if given is None and _STATEMENT in content:
        return {}, ""  # this folder is a work folder
    return content, str(path)


def _is_of_another(path: Path) -> bool:
    """Whether a file that is there belongs to neither this user nor root.

    A folder that one looks into may be anybody's, and settings can say what code is run.
    """
    if not hasattr(os, "geteuid"):
        return False
    try:
        owner = path.stat().st_uid
    except OSError:
        return False
    return owner not in (os.geteuid(), 0)


def _tables(
    group: click.Group,
    context: click.Context,
    tables: Mapping[str, Any],
    path: str,
    above: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Values by command and parameter, as click's `default_map` has them."""
    found: dict[str, Any] = {}
    for name, table in tables.items():
        command, words = group.get_command(context, name), (*above, name)
        if isinstance(command, click.Group) and isinstance(table, Mapping):
            found[name] = _tables(command, context, table, path, words)
        elif command is not None:
            found[name] = _table(command, table, path, words)
        elif above != (_CLUSTER_TABLE,):
            known = [*group.list_commands(context), *(() if above else (OWN_TABLE,))]
            where = f"[{'.'.join(above)}] {name}" if above else f"table or key {name}"
            raise UsageError(f"{path}: {where} is unknown{nearest(name, known)}")
    return found


def _table(command: click.Command, table: Any, path: str, words: tuple[str, ...]) -> dict[str, Any]:
    """Values by parameter, of one command's table."""
    name = ".".join(words)
    if not isinstance(table, Mapping):
        raise UsageError(f"{path}: {name} is no option; write its options as a table [{name}]")
    found: dict[str, Any] = {}
    options = {_key(option): option for option in options_of(command)}
    former = {_key(option): option for option in _former_names(command)}
    for key, value in table.items():
        where, word = f"{path}: [{name}] {key}", key.replace("_", "-")
        if word in former and former[word].now in options:
            word = former[word].now
            _log.warning(former_name_note(where, word))
        if word not in options:
            raise UsageError(f"{where} is unknown{nearest(key, options)}")
        _check_value(options[word], value, where)
        found[str(options[word].name)] = value
    return found


def _check_value(option: click.Option, value: Any, where: str) -> None:
    try:
        _check_kind(option, value)
        option.type_cast_value(click.Context(click.Command("glee")), value)
    except click.BadParameter as error:
        raise UsageError(f"{where}: {error.message.rstrip('.')}; mend it there") from None


def _check_kind(option: click.Option, value: Any) -> None:
    """Refuse a value of a kind that click would bend, such as 1.5 for a whole number."""
    several = option.multiple or option.nargs != 1
    if several != isinstance(value, list):
        expected = "a list" if several else "one value"
        raise click.BadParameter(f"{value!r} is not {expected}")
    for item in value if several else (value,):
        truth = isinstance(item, bool) and not option.is_flag
        if truth or not isinstance(item, _kinds(option)):
            raise click.BadParameter(f"{item!r} is not a valid {option.type.name}")


def _kinds(option: click.Option) -> tuple[type, ...]:
    """What TOML may give for an option; a string may stand for anything, as in the environment."""
    if option.is_flag:
        return (bool, str)
    if isinstance(option.type, click.types.IntParamType):
        return (int, str)
    if isinstance(option.type, click.types.FloatParamType | click.types.StringParamType):
        return (int, float, str)
    return (str,)


def _check_variables(context: click.Context) -> None:
    """Refuse variables that look like an option of the command that is about to run."""
    name = str(context.invoked_subcommand)
    prefix = f"{context.auto_envvar_prefix}_{name}_".upper().replace("-", "_")
    given = [variable for variable in sorted(os.environ) if variable.startswith(prefix)]
    if not given:
        return
    # All commands', since GLEE_TRAIN_ begins the variables of `train-landmarks` too.
    known = {
        variable_of(at, option)
        for _, at in commands_below(_group_of(context), context)
        for option in (*options_of(at.command), *_former_names(at.command))
    }
    for variable in given:
        if variable not in known:
            raise UsageError(f"${variable}: {name} has no such option{nearest(variable, known)}")


@dataclass(frozen=True)
class Setting:
    """One option's value, and where it comes from.

    Attributes
    ----------
    command : the command's words, such as "model import"; "glee" for glee's own options.
    option : the option's long name without its dashes.
    value : as click has it; None where there is none.
    origin : "command line", "$VARIABLE", the file's path, or "default".
    """

    command: str
    option: str
    value: Any
    origin: str


def settings_of(context: click.Context, words: tuple[str, ...]) -> list[Setting]:
    """Every option below some words of a command line, with its value and origin.

    Parameters
    ----------
    context : of any command of `glee`.
    words : of a command or a group of commands; () for all, and glee's own options.

    Raises
    ------
    UsageError : where there is no such command.
    """
    root = context.find_root()
    below = dict(commands_below(_group_of(root), root))
    chosen = {name: at for name, at in below.items() if name[: len(words)] == words}
    if not chosen:
        known = [" ".join(name) for name in below]
        raise UsageError(f"no command {' '.join(words)!r}{nearest(' '.join(words), known)}")
    found = [] if words else _settings(root, OWN_TABLE)
    for name, at in chosen.items():
        # Nothing is required of a command that does not run.
        parsed = at.command.make_context(name[-1], [], at.parent, resilient_parsing=True)
        found += _settings(parsed, " ".join(name))
    return found


def _settings(context: click.Context, command: str) -> list[Setting]:
    found = []
    for option in options_of(context.command):
        value = context.params.get(str(option.name))
        source = context.get_parameter_source(str(option.name))
        origin = "default"
        if source is ParameterSource.ENVIRONMENT:
            variable = variable_of(context, option)
            origin = f"${variable}"
            value = os.environ[variable] if value is None else value  # a wrong one, as it stands
        elif source is ParameterSource.DEFAULT_MAP:
            origin = context.meta[_CONTENT][1]
        elif source is ParameterSource.COMMANDLINE:
            origin = "command line" if context.parent is None else "a former name"
        found.append(Setting(command, _key(option), None if value == () else value, origin))
    return found


def variable_of(context: click.Context, option: click.Parameter) -> str:
    """The variable of an option, as click names it: GLEE_PREPROCESS_WORKERS."""
    return f"{context.auto_envvar_prefix}_{str(option.name).upper()}"


def commands_below(
    group: click.Group, context: click.Context, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Context]]:
    """All commands that are no groups: the words of the command line, and a context for each."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        at = click.Context(command, parent=context, info_name=name)
        if isinstance(command, click.Group):
            yield from commands_below(command, at, (*above, name))
        else:
            yield (*above, name), at


def options_of(command: click.Command) -> list[click.Option]:
    """The options of a command that can be set, by their present names."""
    return [
        parameter
        for parameter in command.params
        if isinstance(parameter, click.Option)
        and not parameter.hidden
        and parameter.name not in _NOT_SETTABLE
    ]


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the nearest known name, or at the list of all."""
    return f"; {did_you_mean(name, known, 0.5).rstrip() or 'see `glee config show`'}"


def _former_names(command: click.Command) -> list[FormerName]:
    return [parameter for parameter in command.params if isinstance(parameter, FormerName)]


def _key(option: click.Parameter) -> str:
    return str(option.name).replace("_", "-")


def _group_of(context: click.Context) -> click.Group:
    assert isinstance(context.command, click.Group)
    return context.command
