"""Options from `glee.toml` and from the environment, beneath those of the command line.

A settings file has a table for each command, named as the command is, with the options' long names
as keys; [glee] holds the options of `glee` itself. The environment has GLEE_COMMAND_OPTION. The
command line comes first, then the file, then the environment, then the default.

(The `glee.toml` of a work folder is another file: it states what the stages ran with.)

The options that commands have: by the words of the command line, by key, by variable.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ..errors import OptionsError, UsageError

FILE_NAME = "glee.toml"
# The table that `--cluster-config` reads.
CLUSTER_TABLE = "cluster"
# The key of a statement that a stage wrote into its work folder.
_STATEMENT = "format"


@dataclass(frozen=True)
class Setting:
    """One option's value beneath the command line. value: None where nobody gave one.

    origin: the file's path, "$VARIABLE", or "default".
    """

    command: str
    option: str
    value: Any
    origin: str


def read_settings_file(given: Path | None) -> tuple[dict[str, Any], str]:
    """The content of a settings file and its path; {} and "" where there is none.

    given: the file to read; None for `glee.toml` in this folder, where that is one. Raises
    OptionsError where it cannot be read.
    """
    path = given or Path(FILE_NAME)
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


def default_map(
    group: click.Group, context: click.Context, content: Mapping[str, Any], path: str
) -> dict[str, Any]:
    """What click takes as defaults: the file's values over those of the environment.

    Raises UsageError naming the nearest known name where a table, a key or a variable is unknown.
    """
    _check_tables(group, context, content, path)
    found: dict[str, Any] = {}
    for words, command in leaves(group, context):
        values: dict[str, Any] = {}
        for parameter in options_of(command):
            setting = _setting(words, parameter, content, path)
            if setting.value is not None:
                values[str(parameter.name)] = _typed(parameter, setting)
        here = found
        for word in words:
            here = here.setdefault(word, {})
        here.update(values)
    return found


def settled_options(
    context: click.Context, config: Path | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """glee's own options as the command line, the file and the environment have them.

    context: of `glee`; its commands' defaults are set. config: the settings file, None for the
    usual one. given: what click parsed. Raises UsageError, OptionsError.
    """
    group = context.command
    assert isinstance(group, click.Group)
    content, path = read_settings_file(config or _config_variable())
    if not content and not any(name.startswith(f"{PREFIX}_") for name in os.environ):
        return dict(given)
    context.default_map = default_map(group, context, content, path)
    for words, _ in leaves(group, context):
        if words[0] == context.invoked_subcommand:
            check_variables(group, context, words)
    options = dict(given)
    own = own_settings(group, content, path)
    for parameter in options_of(group):
        name = str(parameter.name)
        from_words = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if name in own and own[name].value is not None and not from_words:
            value = _typed(parameter, own[name])
            options[name] = parameter.type_cast_value(context, value)
    return options


def _config_variable() -> Path | None:
    given = os.environ.get(f"{PREFIX}_CONFIG")
    return Path(given) if given else None


def _default(parameter: click.Option) -> Any:
    return parameter.get_default(click.Context(click.Command("glee")), call=False)


def own_settings(group: click.Group, content: Mapping[str, Any], path: str) -> dict[str, Setting]:
    """Settings of glee's own options, by parameter name."""
    return {
        str(parameter.name): _setting((OWN_TABLE,), parameter, content, path)
        for parameter in options_of(group)
    }


def check_variables(group: click.Group, context: click.Context, words: tuple[str, ...]) -> None:
    """Refuse variables of the environment that look like a command's options and are none.

    words: of the command that is about to run.
    """
    known_commands = dict(leaves(group, context))
    if words not in known_commands:
        return
    known = {variable_name(words, parameter) for parameter in options_of(known_commands[words])}
    prefix = variable_prefix(words)
    longer = [variable_prefix(w) for w in known_commands if w != words]
    longer = [other for other in longer if other.startswith(prefix)]
    for name in sorted(os.environ):
        if not name.startswith(prefix) or name in known:
            continue
        if any(name.startswith(other) for other in longer):
            continue
        raise UsageError(f"${name}: {' '.join(words)} has no such option{nearest(name, known)}")


def settings_of(
    group: click.Group,
    context: click.Context,
    content: Mapping[str, Any],
    path: str,
    words: tuple[str, ...],
) -> list[Setting]:
    """Every option below some words of a command line ((): all) with its value and origin.

    Raises UsageError where there is no such command.
    """
    chosen = [(w, c) for w, c in leaves(group, context) if w[: len(words)] == words]
    if not chosen:
        known = {" ".join(w) for w, _ in leaves(group, context)}
        raise UsageError(f"no command {' '.join(words)!r}{nearest(' '.join(words), known)}")
    found: list[Setting] = []
    if not words:
        found += own_settings(group, content, path).values()
    for command_words, command in chosen:
        for parameter in options_of(command):
            setting = _setting(command_words, parameter, content, path)
            if setting.value is None:
                value = None if parameter.required else plain(_default(parameter))
                setting = Setting(setting.command, setting.option, value, "default")
            found.append(setting)
    return found


