"""The analysis of one clip: kept, refused, or made, with its record written last.

One pass over the frames after a look at a sample of them. With one face the person's identity is
taken from frames spread over the whole clip, read first; with several, each face's from its own
first frames, since nobody knows who is who before. Then the frames are read in order, and rows are
written as they are fitted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ....errors import DataError
from ....fitting.morphable_model.model_file import model_digest
from ...action_units.clip_estimates import ClipEstimates
from ...action_units.person_baseline import AUTO as AUTO_BASELINE
from ...action_units.person_baseline import NONE as NO_BASELINE
from ...action_units.person_baseline import USUAL, BaselineFrames
from ...action_units.readings import au_readings
from ...cluster.tasks import one_opencv_thread
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
from .outcome import ClipAnalysis, kept_analysis
from .record import AnalysisRecord

# Forms that have no place for Action Units.
WITHOUT_AUS = ("arkit", "gltf")
# Frames that are looked at before the first row, spread over the clip.
SAMPLE_FRAMES = 32

# A label, a number of frames -> a bar for them.
Bar = Callable[[str, int], AbstractContextManager[Progress]]


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
    """

    out: Path
    options: AnalyzeOptions
    detector: IrisDetector
    fitter: FaceFitter
    scorer: AUScorer | None = None

    @classmethod
    def load(cls, out: Path, options: AnalyzeOptions, scorer: AUScorer | None) -> ClipAnalyzer:
        """Load the backend and the model.

        Parameters
        ----------
        out, options, scorer
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
        return cls(out, options, detector, fitter, scorer)

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
        GleeError
            Where it fails; nothing is left of it then.
        """
        record = self._record(source)
        if not self.options.overwrite and (found := record.kept()) is not None:
            return kept_analysis(source.name, self.out, found)
        index = index_frames(source.clip, deinterlace=self.options.deinterlace, identify=False)
        record.begin()
        try:
            with one_opencv_thread():
                return self._recalling(source, index, record, bar)
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
        bar: Bar,
    ) -> ClipAnalysis:
        """Make a clip's files with what a run before found; without it where it does not fit."""
        path = journal_path(record.path)
        if self.options.overwrite:
            path.unlink(missing_ok=True)
        journal = Journal(path, record.wanted)
        try:
            done = self._made(source, index, record, journal, bar)
        except JournalMismatch:
            journal.close(remove=True)
            return self._recalling(source, index, record, bar)
        except DataError:
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
        journal: Journal,
        bar: Bar,
    ) -> ClipAnalysis:
        tally = _Tally()
        stream = StreamOptions.of(self.options, scored=self.scorer is not None)
        detector = RecallingDetector(self.detector, journal)
        scorer = None if self.scorer is None else RecallingScorer(self.scorer, journal)
        with ExitStack() as stack:
            estimates = None
            if scorer is None and (
                made := _estimates(self.options, self.out, source.name, self.fitter)
            ):
                estimates = stack.enter_context(made)
            writers = [
                stack.enter_context(writer)
                for writer in self._writers(source.name, index, estimates)
            ]
            shown = stack.enter_context(bar(source.name, index.count))
            known = self._known(source, index, detector, stream, journal)
            faces = _counted(face_stream(source.clip, index, detector, stream), shown, journal)
            for rows in RowStream(self.fitter, known, scorer).rows(faces):
                if estimates is not None:
                    estimates.add(rows)
                for writer in writers:
                    writer.write(rows)
                tally.add(rows)
            if estimates is not None:
                estimates.baselines()  # where there are none, no file takes its name
        rate = frame_rate(index, self.options.fps)
        done = ClipAnalysis(
            name=source.name,
            frames=index.count,
            faces=len(tally.faces),
            reasons=dict(tally.reasons),
            paths=tuple(path for writer in writers for path in writer.paths),
            seconds=time.monotonic() - tally.begin,
            first_row=tally.first_row,
            source=index.describe(),
            fps=rate,
            action_units=_source(estimates, self.scorer),
            remarks=_remarks(self.options, self.fitter, estimates, self.scorer, rate),
        )
        record.finish(done, rate, index.size)
        return done

    def _known(
        self,
        source: Source,
        index: FrameIndex,
        detector: IrisDetector,
        stream: StreamOptions,
        journal: Journal,
    ) -> dict[int, Identity]:
        """The identity of the one face, from a sample of the clip; none where there are several."""
        if stream.faces > 1 or self.fitter.own_identity:
            return {}
        sample = []
        for face in sample_stream(source.clip, index, detector, stream, SAMPLE_FRAMES):
            sample.append(face)
            journal.end_frame()
        identity = self.fitter.identity(sample)
        return {} if identity is None else {0: identity}

    def _writers(
        self, name: str, index: FrameIndex, estimates: ClipEstimates | None
    ) -> list[Writer]:
        options, expressions = self.options, self.fitter.model.expression_names
        au_names = self.scorer.au_names if self.scorer else ()
        rate = frame_rate(index, options.fps)
        several = options.faces > 1
        writers: list[Writer] = []
        if options.format == "openface":
            from ..openface_table import OpenFaceTable

            writers.append(OpenFaceTable(self.out, name, expressions, au_names, estimates))
        elif options.format == "arkit":
            from ..arkit_table import ARKitTable

            writers.append(ARKitTable(self.out, name, expressions, rate, several=several))
        elif options.format == "gltf":
            from ..animated_head import AnimatedHead

            writers.append(AnimatedHead(self.out, name, self.fitter.model, several=several))
        else:
            from ..glee_table import GleeTable

            writers.append(GleeTable(self.out, name, expressions, au_names, estimates))
        if options.video:
            from ..overlay import OverlayVideo

            video = OverlayVideo(self.out, name, expressions, index.size, rate, several=several)
            writers.append(video)
        return writers


