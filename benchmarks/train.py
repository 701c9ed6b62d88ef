"""Speed of training and of the exported network, preset paper, on one core of a CPU.

python benchmarks/train.py --json benchmarks/results/train.json

`loader_wait_share` is by the clock: measure it where nobody else works (`queued_ms` near 0). It is
of an epoch after the first, which has decoded the crops: the least disturbed of eight.
`step_over_bare` holds the trainer's step against a plain PyTorch loop over the same network, its
tensors made beforehand.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import Target, least_disturbed, machine, write_results
from train_loading import loading, order

from glee.model.data.au_dataset import Batch
from glee.model.distributed import World
from glee.model.network.build_glee_net import build_glee_net, flop_count, parameter_count
from glee.model.network.config import GLEENetConfig, preset_config
from glee.model.options import TrainOptions, train_options
from glee.model.prediction.export_network import (
    AUProbabilities,
    example_input,
    exported,
    largest_difference,
)
from glee.model.prediction.predictions import network_input
from glee.model.training.losses import au_loss
from glee.model.training.state import TrainingState, new_network, new_state
from glee.model.training.steps import seed_step, take_step
from glee.model.training.training import add_au_gradient

CPU = torch.device("cpu")
BP4D = tuple(f"AU{number}" for number in (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24))
MEMORY_BATCHES = (2, 4, 8, 16, 32)


def size() -> dict[str, float]:
    """What the preset counts; see build_glee_net.py for the convention."""
    config = preset_config("paper", BP4D)
    with torch.device("meta"):
        network = build_glee_net(config)
    return {
        "parameters_m": parameter_count(network) / 1e6,
        "gflops": flop_count(network, config) / 1e9,
        "trained_m": sum(p.numel() for p in network.parameters() if p.requires_grad) / 1e6,
    }


def new_training(
    options: TrainOptions, device: torch.device = CPU, config: GLEENetConfig | None = None
) -> TrainingState:
    """A training on BP4D's AUs before its first step; of the paper's network, if none is given."""
    config = config or preset_config("paper", BP4D)
    return new_state(
        new_network(config, options), config, options, device, World(),
        train_subjects=(), test_subjects=(), dataset="", fit_model="",
    )  # fmt: skip


def random_batch(count: int, seed: int, *, cached: bool) -> Batch:
    """Faces, coefficients and labels of a step; cached: V_id too."""
    random = np.random.default_rng(seed)
    return Batch(
        index=np.arange(count),
        image=random.integers(0, 256, (count, 176, 176, 3)).astype(np.uint8),
        f_exp=random.random((count, 51), np.float32),
        labels=random.integers(0, 2, (count, len(BP4D))).astype(np.int8),
        gain=np.ones((count, 3), np.float32),
        offset=np.zeros((count, 1), np.float32),
        identity=random.normal(0, 1, (count, 512 if cached else 0)).astype(np.float16),
    )


def trainer_step(state: TrainingState, batch: Batch, options: TrainOptions) -> None:
    """All that a step of the trainer does: seeds, forward, backward, norm of gradients, SGD."""
    numbers = np.zeros(len(batch.index), np.int64)
    ratio = torch.full((batch.labels.shape[1],), 0.3, device=state.device)

    def add_gradient(state: TrainingState, batch: Batch) -> torch.Tensor:
        return add_au_gradient(state, batch, ratio, options, numbers)

    seed_step(0, "benchmark", state.step, 0)
    losses, norm = take_step(state, batch, add_gradient, options, options.learning_rate)
    state.step += 1
    finite = math.isfinite(norm) or state.scaler.is_enabled()
    if not (finite and bool(torch.isfinite(losses).all()) and math.isfinite(float(losses.mean()))):
        raise SystemExit("the benchmark's loss is not finite")


def plain_step(state: TrainingState, batch: Batch) -> Callable[[], None]:
    """A step as PyTorch's tutorials have it, over tensors that are on the device already."""
    image, f_exp = network_input(batch, state.device)
    labels = torch.from_numpy(batch.labels).to(state.device)
    ratio = torch.full((batch.labels.shape[1],), 0.3, device=state.device)

    def step() -> None:
        state.optimiser.zero_grad(set_to_none=True)
        with state.autocast():
            prediction = state.network(image, f_exp)
        loss = au_loss(prediction, labels, ratio).mean()
        state.scaler.scale(loss).backward()
        state.scaler.step(state.optimiser)
        state.scaler.update()

    return step


def least(seconds: list[Callable[[], None]], repeats: int) -> list[float]:
    """Least processor time of each, measured in turn."""
    found = [math.inf] * len(seconds)
    for _ in range(repeats):
        for number, work in enumerate(seconds):
            began = time.process_time()
            work()
            found[number] = min(found[number], time.process_time() - began)
    return found


