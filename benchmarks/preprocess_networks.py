"""How much of a core's peak the networks of `mesh` reach, run by each engine.

    python benchmarks/preprocess_networks.py [ROUNDS]

Prints JSON. FLOP of a run are counted by torch's own counter, the peak is that of its product of
matrices of 1024 x 1024 in float32, times are processor time of one thread, medians.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SIDE = 1024
BATCH = 8


def median_ms(run: Callable[[], object], rounds: int) -> float:
    """Milliseconds of processor time of a call."""
    for _ in range(3):
        run()
    times = []
    for _ in range(rounds):
        begin = time.thread_time()
        run()
        times.append(time.thread_time() - begin)
    return 1e3 * float(np.median(times))


def measure(rounds: int) -> dict[str, Any]:
    """Milliseconds, GFLOP and share of the peak of each network, alone and eight at a time."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode, register_flop_formula

    from glee.pipeline.landmarks.mesh.architecture import (
        CHANNELS,
        CROP_SIDE,
        IMAGE_SIDE,
        TOKENS,
        WIDE_CHANNELS,
        WIDE_TOKENS,
    )
    from glee.pipeline.landmarks.mesh.blendshapes import INPUT_POINTS
    from glee.pipeline.landmarks.mesh.engines import NcnnEngine, TorchEngine
    from glee.pipeline.landmarks.mesh.networks import BlendshapeNet, FaceDetector, FaceMesh

    torch.set_num_threads(1)
    square = torch.rand(SIDE, SIDE)
    peak = 2 * SIDE**3 / median_ms(lambda: square @ square, 20) / 1e6
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (BATCH, CROP_SIDE, CROP_SIDE, 3), np.uint8)
    picture = rng.integers(0, 256, (IMAGE_SIDE, IMAGE_SIDE, 3), np.uint8)
    points = rng.normal(size=(BATCH, len(INPUT_POINTS), 2))
    examples = {
        "mesh": (FaceMesh(), torch.rand(1, 3, CROP_SIDE, CROP_SIDE)),
        "faces": (FaceDetector(), torch.rand(1, 3, IMAGE_SIDE, IMAGE_SIDE)),
        "blendshapes": (BlendshapeNet(), torch.rand(1, len(INPUT_POINTS), 2)),
    }
    # The counter does not know the product that writes into its first argument.
    register_flop_formula(torch.ops.aten.addmm_, get_raw=True)(
        lambda own, left, right, *_, out_val=None, **__: (
            2 * left.shape[0] * left.shape[1] * right.shape[1]
        )
    )
    gflop = {}
    for name, (network, example) in examples.items():
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(example)
        gflop[name] = counter.get_total_flops() / 1e9
    # Of the last block ncnn computes the learnt token alone: nothing else is read.
    unread = 2 * TOKENS * CHANNELS * (WIDE_TOKENS + 2 * WIDE_CHANNELS) / 1e9
    gflop_ncnn = gflop | {"blendshapes": gflop["blendshapes"] - unread}
    content: dict[str, Any] = {"peak_gflops": peak, "gflop": gflop, "gflop_ncnn": gflop_ncnn}
    for engine in (NcnnEngine(), TorchEngine()):
        runs: dict[str, dict[str, Callable[[], object]]] = {
            "mesh": {
                "1": lambda engine=engine: engine.mesh(crops[:1]),
                str(BATCH): lambda engine=engine: engine.mesh(crops),
            },
            "faces": {"1": lambda engine=engine: engine.faces(picture)},
            "blendshapes": {
                "1": lambda engine=engine: engine.blendshapes(points[:1]),
                str(BATCH): lambda engine=engine: engine.blendshapes(points),
            },
        }
        rows: dict[str, Any] = {}
        for name, sizes in runs.items():
            ms = {size: median_ms(run, rounds) / int(size) for size, run in sizes.items()}
            best = min(ms.values())
            run = (gflop_ncnn if engine.name == "ncnn" else gflop)[name]
            rows[name] = {"ms": ms, "share_of_peak": run / best * 1e3 / peak}
        content[engine.name] = rows
    return content


def main() -> None:
    """Command line of the subprocess."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    print(json.dumps(measure(rounds)))


if __name__ == "__main__":
    main()
