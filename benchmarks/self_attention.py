"""Does the local branch's self-attention attend? By the start that it is given.

python benchmarks/self_attention.py --json benchmarks/results/self_attention.json
    [--work WORK] [--folder FOLDER] [--seeds 2] [--seed 0] [--quick]

Nine rendered people in DISFA's layout, six to train on and three to test, the compact network given
images alone. Each trained network is tested three times: as it is, with self-attention off (gain
0), and with the same weight for all positions (queries 0). Runs stay in --folder, where a killed
benchmark goes on.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import Target, write_results
from torch import Tensor, nn

from glee.model.checkpoint import CHECKPOINT_FILE, Checkpoint, load_checkpoint
from glee.model.data.au_dataset import AUFrames, load_frames, make_batch
from glee.model.data.augmentation import stored_size
from glee.model.network import local_branch
from glee.model.network.glee_net import GLEENet
from glee.model.network.local_branch import SelfAttention
from glee.model.options import RANDOM, train_options
from glee.model.prediction.evaluation import measure
from glee.model.prediction.predictions import network_input, predict_frames
from glee.model.training.training import train
from glee.pipeline.fit3d import fit3d
from glee.pipeline.preprocess import preprocess
from glee.pipeline.synthesis.dataset import synthesise_dataset

PEOPLE, FRAMES, SIZE = 9, 120, (480, 360)
FOLD = "1"


def zero_gain(attention: SelfAttention) -> None:
    """The start before: torch's own maps, nothing of them added."""
    for layer in (attention.query, attention.key, attention.value):
        layer.reset_parameters()
    nn.init.zeros_(attention.gain)


def narrow_maps(attention: SelfAttention) -> None:
    """Torch's own maps, added whole."""
    zero_gain(attention)
    nn.init.ones_(attention.gain)


def as_it_is(attention: SelfAttention) -> None:
    """The network's own start."""


STARTS: dict[str, Callable[[SelfAttention], None]] = {
    "gain 0, torch's maps": zero_gain,
    "gain 1, torch's maps": narrow_maps,
    "gain 1, He's maps": as_it_is,
}


def people(folder: Path, seed: int, *, quick: bool) -> Path:
    """A fitted work folder, made if need be."""
    data, work = folder / "data", folder / "work"
    if not (data / ".complete").exists():
        count, frames = (6, 12) if quick else (PEOPLE, FRAMES)
        synthesise_dataset(data, subjects=count, frames=frames, size=SIZE, seed=seed)
        (data / ".complete").touch()
    preprocess("disfa", data, work, workers=1, progress=False)
    fit3d(work, workers=1, progress=False)
    return work


def trained(start: str, work: Path, run: Path, seed: int, **changes: Any) -> Checkpoint:
    """The network of fold 1, from one of the STARTS; trained if need be."""
    own = local_branch.SelfAttention

    class Started(SelfAttention):
        """Self-attention with that start."""

        def __init__(self, channels: int, width: int) -> None:
            super().__init__(channels, width)
            STARTS[start](self)

    local_branch.SelfAttention = Started  # type: ignore[misc]
    try:
        options = train_options("compact", ablation="no-3dgb", init=RANDOM, seed=seed, **changes)
        train(work, run, options, fold=FOLD, device="cpu")
    finally:
        local_branch.SelfAttention = own  # type: ignore[misc]
    return load_checkpoint(run / f"fold{FOLD}" / CHECKPOINT_FILE)


def without(checkpoint: Checkpoint, *parts: str) -> GLEENet:
    """The network with these parameters of its self-attentions at 0."""
    network = checkpoint.network()
    for name, parameter in network.named_parameters():
        if any(name.endswith(f"attention.{part}") for part in parts):
            nn.init.zeros_(parameter)
    return network


def spread_of_weights(
    checkpoint: Checkpoint, frames: AUFrames, index: np.ndarray
) -> dict[str, float]:
    """Perplexity of the weights over positions, as a share of all; 1 is plain averaging."""
    network, shares = checkpoint.network(), []

    def look(attention: SelfAttention, given: tuple[Tensor]) -> None:
        query, key = (layer(given[0]).flatten(2) for layer in (attention.query, attention.key))
        score = query.transpose(1, 2) @ key * query.shape[1] ** -0.5
        entropy = -(score.softmax(-1) * score.log_softmax(-1)).sum(-1)
        shares.append(float(entropy.exp().mean()) / score.shape[-1])

    for module in network.modules():
        if isinstance(module, SelfAttention):
            module.register_forward_pre_hook(look)
    batch = make_batch(frames, index[:: max(len(index) // 64, 1)], checkpoint.config.image_size)
    with torch.inference_mode():
        network(*network_input(batch, torch.device("cpu")))
    return {"mean": float(np.mean(shares)), "lowest": min(shares)}


def look_at(checkpoint: Checkpoint, work: Path) -> dict[str, Any]:
    """F1, gains, weights, and which decisions depend on them."""
    config, cpu = checkpoint.config, torch.device("cpu")
    aus = [int(name.removeprefix("AU")) for name in config.au_names]
    frames = load_frames(work, size=stored_size(config.image_size), aus=aus)
    index = frames.of_subjects(checkpoint.test_subjects)

    def predicted(network: GLEENet) -> Any:
        return predict_frames(network, frames, index, image_size=config.image_size, device=cpu)

    whole = predicted(checkpoint.network())
    found: dict[str, Any] = {"f1": measure({FOLD: whole})["f1"]["mean"]}
    gains = [v.item() for k, v in checkpoint.weights.items() if k.endswith("attention.gain")]
    found["gain"] = {"lowest": min(gains), "highest": max(gains)}
    found["positions"] = spread_of_weights(checkpoint, frames, index)
    for name, parts in (("off", ("gain",)), ("even", ("query.weight", "query.bias"))):
        other = predicted(without(checkpoint, *parts)).probability > 0.5
        found[f"changed_{name}"] = float((other != (whole.probability > 0.5)).mean())
    return found


def main() -> None:
    """Everything, written to --json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", type=Path, help="Fitted shards of people to use instead.")
    parser.add_argument("--folder", type=Path, help="Data and runs; kept. [default: a new one]")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="self-attention-"))
    work = given.work or people(folder, given.seed, quick=given.quick)
    changes = {"epochs": 1} if given.quick else {}
    rows: dict[str, list[dict[str, Any]]] = {start: [] for start in STARTS}
    for seed in range(given.seed, given.seed + (1 if given.quick else given.seeds)):
        for number, start in enumerate(STARTS):
            checkpoint = trained(start, work, folder / f"runs/{number}-{seed}", seed, **changes)
            rows[start].append(look_at(checkpoint, work))
            print(f"seed {seed}  {start:22s} {rows[start][-1]}", flush=True)
    content = {"synthetic": True, "quick": given.quick, "seed": given.seed, "rows": rows}
    least = min(row["changed_off"] for row in rows["gain 1, He's maps"])
    value = None if given.quick else least
    write_results(given.json, content, [Target("decisions_that_depend", value, 0.005, "higher")])


if __name__ == "__main__":
    main()
