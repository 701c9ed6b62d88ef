"""The errors that glee reports to its users; each message is one line: what, where, what to do."""

from __future__ import annotations

import difflib
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


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that a mistyped one was probably meant to be; capitals make no difference.

    Parameters
    ----------
    name : str
        As it was given.
    known : iterable of str
        What there is.
    cutoff : float
        How alike the two must be, 0 to 1.

    Returns
    -------
    str or None
        None where none is near.
    """
    by_small = {one.lower(): one for one in sorted(known, reverse=True)}
    close = difflib.get_close_matches(name.lower(), by_small, n=1, cutoff=cutoff)
    return by_small[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """`nearest` as words of a message, before those that follow.

    Parameters
    ----------
    name, known, cutoff
        As in `nearest`.

    Returns
    -------
    str
        "did you mean X? ", or "" where none is near.
    """
    close = nearest(name, known, cutoff)
    return "" if close is None else f"did you mean {close}? "


def near_path(path: Path) -> str:
    """What a path that is not there was probably meant to be, by the names beside it.

    Parameters
    ----------
    path : Path
        As it was given.

    Returns
    -------
    str
        "did you mean FOLDER/NAME? ", or "" where nothing is near.
    """
    try:
        beside = [found.name for found in path.parent.iterdir() if not found.name.startswith(".")]
    except OSError:
        return ""
    close = nearest(path.name, beside)
    return "" if close is None else f"did you mean {path.parent / close}? "


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
