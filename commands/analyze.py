"""`glee analyze`: from videos to tables of landmarks, pose, blendshapes and Action Units."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import ANY_PATH, FOLDER, MODEL_FILE, echo_lines, json_option, weights_option

if TYPE_CHECKING:
    from ..pipeline.analysis.analyze import ClipAnalysis
    from ..pipeline.analysis.inputs import AnalyzeOptions


@click.command()
@click.argument("inputs", metavar="VIDEO...", nargs=-1, required=True, type=ANY_PATH)
@click.option("-o", "--out", required=True, type=FOLDER, help="Folder for the tables.")
@click.option(
    "--format",
    type=click.Choice(["glee", "openface", "arkit"]),
    default="glee",
    show_default=True,
    help="glee: CSV and Parquet; openface: OpenFace 2.2's CSV; arkit: Live Link Face's CSV.",
)
@click.option("--video", is_flag=True, help="Write an overlay too: landmarks, mesh, curves.")
@click.option("--run", type=FOLDER, help="A trained run: Action Units too.")
@click.option("--faces", default=1, show_default=True, help="Most faces that are followed.")
@click.option("--detector", default="auto", show_default=True, help="Landmark backend.")
@weights_option
@click.option(
    "--identity",
    type=click.Choice(["subject", "frame"]),
    help="One face shape a person (default), or one a frame: photos of several people.",
)
@click.option("--focal", type=float, help="Focal length, pixels. [default: 1.5 x longer side]")
@click.option("--model", type=MODEL_FILE, help="Another morphable model.")
@click.option("--deinterlace", is_flag=True, help="Make interlaced pictures from both fields.")
@click.option("--fps", default=30.0, show_default=True, help="Frames a second of image folders.")
@click.option("--device", default="cpu", show_default=True, help="Of the run's networks.")
@click.option("--dry-run", is_flag=True, help="Say what would be read and written, and stop.")
@json_option
@click.pass_obj
def analyze(
    settings: dict[str, Any],
    /,
    inputs: tuple[Path, ...],
    out: Path,
    run: Path | None,
    device: str,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Landmarks, pose, 51 blendshapes, gaze and quality of each frame of VIDEO...

    No dataset and no training is needed. VIDEO is a video, an image, or a folder of them. A table
    takes its name in OUT when it is whole. An input that cannot be read is reported and the others
    are analysed all the same; the exit status is 1 then.
    """
    from ..pipeline.analysis.analyze import as_json as as_plain
    from ..pipeline.analysis.analyze import plan
    from ..pipeline.analysis.inputs import AnalyzeOptions

    chosen = AnalyzeOptions(**options)
    if dry_run:
        plans = plan(inputs, out, chosen)
        as_text = [json.dumps([item.as_json() for item in plans], indent=1)]
        echo_lines(as_text if as_json else [item.line() for item in plans])
        return 0
    outcomes = _outcomes(inputs, out, run, device, chosen, settings["progress"])
    for item in outcomes:
        if not as_json:
            click.echo(item.line(), err=bool(item.error))
    if as_json:
        click.echo(json.dumps([as_plain(item) for item in outcomes], indent=1))
    return 1 if any(item.error for item in outcomes) else 0


def _outcomes(
    inputs: tuple[Path, ...],
    out: Path,
    run: Path | None,
    device: str,
    options: AnalyzeOptions,
    progress: bool,
) -> list[ClipAnalysis]:
    if run is None:
        from ..pipeline.analysis.analyze import analyze as run_analysis

        return run_analysis(inputs, out, options=options, progress=progress)
    from ..model.prediction.analysis import analyze_with_run

    return analyze_with_run(inputs, out, run, options=options, device=device, progress=progress)
