"""What was found in a clip's frames so far, so that an analysis that was killed goes on.

Of all that an analysis does, finding faces and scoring them takes most of the time, and gives the
same answers to the same questions. The journal keeps these answers, in the order in which they were
asked for. An analysis that is started again is the same program from the first frame on: it reads
the frames, follows the faces and writes the rows as before, but takes the answers from the journal
until they end. So no state is carried over a boundary, and the result cannot depend on where the
analysis was stopped. Each answer carries a checksum of its question; one that does not fit shows
that the journal is of something else, and the clip is begun anew.

The file is a header and groups of whole frames, each with its length and checksum: numbers only,
nothing in it is executed, and a torn last group is as if it were not there.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ....whole_files import TEMPORARY_SUFFIX
from ...landmarks.detector import Box, Image, Landmarks, TurnedBox, angle_of
from ..face_fit import AUScorer, Identity
from ..gaze import IrisDetector

try:
    import fcntl
except ImportError:  # not on Windows, where two runs of one clip are the user's own affair
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

# Frames of a group: so many are found again at most after a kill.
GROUP_FRAMES = 128
_MAGIC = b"glee-analysis-journal 1\n"
_FRAME = struct.Struct("<QI")
_TYPES = ("float32", "float64", "bool")
# A group is some hundred kilobytes; what claims more is damaged.
_MOST = 256 << 20

Arrays = tuple[npt.NDArray[Any], ...]


class JournalMismatch(Exception):  # noqa: N818  no error: the clip is begun anew
    """The journal's next answer is to another question."""


class Journal:
    """Answers of one clip's analysis, kept beside its tables until these are whole.

    Parameters
    ----------
    path : Path
        The file; it is there only while a clip of more than a group of frames is at work, or was
        stopped.
    of : mapping
        What the analysis is of and how it is made; a journal of anything else is begun anew.
    """

    def __init__(self, path: Path, of: Mapping[str, Any]) -> None:
        self.path = path
        self._header = _MAGIC + json.dumps(of, sort_keys=True).encode() + b"\n"
        self._replayed: list[tuple[str, int, Arrays]] = []
        self._pending: list[tuple[str, int, Arrays]] = []
        self._frames = 0
        self._place = 0
        self._file = self._open(create=False)
        self._replaying = self._file is not None
        self._writes = True

    def _open(self, *, create: bool) -> BinaryIO | None:
        """The file, locked, behind its header; None where there is none or another run has it."""
        try:
            flags = os.O_RDWR | (os.O_CREAT | os.O_EXCL if create else 0)
            file = os.fdopen(os.open(self.path, flags, 0o666), "r+b")
        except OSError:
            return None
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if file.read(len(self._header)) != self._header:
                file.seek(0)
                file.truncate()
                file.write(self._header)
                file.flush()
            self._place = len(self._header)
        except OSError:
            file.close()
            return None
        return file

    def once(self, kind: str, question: int, answer: Callable[[], Arrays]) -> Arrays:
        """Give an answer: the one that was written down, else a new one.

        Parameters
        ----------
        kind : str
            What is asked.
        question : int
            Checksum of what it is asked about.
        answer : callable
            Finds it.

        Returns
        -------
        tuple of array
            The answer, to the last bit as it was found.

        Raises
        ------
        JournalMismatch
            Where what was written down answers another question.
        """
        if self._replaying and not self._replayed:
            self._replayed = self._read_group()
            self._replaying = bool(self._replayed)
        if self._replaying:
            known, about, found = self._replayed.pop(0)
            if (known, about) != (kind, question):
                raise JournalMismatch
            return found
        found = tuple(np.ascontiguousarray(one) for one in answer())
        if self._writes:
            self._pending.append((kind, question, found))
        return found

    def end_frame(self) -> None:
        """Say that a frame is done; groups end here."""
        self._frames += 1
        if not self._replaying and self._pending and self._frames >= GROUP_FRAMES:
            self._frames = 0
            self._write_group()

    def close(self, *, remove: bool) -> None:
        """Close the file.

        Parameters
        ----------
        remove : bool
            It is not needed any more.
        """
        if self._file is None:
            return
        if remove:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
        self._file.close()
        self._file = None

    def _write_group(self) -> None:
        if self._file is None:
            self._file = self._open(create=True)
        payload, self._pending = _packed(self._pending), []
        try:
            if self._file is None:
                raise OSError("another analysis of this clip has the journal")
            self._file.seek(self._place)
            self._file.truncate()
            self._file.write(_FRAME.pack(len(payload), zlib.crc32(payload)) + payload)
            self._file.flush()
            self._place = self._file.tell()
        except OSError as error:
            # The tables do without; a full disk is told where they are written.
            logger.debug("%s: no journal (%s)", self.path, error)
            self._writes = False

    def _read_group(self) -> list[tuple[str, int, Arrays]]:
        """The next whole group; none at the end, or where it is torn."""
        assert self._file is not None
        try:
            self._file.seek(self._place)
            length, checksum = _FRAME.unpack(self._file.read(_FRAME.size))
            payload = self._file.read(length) if length <= _MOST else b""
            if len(payload) != length or zlib.crc32(payload) != checksum:
                return []
            group = _unpacked(payload)
        except (OSError, struct.error, ValueError, KeyError, TypeError):
            return []
        self._place += _FRAME.size + length
        return group


