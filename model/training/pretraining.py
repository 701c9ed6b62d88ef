"""Pre-training of global and local branch on triplets of faces (Eq. 4).

A run's folder holds options.toml, checkpoint.pt, log.csv and results.json with the triplet accuracy
on held-out triplets. `train` starts from it with the option `init`. `pretraining_dry_run` says what
`pretrain` would do.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...errors import DataError, OptionsError
from ...pipeline.datasets.triplets import TRIPLET_FILE, read_triplets
from ...pipeline.shards.shard import list_shards, read_shard
from ...whole_files import write_whole
from ..checkpoint import CHECKPOINT_FILE, load_checkpoint
from ..data.au_dataset import AUFrames, load_frames, make_batch
from ..data.augmentation import stored_size
from ..data.batches import take_frames
from ..data.decoded_crops import exact_crops, with_decoded_crops, with_form
from ..data.triplets import (
    TripletBatch,
    TripletBatches,
    Triplets,
    faces_to_draw_from,
    find_triplets,
)
from ..distributed import World, choose_device, gathered_sum, joined_world, reproducible
from ..network.config import GLEENetConfig, preset_config
from ..network.glee_net import GLEENet
from ..options import Schedule, TrainOptions, write_options
from ..prediction.evaluation import RESULTS_FILE
from ..prediction.predictions import network_input
from .losses import triplet_loss
from .state import TrainingState, new_network, new_state
from .steps import DEFAULT_RUNTIME, RuntimeOptions, last_loss, run_steps, seed_step

logger = logging.getLogger(__name__)

NAME = "pre-training"
_FACES_AT_ONCE = 64


@dataclass(frozen=True)
class PretrainSummary:
    """A pre-trained run.

    Attributes
    ----------
    run : Path
        Its folder.
    triplets : int
        Trained on.
    held_out : int
        Triplets to measure with.
    steps : int
        In all.
    loss : float
        Mean of the last epoch, Eq. 4.
    accuracy : float
        Share of held-out triplets whose anchor and positive are nearer to each other than either is
        to the negative; chance is a third.
    seconds : float
        Spent in this call.
    """

    run: Path
    triplets: int
    held_out: int
    steps: int
    loss: float
    accuracy: float
    seconds: float


def pretrain(
    work: Path,
    out: Path,
    options: TrainOptions,
    *,
    device: str = "auto",
    runtime: RuntimeOptions = DEFAULT_RUNTIME,
) -> PretrainSummary:
    """Pre-train the expression embedding; goes on where an earlier call stopped.

    Parameters
    ----------
    work : Path
        Folder with shards, and FEC's table of triplets or labels to draw triplets from.
    out : Path
        The run's folder.
    options : TrainOptions
        Of the run.
    device : str
        "auto", "cpu" or "cuda".
    runtime : RuntimeOptions
        Worker processes and logs.

    Returns
    -------
    PretrainSummary
        What came of it.

    Raises
    ------
    DataError
        Where there are no triplets or a loss is not finite.
    OptionsError
        Where `out` was made with other options or the ablation has no embedding.
    ShardError, WeightsError, OutputError
        For files.
    """
    began = time.perf_counter()
    config = preset_config(options.preset, ("AU0",), options.ablation, coefficients=False)
    if config.expression not in ("global_local", "global"):
        raise OptionsError(f"ablation {options.ablation!r} has no global branch to pre-train")
    frames = load_frames(
        work,
        size=stored_size(config.image_size),
        aus=options.aus or None,
        with_fit=False,
        labelled=False,
        memory_limit=runtime.memory_limit,
    )
    triplets, held_out = find_triplets(work, frames, count=options.triplets, seed=options.seed)
    triplets, held_out = (
        part.some(options.most_triplets, options.seed) for part in (triplets, held_out)
    )
    triplets = triplets.with_margin(options.margin)
    with joined_world(device) as world, reproducible(options.deterministic):
        chosen = choose_device(device, world, options.precision)
        world.check_batch(options.batch)
        options = with_form(options, out, frames, runtime.crop_file, world)
        if world.leads:
            write_options(out, options)
        schedule = Schedule(options, len(triplets))
        pool = shared_faces(work, frames, options)
        size = config.image_size
        with with_decoded_crops(frames, options.crops, runtime.crop_file, world) as shown:
            batches = TripletBatches(shown, triplets, pool, size, schedule, world)
            network = _trained(batches, config, out, chosen, runtime)
            accuracy = triplet_accuracy(network, exact_crops(shown), held_out, size, chosen)
        summary = PretrainSummary(
            run=out,
            triplets=len(triplets) if pool is None else schedule.total * options.shared_triplets,
            held_out=len(held_out),
            steps=schedule.total,
            loss=last_loss(out, options.epochs),
            accuracy=accuracy,
            seconds=time.perf_counter() - began,
        )
        if world.leads:
            results = {"triplet_accuracy": accuracy, "held_out_triplets": len(held_out)}
            write_whole(out / RESULTS_FILE, json.dumps(results, indent=1).encode())
    return summary


def triplet_accuracy(
    network: GLEENet, frames: AUFrames, triplets: Triplets, size: int, device: torch.device
) -> float:
    """Measure the share of triplets whose anchor and positive are the two nearest faces.

    Parameters
    ----------
    network : GLEENet
        Set to evaluation mode.
    frames : AUFrames
        Frames of the triplets.
    triplets : Triplets
        To measure with.
    size : int
        Of the crops, pixels.
    device : torch.device
        Of the network.

    Returns
    -------
    float
        From 0 to 1.
    """
    used, face_index = np.unique(triplets.index, return_inverse=True)
    network = network.eval()
    embeddings = []
    with torch.inference_mode():
        for begin in range(0, len(used), _FACES_AT_ONCE):
            batch = make_batch(frames, used[begin : begin + _FACES_AT_ONCE], size)
            embedding = network.embed(network_input(batch, device)[0])
            embeddings.append(functional.normalize(embedding, dim=1).cpu())
    anchor, positive, negative = torch.cat(embeddings)[face_index.reshape(-1, 3)].unbind(1)
    alike = (anchor - positive).norm(dim=1)
    apart = torch.minimum((anchor - negative).norm(dim=1), (positive - negative).norm(dim=1))
    return float((alike < apart).double().mean())


def shared_faces(
    work: Path, frames: AUFrames, options: TrainOptions
) -> npt.NDArray[np.int64] | None:
    """Choose the frames that each step draws faces of, for triplets that share them.

    Parameters
    ----------
    work : Path
        The work folder.
    frames : AUFrames
        Its frames.
    options : TrainOptions
        Of the run.

    Returns
    -------
    (n,) int64 or None
        None where a table gives the triplets.
    """
    if (work / TRIPLET_FILE).exists() or not options.shared_triplets:
        return None
    return faces_to_draw_from(frames, options.seed)


def _trained(
    batches: TripletBatches,
    config: GLEENetConfig,
    out: Path,
    device: torch.device,
    runtime: RuntimeOptions,
) -> GLEENet:
    frames, schedule, world = batches.frames, batches.schedule, batches.world
    path = out / CHECKPOINT_FILE
    earlier = load_checkpoint(path) if path.exists() else None
    if earlier is not None and earlier.finished:
        logger.info("pre-trained already: %s", path)
        return earlier.network().to(device)
    seed_step(schedule.options.seed, NAME)
    network = new_network(config, schedule.options)
    network.classifier.requires_grad_(False)
    state = new_state(
        network,
        config,
        schedule.options,
        device,
        world,
        entry=ExpressionEmbedding(network),
        train_subjects=batches.subjects,
        test_subjects=(),
        dataset=frames.dataset,
        fit_model="",
        provenance=frames.provenance.as_dict(),
    )
    if earlier is not None:
        state.resume(earlier)

    def add_gradient(state: TrainingState, batch: TripletBatch) -> Tensor:
        options = schedule.options
        return add_triplet_gradient(state, batch, options.accumulate, centre=options.centre)

    run_steps(
        state,
        schedule,
        out,
        NAME,
        make_batch=batches.of_step,
        add_gradient=add_gradient,
        frame_names=batches.frame_names,
        runtime=runtime,
    )
    return state.final


class ExpressionEmbedding(nn.Module):
    """A network as its embedding alone: images to E_exp.

    Parameters
    ----------
    network : GLEENet
        The network.
    """

    def __init__(self, network: GLEENet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Embed b images.

        Parameters
        ----------
        image : (b, 3, s, s) float32
            RGB, (value - 127.5) / 128.

        Returns
        -------
        (b, embedding width) float32
            E_exp.
        """
        return self.network.embed(image)


