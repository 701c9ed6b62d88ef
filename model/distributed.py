"""Several processes training one network, under torchrun or Slurm; one process without either."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from ..errors import UsageError
from .launch_environment import read_launch


@dataclass(frozen=True)
class World:
    """This process among all. rank: from 0. size: of all. local_rank: on its machine, from 0."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    def check_batch(self, batch: int) -> None:
        """Raise UsageError where a batch cannot be shared equally."""
        if batch % self.size:
            raise UsageError(f"batch {batch} cannot be shared by {self.size} processes; change it")

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def mean(self, value: float) -> float:
        """Mean of a number over all processes."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        if distributed.get_backend() == "nccl":
            total = total.cuda()
        distributed.all_reduce(total)
        return float(total) / self.size

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            distributed.barrier()


def choose_device(name: str, world: World, precision: str = "float32") -> torch.device:
    """The device to train on: "auto" takes CUDA where there is one.

    precision: of the forward pass.

    Raises UsageError where the device is unknown, not there, or cannot train at that precision.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise UsageError(f"unknown device {name!r}; choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("device cuda: torch finds no CUDA device here; choose cpu")
    if name == "cpu" and precision == "float16":
        raise UsageError("precision fp16 needs a CUDA device; choose bf16 or fp32 on a CPU")
    return torch.device(name, world.local_rank) if name == "cuda" else torch.device("cpu")


@contextmanager
def reproducible(deterministic: bool) -> Iterator[None]:
    """Leave torch's random state and its choice of algorithms as they were.

    deterministic: while the context lasts, a GPU takes only algorithms whose bits repeat; torch
    raises RuntimeError where there is none.
    """
    before = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng():
        try:
            if deterministic:
                os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
                torch.use_deterministic_algorithms(True)
            yield
        finally:
            torch.use_deterministic_algorithms(before)


@contextmanager
def joined_world(device: str) -> Iterator[World]:
    """Join the processes that torchrun or Slurm started, for as long as the context lasts.

    Raises UsageError where their environment (see `read_launch`) does not say how.
    """
    launch = read_launch(os.environ)
    world = World(launch.rank, launch.size, launch.local_rank)
    if world.size == 1:
        yield world
        return
    if not launch.address or not launch.port:
        raise UsageError(
            f"{world.size} processes without MASTER_ADDR and MASTER_PORT; export both, "
            "or start the training with torchrun"
        )
    on_gpu = device != "cpu" and torch.cuda.is_available()
    # torchrun holds that port itself, and says so to torch by more variables.
    by_variables = {"MASTER_ADDR", "MASTER_PORT"} <= set(os.environ)
    distributed.init_process_group(
        "nccl" if on_gpu else "gloo",
        init_method="env://" if by_variables else f"tcp://{launch.address}:{launch.port}",
        rank=world.rank,
        world_size=world.size,
    )
    if on_gpu:
        torch.cuda.set_device(world.local_rank)
    try:
        yield world
    finally:
        distributed.destroy_process_group()


def gathered_sum(value: Tensor) -> Tensor:
    """Sum of a tensor over all processes, through which gradients flow back."""
    total: Tensor = _Sum.apply(value)  # type: ignore[no-untyped-call]
    return total


class _Sum(torch.autograd.Function):
    """The gradient of a sum over processes is the sum of the processes' gradients."""

    @staticmethod
    def forward(context: object, value: Tensor) -> Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: object, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total
