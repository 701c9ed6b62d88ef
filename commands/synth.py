"""`glee synth`: rendered datasets with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from .options import FOLDER, dry_run_option, echo_lines, seed_option, workers_option


@click.command()
@click.argument("out", type=FOLDER)
@click.option(
    "--layout",
    default="disfa",
    show_default=True,
    help="Dataset whose folders and files are written: disfa, disfa-plus, bp4d, bp4d-plus or fec.",
)
@click.option(
    "--subjects",
    default="9",
    show_default=True,
    help="Number of people, or their names: SN001,SN002.",
)
@click.option("--frames", default=120, show_default=True, help="Number of frames of each video.")
@click.option(
    "--size", default="640x480", show_default=True, help="Width x height of the pictures in pixels."
)
@seed_option(0)
@click.option(
    "--fps", default=20.0, show_default=True, help="Frames a second. It is for all videos."
)
@click.option(
    "--without",
    multiple=True,
    help="Part to leave out of the pictures; give it again for more: lids, lashes, brows, "
    "wrinkles, shadows, lips, teeth, tongue, hair, cloth, light, skin, background, defocus, "
    "noise, codec.",
)
@click.option(
    "--with",
    multiple=True,
    help="Addition to the pictures; give it again for more: lip-texture, motion-blur, face-cloth, "
    "compression.",
)
@workers_option
@dry_run_option
@click.pass_obj
def synth(
    settings: dict[str, Any],
    /,
    out: Path,
    layout: str,
    subjects: str,
    frames: int,
    size: str,
    seed: int,
    fps: float,
    without: tuple[str, ...],
    workers: int | None,
    dry_run: bool,
    **given: Any,
) -> None:
    """Render a dataset with known truth, in a real dataset's layout.

    It is written into OUT.
    """
    from ..fitting.render.appearance import render_parts
    from ..pipeline.cluster.cluster import available_cores
    from ..pipeline.synthesis.dataset import synthesis_dry_run, synthesise_dataset

    parts = render_parts(without, given["with"])  # a word of Python's, so no parameter
    options: dict[str, Any] = {
        "layout": layout,
        "subjects": int(subjects) if subjects.isdigit() else subjects.split(","),
        "frames": frames,
        "size": _size(size),
        "seed": seed,
        "fps": fps,
        "workers": workers or available_cores(),
    }
    if dry_run:
        echo_lines(synthesis_dry_run(out, **options))
        return
    made = synthesise_dataset(out, parts=parts, progress=settings["progress"], **options)
    click.echo(f"{out}: {len(made)} clips, labels, truth")


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise UsageError(f"size {text!r}: give width x height in pixels, such as 640x480")
    return int(width), int(height)
