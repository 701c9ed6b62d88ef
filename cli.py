"""The `glee` command: each subcommand parses its arguments and calls one function of the library.

A subcommand is a file of `commands/`, imported when it is asked for, so that `glee --help` answers
at once. Results go to stdout; notes and errors to stderr, as text or as JSON, one object a line.
"""

from __future__ import annotations

import errno
import json
import logging
import re
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from . import __version__
from .commands.options import FILE, SummaryGroup
from .commands.settings import read_settings, set_defaults, variable_of
from .errors import GleeError, UsageError, did_you_mean, unexpected, visible


class LazyGroup(SummaryGroup):
    """A group of named commands; `train-landmarks` is `train_landmarks` of the module so named."""

    def __init__(self, *arguments: Any, names: Sequence[str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.names = names

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order given."""
        return list(self.names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, or None."""
        if cmd_name not in self.names:
            return None
        word = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f".commands.{word}", __package__), word)
        return command


# In the order in which they are used; commands/ has a module of the same name for each.
COMMANDS = (
    "analyze",
    "events",
    "agree",
    "synth",
    "verify",
    "preprocess",
    "fit3d",
    "embed",
    "pretrain",
    "train",
    "evaluate",
    "experiment",
    "predict",
    "run",
    "status",
    "inspect",
    "report",
    "export",
    "export-net",
    "demo",
    "model",
    "calibrate",
    "train-landmarks",
    "cluster",
    "doctor",
    "config",
    "completion",
)


@click.group(
    cls=LazyGroup,
    names=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "GLEE"},
)
# Not from the environment: a cluster's modules may well set GLEE_VERSION.
@click.version_option(__version__, prog_name="glee", allow_from_autoenv=False)
@click.option("-v", "--verbose", is_flag=True, help="Write more notes on what is done.")
@click.option("-q", "--quiet", is_flag=True, help="Write no progress bars and no notes.")
# `_fail` looks for it among the words: an error may come before the options are parsed.
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of notes and errors on stderr.",
)
@click.option(
    "--config",
    type=FILE,
    is_eager=True,
    callback=read_settings,
    help="File of the commands' options. [default: ./glee.toml]",
)
@click.pass_context
def commands(
    context: click.Context,
    /,
    verbose: bool,
    quiet: bool,
    log_format: str,
    config: Path | None,
) -> None:
    """From videos of faces to Action Units, every step checkable.

    \b
    analyze     any video to landmarks, pose and blendshapes, without training
    preprocess  find landmarks, align faces, pack shards
    fit3d       fit a 3D morphable model: expression coefficients without identity
    train       GLEE-Net, subject-exclusive folds; then evaluate and predict
    demo        all of it on built-in data, with a report
    doctor      what this machine has, and what it lacks
    """
    if verbose and quiet:
        raise UsageError("--verbose and --quiet exclude each other; give one of them")
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO
    _start_log(level, as_json=log_format == "json")
    set_defaults(context)
    context.obj = {"progress": not quiet and log_format == "text"}


def _start_log(level: int, *, as_json: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else PlainLines("%(message)s"))
    logging.basicConfig(handlers=[handler], force=True)
    logging.getLogger("glee").setLevel(level)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors go to stderr, one line each."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = commands.main(words, prog_name="glee", standalone_mode=False)
        sys.stdout.flush()  # where that fails, Python would tell it at the end, and not fail
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return UsageError.exit_code
    except click.UsageError as error:
        return _fail(words, error, _usage_line(error), UsageError.exit_code)
    except click.ClickException as error:
        return _fail(words, error, error.format_message(), UsageError.exit_code)
    except GleeError as error:
        return _fail(words, error, str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort) as error:
        # click makes an Abort of what it interrupts; what stays is said in the first error.
        text = visible(str(error.__cause__ or error)) or "run the same command again to finish"
        click.echo(f"glee: interrupted; {text}", err=True)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except UnicodeEncodeError as error:
        text = f"a name is not UTF-8: {ascii(error.object)}; rename the file or folder"
        return _fail(words, error, text, 1)
    except Exception as error:  # the last edge: a bug must not look like success
        if isinstance(error, OSError) and error.errno in _REFUSALS:
            return _fail(words, error, _refusal(error), 1)
        text = f"{unexpected(error)}; --debug shows more, please report it"
        return _fail(words, error, text, 1)


# Letters of a path in an error.
_LONGEST_PLACE = 400
# What a system answers that no program can help, and what its user can do.
_REFUSALS = {
    errno.ENAMETOOLONG: "give a shorter path",
    errno.ENOSPC: "free space there",
    errno.EDQUOT: "your quota is used up: free space there",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "ask for the right to use it, or choose another place",
    errno.EPERM: "ask for the right to use it, or choose another place",
    errno.EIO: "look at the disk or the network file system",
    errno.ESTALE: "look at the network file system, then run again",
    errno.ELOOP: "its links lead in a circle",
    errno.EMFILE: "allow more open files with `ulimit -n`",
    errno.ENFILE: "close other programs: the system has no more open files",
}


def _refusal(error: OSError) -> str:
    place = "the output" if error.filename is None else str(error.filename)
    if len(place) > _LONGEST_PLACE:
        place = f"{place[: _LONGEST_PLACE // 2]}...{place[-_LONGEST_PLACE // 2 :]}"
    return f"{place}: {error.strerror}; {_REFUSALS[error.errno or 0]}"


def _usage_line(error: click.UsageError) -> str:
    """click's message, with the variable that a wrong value came from, or the way to the help."""
    text, context = error.format_message().rstrip("."), error.ctx
    if context is None:
        return text
    option = error.param if isinstance(error, click.BadParameter) else None
    lacks = error.param if isinstance(error, click.MissingParameter) else None
    if isinstance(lacks, click.Argument) and context.info_name == "predict":
        example = "glee predict RUN talk.mp4 -o talk.csv"
        text = f"{text}; give a trained run and then what to predict: {example}"
    wrong = re.match(r"'(.*)' is not one of", error.message)
    if wrong and option is not None and isinstance(option.type, click.Choice):
        near = did_you_mean(wrong[1], map(str, option.type.choices))
        text += f"; {near.rstrip()}" if near else ""
    source = context.get_parameter_source(str(option.name)) if option is not None else None
    if option is not None and source is ParameterSource.ENVIRONMENT:
        return f"${variable_of(context, option)}: {text}; mend it there"
    return f"{text}; see `{context.command_path} --help`"


def _fail(words: Sequence[str], error: BaseException, text: str, code: int) -> int:
    line = visible(" ".join(text.split()))
    log = logging.getLogger(__name__)
    if any(isinstance(h.formatter, JsonLines) for h in logging.getLogger().handlers):
        log.error(line, exc_info=error if "--debug" in words else None)
        return code
    if "--debug" in words:
        log.error("", exc_info=error)
    click.echo(f"glee: error: {line}", err=True)
    return code


def main() -> None:
    """Entry point of the `glee` command."""
    sys.exit(run())


class PlainLines(logging.Formatter):
    """Messages of one line each, in which nothing that a terminal would obey is left."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        """The message's lines; a traceback comes after them."""
        return "\n".join(map(visible, super().formatMessage(record).split("\n")))


class JsonLines(logging.Formatter):
    """Objects with time, level, logger and message; an error with its traceback too."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        seconds = time.gmtime(record.created)
        content = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', seconds)}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=False)


if __name__ == "__main__":
    main()
