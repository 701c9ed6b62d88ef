"""`glee events`: onset, apex, offset and peak of each Action Unit, for the tools of coders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import DataError, UsageError, near_path
from .options import ANY_PATH, FILE, output_option


def event_options(command: Any) -> Any:
    """Add the options by which curves become events."""
    options = (
        click.option(
            "--on",
            type=float,
            help="What a curve has to reach. [default: 1 of an intensity, 0.5 of a probability]",
        ),
        click.option(
            "--off",
            type=float,
            help="An event lasts while the curve is not below. [default: 0.5 of an intensity, 0.35 "
            "of a probability]",
        ),
        click.option(
            "--smoothing",
            default=0.2,
            show_default=True,
            help="Seconds of the window over which curves are smoothed; 0 for none.",
        ),
        click.option(
            "--shortest",
            default=0.1,
            show_default=True,
            help="Seconds that an event lasts at least.",
        ),
        click.option(
            "--gap",
            default=0.1,
            show_default=True,
            help="Seconds of the longest gap that is bridged, below --off or with the face lost.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("table", metavar="TABLE", type=ANY_PATH)
@output_option("Its suffix says the form: .csv or .tsv for a table, .eaf for ELAN.")
@click.option(
    "--form",
    type=click.Choice(["csv", "boris", "elan"]),
    help="Form of the file; boris for the columns of BORIS's tabular events. [default: by suffix]",
)
@event_options
@click.option("--sides", is_flag=True, help="Tiers of the left and right sides too.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Delete what an earlier run made, and begin anew. OUTPUT is replaced also where a person "
    "has coded in it, or where it is not glee's.",
)
@click.option("--media", type=FILE, help="Video that the file links. [default: that of the table]")
def events(
    table: Path,
    output: Path,
    form: str | None,
    on: float | None,
    off: float | None,
    smoothing: float,
    shortest: float,
    gap: float,
    sides: bool,
    media: Path | None,
    overwrite: bool,
) -> None:
    """Find onset, apex, offset and peak of each Action Unit in a table of `glee analyze`.

    TABLE is a .csv or .parquet of `glee analyze`, or OpenFace's .csv. An event is a run of frames
    in which the smoothed curve is at or above --off and reaches --on. The parameters stand in
    OUTPUT.json beside a table, and among the properties of an ELAN file. A file in which a person
    has coded is not replaced without --overwrite.
    """
    from dataclasses import replace

    from ..reports.coding.au_table import read_au_table
    from ..reports.coding.coding_files import is_glees_own
    from ..reports.coding.event_files import EventSet, check_form, write_events
    from ..reports.coding.events import EventOptions, find_events

    options = EventOptions(on, off, smoothing, shortest, gap)
    check_form(output, form)
    if not overwrite and output.exists() and not is_glees_own(output):
        raise UsageError(
            f"{output}: holds what glee did not write, such as a person's coding, and would be "
            "replaced; give another --output, or --overwrite"
        )
    faces = read_au_table(table)
    if not sides:
        faces = [
            replace(face, curves={k: v for k, v in face.curves.items() if " " not in k})
            for face in faces
        ]
    if media is not None and not media.is_file():
        raise DataError(
            f"{media}: no such video; {near_path(media)}give the one that the table is of"
        )
    found = [event for face in faces for event in find_events(face, options)]
    content = EventSet(table.stem, faces, found, options, media or _video_of(table))
    write_events(output, content, form)
    if output.suffix.lower() == ".eaf" and content.video is None:
        click.echo(
            "note: no video is linked: none lies by the table, and the one that it was made of is "
            "not where it was; give --media",
            err=True,
        )
    lost = sum(int((~face.valid).sum()) for face in faces)
    hidden = sum(event.hidden for event in found)
    unseen = f" ({hidden} of them mostly hidden)" if hidden else ""
    tiers = len({content.tier(event) for event in found})
    click.echo(
        f"{content.name}: {len(found)} events{unseen} in {tiers} of "
        f"{sum(len(face.curves) for face in faces)} curves, {lost} frames lost -> {output}"
    )


def _video_of(table: Path) -> Path | None:
    """The video that the table's record names, or else one that lies by the table."""
    from ..pipeline.analysis.batch.record import source_of_table
    from ..pipeline.clips import VIDEO_SUFFIXES

    source = source_of_table(table)
    if source is not None and source.suffix.lower() in VIDEO_SUFFIXES and source.is_file():
        return source
    beside = (table.with_name(table.stem + ending) for ending in VIDEO_SUFFIXES)
    return next((path for path in beside if path.is_file()), None)
