"""The parts of gpu.py; each prints a line of JSON for each figure as soon as it has it."""

from __future__ import annotations

import argparse
import copy
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu import ROOT, say
from torch.utils.flop_counter import FlopCounterMode

Given = argparse.Namespace
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def counted() -> FlopCounterMode:
    """A counter of operations that knows the products which add in place, as the mesh has them."""

    def products(_: Any, one: tuple[int, int], other: tuple[int, int], **__: Any) -> int:
        return 2 * one[0] * one[1] * other[1]

    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: products})


def seconds_of(work: Callable[[], Any], device: str, *, budget: float, least: int = 3) -> float:
    """Median time of a piece of work by the clock, the GPU's work included."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(2):
        work()
    wait()
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < least or (time.perf_counter() - began < budget and len(times) < 100):
        start = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak_of(dtype: torch.dtype, given: Given, *, budget: float, tf32: bool = False) -> float:
    """FLOP/s of a large matrix product of random numbers."""
    side = 8192 if given.device == "cuda" and not given.quick else 512
    torch.backends.cuda.matmul.allow_tf32 = tf32
    one, other = (
        torch.randn(side, side, device=given.device, dtype=torch.float32).to(dtype)
        for _ in range(2)
    )
    seconds = seconds_of(lambda: one @ other, given.device, budget=budget)
    torch.backends.cuda.matmul.allow_tf32 = False
    return 2 * side**3 / seconds


def peaks(given: Given, *, budget: float) -> dict[str, float]:
    """What a network of each precision could reach; float32 convolves in TF32 on a GPU."""
    found = {name: peak_of(dtype, given, budget=budget) for name, dtype in DTYPES.items()}
    if given.device == "cuda":
        found["fp32"] = peak_of(torch.float32, given, budget=budget, tf32=True)
    return found


def peak(given: Given) -> None:
    """What the device's matrix products reach."""
    kinds = [(name, dtype, False) for name, dtype in DTYPES.items()]
    for name, dtype, tf32 in [*kinds, ("tf32", torch.float32, True)]:
        value = peak_of(dtype, given, budget=given.seconds / 5, tf32=tf32)
        say(matmul=[{"precision": name, "tflops": value / 1e12}])


def training(given: Given) -> None:
    """Steps of GLEE-Net's training: frames/s, share of the peak, and beside a plain loop."""
    from train import BP4D, new_training, plain_step, random_batch, trainer_step

    from glee.model.network.config import preset_config
    from glee.model.options import train_options

    small = given.quick or given.device == "cpu"
    preset, batches = ("compact", (4,)) if small else ("paper", (32, 128))
    precisions = [name for name in PRECISIONS if given.device == "cuda" or name != "fp16"]
    config = preset_config(preset, BP4D)
    top = peaks(given, budget=given.seconds / 60)
    share = given.seconds / (4 * len(precisions) * len(batches))
    for name in precisions:
        for count in batches:
            options = train_options("paper", batch=count, precision=PRECISIONS[name])
            state = new_training(options, torch.device(given.device), config)
            state.network.train()
            size = config.image_size
            batch = random_batch(count, given.seed, cached=False)
            batch = replace(batch, image=np.ascontiguousarray(batch.image[:, :size, :size]))
            plain = plain_step(state, batch)
            with counted() as counter:
                plain()
            flops = counter.get_total_flops()
            _forget_peak_memory(given)
            whole = seconds_of(
                lambda s=state, b=batch, o=options: trainer_step(s, b, o),
                given.device, budget=share,
            )  # fmt: skip
            bare = seconds_of(plain, given.device, budget=share)
            say(
                steps=[
                    {
                        "preset": preset,
                        "precision": name,
                        "batch": count,
                        "frames_per_s": count / whole,
                        "step_ms": 1e3 * whole,
                        "step_over_bare": whole / bare,
                        "gflop_a_frame": flops / count / 1e9,
                        "share_of_peak": flops / whole / top[name],
                        "memory_gb": _peak_memory(given),
                    }
                ]
            )


def _forget_peak_memory(given: Given) -> None:
    if given.device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def _peak_memory(given: Given) -> float:
    return torch.cuda.max_memory_allocated() / 1e9 if given.device == "cuda" else 0.0


def loading(given: Given) -> None:
    """Two epochs from shards, with loader processes and the file of decoded crops: who waits?"""
    from train import new_training, trainer_step
    from train_loading import write_work

    from glee.model.data.au_dataset import load_frames
    from glee.model.data.augmentation import stored_size
    from glee.model.data.batches import TrainingBatches, batches_ahead
    from glee.model.data.decoded_crops import CropFileOptions, with_decoded_crops
    from glee.model.distributed import World
    from glee.model.network.config import preset_config
    from glee.model.options import Schedule, train_options

    small = given.quick or given.device == "cpu"
    preset, count, clips, length = ("compact", 8, 2, 96) if small else ("paper", 64, 4, 1024)
    precision = "float32" if given.device == "cpu" else "bfloat16"
    options = train_options("paper", batch=count, precision=precision, seed=given.seed)
    with tempfile.TemporaryDirectory() as folder:
        write_work(Path(folder), clips, length, np.random.default_rng(given.seed))
        config = preset_config(preset, ())
        size = stored_size(config.image_size)
        found = load_frames(Path(folder), size=size, memory_limit=0)
        config = replace(config, au_names=found.au_names)
        state = new_training(options, torch.device(given.device), config)
        schedule = Schedule(options, len(found))
        with with_decoded_crops(found, "rgb", CropFileOptions(), World()) as frames:
            everyone = np.arange(len(found))
            batches = TrainingBatches(
                frames, everyone, config.image_size, options, schedule, World()
            )
            epoch, workers = schedule.steps_per_epoch, 2
            for number in range(2):
                waits, began = [], time.perf_counter()
                made = batches_ahead(
                    batches.of_step, number * epoch, (number + 1) * epoch,
                    workers=workers, one_at_a_time=True,
                )  # fmt: skip
                for _ in range(epoch):
                    start = time.perf_counter()
                    batch = next(made)
                    waits.append(time.perf_counter() - start)
                    trainer_step(state, batch, options)
                whole = time.perf_counter() - began - waits[0]
                say(
                    epochs=[
                        {
                            "epoch": number + 1,
                            "loaders": workers,
                            "wait_share": sum(waits[1:]) / whole,
                            "median_wait_ms": 1e3 * statistics.median(waits),
                            "frames_per_s": (epoch - 1) * count / whole,
                        }
                    ]
                )


