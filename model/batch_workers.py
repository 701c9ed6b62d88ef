"""Batches made ahead of the step that uses them: by a thread, or by processes of their own.

A batch depends on the number of its step alone, so neither the number of processes nor how they
are started (fork or spawn) changes what a step sees or in which order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ..errors import GleeError

Item = TypeVar("Item")

# Batches that each process has ready.
_AHEAD = 2


def batches_ahead(
    make: Callable[[int], Item],
    first: int,
    total: int,
    *,
    workers: int = 0,
    start: str | None = None,
) -> Iterator[Item]:
    """The batches of the steps first .. total - 1, in this order.

    make: step -> batch, a dataclass of arrays; with processes it must be picklable under "spawn".
    workers: processes; 0 for one thread of this process. start: "fork", "spawn" or None for the
    system's way.

    Raises what `make` raises (a GleeError of a process as it is).
    """
    if first >= total:
        return
    if not workers:
        yield from _by_thread(make, first, total)
        return
    loader: DataLoader[Any] = DataLoader(
        _Steps(make),
        batch_size=None,
        sampler=range(first, total),  # type: ignore[arg-type]
        collate_fn=_as_it_is,
        num_workers=workers,
        prefetch_factor=_AHEAD,
        multiprocessing_context=start,
        worker_init_fn=_one_thread,
    )
    for made in loader:
        if isinstance(made, GleeError):
            raise made
        yield _with_arrays(made)


def _by_thread(make: Callable[[int], Item], first: int, total: int) -> Iterator[Item]:
    with ThreadPoolExecutor(1) as maker:
        following = maker.submit(make, first)
        for step in range(first + 1, total + 1):
            ready = following.result()
            if step < total:
                following = maker.submit(make, step)
            yield ready


class _Steps(Dataset[Any]):
    """What a process makes: a batch whose arrays lie in shared memory, or the error instead."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        self._make = make

    def __getitem__(self, step: int) -> Any:
        try:
            return _changed(self._make(step), np.ndarray, torch.from_numpy)
        except GleeError as error:
            return error


def _with_arrays(item: Item) -> Item:
    changed: Item = _changed(item, torch.Tensor, lambda tensor: tensor.numpy())
    return changed


def _changed(item: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """A dataclass with everything of one kind in it changed, also in dataclasses inside."""
    if isinstance(item, kind):
        return change(item)
    if not dataclasses.is_dataclass(item) or isinstance(item, type):
        return item
    parts = {
        part.name: _changed(getattr(item, part.name), kind, change)
        for part in dataclasses.fields(item)
    }
    return dataclasses.replace(item, **parts)


def _as_it_is(item: Any) -> Any:
    return item


def _one_thread(_: int) -> None:
    cv2.setNumThreads(1)
