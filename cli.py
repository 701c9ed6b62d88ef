"""The `glee` command: each subcommand parses and calls one function of the library.

The `glee` command: each subcommand parses its arguments and calls one function of the library.

Nothing heavy is imported before a command runs, so that `glee --help` answers at once.

A click group whose commands are imported when they are asked for.

Log lines as JSON, one object a line, for programs that collect them.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from . import __version__
from .commands.options import FILE
from .commands.settings import settled_options
from .errors import GleeError, UsageError


class LazyGroup(click.Group):
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
    cls=LazyGroup, names=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="glee")
@click.option("-v", "--verbose", is_flag=True, help="Say more of what is done.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bars and no notes.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Notes and errors on stderr.",
)
@click.option("--config", type=FILE, help="Options of the commands. [default: ./glee.toml]")
@click.pass_context
def commands(context: click.Context, /, config: Path | None, **given: Any) -> None:
    """From videos of faces to Action Units, every step checkable.

    \b
    analyze     any video to landmarks, pose and blendshapes, without training
    preprocess  find landmarks, align faces, pack shards
    fit3d       fit a 3D morphable model: expression coefficients without identity
    train       GLEE-Net, subject-exclusive folds; then evaluate and predict
    demo        all of it on built-in data, with a report
    doctor      what this machine has, and what it lacks
    """
    options = settled_options(context, config, given)
    if options["verbose"] and options["quiet"]:
        raise UsageError("--verbose and --quiet exclude each other; give one of them")
    _start_log(options)
    context.obj = {
        "progress": not options["quiet"] and options["log_format"] == "text",
        "debug": options["debug"],
        "config": config,
    }


def _start_log(options: Mapping[str, Any]) -> None:
    level = logging.INFO
    if options["verbose"] or options["quiet"]:
        level = logging.DEBUG if options["verbose"] else logging.ERROR
    as_json = options["log_format"] == "json"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else logging.Formatter("%(message)s"))
    logging.basicConfig(handlers=[handler], force=True)
    logging.getLogger("glee").setLevel(level)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors go to stderr, one line each."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = commands.main(words, prog_name="glee", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return UsageError.exit_code
    except click.UsageError as error:
        hint = f"; see `{error.ctx.command_path} --help`" if error.ctx is not None else ""
        return _fail(words, error, error.format_message().rstrip(".") + hint, UsageError.exit_code)
    except click.ClickException as error:
        return _fail(words, error, error.format_message(), UsageError.exit_code)
    except GleeError as error:
        return _fail(words, error, str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("glee: interrupted; run the same command again to finish", err=True)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except UnicodeEncodeError as error:
        text = f"a name is not UTF-8: {ascii(error.object)}; rename the file or folder"
        return _fail(words, error, text, 1)
    except Exception as error:  # the last edge: a bug must not look like success
        text = f"unexpected {type(error).__name__}: {error}; --debug shows where, please report it"
        return _fail(words, error, text, 1)


def _fail(words: Sequence[str], error: BaseException, text: str, code: int) -> int:
    # Names of files may hold what no stream can write.
    line = " ".join(text.split()).encode("utf-8", "backslashreplace").decode("utf-8")
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


if __name__ == "__main__":
    main()


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
