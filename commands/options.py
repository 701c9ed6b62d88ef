"""Options and arguments that several commands share.

The options of `glee train` and `glee pretrain`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from ..errors import DataError

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
ANY_PATH = click.Path(path_type=Path)


class ModelFile(click.Path):
    """The path of a morphable model; another kind of file is refused before any work."""

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Any:
        """The path. Raises DataError where a file is there that is neither HDF5 nor .npz."""
        given: Any = super().convert(value, param, context)
        path = Path(given)
        if path.is_file() and os.access(path, os.R_OK):
            with path.open("rb") as file:
                head = file.read(8)
            if not head.startswith((b"PK", b"\x89HDF")):
                raise DataError(
                    f"{path}: is no morphable model; give the .h5 that `glee model import` writes"
                )
        return given


class ShardFile(click.Path):
    """The path of a shard; of a folder, the line names one of its shards."""

    name = "file"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Any:
        """The path."""
        folder = Path(value)
        if folder.is_dir():
            first = min(folder.rglob("*.h5"), default=None)
            such_as = "" if first is None else f", such as {first}"
            self.fail(f"{folder} is a folder; give one of its shards{such_as}", param, context)
        return super().convert(value, param, context)


SHARD_FILE = ShardFile(path_type=Path, dir_okay=False)
MODEL_FILE = ModelFile(path_type=Path, dir_okay=False)


def output_option(help_text: str, *, required: bool = True) -> Callable[[Any], Any]:
    """The file that a command writes."""
    return click.option(
        "-o", "--output", "--out", "output", required=required, type=FILE, help=help_text
    )


workers_option = click.option(
    "--workers", type=click.IntRange(1), help="Processes. [default: one a core]"
)
cluster_option = click.option(
    "--cluster",
    help="local, slurm, pbs, lsf, sge or tcp://host:port. [default: the table's, or local]",
)
cluster_config_option = click.option(
    "--cluster-config", type=FILE, help="TOML with [cluster]. [default: WORK/glee.toml]"
)
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Say what would be done, and where; then stop."
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Drop what is there; begin anew.")
weights_option = click.option(
    "--weights", type=FOLDER, help="Backend's weights files. [default: TORCH_HOME/hub/checkpoints]"
)
device_option = click.option("--device", help="Where the backend runs: cpu or cuda.")
flip_option = click.option(
    "--flip/--no-flip", default=None, help="fan: mean with the mirrored face, at twice the cost."
)
preset_option = click.option(
    "--preset", type=click.Choice(["paper", "compact"]), default="paper", show_default=True
)
DATASETS_HELP = "Layout: disfa, disfa-plus, bp4d, bp4d-plus, fec or folder."


def dataset_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that only some datasets have; one that the dataset lacks is refused."""
    for option in (
        click.option("--frame-offset", type=int, help="Image number less its label row's number."),
        click.option(
            "--labels", type=click.Choice(["occurrence", "intensity"]), help="BP4D: which."
        ),
        click.option("--images", type=ANY_PATH, help="Where the images lie, if apart."),
        click.option("--url-map", type=FILE, help="FEC: file of url,file rows."),
    ):
        command = option(command)
    return command


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def dataset_options_of(
    frame_offset: int | None, labels: str | None, images: Path | None, url_map: Path | None
) -> dict[str, Any]:
    """The values of `dataset_options`, as the library takes them."""
    return {
        "frame_offset": frame_offset,
        "labels": labels,
        "images": images,
        "url_map": url_map,
    }


def echo_lines(lines: Sequence[str]) -> None:
    """Lines on stdout."""
    click.echo("\n".join(lines))


class PresetValued(click.Option):
    """An option whose value, where it is not given, is the preset's; its help says which."""

    def get_help_record(self, context: click.Context) -> tuple[str, str] | None:
        """The option's line, with the value of both presets."""
        self.show_default = _values_of_presets(str(context.info_name), str(self.name))
        return super().get_help_record(context)


def _values_of_presets(command: str, name: str) -> str | None:
    from ..model.options import pretrain_options, train_options

    recipe = pretrain_options if command == "pretrain" else train_options
    values = [_in_words(getattr(recipe(preset), name)) for preset in ("paper", "compact")]
    if not any(values):
        return None
    return values[0] if values[0] == values[1] else f"paper: {values[0]}, compact: {values[1]}"


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return {text: short for short, text in _PRECISIONS.items()}.get(value, str(value))


# As in the trainer's own options.
_PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What both trainings have; an option that is not given keeps the preset's value."""
    for option in reversed(
        (
            click.option("--epochs", cls=PresetValued, type=click.IntRange(1)),
            click.option(
                "--batch",
                cls=PresetValued,
                type=click.IntRange(1),
                help="Frames, or triplets, of a step.",
            ),
            click.option(
                "--accumulate", cls=PresetValued, type=click.IntRange(1), help="Parts of a batch."
            ),
            click.option("--learning-rate", cls=PresetValued, type=float),
            click.option("--momentum", cls=PresetValued, type=float),
            click.option("--weight-decay", cls=PresetValued, type=float),
            click.option("--schedule", cls=PresetValued, type=click.Choice(["constant", "cosine"])),
            click.option("--warmup", cls=PresetValued, type=float, help="Share of all steps."),
            click.option(
                "--clip",
                cls=PresetValued,
                type=float,
                help="Largest norm of the gradient; 0 for none.",
            ),
            click.option(
                "--ema", cls=PresetValued, type=float, help="Decay of averaged weights; 0 for none."
            ),
            click.option(
                "--precision",
                cls=PresetValued,
                type=click.Choice(list(_PRECISIONS)),
                callback=_precision,
                help="Of the forward pass; fp16 on CUDA only.",
            ),
            click.option("--deterministic", is_flag=True, default=None, help="Same bits on a GPU."),
            click.option(
                "--mirror/--no-mirror",
                cls=PresetValued,
                default=None,
                help="Mirror half of the faces.",
            ),
            click.option(
                "--light",
                cls=PresetValued,
                type=float,
                help="Strength of changed light; 0 for none.",
            ),
            click.option(
                "--checkpoint-steps",
                cls=PresetValued,
                type=click.IntRange(0),
                help="Also every so many.",
            ),
            click.option("--seed", cls=PresetValued, type=int),
            click.option(
                "--facenet", help="20180402-114759-vggface2.pt, weights of both FaceNets."
            ),
            click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
            click.option(
                "--workers", type=click.IntRange(0), help="Processes that read. [CPU: 0, CUDA: 2]"
            ),
            click.option("--tensorboard", is_flag=True, help="Write TensorBoard's log too."),
        )
    ):
        command = option(command)
    return command


def _precision(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    return None if value is None else _PRECISIONS[value]
