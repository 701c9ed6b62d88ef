"""`glee analyze`: from videos to tables of landmarks, pose, blendshapes and Action Units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import DataError, GleeError, UsageError, unexpected
from ..pipeline.options import AU_SOURCES, TABLE_FORMATS, AnalyzeOptions
from .options import (
    ANY_PATH,
    RUN,
    detector_option,
    device_option,
    dry_run_option,
    echo_json,
    focal_option,
    identity_option,
    json_option,
    model_option,
    out_option,
    weights_option,
)

if TYPE_CHECKING:
    from ..pipeline.analysis.analyze import ClipAnalysis
    from ..pipeline.analysis.inputs import AnalysisPlan


@click.command()
@click.argument("inputs", metavar="VIDEO...", nargs=-1, required=True, type=ANY_PATH)
@out_option("It takes the tables.", required=True)
@click.option(
    "--format",
    type=click.Choice(TABLE_FORMATS),
    default=AnalyzeOptions.format,
    show_default=True,
    help="Form of the tables: glee for CSV and Parquet, openface for OpenFace 2.2's CSV, arkit for "
    "Live Link Face's CSV, gltf for the person's animated head.",
)
@click.option(
    "--video",
    is_flag=True,
    help="Write a video too, with landmarks, mesh and curves drawn over it.",
)
@click.option(
    "--report",
    is_flag=True,
    help="Write NAME.html too: curves and events of the Action Units under the video, moving with "
    "it.",
)
@click.option(
    "--run", type=RUN, help="Trained run, for Action Units too: its folder or packed file."
)
@click.option(
    "--faces",
    default=AnalyzeOptions.faces,
    show_default=True,
    help="Largest number of faces that are followed.",
)
@detector_option()
@weights_option
@identity_option(
    "Frame suits photos of several people. [default: subject, or as the run was fitted]"
)
@focal_option
@model_option
@click.option(
    "--fps",
    default=AnalyzeOptions.fps,
    show_default=True,
    help="Frames a second. It is for folders of images.",
)
@click.option(
    "--deinterlace",
    is_flag=True,
    help="Make the pictures of interlaced videos whole from both of their fields.",
)
@click.option(
    "--witness/--no-witness",
    default=None,
    help="Hear the network's blendshapes beside the landmarks. [default: where there are any]",
)
@click.option(
    "--visibility/--no-visibility",
    default=None,
    help="Weigh hidden parts of a face little. [default: yes]",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of processes that share the work. Each analyses clips of its own, on one core.",
)
@click.option(
    "--aus",
    type=click.Choice(AU_SOURCES),
    default=AnalyzeOptions.aus,
    show_default=True,
    help="Action Units without --run: estimated from the face's shape, not trained on coded "
    "people, or none.",
)
@click.option(
    "--baseline",
    metavar="FRAMES|auto|none",
    default=AnalyzeOptions.baseline,
    show_default=True,
    help="Frames in which people are at rest, such as 0-24 or 3,10-40; auto takes the calmest of "
    "the clip. Action Units are estimated over it.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Delete what an earlier run made, and begin anew. Files that are not glee's are replaced "
    "too.",
)
@device_option
@dry_run_option
@json_option
@click.pass_obj
def analyze(
    settings: dict[str, Any],
    /,
    inputs: tuple[Path, ...],
    out: Path,
    run: Path | None,
    device: str,
    workers: int,
    report: bool,
    dry_run: bool,
    json: bool,
    **options: Any,
) -> int:
    """Find landmarks, pose, blendshapes, gaze and Action Units in videos.

    A table has landmarks, pose, 51 blendshapes, gaze, quality and Action Units of each frame of
    VIDEO, which is a video, an image, or a folder of them. The Action Units are estimated from the
    face's shape, not trained on coded people; --run takes a trained network's. No dataset and no
    training is needed. A table takes its name in OUT when it is whole. Tables that are whole and
    made with the same options from the same files are kept, so that a run that was stopped goes on;
    --overwrite makes them anew. An input that cannot be read is reported and the others are
    analysed all the same; the exit status is 1 then.
    """
    from ..pipeline.analysis.analyze import as_json, plan

    chosen = AnalyzeOptions(**options)
    reports: dict[Path, _Report] = {}
    plans = plan(inputs, out, chosen, quiet=not dry_run) if dry_run or report else []
    if report:
        plans, reports = _with_reports(plans, out, run, chosen)
    if dry_run:
        if json:
            echo_json([item.as_json() for item in plans])
        else:
            for planned in plans:
                click.echo(planned.line(), err=bool(planned.error))
        return 1 if any(planned.error for planned in plans) else 0
    outcomes = []
    for found in _outcomes(
        inputs,
        out,
        run,
        device,
        options=chosen,
        workers=workers,
        progress=settings["progress"],
    ):
        item = _reported(found, reports, run)
        outcomes.append(item)
        if not json:
            click.echo(item.line(), err=bool(item.error))
        for note in item.notes():
            click.echo(note, err=True)
    if json:
        echo_json([as_json(item) for item in outcomes])
    return 1 if any(item.error for item in outcomes) else 0


@dataclass(frozen=True)
class _Report:
    """The file, what it plays, and whether that is the overlay."""

    path: Path
    video: Path | None
    overlay: bool


def _with_reports(
    plans: list[AnalysisPlan], out: Path, run: Path | None, options: AnalyzeOptions
) -> tuple[list[AnalysisPlan], dict[Path, _Report]]:
    """The plans with a report each, and the reports by the first table of their clip."""
    from ..reports.video_report import BEGINNING

    if options.format not in ("glee", "openface"):
        raise UsageError(
            f"--report needs Action Units, which --format {options.format} lacks; leave one out"
        )
    if options.aus == "none" and run is None:
        raise UsageError("--report needs Action Units; leave out --aus none, or give --run")
    longer, reports = [], {}
    for one in plans:
        if one.error:
            longer.append(one)
            continue
        name = one.written[0].name.removesuffix(".csv")
        if options.format == "openface":
            name = name.removesuffix(".openface")
        path = out / f"{name}.html"
        if not options.overwrite and path.exists() and not _begins(path, BEGINNING):
            raise UsageError(
                f"{path}: is no report of glee, and would be replaced; give another --out, or "
                "--overwrite"
            )
        overlay = next((file for file in one.written if file.suffix == ".mp4"), None)
        video = overlay or (one.input if one.images == 0 else None)
        reports[one.written[0]] = _Report(path, video, overlay is not None)
        longer.append(replace(one, written=(*one.written, path)))
    return longer, reports


def _begins(path: Path, beginning: str) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(beginning)) == beginning.encode()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give another --out") from None


def _reported(item: ClipAnalysis, reports: dict[Path, _Report], run: Path | None) -> ClipAnalysis:
    """Write the clip's report, if it is to have one; a failure costs no other clip."""
    report = reports.get(item.paths[0]) if item.paths else None
    if report is None or item.error:
        return item
    if not item.reasons.get("ok", 0):
        return replace(item, remarks=(*item.remarks, "no report, since no face was found"))
    from ..reports.video_report import video_report

    table = item.paths[0]
    source = str((item.action_units or {}).get("source", ""))
    if run is not None:
        source = f"probabilities of the trained run {run.name}"
    try:
        video_report(table, report.path, report.video, source=source, overlay=report.overlay)
    except GleeError as error:
        return replace(item, error=f"its table is written, but no report: {error}")
    except Exception as error:
        return replace(item, error=f"its table is written, but no report: {unexpected(error)}")
    return replace(item, paths=(*item.paths, report.path))


def _outcomes(
    inputs: tuple[Path, ...], out: Path, run: Path | None, device: str, **options: Any
) -> Iterator[ClipAnalysis]:
    from ..pipeline.analysis.analyze import analyses

    if run is None:
        return analyses(inputs, out, **options)
    from ..model.prediction.analysis import RunScorer

    return analyses(inputs, out, scorer=RunScorer(run, device), **options)
