"""Several processes training one network, under torchrun or Slurm; one process without either.

`joined_world` joins the processes that the launcher's environment variables name. Batch
normalisation goes over the batches of all processes: torch's own SyncBatchNorm needs GPUs; the one
here also runs under gloo, so that two processes can be compared with one on any machine.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import UsageError

# Ports from which a job's is taken, so that two jobs on one machine do not meet.
_FIRST_PORT, _PORTS = 20_000, 20_000


@dataclass(frozen=True)
class World:
    """This process among all.

    Attributes
    ----------
    rank : int
        Of this process, from 0.
    size : int
        Processes in all.
    local_rank : int
        On its machine, from 0.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    def check_batch(self, batch: int) -> None:
        """Refuse a batch that cannot be shared equally.

        Parameters
        ----------
        batch : int
            Frames of a step.

        Raises
        ------
        UsageError
            Where it is no multiple of the processes.
        """
        if batch % self.size:
            raise UsageError(f"batch {batch} cannot be shared by {self.size} processes; change it")

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def mean(self, value: float) -> float:
        """Average `value` over all processes."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        if distributed.get_backend() == "nccl":
            total = total.cuda()
        distributed.all_reduce(total)
        return float(total) / self.size

    def gathered(self, value: str) -> list[str]:
        """Collect a text `value` of each process, by rank."""
        if self.size == 1:
            return [value]
        values = [""] * self.size
        distributed.all_gather_object(values, value)
        return values

    def first_of_machine(self) -> bool:
        """Say whether this process is the first of those on its machine."""
        return self.gathered(socket.gethostname()).index(socket.gethostname()) == self.rank

    def of_first_on_machine(self, value: str) -> str:
        """Give the `value` that the first process of this machine has, to each of them."""
        hosts = self.gathered(socket.gethostname())
        return self.gathered(value)[hosts.index(socket.gethostname())]

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            distributed.barrier()


def choose_device(name: str, world: World, precision: str = "float32") -> torch.device:
    """Choose the device to train on.

    Parameters
    ----------
    name : str
        "cpu", "cuda" or "auto", which takes CUDA where there is one.
    world : World
        Its local rank numbers the GPU.
    precision : str
        Of the forward pass.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    UsageError
        Where the device is unknown, not there, or cannot train at that precision.
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

    Parameters
    ----------
    deterministic : bool
        While the context lasts, a GPU takes only algorithms whose bits repeat; torch raises
        RuntimeError where there is none.
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

    Parameters
    ----------
    device : str
        "auto", "cpu" or "cuda".

    Yields
    ------
    World
        This process among all.

    Raises
    ------
    UsageError
        Where their environment (see `read_launch`) does not say how.
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
    """Sum a tensor `value` over all processes; gradients flow back through the sum."""
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


@dataclass(frozen=True)
class Launch:
    """How a launcher started this process.

    Attributes
    ----------
    rank : int
        Of this process, from 0.
    size : int
        Processes in all.
    local_rank : int
        On its machine, from 0.
    address, port : str
        Where they meet; "" where nobody says.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    address: str = ""
    port: str = ""


def read_launch(variables: Mapping[str, str]) -> Launch:
    """Read how this process was started; a single one where neither launcher speaks.

    torchrun sets RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT. srun sets SLURM_PROCID,
    SLURM_STEP_NUM_TASKS (before that, SLURM_NTASKS), SLURM_LOCALID, SLURM_STEP_NODELIST and
    SLURM_JOB_ID; the first node and a port by the job's number are where its processes meet, unless
    MASTER_ADDR and MASTER_PORT say otherwise. A job's script itself, which has no step, is a single
    process whatever the job's number of tasks.

    Parameters
    ----------
    variables : mapping of str to str
        The environment.

    Returns
    -------
    Launch
        What it says.

    Raises
    ------
    UsageError
        Where a variable is not a number or contradicts another.
    """
    address, port = variables.get("MASTER_ADDR", ""), variables.get("MASTER_PORT", "")
    if "RANK" in variables and "WORLD_SIZE" in variables:
        return _checked(variables, ("RANK", "WORLD_SIZE", "LOCAL_RANK"), address, port)
    tasks = "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in variables else "SLURM_NTASKS"
    in_script = "SLURM_JOB_ID" in variables and "SLURM_STEP_ID" not in variables
    if "SLURM_PROCID" not in variables or tasks not in variables or in_script:
        return Launch()
    nodes = variables.get("SLURM_STEP_NODELIST", variables.get("SLURM_JOB_NODELIST", ""))
    address = address or first_node(nodes)
    if not port and variables.get("SLURM_JOB_ID", "").isdigit():
        port = str(_FIRST_PORT + int(variables["SLURM_JOB_ID"]) % _PORTS)
    return _checked(variables, ("SLURM_PROCID", tasks, "SLURM_LOCALID"), address, port)


def first_node(nodes: str) -> str:
    """Give the first name of Slurm's list `nodes`: "gpu[03-05,9],login" -> "gpu03"."""
    found = re.match(r"([^,\[]*)(?:\[(\w+)[^\]]*\])?([^,\[]*)", nodes)
    return "" if found is None else "".join(part or "" for part in found.groups())


def _checked(
    variables: Mapping[str, str], names: tuple[str, str, str], address: str, port: str
) -> Launch:
    try:
        rank, size, local = (int(variables.get(name, "0")) for name in names)
    except ValueError:
        said = ", ".join(f"{name}={variables.get(name, '')}" for name in names)
        raise UsageError(f"{said}: not numbers; unset them or use torchrun or srun") from None
    if not 0 <= rank < size or local < 0:
        raise UsageError(
            f"{names[0]} is {rank} of {names[1]} {size}; unset both or use torchrun or srun"
        )
    return Launch(rank, size, local, address, port)


class SynchronisedBatchNorm(_BatchNorm):
    """Normalises with mean and variance of all processes' samples; alone, like nn.BatchNorm."""

    def _check_input_dim(self, x: Tensor) -> None:
        return

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x, (b, channels, ...) float -> the same shape."""
        if not self.training:
            return super().forward(x)
        x = x.float()
        axes = [axis for axis in range(x.dim()) if axis != 1]
        shape = [1, -1] + [1] * (x.dim() - 2)
        size = torch.full((1,), x.numel() / x.shape[1], dtype=x.dtype, device=x.device)
        sums = gathered_sum(torch.cat([x.sum(axes), x.square().sum(axes), size]))
        channels, count = x.shape[1], sums[-1]
        mean = sums[:channels] / count
        variance = (sums[channels:-1] / count - mean.square()).clamp(min=0)
        self._remember(mean.detach(), variance.detach() * count.detach() / (count.detach() - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return x * scale.view(shape) + (self.bias - mean * scale).view(shape)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        momentum = 0.1 if self.momentum is None else self.momentum
        if self.running_mean is not None and self.running_var is not None:
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance, momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)


def synchronise_norms(network: nn.Module) -> None:
    """Let every trained BatchNorm of `network` use all processes' samples, in place."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
                setattr(module, name, _synchronised(child))


def _synchronised(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> SynchronisedBatchNorm:
    new = SynchronisedBatchNorm(norm.num_features, norm.eps, norm.momentum)
    for name, parameter in norm.named_parameters():
        setattr(new, name, parameter)
    new.load_state_dict(norm.state_dict())
    return new.train(norm.training)