def journal_path(table: Path) -> Path:
    """Name the journal of a table.

    Parameters
    ----------
    table : Path
        The first of a clip's files.

    Returns
    -------
    Path
        Hidden, beside it.
    """
    return table.with_name(f".{table.name}.journal{TEMPORARY_SUFFIX}")


def _packed(records: list[tuple[str, int, Arrays]]) -> bytes:
    described = [
        [kind, question, [[str(one.dtype), list(one.shape)] for one in arrays]]
        for kind, question, arrays in records
    ]
    head = json.dumps(described).encode()
    data = b"".join(one.tobytes() for _, _, arrays in records for one in arrays)
    return struct.pack("<Q", len(head)) + head + data


def _unpacked(payload: bytes) -> list[tuple[str, int, Arrays]]:
    (length,) = struct.unpack_from("<Q", payload)
    place = 8 + length
    records = []
    for kind, question, described in json.loads(payload[8:place]):
        arrays = []
        for name, shape in described:
            if name not in _TYPES:
                raise ValueError(name)
            count = int(np.prod(shape))
            one = np.frombuffer(payload, np.dtype(name), count, place).reshape(shape).copy()
            place += one.nbytes
            arrays.append(one)
        records.append((kind, question, tuple(arrays)))
    return records


class RecallingDetector(IrisDetector):
    """A detector that takes its answers from a journal, as far as they are there.

    Parameters
    ----------
    detector : IrisDetector
        The backend.
    journal : Journal
        Of the clip.
    """

    def __init__(self, detector: IrisDetector, journal: Journal) -> None:
        super().__init__(detector.backend)
        self._journal = journal
        self._source = IrisDetector(detector.backend)

    def detect(self, image: Image, *, thorough: bool = False) -> list[tuple[Box, float]]:
        """Find the faces of an image."""

        def find() -> Arrays:
            found = self.backend.detect(image, thorough=thorough)
            rows = [
                (*box, angle_of(box), isinstance(box, TurnedBox), score) for box, score in found
            ]
            return (np.array(rows, np.float64).reshape(-1, 7),)

        (rows,) = self._journal.once("detect", _sum(image, float(thorough)), find)
        return [
            (TurnedBox(a, b, c, d, angle) if turned else Box(a, b, c, d), score)
            for a, b, c, d, angle, turned, score in rows.tolist()
        ]

    def landmarks(self, image: Image, box: Box) -> tuple[Landmarks, float]:
        """Find the landmarks of a face, with its irises and what of it is seen."""

        def find() -> Arrays:
            landmarks, confidence = self._source.landmarks(image, box)
            found = self._source.found_with(landmarks)
            sure = np.array([confidence], np.float64)
            if found is None:
                return landmarks, sure
            points, seen = found
            return landmarks, sure, points[_irises(), :2], _NONE if seen is None else seen

        question = _sum(image, *box, angle_of(box))
        landmarks, sure, *rest = self._journal.once("landmarks", question, find)
        if rest:
            irises, seen = rest
            points = np.full((max(_irises()) + 1, 2), np.nan, np.float32)
            points[_irises()] = irises
            self._found.append((landmarks, points, seen if seen.size else None))
        return landmarks, float(sure[0])

    def points_of(self, landmarks: Landmarks) -> Landmarks | None:
        """Give all points of a face; None where the journal has its blendshapes."""
        return self._source.points_of(landmarks)

    def blendshapes_of(
        self, landmarks: Sequence[Landmarks], points: Sequence[Landmarks | None]
    ) -> npt.NDArray[np.float32]:
        """Give what the backend's blendshape network makes of faces.

        All faces since a frame's end, at which a group may end: so that a group which has their
        landmarks has this too.
        """
        question = zlib.crc32(b"".join(own.tobytes() for own in landmarks))
        return self._journal.once(
            "blendshapes", question, lambda: (self._source.blendshapes_of(landmarks, points),)
        )[0]


class RecallingScorer:
    """A trained run that takes its answers from a journal, as far as they are there.

    Parameters
    ----------
    scorer : AUScorer
        The run.
    journal : Journal
        Of the clip.
    """

    def __init__(self, scorer: AUScorer, journal: Journal) -> None:
        self._scorer, self._journal = scorer, journal
        self.au_names, self.detector, self.fit = scorer.au_names, scorer.detector, scorer.fit
        self.run, self.digest, self.check = scorer.run, scorer.digest, scorer.check

    def score(
        self,
        crops: npt.NDArray[np.uint8],
        f_exp: npt.NDArray[np.float32],
        identity: Identity | None,
    ) -> npt.NDArray[np.float32]:
        """Estimate the Action Units of aligned faces."""
        question = zlib.crc32(np.ascontiguousarray(f_exp).tobytes(), _sum(crops[:, ::3]))
        return self._journal.once(
            "score", question, lambda: (self._scorer.score(crops, f_exp, identity),)
        )[0]


_NONE = np.empty(0, np.float32)
# Pixels of a picture that tell it from another one: every so many rows and columns.
_ROWS, _COLUMNS = 16, 16


def _sum(image: npt.NDArray[np.uint8], *numbers: float) -> int:
    """Checksum of what a question is about."""
    pixels = np.ascontiguousarray(image[::_ROWS, ::_COLUMNS]).tobytes()
    return zlib.crc32(np.array(numbers, np.float64).tobytes(), zlib.crc32(pixels))


def _irises() -> list[int]:
    from ...landmarks.mesh.points import LEFT_IRIS, RIGHT_IRIS

    return [RIGHT_IRIS[0], LEFT_IRIS[0]]
