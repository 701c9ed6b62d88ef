"""The options of `glee train` and `glee pretrain`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


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
