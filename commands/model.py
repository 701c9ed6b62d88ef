"""`glee model`: morphable models, imported, looked at, exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import (
    ANY_PATH,
    FILE,
    MODEL_FILE,
    SummaryGroup,
    echo_json,
    json_option,
    output_option,
)


@click.group(cls=SummaryGroup)
def model() -> None:
    """Import, show and export morphable models."""


@model.command("import")
@click.argument("format_name", metavar="FORMAT")
@click.argument("path", metavar="SOURCE", type=ANY_PATH)
@output_option("It is a morphable model, .h5.")
@click.option(
    "--landmarks",
    type=FILE,
    help="File of the 68 landmarks' vertex indices: .json, .txt, .csv, .npy or .npz.",
)
@click.option(
    "--blendshapes",
    type=ANY_PATH,
    help="The expressions' meshes: a folder of OBJ or PLY files, or one .npz.",
)
@click.option(
    "--register", is_flag=True, help="Carry over what is missing from the embedded model."
)
@click.option("--unit", help="Unit of length: m, dm, cm, mm or um. [default: the format's]")
@click.option(
    "--identity-modes", default=60, show_default=True, help="Largest number of modes that are kept."
)
def import_(format_name: str, path: Path, output: Path, **options: Any) -> None:
    """Turn another model into glee's own form.

    SOURCE is a file or folder; FORMAT says what it is: lsfm, ict-facekit, bfm2009, bfm2017,
    bfm2019, flame or npz.
    """
    from ..fitting.importers.import_model import import_model
    from ..fitting.morphable_model.description import model_info
    from ..fitting.morphable_model.model_file import write_model

    imported = import_model(format_name, path, **options)
    write_model(output, imported)
    click.echo(model_info(imported))


@model.command()
@click.argument("path", metavar="[MODEL]", type=MODEL_FILE, required=False)
@json_option
def info(path: Path | None, json: bool) -> None:
    """Show what is in a model file, or in the embedded model."""
    from ..fitting.morphable_model.description import model_facts, model_info
    from ..fitting.morphable_model.model_file import load_model

    loaded = load_model(path)
    if json:
        echo_json(model_facts(loaded))
    else:
        click.echo(model_info(loaded))


@model.command()
@click.argument("path", metavar="[MODEL]", type=MODEL_FILE, required=False)
@output_option("It is a picture, .png.")
def render(path: Path | None, output: Path) -> None:
    """Draw a model's mean, identity modes, expressions and landmarks."""
    from ..fitting.morphable_model.model_file import load_model
    from ..fitting.render.model_sheet import draw_model_sheet

    drawn = load_model(path)
    draw_model_sheet(drawn, output)
    click.echo(f"{output}: a picture of {drawn.name}")


@model.command("export")
@click.argument("path", metavar="[MODEL]", type=MODEL_FILE, required=False)
@output_option("Its ending says what it is: .obj, .glb or .npz.")
def export_model(path: Path | None, output: Path) -> None:
    """Write the mean mesh as OBJ, or the model as glTF with morph targets or as NPZ."""
    from ..fitting.exporters.export import export_model as write
    from ..fitting.morphable_model.model_file import load_model

    exported = load_model(path)
    write(output, exported)
    shapes = "" if output.suffix.lower() == ".obj" else ", its shapes as morph targets"
    if output.suffix.lower() == ".npz":
        shapes = ", with all of its arrays"
    click.echo(f"{output}: {exported.name}{shapes}")
