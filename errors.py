"""The errors that glee reports to its users; each message is one line: what, where, what to do."""

from __future__ import annotations

import shlex
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
