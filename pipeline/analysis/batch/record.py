"""NAME.analysis.json, written last of a clip's files: of what, how and with what result they are.

By it an analysis that is started again keeps what is whole, and refuses to replace what was made
otherwise or by somebody else. While a clip is at work `.NAME.analysis.started` says that the files
with its names are glee's, whole or not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .... import __version__
from ....errors import OptionsError
from ....whole_files import write_whole
from ...clips import Clip
from ...images.frames import index_frames
from ...options import AnalyzeOptions
from ..inputs import FILE_A_FACE, TABLE_SUFFIXES, Source

# Bytes of a video that are hashed, and of each of several images.
HEAD, HEAD_OF_IMAGE = 1 << 20, 64 << 10
# A record is small; what is larger is no record.
_MOST = 1 << 20
# What says what a clip's files are of and how they were made, under names for people.
_MADE = {"detector": "the detector", "model": "the morphable model", "run": "the trained run"}


def describe_source(clip: Clip) -> dict[str, Any]:
    """Describe a clip's files so that they are known again.

    Parameters
    ----------
    clip : Clip
        A video or images.

    Returns
    -------
    dict
        path; bytes in all; modified, the latest of their times; sha256_of_head, of a video's first
        MiB, or of names, sizes and heads of images.
    """
    paths = [clip.source / image for image in clip.images] or [clip.source]
    digest, total, latest = hashlib.sha256(), 0, 0.0
    for path in paths:
        with suppress(OSError):  # an image that cannot be read is one that cannot be analysed
            status = path.stat()
            total, latest = total + status.st_size, max(latest, status.st_mtime)
            if len(paths) > 1:
                digest.update(f"{path.name} {status.st_size}\n".encode(errors="surrogateescape"))
            with path.open("rb") as file:
                digest.update(file.read(HEAD if len(paths) == 1 else HEAD_OF_IMAGE))
    return {
        "path": str(paths[0] if len(paths) == 1 else clip.source),
        "bytes": total,
        "modified": latest,
        "sha256_of_head": digest.hexdigest(),
    }


def plain_options(options: AnalyzeOptions) -> dict[str, Any]:
    """Give options as JSON has them.

    Parameters
    ----------
    options : AnalyzeOptions
        Of an analysis.

    Returns
    -------
    dict
        Paths as text.
    """
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(options).items()
    }


def read_record(path: Path) -> dict[str, Any] | None:
    """Read a clip's record.

    Parameters
    ----------
    path : Path
        NAME.analysis.json.

    Returns
    -------
    dict or None
        None where there is none.

    Raises
    ------
    OptionsError
        Where the file is something else.
    """
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MOST))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), dict) for key in ("source", "options", "files")
    ):
        raise OptionsError(f"{path}: is no record of glee analyze; move it away, or --overwrite")
    return content


class AnalysisRecord:
    """The record of one clip's analysis in one format.

    Parameters
    ----------
    out : Path
        Folder of the tables.
    source : Source
        The clip.
    options : AnalyzeOptions
        What shapes the analysis.
    made : mapping
        detector, model and run: what else shapes it, as text.
    planned : iterable of Path
        The files that will be written, of several faces those of the first two.
    """

    def __init__(
        self,
        out: Path,
        source: Source,
        options: AnalyzeOptions,
        made: Mapping[str, str],
        planned: Iterable[Path],
    ) -> None:
        # glee's own table has NAME.analysis.json; another format's stands beside it.
        of_format = "" if options.format == "glee" else f".{options.format}"
        self.path = out / f"{source.name}{of_format}.analysis.json"
        self._mark = out / f".{source.name}{of_format}.analysis.started"
        self._out, self._source, self._format = out, source, options.format
        self._planned = tuple(planned)
        self._several = options.format in FILE_A_FACE and options.faces > 1
        self.wanted: dict[str, Any] = {
            "glee": __version__,
            "name": source.name,
            "source": describe_source(source.clip),
            "options": plain_options(options),
            **made,
        }

    def kept(self) -> dict[str, Any] | None:
        """Give the record of files that are whole and as they would be made now.

        Returns
        -------
        dict or None
            None where the clip is to be analysed.

        Raises
        ------
        OptionsError
            Where files are there that are not to be replaced; says what differs.
        """
        if self._mark.exists():
            return None
        found = read_record(self.path)
        files = {} if found is None else found["files"]
        for path in self._there():
            if path.name not in files:
                raise OptionsError(
                    f"{path}: is there already, and no record of glee analyze names it; move it "
                    "away, give another --out, or --overwrite"
                )
            if path.stat().st_size != files[path.name]:
                raise OptionsError(
                    f"{path}: was changed since glee analyze wrote it; move it away, or --overwrite"
                )
        if found is None:
            return None
        if differs := self._difference(found):
            raise OptionsError(f"{self.path}: {differs}; give another --out, or --overwrite")
        return found if all((self._out / name).is_file() for name in map(str, files)) else None

    def _there(self) -> list[Path]:
        """Files in the place of those that would be written."""
        found = {path for path in self._planned if path.exists()}
        if self._several and self._out.is_dir():
            tails = TABLE_SUFFIXES[self._format]
            for path in self._out.iterdir():
                tail = path.name.removeprefix(f"{self._source.name}_face")
                if tail != path.name and tail.lstrip("0123456789") in tails:
                    found.add(path)
        return sorted(found)

    def _difference(self, found: Mapping[str, Any]) -> str:
        """What differs between a record and what is wanted, or ""."""
        then, now = found["options"], self.wanted["options"]
        options = [
            f"{name} {then.get(name)} then, {now.get(name)} now"
            for name in sorted({*then, *now})
            if then.get(name) != now.get(name)
        ]
        if options:
            return f"was made with other options ({', '.join(options)})"
        if found.get("name") != self.wanted["name"]:
            return f"is of another clip, {found.get('name')}"
        if self._other_source(found["source"]):
            return f"was made from another {self.wanted['source']['path']} than is there now"
        for key, name in _MADE.items():
            if found.get(key) != self.wanted[key]:
                return f"was made with another {name.removeprefix('the ')}"
        return ""

    def _other_source(self, then: Mapping[str, Any]) -> bool:
        now = self.wanted["source"]
        if any(then.get(key) != now[key] for key in ("bytes", "sha256_of_head")):
            return True
        if then.get("modified") == now["modified"]:
            return False
        # Copied, or replaced by something that begins alike: all of it decides.
        return then.get("sha256") != index_frames(self._source.clip).source_hash

    def begin(self) -> None:
        """Say that the clip is at work, before any of its files takes its name.

        Raises
        ------
        OutputError
            Where that cannot be written.
        """
        self._before = self._stamps()
        write_whole(self._mark, json.dumps(self.wanted).encode())

    def finish(self, paths: Iterable[Path], result: Mapping[str, Any]) -> None:
        """Write the record, and remove files that a former analysis had and this one has not.

        Parameters
        ----------
        paths : iterable of Path
            The files that were written.
        result : mapping
            What is told beside them.

        Raises
        ------
        OutputError
            Where it cannot be written.
        """
        files = {path.name: path.stat().st_size for path in paths}
        former = set()
        with suppress(OptionsError):
            former = set((read_record(self.path) or {"files": {}})["files"])
        content = {**self.wanted, **result, "files": files}
        write_whole(self.path, json.dumps(content, indent=1).encode())
        for path in self._there():
            if path.name in former - set(files):
                path.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)

    def give_up(self) -> None:
        """Take back `begin`, unless a file took its name since."""
        if self._stamps() == self._before:
            with suppress(OSError):
                self._mark.unlink(missing_ok=True)

    def _stamps(self) -> list[tuple[str, int, int]]:
        return [(p.name, (s := p.stat()).st_mtime_ns, s.st_ino) for p in self._there()]
