"""Files and folders of a dataset by their names: as distributed, nearly so, or not at all.

Copies of datasets lose the names' capitals, or leading zeros in numbers. Such an entry is the one
that is meant. What differs by more is not read, but the message names it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from pathlib import Path

from ...errors import DataError

# Letters that two names must share at least to be taken for the same word, spelt otherwise.
_LEAST_ALIKE = 0.6
_MOST_SHOWN = 8


class Entries:
    """Folders, each listed once when a name in it is not found as it should be."""

    def __init__(self) -> None:
        self._names: dict[Path, list[str]] = {}
        self._alike: dict[Path, dict[str, list[str]]] = {}

    def names(self, folder: Path) -> list[str]:
        """Give the names in a folder.

        Parameters
        ----------
        folder : Path
            It need not exist.

        Returns
        -------
        list of str
            Sorted, hidden ones left out; none where there is no such folder.

        Raises
        ------
        DataError
            Where it cannot be read.
        """
        if folder not in self._names:
            self._names[folder] = _listed(folder)
        return self._names[folder]

    def find(self, folder: Path, *parts: str) -> Path:
        """Find an entry by its path, whatever its capitals and leading zeros.

        Parameters
        ----------
        folder : Path
            Where to begin.
        parts : str
            Names as distributed, from there down.

        Returns
        -------
        Path
            As it is called on disk; as distributed where there is no such entry.

        Raises
        ------
        DataError
            Where two entries could be meant and none is called as distributed.
        """
        for part in parts:
            folder = self._find(folder, part)
        return folder

    def _find(self, folder: Path, name: str) -> Path:
        path = folder / name
        try:
            if path.exists():
                return path
        except OSError as error:
            raise cannot_be_read(path, error) from None
        if folder not in self._alike:
            groups = self._alike.setdefault(folder, {})
            for other in self.names(folder):
                groups.setdefault(plain_name(other), []).append(other)
        alike = self._alike[folder].get(plain_name(name), [])
        if len(alike) > 1:
            found = " and ".join(alike)
            raise DataError(f"{folder}: {found} could both be {name}; remove or rename one")
        return folder / alike[0] if alike else path


def absolute(path: Path) -> Path:
    """Make a path absolute, by the names that the user gave: no link is replaced by its target.

    Parameters
    ----------
    path : Path
        Of a file or folder.

    Returns
    -------
    Path
        Without `..`, which behind a link is the parent of the target, not of the link.
    """
    return path.resolve() if ".." in path.parts else path.absolute()


def plain_name(name: str) -> str:
    """Reduce a name to what tells entries apart: no capitals, no leading zeros in numbers.

    Parameters
    ----------
    name : str
        Of a file or folder.

    Returns
    -------
    str
        To compare with others.
    """
    return re.sub(r"\d+", lambda digits: digits[0].lstrip("0") or "0", name.casefold())


def near_miss(path: Path) -> str:
    """Say which entry is probably the one that is missing.

    Parameters
    ----------
    path : Path
        What is not there: a file or folder, or one above it.

    Returns
    -------
    str
        "found X, expected Y", "" where nothing is like it.
    """
    at = path
    while not _is_folder(at.parent) and at.parent != at.parent.parent:
        at = at.parent
    try:
        names = _listed(at.parent)
    except DataError:
        return ""
    alike = [(score, name) for name in names if (score := _likeness(name, at.name)) > 0]
    if not alike or at.name in names:
        return ""
    found = max(alike, key=lambda scored: scored[0])[1]
    return f"found {at.parent / found}, expected {at.name}"


def misplaced(root: Path, expected: Iterable[str]) -> str:
    """Say where the folders of a dataset lie, when the root is one folder too high or too low.

    Parameters
    ----------
    root : Path
        As it was given.
    expected : iterable of str
        Paths that should be below it.

    Returns
    -------
    str
        "found X, expected Y", with what to give instead; "" where they are not found.
    """
    wanted = tuple(expected)
    for below in wanted:
        for inside in (root / name for name in _listed(root)):
            if _is_folder(inside / below):
                return f"found {inside / below}, expected {root / below}: give {inside}"
        for above in root.parents[:2]:
            if _is_folder(above / below) and root.is_relative_to(above / below):
                return f"found {above / below}, expected {root / below}: give {above}"
    return next((near for below in wanted if (near := near_miss(root / below))), "")


def held(root: Path) -> str:
    """Say what lies in a folder in which nothing is as expected.

    Parameters
    ----------
    root : Path
        The folder.

    Returns
    -------
    str
        "it holds X, Y"; "it is empty" where it holds nothing.
    """
    names = _listed(root)
    shown = ", ".join(names[:_MOST_SHOWN]) + (" ..." if len(names) > _MOST_SHOWN else "")
    return f"it holds {shown}" if names else "it is empty"


def cannot_be_read(path: Path | str, error: OSError) -> DataError:
    """Make the error of a file or folder that the system refuses.

    Parameters
    ----------
    path : Path or str
        What is refused.
    error : OSError
        Why.

    Returns
    -------
    DataError
        To raise.
    """
    return DataError(
        f"{path}: cannot be read ({error.strerror}); mend its permissions or get it again"
    )


def _listed(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise cannot_be_read(folder, error) from None
    return names


def _is_folder(path: Path) -> bool:
    """Whether it is one that can be seen; a hint must not fail."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _likeness(found: str, expected: str) -> float:
    """From 0, another thing, to 1; names with other numbers are other things."""
    (stem, suffix), (expected_stem, expected_suffix) = map(os.path.splitext, (found, expected))
    numbers, wanted = _numbers(stem), _numbers(expected_stem)
    if numbers != wanted and (not numbers or numbers != wanted[-len(numbers) :]):
        return 0.0
    letters, wanted_letters = _letters(stem), _letters(expected_stem)
    alike = SequenceMatcher(None, letters, wanted_letters).ratio()
    begins = bool(letters) and bool(wanted_letters)
    begins &= letters.startswith(wanted_letters) or wanted_letters.startswith(letters)
    begins |= letters.endswith(wanted_letters) or wanted_letters.endswith(letters)
    if alike < _LEAST_ALIKE and not begins:
        return 0.0
    return alike + (suffix.casefold() == expected_suffix.casefold())


def _numbers(name: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", name, re.ASCII)]


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.casefold())
