"""NAME.analysis.json, written last of a clip's files: of what, how and with what result they are.

By it an analysis that is started again keeps what is whole, and refuses to replace what is not
glee's. While a clip is at work `.NAME.analysis.started` says that the files
with its names are glee's, whole or not.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .... import __version__
from ....errors import UsageError
from ....whole_files import write_whole
from ...clips import Clip
from ...datasets.entries import cannot_be_read
from ...options import AnalyzeOptions
from ..inputs import BEGINNINGS, FILE_A_FACE, TABLE_SUFFIXES, AnalysisPlan, Source
from .outcome import ClipAnalysis

logger = logging.getLogger(__name__)

# Bytes of a video that are hashed, and of each of several images.
HEAD, HEAD_OF_IMAGE = 1 << 20, 64 << 10
# A record is small; what is larger is no record.
_MOST = 64 << 20
_RECORD = ".analysis.json"
# What shapes the tables beside source and options.
_MADE = ("glee", "detector", "model", "run")


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
        Paths as text; without `overwrite`, which shapes no table.
    """
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(options).items()
        if name != "overwrite"
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
    UsageError
        Where the file is something else.
    """
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MOST))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), dict) for key in ("source", "options", "files")
    ):
        raise UsageError(f"{path}: is no record of glee analyze; move it away, or --overwrite")
    return content


def source_of_table(table: Path) -> Path | None:
    """Tell which video or folder a table was made of, by the record beside it.

    Parameters
    ----------
    table : Path
        As `glee analyze` wrote it.

    Returns
    -------
    Path or None
        None where no record beside it names the table, or none can be read. It need not be there.
    """
    source = (_record_of(table) or {"source": {}})["source"].get("path")
    return Path(source) if isinstance(source, str) and source else None


def _record_of(file: Path) -> dict[str, Any] | None:
    """The record, beside a file, that names it among those that its analysis wrote."""
    for path in sorted(file.absolute().parent.glob(f"*{_RECORD}")):
        if not file.name.startswith(path.name.removesuffix(_RECORD).split(".")[0]):
            continue
        with suppress(UsageError):
            record = read_record(path)
            if record is not None and file.name in record["files"]:
                return record
    return None


def refuse_foreign_files(
    plans: Sequence[AnalysisPlan], sources: Sequence[Source], out: Path, options: AnalyzeOptions
) -> None:
    """Refuse to replace what is not glee's, unless the options say so.

    Parameters
    ----------
    plans, sources : sequence
        What will be written, of which clips.
    out : Path
        Folder of the tables.
    options : AnalyzeOptions
        Of the analysis.

    Raises
    ------
    UsageError
        Where a file that would be replaced is no table of this form and no record names it, or is
        the analysis of another input.
    """
    if options.overwrite:
        return
    for plan, source in zip(plans, sources, strict=True):
        record, mark = _record_paths(out, source.name, options.format)
        found = read_record(record) or {"files": {}}
        known = found["files"]
        there = _files_there(plan.written, out, source.name, options)
        if there and not mark.exists() and (other := _other_input(found, source)):
            raise UsageError(
                f"{there[0]}: is the analysis of {other}, and would be replaced by that of "
                f"{source.clip.source}; give another --out, or --overwrite"
            )
        for path in [] if mark.exists() else there:
            begins = BEGINNINGS[options.format].get(path.suffix)
            if not (_begins(path, begins) if begins else path.name in known):
                raise UsageError(
                    f"{path}: {_not_of_this_format(path, options.format)}, and would be replaced; "
                    "give another --out, or --overwrite"
                )


def _not_of_this_format(path: Path, form: str) -> str:
    record = _record_of(path)
    if record is None:
        return f"was not written by glee analyze --format {form}"
    return f"is the overlay of glee analyze --format {record['options'].get('format', '')}"


def _other_input(found: Mapping[str, Any], source: Source) -> str:
    """The path of another input that a record is of; "" for the same, also where it was moved."""
    then = found.get("source", {})
    now = describe_source(source.clip)
    moved = all(then.get(key) == now[key] for key in ("bytes", "sha256_of_head"))
    path = str(then.get("path", ""))
    return "" if moved or path in ("", now["path"]) else path


def _begins(path: Path, begin: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(begin)) == begin
    except OSError as error:
        raise cannot_be_read(path, error) from None


def _record_paths(out: Path, name: str, form: str) -> tuple[Path, Path]:
    """Record and mark. glee's own table has NAME.analysis.json; another form's stands beside it."""
    of_form = "" if form == "glee" else f".{form}"
    return out / f"{name}{of_form}{_RECORD}", out / f".{name}{of_form}.analysis.started"


def _files_there(
    planned: Iterable[Path], out: Path, name: str, options: AnalyzeOptions
) -> list[Path]:
    """Files in the place of those that would be written."""
    found = {path for path in planned if path.exists()}
    if options.format in FILE_A_FACE and options.faces > 1 and out.is_dir():
        tails = TABLE_SUFFIXES[options.format]
        for path in out.iterdir():
            tail = path.name.removeprefix(f"{name}_face")
            if tail != path.name and tail.lstrip("0123456789") in tails:
                found.add(path)
    return sorted(found)


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
        self.path, self._mark = _record_paths(out, source.name, options.format)
        self._out, self._source, self._options = out, source, options
        self._planned = tuple(planned)
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
        """
        if self._mark.exists() or (found := read_record(self.path)) is None:
            return None
        if differs := self._difference(found):
            logger.info("%s: made anew, %s", self._source.name, differs)
            return None
        return found

    def _difference(self, found: Mapping[str, Any]) -> str:
        """What differs between what is there and what is wanted, or ""."""
        for name, size in found["files"].items():
            path = self._out / name
            if not path.is_file() or path.stat().st_size != size:
                return f"{name} is not as it was written"
        then, now = found["source"], self.wanted["source"]
        if any(then.get(key) != now[key] for key in ("bytes", "modified", "sha256_of_head")):
            return f"{now['path']} is not as it was"
        options = [
            f"{name} {found['options'].get(name)} then, {now} now"
            for name, now in self.wanted["options"].items()
            if found["options"].get(name) != now
        ]
        if options:
            return f"made with other options ({', '.join(options)})"
        return next(
            (f"another {what}" for what in _MADE if found.get(what) != self.wanted[what]), ""
        )

    def begin(self) -> None:
        """Say that the clip is at work, before any of its files takes its name.

        Raises
        ------
        OutputError
            Where that cannot be written.
        """
        self._before, self._marked = self._stamps(), self._mark.exists()
        write_whole(self._mark, json.dumps(self.wanted).encode())

    def finish(self, done: ClipAnalysis, fps: float, size: tuple[int, int]) -> None:
        """Write the record, and remove files that a former analysis had and this one has not.

        Parameters
        ----------
        done : ClipAnalysis
            What became of the clip.
        fps : float
            Frames a second.
        size : (int, int)
            Width and height, in pixels.

        Raises
        ------
        OutputError
            Where it cannot be written.
        """
        files = {path.name: path.stat().st_size for path in done.paths}
        former = set()
        with suppress(UsageError):
            former = set((read_record(self.path) or {"files": {}})["files"])
        content = {
            **self.wanted,
            "frames": done.frames,
            "faces": done.faces,
            "fps": fps,
            "size": list(size),
            "reasons": dict(done.reasons),
            "described": done.source,
            "action_units": done.action_units,
            "remarks": list(done.remarks),
            "files": files,
        }
        write_whole(self.path, json.dumps(content, indent=1).encode())
        for path in self._there():
            if path.name in former - set(files):
                path.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)

    def give_up(self) -> None:
        """Take back `begin`, unless a file took its name since, or in a run before."""
        if self._stamps() == self._before and not self._marked:
            with suppress(OSError):
                self._mark.unlink(missing_ok=True)

    def _stamps(self) -> list[tuple[str, int, int]]:
        return [(p.name, (s := p.stat()).st_mtime_ns, s.st_ino) for p in self._there()]

    def _there(self) -> list[Path]:
        return _files_there(self._planned, self._out, self._source.name, self._options)
