"""`glee analyze`: videos -> tables of faces, one pass after a look at a sample of the frames.

With one face the person's identity is taken from frames spread over the whole clip, read first;
with several, each face's from its own first frames, since nobody knows who is who before. Then the
frames are read in order, and rows are written as they are fitted.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ...errors import DataError, GleeError, unexpected
from ..action_units.clip_estimates import ClipEstimates
from ..action_units.person_baseline import AUTO as AUTO_BASELINE
from ..action_units.person_baseline import USUAL, BaselineFrames
from ..action_units.readings import au_readings
from ..images.frames import FrameIndex, index_frames
from ..landmarks.backends import (
    AUTO,
    BackendSettings,
    chosen_detector,
    load_detector,
    stated_detector,
)
from ..landmarks.dense_landmarks import has_blendshapes
from ..options import AnalyzeOptions
from ..summary import NO_FACE_ADVICE, faceless, progress_bar
from .face_fit import ANALYSIS_FIT, AUScorer, FaceFitter, Identity, RowStream
from .face_stream import FaceFrame, FaceRows, StreamOptions, face_stream, frame_rate, sample_stream
from .gaze import IrisDetector
from .inputs import AnalysisPlan, Source, find_sources, planned_files

logger = logging.getLogger(__name__)

# Frames that are looked at before the first row, spread over the clip.
SAMPLE_FRAMES = 32


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
        The files that were written.
    seconds : float
        What it took.
    first_row : float
        Seconds from the start to the first row on disk.
    source : str
        Codec and container of a video, and what is unusual in it.
    error : str
        Why there is nothing, one line; "" where all went well.
    action_units : mapping or None
        Where the Action Units are from: `source`, and the people's baselines or the run's name.
    remarks : tuple of str
        What a reader of the tables must know, a line each.
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
    action_units: Mapping[str, Any] | None = None
    remarks: tuple[str, ...] = ()

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
        return (
            f"{self.name}: {self.frames} frames, {rows} rows, {self.reasons.get('ok', 0)} valid"
            + (f" ({bad})" if bad else "")
            + (f"; {self.source}" if self.source else "")
            + f", {rate:.1f} frames/s -> {', '.join(str(path) for path in self.paths)}"
        )

    def notes(self) -> list[str]:
        """Say what a reader must know, and what to try where no face was found at all.

        Returns
        -------
        list of str
            Lines.
        """
        bad = {reason: count for reason, count in self.reasons.items() if reason != "ok"}
        empty = not self.error and faceless(self.reasons.get("ok", 0), bad)
        told = [NO_FACE_ADVICE] if empty else list(self.remarks)
        return [f"note: {self.name}: {line}" for line in told]


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


def analyze(
    inputs: Iterable[Path],
    out: Path,
    *,
    options: AnalyzeOptions | None = None,
    scorer: AUScorer | None = None,
    progress: bool = True,
) -> list[ClipAnalysis]:
    """Analyse videos, images and folders of them into tables.

    A clip's files take their names when it is done; those of one that fails are removed. Of several
    inputs, one that cannot be read is told by its `error`, and the others are analysed.

    Parameters
    ----------
    inputs : iterable of Path
        Videos, images, or folders of either.
    out : Path
        Folder for the tables.
    options : AnalyzeOptions or None
        What shapes the analysis; None for the defaults.
    scorer : AUScorer or None
        Gives Action Units too, see `model.prediction.analysis`.
    progress : bool
        Show progress bars.

    Returns
    -------
    list of ClipAnalysis
        One an input that cannot be read, then one a clip.

    Raises
    ------
    UsageError
        Where an option makes no sense.
    DataError
        Where the only input cannot be read.
    WeightsError, OutputError
        Where the backend's files or the output folder cannot be used.

    Examples
    --------
    >>> analyze([Path("talk.mp4")], Path("out"))  # writes out/talk.csv and out/talk.parquet
    """
    options = options or AnalyzeOptions()
    options.check()
    sources, refused = find_sources(inputs)
    planned_files(sources, Path(out), options)
    done = [ClipAnalysis(item.name, error=item.error) for item in refused]
    if not sources:
        return done
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
    for source in sources:
        try:
            done.append(
                _analyze_clip(source, Path(out), options, detector, fitter, scorer, progress)
            )
        except DataError as error:
            if len(sources) == 1 and not refused:
                raise
            done.append(ClipAnalysis(source.name, error=str(error)))
        except (GleeError, OSError):  # weights or the output folder: no clip would do better
            raise
        except Exception as error:
            logger.debug("%s", source.name, exc_info=error)
            failed = f"{unexpected(error)}; please report it"
            done.append(ClipAnalysis(source.name, error=failed))
    return done


def plan(
    inputs: Iterable[Path], out: Path, options: AnalyzeOptions | None = None
) -> list[AnalysisPlan]:
    """Say what `analyze` would read and write; nothing is read but names.

    Parameters
    ----------
    inputs, out, options
        As in `analyze`.

    Returns
    -------
    list of AnalysisPlan
        One an input that cannot be read, then one a clip.

    Raises
    ------
    UsageError, DataError
        As `analyze`.
    """
    options = options or AnalyzeOptions()
    options.check()
    sources, refused = find_sources(inputs)
    bad = [AnalysisPlan(Path(item.name), 0, (), error=item.error) for item in refused]
    return bad + planned_files(sources, Path(out), options)


def _analyze_clip(
    source: Source,
    out: Path,
    options: AnalyzeOptions,
    detector: IrisDetector,
    fitter: FaceFitter,
    scorer: AUScorer | None,
    progress: bool,
) -> ClipAnalysis:
    tally = _Tally()
    index = index_frames(source.clip, deinterlace=options.deinterlace, identify=False)
    stream = StreamOptions.of(options, scored=scorer is not None)
    names = scorer.au_names if scorer else ()
    with ExitStack() as stack:
        estimates = None
        if scorer is None and (found := _estimates(options, out, fitter)) is not None:
            estimates = stack.enter_context(found)
        writers = [
            stack.enter_context(writer)
            for writer in _writers(source.name, out, options, index, fitter, names, estimates)
        ]
        bar = stack.enter_context(progress_bar(source.name, index.count, "frame", shown=progress))
        known = _known(source, index, detector, fitter, stream)
        faces = _counted(face_stream(source.clip, index, detector, stream), bar)
        for rows in RowStream(fitter, known, scorer).rows(faces):
            if estimates is not None:
                estimates.add(rows)
            for writer in writers:
                writer.write(rows)
            tally.add(rows)
    return ClipAnalysis(
        name=source.name,
        frames=index.count,
        faces=len(tally.faces),
        reasons=dict(tally.reasons),
        paths=tuple(path for writer in writers for path in writer.paths),
        seconds=time.monotonic() - tally.begin,
        first_row=tally.first_row,
        source=index.describe(),
        action_units=_source(estimates, scorer),
        remarks=_remarks(options, fitter, estimates, scorer),
    )


def _estimates(options: AnalyzeOptions, out: Path, fitter: FaceFitter) -> ClipEstimates | None:
    """What estimates Action Units, where they are wanted and the model has what they need."""
    readings = au_readings(fitter.model.expression_names)
    if options.aus == "none" or options.format == "arkit" or readings is None:
        return None
    baseline = BaselineFrames.parse(options.baseline)
    if fitter.own_identity and baseline.kind == AUTO_BASELINE:
        baseline = BaselineFrames(USUAL)
    return ClipEstimates(readings, baseline, out)


def _source(estimates: ClipEstimates | None, scorer: AUScorer | None) -> dict[str, Any] | None:
    if scorer is not None:
        return {"source": "a trained run", "names": list(scorer.au_names)}
    return None if estimates is None else estimates.as_json()


def _remarks(
    options: AnalyzeOptions,
    fitter: FaceFitter,
    estimates: ClipEstimates | None,
    scorer: AUScorer | None,
) -> tuple[str, ...]:
    """What stays empty and why, and what the baselines are."""
    if options.format == "arkit":
        return ()
    lines = [] if estimates is None else estimates.notes()
    if scorer is None and estimates is None and options.aus != "none":
        lines.append(f"no Action Units: model {fitter.model.name} lacks the blendshapes for them")
    if options.format == "openface":
        from .openface_table import empty_columns

        lines.append(empty_columns(estimates is not None, scorer.au_names if scorer else ()))
    return tuple(lines)


def _known(
    source: Source,
    index: FrameIndex,
    detector: IrisDetector,
    fitter: FaceFitter,
    stream: StreamOptions,
) -> dict[int, Identity]:
    """The identity of the one face, from a sample of the clip; nothing where there are several."""
    if stream.faces > 1 or fitter.own_identity:
        return {}
    sample = list(sample_stream(source.clip, index, detector, stream, SAMPLE_FRAMES))
    identity = fitter.identity(sample)
    return {} if identity is None else {0: identity}


def _counted(stream: Iterator[list[FaceFrame]], bar: Any) -> Iterator[list[FaceFrame]]:
    for faces in stream:
        yield faces
        bar.update(1)


def _writers(
    name: str,
    out: Path,
    options: AnalyzeOptions,
    index: FrameIndex,
    fitter: FaceFitter,
    au_names: tuple[str, ...],
    estimates: ClipEstimates | None,
) -> list[Writer]:
    expressions = fitter.model.expression_names
    rate = frame_rate(index, options.fps)
    several = options.faces > 1
    writers: list[Writer] = []
    if options.format == "openface":
        from .openface_table import OpenFaceTable

        writers.append(OpenFaceTable(out, name, expressions, au_names, estimates))
    elif options.format == "arkit":
        from .arkit_table import ARKitTable

        writers.append(ARKitTable(out, name, expressions, rate, several=several))
    else:
        from .glee_table import GleeTable

        writers.append(GleeTable(out, name, expressions, au_names, estimates))
    if options.video:
        from .overlay import OverlayVideo

        video = OverlayVideo(out, name, expressions, index.size, rate, several=several)
        writers.append(video)
    return writers