def _estimates(
    options: AnalyzeOptions, out: Path, name: str, fitter: FaceFitter
) -> ClipEstimates | None:
    """What estimates Action Units, where they are wanted and the model has what they need."""
    readings = au_readings(fitter.model.expression_names)
    if options.aus == "none" or options.format in WITHOUT_AUS or readings is None:
        return None
    baseline = BaselineFrames.parse(options.baseline)
    if fitter.own_identity and baseline.kind == AUTO_BASELINE:
        baseline = BaselineFrames(USUAL)
    return ClipEstimates(readings, baseline, out, name)


def _source(estimates: ClipEstimates | None, scorer: AUScorer | None) -> dict[str, Any] | None:
    if scorer is not None:
        return {"source": "a trained run", "names": list(scorer.au_names)}
    return None if estimates is None else estimates.as_json()


def _remarks(
    options: AnalyzeOptions,
    fitter: FaceFitter,
    estimates: ClipEstimates | None,
    scorer: AUScorer | None,
    rate: float,
) -> tuple[str, ...]:
    """What stays empty and why, what the baselines are, and how timecodes are to be read."""
    lines = []
    if options.format == "arkit":
        lines.append(f"timecodes count {rate:.6g} frames a second; tell the importer that rate")
    if estimates is None and options.baseline not in (AUTO_BASELINE, NO_BASELINE):
        lines.append(f"--baseline {options.baseline} is not used: it is for estimated Action Units")
    if options.format in WITHOUT_AUS:
        return tuple(lines)
    lines += [] if estimates is None else estimates.notes()
    if scorer is None and estimates is None and options.aus != "none":
        lines.append(f"no Action Units: model {fitter.model.name} lacks the blendshapes for them")
    if options.format == "openface":
        from ..openface_table import empty_columns

        lines.append(empty_columns(estimates is not None, scorer.au_names if scorer else ()))
    return tuple(lines)


def _counted(
    stream: Iterator[list[FaceFrame]], bar: Progress, journal: Journal
) -> Iterator[list[FaceFrame]]:
    for faces in stream:
        yield faces
        journal.end_frame()
        bar.update(1)