def steps(seed: int, *, quick: bool) -> dict[str, float]:
    """A trainer's step beside that of a plain loop, and one with V_id from the shards."""
    count = 2 if quick else 16
    options = train_options("paper", batch=count)
    state = new_training(options)
    state.network.train()
    plain, cached = (random_batch(count, seed, cached=cached) for cached in (False, True))
    works = [
        plain_step(state, plain),
        lambda: trainer_step(state, plain, options),
        lambda: trainer_step(state, cached, options),
    ]
    bare, whole, with_cache = least(works, 2 if quick else 5)
    with torch.no_grad():
        image, _ = network_input(plain, state.device)
        branch = state.network.global_branch
        (identity,) = least([lambda: branch.identity(image)], 2)
    return {
        "batch": count,
        "bare_s": bare,
        "trainer_s": whole,
        "cached_s": with_cache,
        "identity_forward_s": identity,
    }


def inference(seed: int, *, quick: bool) -> dict[str, float]:
    """Frames a second on one core: the network in eager mode, and exported and read back."""
    torch.manual_seed(seed)
    config = preset_config("paper", BP4D)
    network = build_glee_net(config).eval()
    with torch.no_grad():
        for norm in (m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.pt2"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "No complete tensor")
            torch.export.save(exported(network, config), path)
        program = torch.export.load(path).module()
    count = 2 if quick else 16
    image, f_exp = example_input(config, count)
    eager = AUProbabilities(network)
    with torch.inference_mode():
        works = [lambda: eager(image, f_exp), lambda: program(image, f_exp)]
        times = least(works, 2 if quick else 6)
    return {
        "batch": count,
        "eager_frames_per_s": count / times[0],
        "exported_frames_per_s": count / times[1],
        "largest_difference": largest_difference(network, program, config),
    }


def memory(batch: int) -> dict[str, float]:
    """Peak memory of a process that takes one step, in MB (this runs in a process of its own)."""
    options = train_options("paper", batch=batch)
    state = new_training(options)
    before = _peak_mb()
    trainer_step(state, random_batch(batch, 0, cached=False), options)
    return {"batch": batch, "before_mb": before, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    """Of this process; getrusage would give its parent's where that was larger."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def memory_table(seed: int, *, quick: bool) -> list[dict[str, float]]:
    """`memory` of each batch size, whatever the seed."""
    rows = []
    for batch in MEMORY_BATCHES:
        command = [sys.executable, __file__, "--memory-of", str(batch)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout))
    return rows


def targets(content: dict[str, Any]) -> list[Target]:
    """What the issue asks for."""
    counted, step, inferred = content["size"], content["step"], content["inference"]
    rate = content["loading"]["one_worker"]["crops_per_processor_s"]
    waiting = least_disturbed(content["loading"]["kept"]["rgb"])
    return [
        Target("parameters_m", counted["parameters_m"], 56.6 * 1.01, "lower", 56.6 * 0.99),
        Target("gflops", counted["gflops"], 8.72 * 1.05, "lower", 8.72 * 0.95),
        Target("loader_crops_per_s", rate, 2000, "higher"),
        Target("loader_busy_share", waiting["busy_share"], 1.0, "lower"),
        Target("loader_wait_share", waiting["wait_share"], 0.05, "lower"),
        Target("step_over_bare", step["trainer_s"] / step["bare_s"], 1.05, "lower"),
        Target("cached_identity_step", step["cached_s"] / step["trainer_s"], 0.6, "lower"),
        Target(
            "export_speedup",
            inferred["exported_frames_per_s"] / inferred["eager_frames_per_s"],
            1.0,
            "higher",
        ),
    ]


PARTS: dict[str, Callable[..., Any]] = {
    "loading": loading,
    "order": order,
    "step": steps,
    "inference": inference,
    "memory": memory_table,
}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), help="others stay as in --json")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory_of:
        print(json.dumps(memory(arguments.memory_of)))
        return
    quick, seed = arguments.quick, arguments.seed
    content: dict[str, Any] = {}
    if arguments.only:
        if arguments.json is None or not arguments.json.exists():
            parser.error("--only: give by --json the file that has the other parts")
        content = json.loads(arguments.json.read_text())
        del content["targets"]
        if content.pop("machine") != machine():
            parser.error(f"{arguments.json}: was measured on another machine; measure all parts")
    content |= {"seed": seed, "quick": quick, "size": size()}
    for name in arguments.only or PARTS:
        if not (quick and name == "memory"):
            content[name] = PARTS[name](seed, quick=quick)
    print(json.dumps({name: content[name] for name in ("loading", "step", "inference")}, indent=1))
    write_results(arguments.json, content, targets(content))


if __name__ == "__main__":
    main()
