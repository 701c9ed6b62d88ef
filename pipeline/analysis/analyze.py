"""`glee analyze`: videos, images and folders of them -> a table of faces each.

One clip's analysis is in batch/clip.py.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from ...errors import UsageError
from ..options import AnalyzeOptions
from ..summary import progress_bar
from .batch.clip import SAMPLE_FRAMES, ClipAnalyzer, Writer
from .batch.outcome import ClipAnalysis, as_json
from .batch.record import refuse_foreign_files
from .batch.workers import Setup, analyze_in_processes, attempt_clip
from .face_fit import AUScorer
from .inputs import AnalysisPlan, find_sources, planned_files

__all__ = [
    "SAMPLE_FRAMES",
    "ClipAnalysis",
    "Writer",
    "analyses",
    "analyze",
    "as_json",
    "plan",
]


def analyze(
    inputs: Iterable[Path],
    out: Path,
    *,
    options: AnalyzeOptions | None = None,
    scorer: AUScorer | None = None,
    workers: int = 1,
    progress: bool = True,
) -> list[ClipAnalysis]:
    """Analyse videos, images and folders of them into tables.

    A clip's files take their names when it is done, NAME.analysis.json last; those of one that
    fails are removed. Files that are whole, of the same source and made with the same options are
    kept, others are made anew, all of them with `options.overwrite`. Of several inputs, one that
    cannot be read is told by its `error`, and the others are analysed.

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
    workers : int
        Clips at a time, each in a process of one core; with 1, in this process.
    progress : bool
        Show progress bars.

    Returns
    -------
    list of ClipAnalysis
        One an input that cannot be read, then one a clip.

    Raises
    ------
    UsageError
        Where an option makes no sense, or a file in OUT is not glee's.
    DataError
        Where the only input cannot be read.
    WeightsError, OutputError
        Where the backend's files or the output folder cannot be used.

    Examples
    --------
    >>> analyze([Path("talk.mp4")], Path("out"))  # writes out/talk.csv and out/talk.parquet
    """
    return list(
        analyses(
            inputs,
            out,
            options=options,
            scorer=scorer,
            workers=workers,
            progress=progress,
        )
    )


def analyses(
    inputs: Iterable[Path],
    out: Path,
    *,
    options: AnalyzeOptions | None = None,
    scorer: AUScorer | None = None,
    workers: int = 1,
    progress: bool = True,
) -> Iterator[ClipAnalysis]:
    """Analyse clips as `analyze` does, and give each when it and those before it are done.

    Parameters
    ----------
    inputs, out, options, scorer, workers, progress
        As in `analyze`.

    Yields
    ------
    ClipAnalysis
        One an input that cannot be read, then one a clip.

    Raises
    ------
    GleeError
        As `analyze`. After Ctrl-C, KeyboardInterrupt with what is kept and what goes on.
    """
    options = options or AnalyzeOptions()
    options.check()
    if workers < 1:
        raise UsageError(f"workers is {workers}; give 1 or more")
    out = Path(out)
    sources, refused = find_sources(inputs)
    refuse_foreign_files(planned_files(sources, out, options), sources, out, options)
    yield from (ClipAnalysis(item.name, error=item.error) for item in refused)
    if not sources:
        return
    whole = 0
    try:
        if min(workers, len(sources)) > 1:
            setup = Setup(out, options, scorer, logging.getLogger("glee").level)
            found = analyze_in_processes(sources, setup, workers, progress=progress)
        else:
            analyzer = ClipAnalyzer.load(out, options, scorer)
            bar = partial(progress_bar, unit="frame", shown=progress)
            alone = len(sources) == 1 and not refused
            one = analyzer.analyze if alone else partial(attempt_clip, analyzer)
            found = (one(source, bar) for source in sources)
        for done in found:
            whole += not done.error
            yield done
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_interrupted(whole, len(sources), out)) from None


def _interrupted(whole: int, clips: int, out: Path) -> str:
    stay = f"{whole} of {clips} clips are whole in {out} and stay; " if clips > 1 else ""
    return (
        f"{stay}nothing half-written has its name there; run the same command again: it keeps "
        "what is whole, and goes on in long videos where their last frames were noted"
    )


def plan(
    inputs: Iterable[Path],
    out: Path,
    options: AnalyzeOptions | None = None,
    *,
    quiet: bool = False,
) -> list[AnalysisPlan]:
    """Say what `analyze` would read and write; nothing is read but names.

    Parameters
    ----------
    inputs, out, options
        As in `analyze`.
    quiet : bool
        Say nothing in the log of files that are not read, since `analyze` will.

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
    sources, refused = find_sources(inputs, quiet=quiet)
    bad = [AnalysisPlan(Path(item.name), 0, (), error=item.error) for item in refused]
    planned = planned_files(sources, Path(out), options)
    refuse_foreign_files(planned, sources, Path(out), options)
    return bad + planned
