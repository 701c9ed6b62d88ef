"""`glee model`: morphable models, imported, looked at, exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from .options import ANY_PATH, FILE, MODEL_FILE, json_option, output_option


@click.group()
def model() -> None:
    """Morphable models: import, look at, export."""


@model.command("import")
@click.argument("format_name", metavar="FORMAT")
@click.argument("path", type=ANY_PATH)
@output_option("The model file to write: .h5.")
@click.option("--landmarks", type=FILE, help="68 vertex indices: .json, .txt, .csv, .npy, .npz.")
@click.option("--blendshapes", type=ANY_PATH, help="Folder of OBJ or PLY, or .npz.")
@click.option("--register", is_flag=True, help="Carry over what is missing from our own model.")
@click.option("--unit", help="Unit of the file: m, dm, cm, mm, um. [default: the format's]")
@click.option("--identity-modes", default=60, show_default=True, help="Most modes kept.")
def import_(format_name: str, path: Path, output: Path, **options: Any) -> None:
    """Turn another model into glee's.

    FORMAT: lsfm, ict-facekit, bfm2009, bfm2017, bfm2019, flame or npz.
    """
    from ..fitting.importers.import_model import import_model
    from ..fitting.morphable_model.description import model_info
    from ..fitting.morphable_model.model_file import write_model

    imported = import_model(format_name, path, **options)
    write_model(output, imported)
    click.echo(model_info(imported))


@model.command()
@click.argument("path", type=MODEL_FILE, required=False)
@json_option
def info(path: Path | None, as_json: bool) -> None:
    """What is in a model file; without one, the embedded model."""
    from ..fitting.morphable_model.description import model_facts, model_info
    from ..fitting.morphable_model.model_file import load_model

    loaded = load_model(path)
    click.echo(json.dumps(model_facts(loaded), indent=1) if as_json else model_info(loaded))


@model.command()
@click.argument("path", type=MODEL_FILE, required=False)
@output_option("The picture to write: .png.")
def render(path: Path | None, output: Path) -> None:
    """A picture of a model: mean, identity modes, expressions, landmarks."""
    from ..fitting.morphable_model.model_file import load_model
    from ..fitting.render.model_sheet import draw_model_sheet

    draw_model_sheet(load_model(path), output)


@model.command("export")
@click.argument("path", type=MODEL_FILE, required=False)
@output_option(".obj, .glb or .npz.")
def export_model(path: Path | None, output: Path) -> None:
    """The mean mesh as OBJ, or the model as glTF with morph targets or as NPZ."""
    from ..fitting.exporters.export import export_model as write
    from ..fitting.morphable_model.model_file import load_model

    write(output, load_model(path))
