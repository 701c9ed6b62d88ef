"""The analysis of one clip: kept, refused, or made, with its record written last.

One pass over the frames after a look at a sample of them. With one face the person's identity is
taken from frames spread over the whole clip, read first; with several, each face's from its own
first frames, since nobody knows who is who before. Then the frames are read in order, and rows are
written as they are fitted.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ....errors import GleeError
from ....fitting.morphable_model.model_file import model_digest
from ...images.frames import FrameIndex, index_frames
from ...landmarks.backends import (
    AUTO,
    BackendSettings,
    chosen_detector,
    load_detector,
    stated_detector,
)
from ...landmarks.dense_landmarks import has_blendshapes
from ...options import AnalyzeOptions
from ...summary import Progress
from ..face_fit import ANALYSIS_FIT, AUScorer, FaceFitter, Identity, RowStream
from ..face_stream import FaceFrame, FaceRows, StreamOptions, face_stream, frame_rate, sample_stream
from ..gaze import IrisDetector
from ..inputs import Source, planned_files
from .journal import Journal, JournalMismatch, RecallingDetector, RecallingScorer, journal_path
from .record import AnalysisRecord

# Frames that are looked at before the first row, spread over the clip.
SAMPLE_FRAMES = 32

# A label, a number of frames -> a bar for them.
Bar = Callable[[str, int], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class ClipAnalysis:
    """What became of a clip.

    Attributes
    ----------
    name : str
        The clip's, as its files have it.
    frames, faces : int
        How many were read, and how many faces were followed.
    reasons : mapping
        Reason -> rows, "ok" for the valid ones.
    paths : tuple of Path
        The files that were written, or kept.
    seconds : float
        What it took.
    first_row : float
        Seconds from the start to the first row on disk.
    source : str
        Codec and container of a video, and what is unusual in it.
    error : str
        Why there is nothing, one line; "" where all went well.
    kept : bool
        The files were whole and as they would be made now.
    """

    name: str
    frames: int = 0
    faces: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    paths: tuple[Path, ...] = ()
    seconds: float = 0.0
    first_row: float = float("nan")
    source: str = ""
    error: str = ""
    kept: bool = False

    def line(self) -> str:
        """Say it as text.

        Returns
        -------
        str
            What the command prints.
        """
        if self.error:
            said = Path(self.error.partition(": ")[0]).name == Path(self.name).name
            return self.error if said else f"{self.name}: {self.error}"
        rows = sum(self.reasons.values())
        bad = ", ".join(f"{n} {r}" for r, n in sorted(self.reasons.items()) if r != "ok")
        rate = self.frames / max(self.seconds, 1e-9)
        told = "kept, made before with the same options" if self.kept else f"{rate:.1f} frames/s"
        return (
            f"{self.name}: {self.frames} frames, {rows} rows, {self.reasons.get('ok', 0)} valid"
            + (f" ({bad})" if bad else "")
            + (f"; {self.source}" if self.source else "")
            + f", {told} -> {', '.join(str(path) for path in self.paths)}"
        )


def as_json(done: ClipAnalysis) -> dict[str, Any]:
    """Give a clip's analysis as plain data.

    Parameters
    ----------
    done : ClipAnalysis
        The analysis.

    Returns
    -------
    dict
        Of types that JSON has.
    """
    first_row = None if math.isnan(done.first_row) else round(done.first_row, 3)
    return {
        **asdict(done),
        "paths": [str(path) for path in done.paths],
        "seconds": round(done.seconds, 3),
        "first_row": first_row,
    }


class Writer(Protocol):
    """Takes rows while its block lasts and gives its files their names at the end.

    Attributes
    ----------
    paths : tuple of Path
        The files.
    """

    paths: tuple[Path, ...]

    def write(self, rows: FaceRows) -> None:
        """Add rows.

        Parameters
        ----------
        rows : FaceRows
            Those that follow the ones before.
        """

    def __enter__(self) -> Any: ...

    def __exit__(self, *error: Any) -> bool | None: ...


@dataclass
class _Tally:
    begin: float = field(default_factory=time.monotonic)
    first_row: float = float("nan")
    reasons: Counter[str] = field(default_factory=Counter)
    faces: set[int] = field(default_factory=set)

    def add(self, rows: FaceRows) -> None:
        if not self.reasons:
            self.first_row = time.monotonic() - self.begin
        self.reasons.update(rows.reason(i) for i in range(len(rows)))
        self.faces.update(face.face_id for face in rows.faces if face.face_id >= 0)


@dataclass(frozen=True, eq=False)
class ClipAnalyzer:
    """What a process analyses its clips with.

    Attributes
    ----------
    out : Path
        Folder for the tables.
    options : AnalyzeOptions
        What shapes the analysis.
    detector : IrisDetector
        The backend.
    fitter : FaceFitter
        The model and how it is fitted.
    scorer : AUScorer or None
        A trained run.
    overwrite : bool
        Make anew what is there, whatever it is.
    """

    out: Path
    options: AnalyzeOptions
    detector: IrisDetector
    fitter: FaceFitter
    scorer: AUScorer | None = None
    overwrite: bool = False

    @classmethod
    def load(
        cls, out: Path, options: AnalyzeOptions, scorer: AUScorer | None, *, overwrite: bool
    ) -> ClipAnalyzer:
        """Load the backend and the model.

        Parameters
        ----------
        out, options, scorer, overwrite
            As the attributes.

        Returns
        -------
        ClipAnalyzer
            For any number of clips.

        Raises
        ------
        UsageError
            Where an option makes no sense.
        DataError, WeightsError
            Where the model or the backend's files cannot be used, or do not go with the run.
        """
        wanted = options.detector
        if scorer is not None and wanted == AUTO and scorer.detector:
            wanted = scorer.detector
        weights = None if options.weights is None else str(options.weights)
        backend = BackendSettings(weights=weights)
        name, backend = stated_detector(chosen_detector(wanted, backend), backend)
        detector = IrisDetector(load_detector(name, backend))
        base = scorer.fit if scorer else ANALYSIS_FIT
        fitter = FaceFitter.of(
            detector.name, options.fit3d_options(base), blendshapes=has_blendshapes(detector)
        )
        if scorer is not None:
            scorer.check(detector.name, fitter.made, fitter.model)
        return cls(out, options, detector, fitter, scorer, overwrite)

    def analyze(self, source: Source, bar: Bar) -> ClipAnalysis:
        """Analyse a clip, unless its files are there.

        Parameters
        ----------
        source : Source
            The clip.
        bar : callable
            Makes a bar.

        Returns
        -------
        ClipAnalysis
            With all files of the clip whole.

        Raises
        ------
        OptionsError
            Where files are there that are not to be replaced.
        GleeError
            Where it fails; nothing is left of it then.
        """
        record = self._record(source)
        if not self.overwrite and (found := record.kept()) is not None:
            return _kept(source.name, self.out, found)
        index = index_frames(source.clip, deinterlace=self.options.deinterlace)
        record.wanted["source"]["sha256"] = index.source_hash
        writers = self._writers(source.name, index)
        record.begin()
        try:
            return self._recalling(source, index, record, writers, bar)
        except BaseException:
            record.give_up()
            raise

    def _record(self, source: Source) -> AnalysisRecord:
        model = self.fitter.model
        made = {
            "detector": self.detector.name,
            "model": f"{model.name} {model_digest(model)[:16]}",
            "run": "" if self.scorer is None else self.scorer.digest,
        }
        (planned,) = planned_files([source], self.out, self.options)
        return AnalysisRecord(self.out, source, self.options, made, planned.written)

    def _recalling(
        self,
        source: Source,
        index: FrameIndex,
        record: AnalysisRecord,
        writers: Sequence[Writer],
        bar: Bar,
    ) -> ClipAnalysis:
        """Make a clip's files with what a run before has found; without it where it does not fit."""
        path = journal_path(record.path)
        journal = Journal(path, record.wanted)
        try:
            done = self._made(source, index, record, writers, journal, bar)
        except JournalMismatch:
            journal.close(remove=True)
            return self._recalling(source, index, record, self._writers(source.name, index), bar)
        except GleeError:
            journal.close(remove=True)
            raise
        except BaseException:
            journal.close(remove=False)
            raise
        journal.close(remove=True)
        return done

    def _made(
        self,
        source: Source,
        index: FrameIndex,
        record: AnalysisRecord,
        writers: Sequence[Writer],
        journal: Journal,
        bar: Bar,
    ) -> ClipAnalysis:
        tally = _Tally()
        stream = StreamOptions.of(self.options, scored=self.scorer is not None)
        detector = RecallingDetector(self.detector, journal)
        scorer = None if self.scorer is None else RecallingScorer(self.scorer, journal)
        with ExitStack() as stack:
            for writer in writers:
                stack.enter_context(writer)
            shown = stack.enter_context(bar(source.name, index.count))
            known = self._known(source, index, detector, stream, journal)
            faces = _counted(face_stream(source.clip, index, detector, stream), shown, journal)
            for rows in RowStream(self.fitter, known, scorer).rows(faces):
                for writer in writers:
                    writer.write(rows)
                tally.add(rows)
        paths = tuple(path for writer in writers for path in writer.paths)
        result = {
            "frames": index.count,
            "faces": len(tally.faces),
            "fps": frame_rate(index, self.options.fps),
            "size": list(index.size),
            "reasons": dict(tally.reasons),
            "described": index.describe(),
            "action_units": None,
        }
        record.finish(paths, result)
        return ClipAnalysis(
            name=source.name,
            frames=index.count,
            faces=len(tally.faces),
            reasons=dict(tally.reasons),
            paths=paths,
            seconds=time.monotonic() - tally.begin,
            first_row=tally.first_row,
            source=index.describe(),
        )

    def _known(
        self,
        source: Source,
        index: FrameIndex,
        detector: IrisDetector,
        stream: StreamOptions,
        journal: Journal,
    ) -> dict[int, Identity]:
        """The identity of the one face, from a sample of the clip; nothing where there are several."""
        if stream.faces > 1 or self.fitter.own_identity:
            return {}
        sample = []
        for face in sample_stream(source.clip, index, detector, stream, SAMPLE_FRAMES):
            sample.append(face)
            journal.end_frame()
        identity = self.fitter.identity(sample)
        return {} if identity is None else {0: identity}

    def _writers(self, name: str, index: FrameIndex) -> list[Writer]:
        options, expressions = self.options, self.fitter.model.expression_names
        au_names = self.scorer.au_names if self.scorer else ()
        rate = frame_rate(index, options.fps)
        several = options.faces > 1
        writers: list[Writer] = []
        if options.format == "openface":
            from ..openface_table import OpenFaceTable

            writers.append(OpenFaceTable(self.out, name, expressions, au_names))
        elif options.format == "arkit":
            from ..arkit_table import ARKitTable

            writers.append(ARKitTable(self.out, name, expressions, rate, several=several))
        else:
            from ..glee_table import GleeTable

            writers.append(GleeTable(self.out, name, expressions, au_names))
        if options.video:
            from ..overlay import OverlayVideo

            video = OverlayVideo(self.out, name, expressions, index.size, rate, several=several)
            writers.append(video)
        return writers


def _kept(name: str, out: Path, found: Mapping[str, Any]) -> ClipAnalysis:
    reasons = found["reasons"] if isinstance(found.get("reasons"), dict) else {}
    return ClipAnalysis(
        name=name,
        frames=_count(found.get("frames")),
        faces=_count(found.get("faces")),
        reasons={str(reason): _count(rows) for reason, rows in reasons.items()},
        paths=tuple(out / str(file) for file in found["files"]),
        source=str(found.get("described") or ""),
        kept=True,
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _counted(
    stream: Iterator[list[FaceFrame]], bar: Progress, journal: Journal
) -> Iterator[list[FaceFrame]]:
    for faces in stream:
        yield faces
        journal.end_frame()
        bar.update(1)
