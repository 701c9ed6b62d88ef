"""The options of `glee train` and `glee pretrain`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

# As in the trainer's own options.
_PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What both trainings have; an option that is not given keeps the preset's value."""
    for option in reversed(
        (
            click.option("--epochs", type=click.IntRange(1)),
            click.option("--batch", type=click.IntRange(1), help="Frames, or triplets, of a step."),
            click.option("--accumulate", type=click.IntRange(1), help="Parts of a batch."),
            click.option("--learning-rate", type=float),
            click.option("--momentum", type=float),
            click.option("--weight-decay", type=float),
            click.option("--schedule", type=click.Choice(["constant", "cosine"])),
            click.option("--warmup", type=float, help="Share of all steps."),
            click.option("--clip", type=float, help="Largest norm of the gradient; 0 for none."),
            click.option("--ema", type=float, help="Decay of averaged weights; 0 for none."),
            click.option(
                "--precision",
                type=click.Choice(list(_PRECISIONS)),
                callback=_precision,
                help="Of the forward pass; fp16 on CUDA only.",
            ),
            click.option("--deterministic", is_flag=True, default=None, help="Same bits on a GPU."),
            click.option("--mirror/--no-mirror", default=None, help="Mirror half of the faces."),
            click.option("--light", type=float, help="Strength of changed light; 0 for none."),
            click.option("--checkpoint-steps", type=click.IntRange(0), help="Also every so many."),
            click.option("--seed", type=int),
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
