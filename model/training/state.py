"""What changes while a fold is trained, and how it is put into a checkpoint and taken out again."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD

from ..checkpoint import Checkpoint, load_expression, save_checkpoint
from ..distributed import World, synchronise_norms
from ..expression_embedding import load_embedding
from ..network.build_glee_net import build_glee_net
from ..network.config import GLEENetConfig
from ..network.glee_net import GLEENet
from ..options import EMBEDDED, TrainOptions

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(eq=False)
class TrainingState:
    """Network, its moving average, optimiser and loss scaler of one fold.

    Attributes
    ----------
    config : GLEENetConfig
        Of the network.
    train_subjects, test_subjects, dataset, fit_model, reference, provenance
        See Checkpoint.
    world : World
        The processes that share the training.
    network : GLEENet
        That is trained.
    parallel : nn.Module
        The network, or what shares its gradients with the other processes of the world.
    average : GLEENet or None
        Moving average of the network's weights; None without EMA.
    optimiser : SGD
        Of the weights.
    scaler : GradScaler
        Of the loss, at float16.
    dtype : torch.dtype
        Precision of the forward pass.
    device : torch.device
        Of the network.
    step : int
        Steps done.
    """

    config: GLEENetConfig
    train_subjects: tuple[str, ...]
    test_subjects: tuple[str, ...]
    dataset: str
    fit_model: str
    reference: Tensor | None
    world: World
    network: GLEENet
    parallel: nn.Module
    average: GLEENet | None
    optimiser: SGD
    scaler: torch.amp.GradScaler
    dtype: torch.dtype
    device: torch.device
    step: int = 0
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def weights(self) -> list[nn.Parameter]:
        """Parameters that are trained."""
        return [weight for weight in self.network.parameters() if weight.requires_grad]

    @property
    def final(self) -> GLEENet:
        """The network to predict with."""
        return self.network if self.average is None else self.average

    def update_average(self, decay: float) -> None:
        """Move the averaged weights towards the network's; faster in the first steps.

        Parameters
        ----------
        decay : float
            Share of the average that stays.
        """
        if self.average is None:
            return
        decay = min(decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.network.parameters(), strict=True)
            for mean, weight in pairs:
                mean.lerp_(weight, 1 - decay)
            buffers = zip(self.average.buffers(), self.network.buffers(), strict=True)
            for mean_buffer, buffer in buffers:
                mean_buffer.copy_(buffer)

    def autocast(self) -> torch.autocast:
        """Give the context of the forward pass at the options' precision."""
        reduced = self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype if reduced else None, enabled=reduced)

    def save(self, path: Path) -> None:
        """Write a checkpoint to go on from; the random choices of a step follow from its number.

        Parameters
        ----------
        path : Path
            The checkpoint.

        Raises
        ------
        OutputError
            Where it cannot be written.
        """
        training: dict[str, Any] = {
            "step": self.step,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        save_checkpoint(path, self._checkpoint(training))

    def finish(self, path: Path) -> None:
        """Write the last checkpoint, to predict with.

        Parameters
        ----------
        path : Path
            The checkpoint.

        Raises
        ------
        OutputError
            Where it cannot be written.
        """
        save_checkpoint(path, self._checkpoint({}))

    def _checkpoint(self, training: dict[str, Any]) -> Checkpoint:
        return Checkpoint(
            config=self.config,
            weights={name: value.cpu() for name, value in self.final.state_dict().items()},
            train_subjects=self.train_subjects,
            test_subjects=self.test_subjects,
            dataset=self.dataset,
            fit_model=self.fit_model,
            reference=self.reference,
            finished=not training,
            training=training,
            provenance=self.provenance,
        )

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a `checkpoint` that `save` wrote."""
        training = checkpoint.training
        self.step = int(training["step"])
        self.network.load_state_dict(training["network"])
        if self.average is not None:
            self.average.load_state_dict(checkpoint.weights)
        self.optimiser.load_state_dict(training["optimiser"])
        self.scaler.load_state_dict(training["scaler"])


def new_network(
    config: GLEENetConfig, options: TrainOptions, f_exp: npt.NDArray[np.float32] | None = None
) -> GLEENet:
    """Build a network to train, with the weights that the options start from.

    Parameters
    ----------
    config : GLEENetConfig
        Of the network.
    options : TrainOptions
        Name the weights to start from.
    f_exp : (n, e) float32, optional
        Of the training frames, for the statistics of the 3D branch.

    Returns
    -------
    GLEENet
        On the CPU.

    Raises
    ------
    WeightsError
        Where the FaceNet file, the pre-trained run or the embedding of the options does not fit.
    """
    facenet = Path(options.facenet) if options.facenet else None
    network = build_glee_net(config, facenet=facenet)
    if options.init == EMBEDDED:
        load_embedding(network)
    elif options.init:
        load_expression(network, Path(options.init))
    if network.coefficient_branch is not None and f_exp is not None:
        network.coefficient_branch.set_statistics(f_exp)
    return network


def new_state(
    network: GLEENet,
    config: GLEENetConfig,
    options: TrainOptions,
    device: torch.device,
    world: World,
    *,
    train_subjects: tuple[str, ...],
    test_subjects: tuple[str, ...],
    dataset: str,
    fit_model: str,
    reference: Tensor | None = None,
    provenance: dict[str, Any] | None = None,
    entry: nn.Module | None = None,
) -> TrainingState:
    """Give the state before the first step: SGD on the network's weights that take a gradient.

    Parameters
    ----------
    network : GLEENet
        To train; moved to the device.
    config : GLEENetConfig
        Of the network.
    options : TrainOptions
        Of the run.
    device : torch.device
        To train on.
    world : World
        The processes that share the training.
    train_subjects, test_subjects, dataset, fit_model, reference, provenance
        See Checkpoint.
    entry : nn.Module, optional
        A module around the network that the loss is computed from; None for the network.

    Returns
    -------
    TrainingState
        At step 0.
    """
    network = network.to(device)
    parallel = network if entry is None else entry
    if world.size > 1:
        synchronise_norms(network)
        parallel = DistributedDataParallel(parallel, broadcast_buffers=False)
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    return TrainingState(
        config=config,
        train_subjects=train_subjects,
        test_subjects=test_subjects,
        dataset=dataset,
        fit_model=fit_model,
        reference=reference,
        world=world,
        network=network,
        parallel=parallel,
        average=copy.deepcopy(network) if options.ema else None,
        optimiser=SGD(
            trained,
            lr=options.learning_rate,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
        ),
        scaler=torch.amp.GradScaler(device.type, enabled=options.precision == "float16"),
        dtype=_DTYPES[options.precision],
        device=device,
        provenance=provenance or {},
    )
