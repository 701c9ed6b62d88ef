"""Loading of training batches: rate of one worker process, waiting of a GPU-sized step, order."""

from __future__ import annotations

import math
import os
import resource
import tempfile
import time
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from glee.model.data.au_dataset import AUFrames, load_frames
from glee.model.data.augmentation import frame_order
from glee.model.data.batches import TrainingBatches, batches_ahead
from glee.model.data.decoded_crops import CropFileOptions, with_decoded_crops
from glee.model.distributed import World
from glee.model.options import Schedule, train_options
from glee.pipeline.images.crops import encode_crop
from glee.pipeline.shards import shard
from glee.pipeline.shards.crop_blocks import BLOCK_FRAMES

BATCH = 64
GPU_STEP = 0.010
WORKERS = 2
FIRST_STEPS = 10
LATER_EPOCHS = 8
AHEAD = 2  # batches that a worker has ready, as in batch_workers.py
AU_NAMES = tuple(f"AU{number}" for number in (1, 2, 4, 6, 9, 12, 25, 26))


def write_work(work: Path, clips: int, frames: int, random: np.random.Generator) -> int:
    """A work folder of JPEG crops of about 12 KB, with f_exp and labels; returns bytes a crop."""
    sizes = []
    for clip in range(clips):
        coarse = random.integers(40, 216, (9, 9, 3)).astype(np.uint8)
        face = cv2.resize(coarse, (200, 200), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        crops = []
        for _ in range(frames):
            noise = cv2.resize(
                random.normal(0, 7, (134, 134, 3)).astype(np.float32), (200, 200)
            ).astype(np.int16)
            crops.append(encode_crop(np.clip(face + noise, 0, 255).astype(np.uint8)))
        sizes += [len(crop) for crop in crops]
        path = shard.shard_path(work, f"S{clip:03d}", "clip", 0)
        everything = np.ones(frames, bool)
        header = shard.ShardHeader(
            dataset="bench", subject=f"S{clip:03d}", clip="clip", start=0, stop=frames,
            source="clip.avi", source_size=1, source_hash="00", fps=25.0, frame_size=(640, 480),
            detector="none", options={}, glee_version="0", au_names=AU_NAMES,
            label_kind="occurrence",
        )  # fmt: skip
        arrays = shard.FrameArrays(
            frame_id=np.arange(frames), valid=everything, reason=np.zeros(frames, np.uint8),
            confidence=np.ones(frames, np.float32),
            landmarks=np.zeros((frames, 68, 2), np.float32),
            transform=np.zeros((frames, 2, 3)),
        )  # fmt: skip
        labels = random.integers(0, 2, (frames, len(AU_NAMES))).astype(np.int8)
        shard.write_shard(path, header, arrays, crops, labels)
        shard.add_fit(
            path,
            shard.FitArrays(
                f_exp=random.random((frames, 51), np.float32),
                f_exp_std=np.zeros((frames, 51), np.float32),
                f_shape=np.zeros((frames, 60), np.float32), pose=np.zeros((frames, 6)),
                energy=np.zeros(frames, np.float32), rmse=np.zeros(frames, np.float32),
                iterations=np.ones(frames, np.int32), converged=everything, model="none",
                image_size=(640, 480), focal=960.0,
            ),
        )  # fmt: skip
    return int(np.mean(sizes))


def loading(seed: int, *, quick: bool) -> dict[str, Any]:
    """Rates of loading at preset paper: 176 x 176 crops of JPEG faces from shards on disk."""
    clips, frames = (3, 384) if quick else (8, 1024)
    with tempfile.TemporaryDirectory() as folder:
        size = write_work(Path(folder), clips, frames, np.random.default_rng(seed))
        found = load_frames(Path(folder), size=200, memory_limit=0)
        kinds = {"decoded each time": None, "rgb": "rgb", "i420": "i420"}
        rows = {name: _by_kind(found, form, seed, quick) for name, form in kinds.items()}
        return {
            "bytes_a_crop": size,
            "crops": len(found),
            "one_worker": rows["decoded each time"].pop("one_worker"),
            "kept": rows,
        }


def _by_kind(found: AUFrames, form: str | None, seed: int, quick: bool) -> dict[str, Any]:
    """Waiting in the first and in the second epoch, and what a crop costs to look at."""
    options = train_options("paper", batch=BATCH, seed=seed)
    schedule = Schedule(options, len(found))
    everyone, kept = World(), CropFileOptions(used=form is not None)
    with with_decoded_crops(found, form or "rgb", kept, everyone) as frames:
        batches = TrainingBatches(frames, np.arange(len(found)), 176, options, schedule, everyone)
        row: dict[str, Any] = {}
        if form is None:
            row["one_worker"] = _one_worker(batches, 48 if quick else 240)
        epoch = schedule.steps_per_epoch
        row["first_epoch"] = _gpu_step(batches, 0, epoch)
        later = range(1, 2 if quick else 3 if form is None else 1 + LATER_EPOCHS)
        row["later_epochs"] = [_gpu_step(batches, n * epoch, (n + 1) * epoch) for n in later]
        row["us_a_look"] = _look(frames)
    return row


def _look(frames: AUFrames) -> float:
    """Least processor time of a frame's crop, of a few hundred that are made already, us."""
    index = np.arange(0, len(frames), max(len(frames) // 300, 1)).tolist()
    found = np.empty((176, 176, 3), np.uint8)
    best = math.inf
    for _ in range(5):
        began = time.process_time()
        for one in index:
            found[...] = frames.crop(one)[12:188, 12:188]
        best = min(best, time.process_time() - began)
    return 1e6 * best / len(index)


def _one_worker(batches: TrainingBatches, steps: int) -> dict[str, float]:
    """Processor time of the worker, from its end; its start is measured apart and taken off."""
    start = _children_of(lambda: list(batches_ahead(batches.of_step, 0, 1, workers=1)))
    began = time.perf_counter()
    made = batches_ahead(batches.of_step, 0, steps, workers=1, one_at_a_time=True)
    used = _children_of(lambda: _use_up(made))
    wall = time.perf_counter() - began
    crops = (steps - 1) * BATCH
    return {
        "crops_per_processor_s": crops / (used - start),
        "crops_per_wall_s": crops / wall,
    }


def _children_of(work: Any) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _use_up(items: Any) -> None:
    for _ in items:
        pass


def _gpu_step(batches: TrainingBatches, begin: int, end: int) -> dict[str, float]:
    """A step that sleeps as long as a GPU would work: how long it waits for its batch.

    wait_share: of all time after the first steps. busy_share: processor time that a batch costs the
    workers, of what they have in a step; below 1 they keep up where each has a core. taking_share:
    as wait_share, of this thread's own processor time to take a batch, which is what is left to
    wait for where they keep up. queued_ms: what this process and the workers stood in the system's
    queue for a core, a step; near 0 on a machine without neighbours, where the clock's figures can
    be trusted.
    """
    waits: list[float] = []
    own: list[float] = []
    made = batches_ahead(batches.of_step, begin, end, workers=WORKERS, one_at_a_time=True)
    steps = end - begin
    for step in range(steps):
        began, used = time.perf_counter(), time.thread_time()
        next(made)
        own.append(time.thread_time() - used)
        waits.append(time.perf_counter() - began)
        time.sleep(GPU_STEP)
        if step == FIRST_STEPS:
            workers = [child.pid for child in active_children() if child.pid]
            before = _scheduled([os.getpid(), *workers]), _scheduled(workers)
        if step == steps - WORKERS * AHEAD - 1:  # later ones make nothing, and end
            after = _scheduled([os.getpid(), *workers]), _scheduled(workers)
    count = steps - WORKERS * AHEAD - 1 - FIRST_STEPS
    measured = slice(FIRST_STEPS + 1, FIRST_STEPS + 1 + count)
    later, taking = np.array(waits[measured]), np.array(own[measured])
    used = (after[1][0] - before[1][0]) / count
    return {
        "step_ms": 1e3 * GPU_STEP,
        "workers": WORKERS,
        "median_wait_ms": 1e3 * float(np.median(later)),
        "wait_share": float(later.sum() / (later.sum() + count * GPU_STEP)),
        "taking_share": float(taking.sum() / (taking.sum() + count * GPU_STEP)),
        "busy_share": used / (WORKERS * GPU_STEP),
        "queued_ms": 1e3 * (after[0][1] - before[0][1]) / count,
    }


def _scheduled(processes: list[int]) -> tuple[float, float]:
    """Seconds that processes ran on a core, and that they were ready and had none (Linux)."""
    ran, queued = 0, 0
    for process in processes:
        for path in Path(f"/proc/{process}/task").glob("*/schedstat"):
            on_core, waiting, _ = map(int, path.read_text().split())
            ran, queued = ran + on_core, queued + waiting
    return ran / 1e9, queued / 1e9


def order(seed: int, *, quick: bool) -> list[dict[str, Any]]:
    """How random batches are to the loss: our order beside a full shuffle and a shuffle of files.

    60 clips (in quick 12) of 2048 frames each, whose labels last for about two seconds and
    whose persons differ in how often an Action Unit occurs.
    """
    random = np.random.default_rng(seed)
    clips, frames = (12, 2048) if quick else (60, 2048)
    labels = np.concatenate([_course(random, frames) for _ in range(clips)])
    person = np.repeat(random.normal(0, 1, (clips, 12)), frames, axis=0)
    features = np.c_[person, labels[:, None] + random.normal(0, 1.5, (len(labels), 4))]
    block = np.arange(len(labels)) // BLOCK_FRAMES
    clip = np.arange(len(labels)) // frames
    orders = {
        "full shuffle": lambda rng: rng.permutation(len(labels)),
        "full shuffle, another seed": lambda rng: rng.permutation(len(labels)),
        "blocks and window (ours)": lambda rng: frame_order(block, rng),
        "files one after the other": lambda rng: np.argsort(
            rng.permutation(clips)[clip] + rng.random(len(labels)) * 0.999, kind="stable"
        ),
    }
    rows, first = [], None
    for number, (name, make) in enumerate(orders.items()):
        rng = np.random.default_rng([seed, number])
        epochs = [make(rng) for _ in range(2)]
        batch = [e[: len(e) // BATCH * BATCH].reshape(-1, BATCH) for e in epochs]
        share = np.concatenate([labels[part].mean(1) for part in batch])
        curve = _loss_curve(features, labels, np.concatenate(batch))
        first = curve if first is None else first
        rows.append(
            {
                "order": name,
                "blocks_read_a_step": _reads(block, np.concatenate(batch)),
                "std_of_batch_mean": float(share.std()),
                "last_loss": float(curve[-len(curve) // 4 :].mean()),
                "rms_to_full_shuffle": float(np.sqrt(np.mean((curve - first) ** 2))),
            }
        )
    return rows


def _course(random: np.random.Generator, frames: int) -> np.ndarray:
    """Labels of a clip: an Action Unit comes and goes; stays some 50 frames, as its person does."""
    rate = random.uniform(0.05, 0.6)
    out, now = np.empty(frames), False
    for frame in range(frames):
        if random.random() < 1 / 50:
            now = random.random() < rate
        out[frame] = now
    return out


def _loss_curve(features: np.ndarray, labels: np.ndarray, batches: np.ndarray) -> np.ndarray:
    """Loss over the whole data while logistic regression takes a step of SGD for each batch."""
    weights, momentum, curve = np.zeros(features.shape[1]), np.zeros(features.shape[1]), []
    probe = np.arange(0, len(labels), 37)
    for number, batch in enumerate(batches):
        error = 1 / (1 + np.exp(-features[batch] @ weights)) - labels[batch]
        momentum = 0.9 * momentum + features[batch].T @ error / len(batch)
        weights = weights - 0.02 * momentum
        if number % 16 == 0:
            logit = features[probe] @ weights
            curve.append(np.mean(np.logaddexp(0, logit) - labels[probe] * logit))
    return np.array(curve)


def _reads(block: np.ndarray, batches: np.ndarray, kept: int = 1024) -> float:
    """Blocks that are not among the `kept` used last, a step."""
    recent: dict[int, None] = {}
    reads = 0
    for number in block[batches].ravel().tolist():
        if number in recent:
            del recent[number]
        else:
            reads += 1
            if len(recent) >= kept:
                del recent[next(iter(recent))]
        recent[number] = None
    return reads / len(batches)
