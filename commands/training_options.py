"""The options of `glee train` and `glee pretrain`, whose values follow the preset.

The options of `glee experiment` that mean the same take their help from here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import device_option, facenet_option, former_name

if TYPE_CHECKING:
    from ..model.training.steps import RuntimeOptions


class PresetValued(click.Option):
    """An option whose value, where it is not given, is the preset's; its help says which.

    Parameters
    ----------
    field : of the training's options; None for the option's own name.
    """

    def __init__(self, *arguments: Any, field: str | None = None, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.field = field or str(self.name)

    def get_help_record(self, context: click.Context) -> tuple[str, str] | None:
        """The option's line, with the value of both presets."""
        self.show_default = _values_of_presets(str(context.info_name), self.field)
        return super().get_help_record(context)


def _values_of_presets(command: str, field: str) -> str | None:
    from ..model.options import pretrain_options, train_options

    recipe = pretrain_options if command == "pretrain" else train_options
    values = [_in_words(getattr(recipe(preset), field)) for preset in ("paper", "compact")]
    if not any(values):
        return None
    return values[0] if values[0] == values[1] else f"paper: {values[0]}, compact: {values[1]}"


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return {text: short for short, text in _PRECISIONS.items()}.get(value, str(value))


# As in the trainer's own options.
_PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def _precision(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    return value if value is None or context.resilient_parsing else _PRECISIONS[value]


# Another type and default than that of `experiment`, the same meaning.
EPOCHS_HELP = "Number of passes over the training frames."
BATCH_HELP = "Frames of a step, or triplets of one."

missing_option = click.option(
    "--missing",
    type=click.Choice(["skip", "absent"]),
    default="skip",
    show_default=True,
    help="Leave labelled frames without a usable face out of the measures, or score them as "
    "predicted absent.",
)


def ablation_option(help_text: str = "") -> Callable[[Any], Any]:
    """A part of the network that is left out; help_text: sentences that say more of it."""
    said = "Row of the paper's Table 5 to train instead of the whole network, such as no-3dgb."
    return click.option("--ablation", help=f"{said} {help_text}".strip())


_TRAINING_OPTIONS = (
    click.option("--epochs", cls=PresetValued, type=click.IntRange(1), help=EPOCHS_HELP),
    click.option("--batch", cls=PresetValued, type=click.IntRange(1), help=BATCH_HELP),
    click.option(
        "--accumulate",
        cls=PresetValued,
        type=click.IntRange(1),
        help="Parts that a batch is computed in, to need less memory.",
    ),
    click.option("--learning-rate", cls=PresetValued, type=float, help="Learning rate of SGD."),
    click.option("--momentum", cls=PresetValued, type=float, help="Momentum of SGD."),
    click.option("--weight-decay", cls=PresetValued, type=float, help="Weight decay of SGD."),
    click.option(
        "--schedule",
        cls=PresetValued,
        type=click.Choice(["constant", "cosine"]),
        help="How the learning rate goes on after the warm-up.",
    ),
    click.option(
        "--warmup",
        cls=PresetValued,
        type=float,
        help="Share of all steps in which the learning rate rises.",
    ),
    click.option(
        "--clip", cls=PresetValued, type=float, help="Largest norm of the gradient; 0 for none."
    ),
    click.option(
        "--ema", cls=PresetValued, type=float, help="Decay of the averaged weights; 0 for none."
    ),
    click.option(
        "--precision",
        cls=PresetValued,
        type=click.Choice(list(_PRECISIONS)),
        callback=_precision,
        help="Precision of the forward pass; fp16 needs CUDA.",
    ),
    click.option(
        "--deterministic",
        is_flag=True,
        default=None,
        help="Take only algorithms of a GPU whose bits repeat.",
    ),
    click.option(
        "--mirror/--no-mirror",
        cls=PresetValued,
        default=None,
        help="Mirror half of the faces.",
    ),
    click.option(
        "--light", cls=PresetValued, type=float, help="Strength of changed light; 0 for none."
    ),
    click.option(
        "--checkpoint-steps",
        cls=PresetValued,
        type=click.IntRange(0),
        help="Also write a checkpoint every so many steps; 0 for epochs only.",
    ),
    click.option("--seed", cls=PresetValued, type=int, help="Seed of all random numbers."),
    facenet_option,
    device_option,
    click.option(
        "--loaders",
        type=click.IntRange(0),
        help="Number of processes that load batches; 0 loads them in the training's own. "
        "[default: 0 on a CPU, 2 with CUDA]",
    ),
    former_name("--workers", "loaders"),
    click.option(
        "--crops",
        type=click.Choice(["auto", "rgb", "i420", "none"]),
        default="auto",
        show_default=True,
        help="How decoded crops are kept for the next epochs: rgb, as they are; i420, in half the "
        "space, colours at half the resolution; auto, the better one that fits; none, not at all.",
    ),
    click.option(
        "--crops-folder",
        type=click.Path(path_type=Path, file_okay=False, exists=True),
        help="Folder for the file of decoded crops, such as a node's own disk. "
        "[default: the system's temporary folder]",
    ),
    click.option(
        "--keep-crops",
        is_flag=True,
        help="Leave the file of decoded crops in its folder for other trainings on these shards.",
    ),
    click.option("--tensorboard", is_flag=True, help="Write a log for TensorBoard too."),
)


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What both trainings have; an option that is not given keeps the preset's value."""
    for option in reversed(_TRAINING_OPTIONS):
        command = option(command)
    return command


def runtime_of(settings: dict[str, Any], changes: dict[str, Any]) -> RuntimeOptions:
    """Take out of a command's values those that say how it runs here; those of the run stay."""
    from ..model.data.decoded_crops import CropFileOptions
    from ..model.training.steps import runtime_options

    crops, folder, keep = (changes.pop(name) for name in ("crops", "crops_folder", "keep_crops"))
    changes["crops"] = "rgb" if crops == "none" else crops
    return runtime_options(
        changes["device"],
        changes.pop("loaders"),
        tensorboard=changes.pop("tensorboard"),
        progress=settings["progress"],
        crop_file=CropFileOptions(crops != "none", folder, keep),
    )