def standardised_over_batch(embedding: Tensor, world: World) -> Tensor:
    """Bring each coordinate to mean 0 and deviation 1 over the faces of all processes.

    Eq. 4 is flat where all faces lie on one point, and that point is near for random weights.

    Parameters
    ----------
    embedding : (n, width) float32
        E_exp of this process's faces.
    world : World
        All processes.

    Returns
    -------
    (n, width) float32
        Standardised.
    """
    size = torch.full((1,), len(embedding), dtype=embedding.dtype, device=embedding.device)
    sums = torch.cat([embedding.sum(0), embedding.square().sum(0), size])
    if world.size > 1:
        sums = gathered_sum(sums)
    mean, square = (sums[:-1] / sums[-1]).chunk(2)
    return (embedding - mean) * torch.rsqrt((square - mean.square()).clamp(min=0) + 1e-5)


def add_triplet_gradient(
    state: TrainingState, batch: TripletBatch, accumulate: int = 1, *, centre: bool = False
) -> Tensor:
    """Add the gradient of Eq. 4 to the network's.

    Parameters
    ----------
    state : TrainingState
        Of the training.
    batch : TripletBatch
        b triplets.
    accumulate : int
        Shares that the batch is computed in.
    centre : bool
        Standardise E_exp over the batch, see TrainOptions.

    Returns
    -------
    (b,) float32
        Loss of each triplet.
    """
    count, losses = len(batch.margin), []
    for some in np.array_split(np.arange(count), accumulate):
        used, face_index = np.unique(batch.face_index[some], return_inverse=True)
        faces = take_frames(batch.faces, used)
        with state.autocast():
            embedding = state.parallel(network_input(faces, state.device)[0]).float()
        if centre:
            embedding = standardised_over_batch(embedding, state.world)
        margin = torch.from_numpy(batch.margin[some]).to(state.device)
        where = torch.from_numpy(face_index.reshape(-1, 3)).to(state.device)
        anchor, positive, negative = embedding[where].unbind(1)
        loss = triplet_loss(anchor, positive, negative, margin)
        torch.autograd.backward(state.scaler.scale(loss.sum() / count))
        losses.append(loss.detach())
    return torch.cat(losses)