def networks(given: Given) -> None:
    """The networks of `preprocess`: frames/s at several batches, share of the peak."""
    from glee.pipeline.landmarks.mesh.architecture import CROP_SIDE, IMAGE_SIDE
    from glee.pipeline.landmarks.mesh.blendshapes import INPUT_POINTS
    from glee.pipeline.landmarks.mesh.networks import (
        BlendshapeNet,
        FaceDetector,
        FaceMesh,
        load_into,
    )
    from glee.pipeline.landmarks.mesh.weights import WEIGHTS_PATH, read_weights
    from glee.pipeline.landmarks.refiner.network import SIDE, network_of
    from glee.pipeline.landmarks.refiner.weights import read_weights as refiner_weights

    weights = read_weights(WEIGHTS_PATH)
    detector, mesh, blendshapes = FaceDetector(), FaceMesh(), BlendshapeNet()
    for network, part in ((detector, "detector"), (mesh, "mesh"), (blendshapes, "blendshapes")):
        load_into(network, weights, part)
    every: dict[str, tuple[torch.nn.Module, tuple[tuple[int, ...], ...]]] = {
        "detector": (detector, ((3, IMAGE_SIDE, IMAGE_SIDE),)),
        "mesh": (mesh, ((3, CROP_SIDE, CROP_SIDE),)),
        "blendshapes": (blendshapes, ((len(INPUT_POINTS), 2),)),
        "refiner": (network_of(refiner_weights()), ((3, SIDE, SIDE), (68, 2))),
    }
    small = given.quick or given.device == "cpu"
    sizes = (1, 2) if small else (1, 8, 64, 512)
    precisions = [name for name in DTYPES if given.device == "cuda" or name != "fp16"]
    top = peaks(given, budget=given.seconds / 60)
    budget = 0.7 * given.seconds / (len(every) * len(sizes) * len(precisions))
    for name, (network, shapes) in every.items():
        network = network.eval().requires_grad_(False).to(given.device)
        for precision in precisions:
            for count in sizes:
                row = _network_row(network, shapes, precision, count, given, budget)
                row["share_of_peak"] = row.pop("flops_per_s") / top[precision]
                say(networks=[{"network": name, "precision": precision, "batch": count, **row}])
    _mesh_path(given, sizes)


def _network_row(
    network: torch.nn.Module,
    shapes: tuple[tuple[int, ...], ...],
    precision: str,
    count: int,
    given: Given,
    budget: float,
) -> dict[str, float]:
    """A network's rate on inputs that are on the device."""
    from glee.pipeline.landmarks.refiner.network import Refiner

    inputs = [torch.rand(count, *shape, device=given.device) for shape in shapes]
    if inputs[0].dim() == 4:
        inputs[0] = inputs[0].contiguous(memory_format=torch.channels_last)
    dtype = DTYPES[precision]
    cast: Any = nullcontext()
    if isinstance(network, Refiner):
        cast = torch.autocast(given.device, dtype, enabled=precision != "fp32")
    else:  # products that add in place, which autocast leaves alone
        network, inputs = copy.deepcopy(network).to(dtype), [one.to(dtype) for one in inputs]
    with torch.inference_mode(), cast:
        with counted() as counter:
            network(*inputs)
        seconds = seconds_of(lambda: network(*inputs), given.device, budget=budget)
    flops = counter.get_total_flops()
    return {"frames_per_s": count / seconds, "flops_per_s": flops / seconds}


def _mesh_path(given: Given, sizes: tuple[int, ...]) -> None:
    """The backend `mesh` as the pipeline calls it: images and boxes in, points out."""
    from glee.pipeline.landmarks.detector import Box
    from glee.pipeline.landmarks.mesh.backend import MeshDetector

    detector = MeshDetector(given.device)
    image = np.random.default_rng(given.seed).integers(0, 256, (360, 640, 3)).astype(np.uint8)
    box = Box(200.0, 60.0, 440.0, 300.0)
    for count in sizes[:3]:
        many = [image] * count, [box] * count
        seconds = seconds_of(lambda m=many: detector.landmarks_of_many(*m), given.device, budget=2)
        say(mesh_backend=[{"batch": count, "frames_per_s": count / seconds}])


def tests(given: Given) -> None:
    """The tests that are marked gpu, one after the other."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-rs", "--tb=short"]
    command += ["-p", "no:cacheprovider", "--durations=5", str(ROOT / "tests" / "gpu")]
    variables = {**os.environ, "GLEE_TEST_DEVICE": given.device}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=variables)
    tail = [line for line in done.stdout.splitlines() if line.strip()]
    counts = re.findall(r"(\d+) (passed|failed|skipped|error)", tail[-1] if tail else "")
    say(**{name: int(number) for number, name in counts})
    if done.returncode:
        say(failed="\n".join((tail or done.stderr.splitlines())[-30:]))


PARTS = {
    "peak": peak,
    "training": training,
    "loading": loading,
    "networks": networks,
    "tests": tests,
}
