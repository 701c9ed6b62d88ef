"""V_id of every frame, computed once and kept in the shards: the command `embed`.

The identity model never changes, so its output need not be computed in every epoch. Kept are V_id
of the crop's centre and of its mirror image; a training with the option identity = "cached" takes
them for any random crop of the frame, since who a person is does not change with a shift of at most
a sixteenth of the face. Prediction and evaluation always compute V_id, of the centre crop. The
digest of the identity model's weights is kept beside its output, by which a training recognises it.
"""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ...errors import OptionsError, UsageError
from ...pipeline.shards.shard import EmbedArrays, Shard, add_embed, list_shards, read_shard
from ...pipeline.summary import progress_bar
from ...pipeline.work_folder import state_options
from ...pipeline.work_lock import work_in
from ..data.augmentation import resized_face, stored_size
from ..distributed import World, choose_device
from ..network.config import GLEENetConfig, preset_config
from ..network.glee_net import GLEENet
from ..network.global_branch import GlobalBranch
from ..options import train_options
from .state import new_network

logger = logging.getLogger(__name__)

STAGE = "embed"
_FRAMES_AT_ONCE = 64


@dataclass(frozen=True)
class EmbedSummary:
    """What `embed` did.

    Attributes
    ----------
    shards : int
        In the folder.
    kept : int
        Those that held these features already.
    frames : int
        Embedded now.
    weights : str
        Digest of the identity model, see `identity_digest`.
    seconds : float
        Spent in this call.
    """

    shards: int
    kept: int
    frames: int
    weights: str
    seconds: float


def embed(
    work: Path,
    *,
    preset: str = "paper",
    facenet: str | None = None,
    init: str | None = None,
    device: str = "auto",
    overwrite: bool = False,
    progress: bool = False,
) -> EmbedSummary:
    """Keep V_id of every valid frame in the shards of a work folder; goes on where it stopped.

    Parameters
    ----------
    work : Path
        The work folder.
    preset : str
        Of the network, "paper" or "compact".
    facenet, init : str
        Where the identity model comes from, as for the training that will use it: a FaceNet file;
        or a run of `pretrain`, or "embedded", which the preset compact takes by itself.
    device : str
        "auto", "cpu" or "cuda".
    overwrite : bool
        Replace the features of other weights.
    progress : bool
        Show a bar.

    Returns
    -------
    EmbedSummary
        What was done.

    Raises
    ------
    UsageError
        Without weights.
    OptionsError
        With both, or where the folder has features of other weights.
    WeightsError, ShardError, OutputError
        For files.
    """
    began = time.perf_counter()
    options = train_options(preset, facenet=facenet or None, init=init or None)
    if not (options.facenet or options.init):
        raise UsageError("embed: give --facenet or --init, the weights that training starts from")
    config = preset_config(preset, ("AU0",))
    network = new_network(config, options)
    weights = identity_digest(network, config)
    branch = identity_branch(network).to(choose_device(device, World())).eval()
    kept, frames = 0, 0
    paths = list_shards(work)
    with work_in(work, STAGE), progress_bar(STAGE, len(paths), "shard", shown=progress) as bar:
        state_options(work, STAGE, {"preset": preset, "weights": weights}, overwrite=overwrite)
        for path in paths:
            shard = read_shard(path)
            if shard.embed is not None and shard.embed.weights == weights:
                kept += 1
            else:
                add_embed(path, _embedded(shard, branch, config, weights))
                frames += int(shard.frames.valid.sum())
            bar.update(1)
    return EmbedSummary(len(paths), kept, frames, weights, time.perf_counter() - began)


def _embedded(
    shard: Shard, branch: GlobalBranch, config: GLEENetConfig, weights: str
) -> EmbedArrays:
    device = branch.reduction.weight.device
    width = branch.reduction.in_features
    out = np.full((2, len(shard), width), np.nan, np.float16)
    rows = np.flatnonzero(shard.frames.valid)
    for begin in range(0, len(rows), _FRAMES_AT_ONCE):
        some = rows[begin : begin + _FRAMES_AT_ONCE]
        image = np.stack([_centre(shard.crop(int(row)), config.image_size) for row in some])
        faces = (torch.from_numpy(image).to(device).permute(0, 3, 1, 2).float() - 127.5) / 128
        for side, view in enumerate((faces, faces.flip(3))):
            out[side, some] = branch.identity(view).cpu().numpy()
    return EmbedArrays(out[0], out[1], weights)


def _centre(crop: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Cut the centre of an aligned face, as a test shows it: (size, size, 3) uint8."""
    crop = resized_face(crop, stored_size(size))
    begin = (len(crop) - size) // 2
    return crop[begin : begin + size, begin : begin + size]


# Counters of batch normalisation, which change nothing that is computed.
_NO_EFFECT = "num_batches_tracked"


def identity_branch(network: GLEENet) -> GlobalBranch:
    """Find the branch with the identity model.

    Parameters
    ----------
    network : GLEENet
        The network.

    Returns
    -------
    GlobalBranch
        Its global branch.

    Raises
    ------
    OptionsError
        Where the network has no identity model.
    """
    if not isinstance(network.global_branch, GlobalBranch):
        raise OptionsError(
            "this ablation has no identity model, so nothing of it can be kept; train with "
            "--identity-branch live"
        )
    return network.global_branch


def identity_digest(network: GLEENet, config: GLEENetConfig) -> str:
    """Digest the identity model's weights and the sizes of its input.

    Parameters
    ----------
    network : GLEENet
        The network.
    config : GLEENetConfig
        That it was built from.

    Returns
    -------
    str
        SHA-256, in hexadecimal.

    Raises
    ------
    OptionsError
        Where the network has no identity model.
    """
    total = hashlib.sha256(f"{config.image_size} {config.global_size}".encode())
    weights = identity_branch(network).identity_model.state_dict()
    for name, value in sorted(weights.items()):
        if not name.endswith(_NO_EFFECT):
            total.update(f"\n{name} {tuple(value.shape)}\n".encode())
            total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()