def _setting(
    words: tuple[str, ...], parameter: click.Option, content: Mapping[str, Any], path: str
) -> Setting:
    option = long_name(parameter)
    table: Any = content
    for word in words:
        table = table.get(word, {}) if isinstance(table, Mapping) else {}
    for key in (option, option.replace("-", "_")):
        if isinstance(table, Mapping) and key in table:
            return Setting(" ".join(words), option, table[key], path)
    variable = variable_name(words, parameter)
    given = os.environ.get(variable)
    if given:
        value: Any = given
        if parameter.multiple or parameter.nargs != 1:
            value = list(parameter.type.split_envvar_value(given))
        return Setting(" ".join(words), option, value, f"${variable}")
    return Setting(" ".join(words), option, None, "default")


def _typed(parameter: click.Option, setting: Setting) -> Any:
    """The value, once it is known to fit the option; the message names where it stands."""
    try:
        _check_kind(parameter, setting.value)
        parameter.type_cast_value(click.Context(click.Command("glee")), setting.value)
    except click.BadParameter as error:
        where = setting.origin
        if not where.startswith("$"):
            where = f"{where}: [{setting.command.replace(' ', '.')}] {setting.option}"
        raise UsageError(f"{where}: {error.message.rstrip('.')}; mend it there") from None
    return setting.value


def _check_kind(parameter: click.Option, value: Any) -> None:
    """Refuse a value of a file whose kind click would bend, such as 1.5 for a whole number."""
    several = parameter.multiple or parameter.nargs != 1
    if several != isinstance(value, list):
        expected = "a list" if several else "one value"
        raise click.BadParameter(f"{value!r} is not {expected}")
    for item in value if several else (value,):
        if not isinstance(item, _kinds(parameter)) or (
            isinstance(item, bool) and not parameter.is_flag
        ):
            raise click.BadParameter(f"{item!r} is not a valid {parameter.type.name}")


def _kinds(parameter: click.Option) -> tuple[type, ...]:
    """What TOML may give for an option; a string may stand for anything, as in the environment."""
    if parameter.is_flag:
        return (bool, str)
    if isinstance(parameter.type, click.types.IntParamType):
        return (int, str)
    if isinstance(parameter.type, click.types.FloatParamType | click.types.StringParamType):
        return (int, float, str)
    return (str,)


def _check_tables(
    group: click.Group, context: click.Context, content: Mapping[str, Any], path: str
) -> None:
    known = set(group.list_commands(context))
    for name, table in content.items():
        if name == OWN_TABLE and isinstance(table, Mapping):
            _check_keys(group, table, f"{path}: [{name}]")
        elif name not in known and name != OWN_TABLE:
            what = "table" if isinstance(table, Mapping) else "key"
            raise UsageError(
                f"{path}: {what} {name} is unknown{nearest(name, known | {OWN_TABLE})}"
            )
        elif not isinstance(table, Mapping):
            raise UsageError(f"{path}: {name} is a command; write its options as a table [{name}]")
        else:
            _check_table(group, context, name, table, path)


def _check_table(
    group: click.Group, context: click.Context, name: str, table: Mapping[str, Any], path: str
) -> None:
    command = group.get_command(context, name)
    if not isinstance(command, click.Group):
        if command is not None:
            _check_keys(command, table, f"{path}: [{name}]")
        return
    known = set(command.list_commands(context))
    for key, part in table.items():
        if key in known and isinstance(part, Mapping):
            member = command.get_command(context, key)
            if member is not None:
                _check_keys(member, part, f"{path}: [{name}.{key}]")
        elif name != CLUSTER_TABLE:
            raise UsageError(f"{path}: [{name}] {key} is unknown{nearest(key, known)}")


def _check_keys(command: click.Command, table: Any, where: str) -> None:
    known = {long_name(parameter) for parameter in options_of(command)}
    for key in table if isinstance(table, Mapping) else ():
        if key.replace("_", "-") not in known:
            raise UsageError(f"{where} {key} is unknown{nearest(key, known)}")


def effective_settings(context: click.Context, words: tuple[str, ...]) -> list[Setting]:
    """`settings_of` with the file that this run of glee reads.

    context: of a command below `glee`.
    """
    root = context.find_root()
    group = root.command
    assert isinstance(group, click.Group)
    content, path = read_settings_file(root.params.get("config") or _config_variable())
    return settings_of(group, root, content, path, words)


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
