"""Which file of a folder of downloaded images each URL is: by a table, or by the file's name."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from ...errors import DataError
from .entries import cannot_be_read
from .label_rows import table_lines

MAXIMUM_TABLE_BYTES = 1 << 30
_DIGESTS = ("sha256", "sha1", "md5")


def files_of_urls(urls: Iterable[str], folder: Path, table: Path | None) -> dict[str, str]:
    """Find the file of each URL that has one.

    Parameters
    ----------
    urls : of the photographs
    folder : the downloaded images, in subfolders if you like; empty files do not count
    table : a CSV of rows `url,file` or a JSON object, files below the folder; None goes by the
        file's name: the last part of the URL where no other URL ends so, or the SHA-256, SHA-1 or
        MD5 of the URL with any suffix

    Returns
    -------
    dict
        URL -> path below the folder, with forward slashes

    Raises
    ------
    DataError
        the folder or the table cannot be read, or a file of the table is not below the folder
    """
    there = _files_below(folder)
    if table is not None:
        known = read_url_table(table)
        found = {url: known[url] for url in urls if url in known}
        return {url: file for url, file in found.items() if _is_whole(folder, file, there)}
    by_name = _only_ones((PurePosixPath(file).name, file) for file in sorted(there))
    by_stem = _only_ones((PurePosixPath(file).stem, file) for file in sorted(there))
    ends = {url: _last_part(url) for url in urls}
    shared = Counter(ends.values())
    found = {}
    for url, end in ends.items():
        file = by_name.get(end) if shared[end] == 1 else None
        for digest in _DIGESTS if file is None else ():
            name = hashlib.new(digest, url.encode(), usedforsecurity=False).hexdigest()
            file = by_stem.get(name)
            if file is not None:
                break
        if file is not None and _is_whole(folder, file, there):
            found[url] = file
    return found


def read_url_table(path: Path) -> dict[str, str]:
    """Read a table of URLs and files.

    Parameters
    ----------
    path : a `.json` object, or a CSV with rows `url,file`

    Returns
    -------
    dict
        URL -> file

    Raises
    ------
    DataError
        it cannot be read, or a file is absolute or leads out of the folder
    """
    try:
        if path.stat().st_size > MAXIMUM_TABLE_BYTES:
            raise DataError(f"{path}: too large for a table of URLs; give `url,file` rows")
    except OSError as error:
        raise DataError(
            f"{path}: table of URLs cannot be read ({error.strerror}); give another"
        ) from None
    pairs = _json_pairs(path) if path.suffix.lower() == ".json" else _csv_pairs(path)
    for url, file in pairs.items():
        parts = PurePosixPath(file.replace("\\", "/"))
        if not file or "\0" in file or parts.is_absolute() or ".." in parts.parts or ":" in file:
            raise DataError(
                f"{path}: file {file[:60]!r} of {url[:60]} is not a path below the image folder; "
                "give relative paths"
            )
    return {url: PurePosixPath(file.replace("\\", "/")).as_posix() for url, file in pairs.items()}


def _json_pairs(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: is no JSON ({reason}); give an object, URL to file") from None
    if not isinstance(content, dict) or not all(isinstance(v, str) for v in content.values()):
        raise DataError(f"{path}: is no JSON object of URL to file; give one")
    return content


def _csv_pairs(path: Path) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for number, line in enumerate(table_lines(path), start=1):
        if not line.strip():
            continue
        url, comma, file = line.rpartition("\t" if "\t" in line else ",")
        url, file = url.strip().strip('"'), file.strip().strip('"')
        if number == 1 and "://" not in url:
            continue
        if not comma or "://" not in url:
            raise DataError(f"{path}, line {number}: {line[:60]!r} is not `url,file`; mend it")
        pairs[url] = file
    return pairs


def _files_below(folder: Path) -> set[str]:
    """Paths of all files below a folder, relative, with forward slashes; hidden ones left out.

    Linked folders are followed, each folder once.
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder of downloaded images; give it by the option images"
        )
    found: set[str] = set()
    seen: set[tuple[int, int]] = set()
    for at, children, names in os.walk(folder, followlinks=True, onerror=_refuse):
        status = Path(at).stat()
        if (status.st_dev, status.st_ino) in seen:
            children.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        children[:] = sorted(child for child in children if not child.startswith("."))
        below = Path(at).relative_to(folder)
        found.update((below / name).as_posix() for name in names if not name.startswith("."))
    return found


def _refuse(error: OSError) -> None:
    raise cannot_be_read(error.filename, error)


def _is_whole(folder: Path, file: str, there: set[str]) -> bool:
    try:
        return file in there and (folder / file).stat().st_size > 0
    except OSError:
        return False


def _only_ones(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Key -> value of the keys that come once."""
    found: dict[str, str] = {}
    twice = set()
    for key, value in pairs:
        if key in found:
            twice.add(key)
        found[key] = value
    return {key: value for key, value in found.items() if key not in twice}


def _last_part(url: str) -> str:
    try:
        return PurePosixPath(urlsplit(url).path).name
    except ValueError:
        return ""