def pretraining_dry_run(work: Path, out: Path, options: TrainOptions) -> list[str]:
    """Say what `pretrain` would do: faces, triplets, steps; no crop is read, nothing is written.

    Parameters
    ----------
    work, out, options
        As `pretrain` takes them.

    Returns
    -------
    list of str
        Lines.

    Raises
    ------
    ShardError, DataError
        For a folder that cannot be used.
    """
    work = Path(work)
    valid: dict[str, set[int]] = defaultdict(set)
    frames: Counter[str] = Counter()
    labelled, dataset = False, ""
    for path in list_shards(work):
        shard = read_shard(path, verify=False)
        dataset = dataset or shard.header.dataset
        labelled = labelled or bool(shard.header.au_names)
        frames[shard.header.subject] += int(shard.frames.valid.sum())
        valid[shard.header.subject].update(shard.frames.frame_id[shard.frames.valid].tolist())
    if (work / TRIPLET_FILE).exists():
        tables = read_triplets(work / TRIPLET_FILE)
        count = {
            split: int(np.isin(table.faces, list(valid[split])).all(1).sum())
            for split, table in tables.items()
        }
        train = count.get("train", 0)
        source = f"{train} triplets to train on, {count.get('test', 0)} held out"
    elif labelled and len(frames) >= 4 and options.triplets:
        train = options.triplets
        number = (
            f"{options.shared_triplets} a step" if options.shared_triplets else f"at most {train}"
        )
        source = f"triplets drawn from the labels of {len(frames)} subjects, {number}"
    else:
        raise DataError(
            f"{work}: has no table of triplets and cannot give any from labels; it needs labels of "
            "4 subjects or more and a number of triplets"
        )
    steps = options.epochs * math.floor(train / max(1, min(options.batch, train)))
    there = (Path(out) / CHECKPOINT_FILE).exists()
    return [
        f"{dataset}: {frames.total()} valid faces, {source}",
        f"preset {options.preset}, {options.epochs} epochs, batches of {options.batch}, "
        f"{steps} steps -> {out}" + ("; goes on from its checkpoint" if there else ""),
    ]
