"""The errors that glee reports to its users; each message is one line: what, where, what to do."""

from __future__ import annotations

import shlex
import traceback
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path


class GleeError(Exception):
    """Base of all errors that a user can mend; the command line prints it in one line.

    Attributes
    ----------
    exit_code : int, of the command line
    """

    exit_code = 1


class UsageError(GleeError):
    """A command or function was called with arguments that make no sense together."""

    exit_code = 2


class DataError(GleeError):
    """A video, image, label file or model file cannot be used."""


class ShardError(GleeError):
    """A shard is cut, of another format version, or lacks what is asked of it."""


class OptionsError(GleeError):
    """A work folder was made with other options."""


class WeightsError(GleeError):
    """A weights file of a detector or network is missing or does not fit."""


class OutputError(GleeError):
    """An output cannot be written."""


class ClusterError(GleeError):
    """Workers, jobs or a scheduler cannot be had, are lost, or do not fit this glee."""


def in_shell(path: Path | str) -> str:
    """A path as a shell takes it, blanks and all, for commands that messages name.

    Parameters
    ----------
    path : any path

    Returns
    -------
    str
        quoted where need be
    """
    return shlex.quote(str(path))


def require_extra(extra: str, modules: Iterable[str], what: str) -> None:
    """Refuse in one line what needs packages of an extra that is not installed.

    Parameters
    ----------
    extra : str
        Of pyproject.toml, such as "figures".
    modules : iterable of str
        Its packages, as they are imported; none is imported here.
    what : str
        That needs them, as the message begins: "glee experiment".

    Raises
    ------
    UsageError
        Where one is missing.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{what} needs {' and '.join(missing)}: pip install '.[{extra}]' in glee's checkout"
        )


def unexpected(error: BaseException) -> str:
    """Say in one line what an error is that nobody has foreseen, and where it arose.

    Parameters
    ----------
    error : BaseException
        With its traceback.

    Returns
    -------
    str
        Its type, its text, and the innermost place in glee's own code, or else the innermost one.
    """
    package = Path(__file__).resolve().parent
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        own = path.is_relative_to(package)
        if own or not place:
            name = path.relative_to(package) if own else path.name
            place = f", at {name}:{frame.lineno}"
    text = " ".join(str(error).split())
    return f"unexpected {type(error).__name__}{': ' if text else ''}{text}{place}"


def visible(text: str) -> str:
    """Text that may be a stranger's, such as a file's name or content, safe to show on a terminal.

    Parameters
    ----------
    text : str
        Of one line.

    Returns
    -------
    str
        With an escape in the place of each character that a terminal would obey instead of
        showing, or that no stream can write.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )
