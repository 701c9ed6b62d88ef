"""`glee run`: trained runs, packed into one file to hand on, and looked at."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FILE, RUN_FOLDER, SummaryGroup, echo_json, json_option, output_option


@click.group(cls=SummaryGroup)
def run() -> None:
    """Pack trained runs into one file, and show what is in it."""


@run.command()
@click.argument("path", metavar="RUN", type=RUN_FOLDER)
@output_option("It is a packed run, .zip.")
@click.option("--licence", help="A line that says who may do what with it.")
def pack(path: Path, output: Path, licence: str | None) -> None:
    """Pack a trained run into one file that `analyze --run` and `predict` take.

    The file has weights, options, how the training frames were made, names of the subjects (so that
    nobody is predicted by a network that learnt from them) and the licence; no faces, no labels, no
    paths of this machine, and nothing that is unpickled.
    """
    from ..model.packed_run import pack_run, read_packed_run
    from ..model.prediction.predict import load_run

    pack_run(path, load_run(path), output, licence)
    packed = read_packed_run(output)
    if licence is None:
        click.echo("note: no licence is stated; give --licence 'CC BY 4.0, NAME'", err=True)
    size = output.stat().st_size / 1e6
    click.echo(f"{output}: {len(packed.folds)} folds, {size:.1f} MB")


@run.command()
@click.argument("path", metavar="FILE", type=FILE)
@json_option
def info(path: Path, json: bool) -> None:
    """Show what is in a packed run."""
    from ..model.packed_run import read_packed_run

    facts = read_packed_run(path).facts()
    if json:
        echo_json(facts)
        return
    facts["aus"] = ", ".join(facts["aus"])
    facts["folds"] = ", ".join(facts["folds"])
    options = facts.pop("options")
    given = {name: value for name, value in options.items() if value not in ("", [], False)}
    facts["options"] = ", ".join(f"{name} {value}" for name, value in given.items())
    width = max(map(len, facts))
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' '):{width}}  {value}")
