"""A training's losses for TensorBoard, where that is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ..errors import UsageError

TENSORBOARD_FOLDER = "tensorboard"


class ScalarLog(Protocol):
    """What the loop of steps needs of TensorBoard's writer."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> object:
        """Note one number of one step."""


@contextmanager
def tensorboard_log(folder: Path, step: int, *, wanted: bool) -> Iterator[ScalarLog | None]:
    """A writer into `folder`/tensorboard; None where none is wanted.

    step: to go on from; what a killed run wrote of later steps is hidden.

    Raises UsageError where TensorBoard is not installed.
    """
    if not wanted:
        yield None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError(
            "TensorBoard is not installed: pip install glee[tensorboard], or leave --tensorboard "
            "out (log.csv holds the same figures)"
        ) from error
    writer = SummaryWriter(str(folder / TENSORBOARD_FOLDER), purge_step=step)  # type: ignore[no-untyped-call]
    try:
        yield writer
    finally:
        writer.close()  # type: ignore[no-untyped-call]
