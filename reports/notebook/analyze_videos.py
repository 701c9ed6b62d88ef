"""`glee.analyze`: a video's analysis as a result in Python, with or without files to keep."""

from __future__ import annotations

import logging
import shutil
import tempfile
import weakref
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from ...errors import DataError, UsageError, did_you_mean
from ...pipeline.analysis.analyze import ClipAnalysis, plan
from ...pipeline.analysis.analyze import analyze as run_analysis
from ...pipeline.options import AnalyzeOptions
from .analysis_result import Analyses, Analysis
from .clip_table import SUFFIXES

logger = logging.getLogger(__name__)

# Forms that have frames and faces; Live Link Face's has neither.
_FORMS = ("glee", "openface")
_PATHS = ("weights", "model")


class _TemporaryFolder:
    """Lives as long as a result that reads from it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="glee-analysis-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def analyze_videos(
    inputs: str | Path | Iterable[str | Path],
    out: str | Path | None = None,
    run: str | Path | None = None,
    *,
    device: str = "cpu",
    workers: int = 1,
    progress: bool = True,
    **options: Any,
) -> Any:
    """Analyse videos: landmarks, pose, gaze, blendshapes and Action Units of every frame.

    The Action Units are estimated from the face's shape, not trained on coded people, unless a
    trained run is given.

    Parameters
    ----------
    inputs : str, Path, or iterable of them
        A video, an image, or a folder of either; or several.
    out : str or Path, optional
        Folder for the tables, which `glee.open` reads again later; by default a temporary one that
        lives as long as the result.
    run : str or Path, optional
        Folder of a trained run, or what `glee run pack` made of it, for its probabilities.
    device : str
        For the run: "auto", "cpu" or "cuda".
    workers : int
        How many clips are analysed at a time.
    progress : bool
        Show bars.
    **options
        Fields of `AnalyzeOptions`, such as ``faces=2`` or ``baseline="0-24"``.

    Returns
    -------
    Analysis or Analyses
        One result for a video, an image or a folder of images. For several inputs, or a folder of
        videos, results by name, with `errors` for those that cannot be read, which are logged too.

    Raises
    ------
    UsageError
        Where an option makes no sense.
    DataError
        Where the only input, or every one of several, cannot be read.
    WeightsError, OutputError
        Where the backend's files or the output folder cannot be used.

    Examples
    --------
    >>> talk = glee.analyze("talk.mp4")
    >>> talk.summary()
    >>> both = glee.analyze(["talk.mp4", "walk.mp4"], out="out", faces=2)
    >>> both["walk"].aus
    """
    chosen = _options(options)
    alone = isinstance(inputs, str | Path)
    paths = [Path(inputs)] if isinstance(inputs, str | Path) else [Path(path) for path in inputs]
    kept = None if out is not None else _TemporaryFolder()
    folder = kept.path if kept is not None else Path(str(out))
    planned = plan(paths, folder, chosen)
    alone = alone and len(planned) == 1 and (planned[0].images > 0 or paths[0].is_file())
    scorer = None
    if run is not None:
        from ...model.prediction.analysis import RunScorer

        scorer = RunScorer(Path(run), device)
    done = run_analysis(
        paths, folder, options=chosen, scorer=scorer, workers=workers, progress=progress
    )
    errors = {item.name: item.line() for item in done if item.error}
    results = {
        item.name: Analysis(_table(item), [*item.notes()], kept) for item in done if not item.error
    }
    if errors and not results:
        more = f" (none of {len(errors)} inputs could be analysed)" if len(errors) > 1 else ""
        raise DataError(f"{next(iter(errors.values()))}{more}")
    if alone:
        return next(iter(results.values()))
    for line in errors.values():
        logger.warning("%s", line)
    return Analyses(results, errors)


def _options(given: dict[str, Any]) -> AnalyzeOptions:
    known = [field.name for field in fields(AnalyzeOptions)]
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known).rstrip() or f"give one of {', '.join(known)}"
            raise UsageError(f"analyze: there is no option {name!r}; {hint}")
    paths = {name: Path(given[name]) for name in _PATHS if given.get(name) is not None}
    options = AnalyzeOptions(**{**given, **paths})
    if options.format not in _FORMS:
        raise UsageError(
            f"format is {options.format!r}; a result is of {' or '.join(_FORMS)}: other forms by "
            f"`glee analyze --format`"
        )
    return options


def _table(done: ClipAnalysis) -> Path:
    """The clip's table: Parquet, which is read by columns, before CSV."""
    for suffix in SUFFIXES:
        for path in done.paths:
            if path.suffix == suffix:
                return path
    raise DataError(f"{done.name}: no table was written; analyze again")
