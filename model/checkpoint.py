"""Checkpoints: everything to predict with, and while training everything to go on with."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import OptionsError, WeightsError
from ..whole_files import write_whole
from .network.build_glee_net import build_glee_net
from .network.config import GLEENetConfig
from .network.glee_net import GLEENet

FORMAT_NAME = "glee-checkpoint"
FORMAT_VERSION = 2
# Up to this version networks were trained on crops and f_exp of other landmarks than iBUG's.
_OTHER_LANDMARKS = 1
CHECKPOINT_FILE = "checkpoint.pt"
# The parts that the pre-training trains.
_EXPRESSION = ("global_branch.", "local_branch.")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """One fold's network and the state of its training.

    Attributes
    ----------
    config : GLEENetConfig
        Of the network.
    weights : dict of str to Tensor
        Its state dict (f_exp statistics included), the averaged one where there is an EMA.
    train_subjects, test_subjects : tuple of str
        Names.
    dataset : str
        Name of the dataset.
    fit_model : str
        Name of the morphable model that f_exp belongs to.
    reference : (e,) float32 or None
        For f_exp relative to the person (see person_specific.py), None for f_exp as it is.
    finished : bool
        Training is over.
    training : dict
        What training goes on from (steps done, own weights, optimiser, loss scaler), empty once
        finished.
    provenance : dict
        How the frames were made (`Provenance.as_dict`).
    """

    config: GLEENetConfig
    weights: dict[str, Tensor]
    train_subjects: tuple[str, ...]
    test_subjects: tuple[str, ...]
    dataset: str
    fit_model: str
    reference: Tensor | None
    finished: bool
    training: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def network(self) -> GLEENet:
        """Build the network with its weights, in evaluation mode."""
        network = build_glee_net(self.config)
        network.load_state_dict(self.weights)
        return network.eval()


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    path : Path
        The file.
    checkpoint : Checkpoint
        To write.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    content = {item.name: getattr(checkpoint, item.name) for item in fields(checkpoint)}
    content["config"] = asdict(checkpoint.config)
    buffer = io.BytesIO()
    torch.save({"format": FORMAT_NAME, "version": FORMAT_VERSION, **content}, buffer)
    write_whole(path, buffer.getbuffer())


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Parameters
    ----------
    path : Path
        File that `save_checkpoint` wrote.

    Returns
    -------
    Checkpoint
        On the CPU.

    Raises
    ------
    WeightsError
        Where the file is missing, damaged, or not glee's.
    """
    remedy = "train again, or give the folder of a trained run"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such checkpoint; {remedy}") from error
    except Exception as error:  # damaged bytes make torch and its unpickler raise anything
        raise WeightsError(f"{path}: cut or damaged checkpoint; {remedy}") from error
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT_NAME:
        raise WeightsError(f"{path}: is not a glee checkpoint; {remedy}")
    version = content.pop("version", None)
    if version == _OTHER_LANDMARKS:
        raise WeightsError(
            f"{path}: was trained on landmarks of another definition than this glee's (checkpoint "
            f"version {version}); run `glee preprocess` again, and train again"
        )
    if version != FORMAT_VERSION:
        raise WeightsError(
            f"{path}: checkpoint version {version}, this glee reads {FORMAT_VERSION}; {remedy}"
        )
    if content.pop("decision", None):
        raise WeightsError(
            f"{path}: has thresholds or a temporal head, which glee no longer has; {remedy}"
        )
    try:
        checkpoint = Checkpoint(**{**content, "config": GLEENetConfig(**content["config"])})
        with torch.device("meta"):
            shapes = {k: v.shape for k, v in build_glee_net(checkpoint.config).state_dict().items()}
        found = {name: value.shape for name, value in checkpoint.weights.items()}
    except (TypeError, KeyError, AttributeError, ValueError, AssertionError, OptionsError) as error:
        raise WeightsError(
            f"{path}: damaged checkpoint (its fields are others); {remedy}"
        ) from error
    if other := sorted(k for k in shapes | found if shapes.get(k) != found.get(k)):
        raise WeightsError(
            f"{path}: is of another version of glee's network ({other[0]} differs, "
            f"{len(other)} in all); {remedy}"
        )
    return checkpoint


def load_expression(network: GLEENet, run: Path) -> None:
    """Give global and local branch the weights of a pre-trained run.

    Parameters
    ----------
    network : GLEENet
        Changed in place.
    run : Path
        Folder of `pretrain`, or a checkpoint file.

    Raises
    ------
    WeightsError
        Where there is no finished one, or its branches have other shapes.
    """
    path = run / CHECKPOINT_FILE if run.is_dir() else run
    checkpoint = load_checkpoint(path)
    if not checkpoint.finished:
        raise WeightsError(f"{path}: its training is not finished; go on with it first")
    sizes = {
        "global_branch": checkpoint.config.global_size,
        "local_branch": checkpoint.config.local_size,
    }
    check_sizes(network, sizes, str(path), "pre-train with the same preset")
    wanted = {name for name in network.state_dict() if name.startswith(_EXPRESSION)}
    given = {k: v for k, v in checkpoint.weights.items() if k.startswith(_EXPRESSION)}
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    for name in sorted(wanted ^ given.keys()) or sorted(
        name for name, value in given.items() if value.shape != shapes[name]
    ):
        raise WeightsError(
            f"{path}: {name} does not fit this network; pre-train with the same preset and ablation"
        )
    network.load_state_dict(given, strict=False)


def check_sizes(network: GLEENet, sizes: Mapping[str, int], what: str, remedy: str) -> None:
    """Refuse weights that were learnt at another size of the faces.

    Weights of convolutions fit any image; those learnt at another size are of another preset.

    Parameters
    ----------
    network : GLEENet
        That is to take the weights.
    sizes : mapping of str to int
        Of "global_branch" and "local_branch", pixels, as they were trained.
    what : str
        Whose weights they are, at the beginning of the message.
    remedy : str
        At its end.

    Raises
    ------
    WeightsError
        Where a branch works at another size.
    """
    for name, size in sizes.items():
        branch = getattr(network, name)
        if branch is not None and branch.size != size:
            raise WeightsError(
                f"{what}: was pre-trained at {size} pixels, this network works at {branch.size}; "
                f"{remedy}"
            )
