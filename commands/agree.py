"""`glee agree`: people's coding of Action Units held against tables."""

from __future__ import annotations

from pathlib import Path

import click

from .events import event_options
from .options import (
    ANY_PATH,
    FILE,
    echo_json,
    json_option,
    never_on_what_is_read,
    output_option,
)


@click.command()
@click.argument("coding", metavar="CODING", type=ANY_PATH)
@click.argument("table", metavar="TABLE", type=ANY_PATH)
@output_option("It takes all figures: .csv or .json.", required=False)
@click.option("--plot", type=FILE, help="Picture to write: .png, .svg or .pdf.")
@click.option(
    "--tolerance",
    default=0,
    show_default=True,
    help="Frames: events that lie no more apart match, and by frame so many on either side of "
    "where an annotation begins or ends are left out.",
)
@click.option("--face", type=int, help="Face of the table, for tiers that do not say it.")
@click.option("--coder", help="Whose tiers count, where several people coded.")
@event_options
@json_option
@never_on_what_is_read("plot")
def agree(
    coding: Path,
    table: Path,
    output: Path | None,
    plot: Path | None,
    tolerance: int,
    face: int | None,
    coder: str | None,
    on: float | None,
    off: float | None,
    smoothing: float,
    shortest: float,
    gap: float,
    json: bool,
) -> None:
    """Hold what people coded against a table of `glee analyze`, by frame and by event.

    CODING is an .eaf of ELAN, a .csv or .tsv of BORIS, or a table with columns au, onset and
    offset; TABLE is as for `glee events`. Both can be folders: then a table is that of the coding
    of the same name. Tiers that `glee events` wrote and nobody changed are left out.
    """
    from ..reports.coding.agreement import AgreeOptions
    from ..reports.coding.agreement import agree as hold_against
    from ..reports.coding.agreement_plot import check_plot, plot_agreement
    from ..reports.coding.agreement_tables import (
        as_data,
        as_text,
        check_output,
        tier_notes,
        write_agreement,
    )
    from ..reports.coding.coding_files import pair_codings
    from ..reports.coding.events import EventOptions

    options = AgreeOptions(tolerance, face, coder, EventOptions(on, off, smoothing, shortest, gap))
    if output is not None:
        check_output(output)
    if plot is not None:
        check_plot(plot)
    pairs, unpaired = pair_codings(coding, table)
    found = hold_against(pairs, options)
    if output is not None:
        write_agreement(output, found)
    if plot is not None:
        plot_agreement(plot, found)
    for note in (*unpaired, *found.notes, *tier_notes(found)):
        click.echo(f"note: {note}", err=True)
    if json:
        echo_json(as_data(found))
    else:
        click.echo(as_text(found))
