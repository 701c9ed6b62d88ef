"""`glee fit3d` as the command runs it, and Eq. 3 on real landmarks beside scipy.

The frames are those of a real clip that went through `glee preprocess`. A longer clip is made of
them by playing them forwards and backwards in turn.
"""

from __future__ import annotations

import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
from fit_peers import fit_by_scipy
from numpy.typing import NDArray

from glee.fitting.camera import Camera
from glee.fitting.fit import FitOptions
from glee.fitting.fitters import Fitters
from glee.fitting.initial_pose import normalise
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.options import expression_prior
from glee.fitting.solver.fitter import Stop
from glee.fitting.solver.levenberg_marquardt import fit_frames
from glee.fitting.solver.problem import frame_of
from glee.fitting.subject import SubjectFrames, start
from glee.pipeline.fit3d import fit3d
from glee.pipeline.images.crops import encode_crop
from glee.pipeline.options import Fit3dOptions, PreprocessOptions, detector_noise
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import FrameArrays, list_shards, read_shard, write_shard

REAL = Path(__file__).resolve().parents[2] / "shared" / "real" / "WolfgangLanger_Pexels.mp4"
LONG_FRAMES = 4845  # of a DISFA video
CHUNK = 1024
# As commands/fit3d.py has its defaults, and the same whitened without the prior.
DEFAULT = Fit3dOptions(whiten=None, prior=None, smooth=None, witness=None, visibility=None)
NO_PRIOR = replace(DEFAULT, whiten=True, prior=False, witness=False)


def real_work(video: Path, folder: Path) -> Path:
    """A work folder with the clip's shards."""
    (folder / "videos").mkdir()
    (folder / "videos" / video.name).symlink_to(video)
    work = folder / "work"
    given = PreprocessOptions()
    preprocess("folder", folder / "videos", work, options=given, workers=1, progress=False)
    return work


def long_work(work: Path, folder: Path, count: int) -> Path:
    """A work folder with one clip of so many frames, made of those of the only clip of another."""
    (path,) = list_shards(work)
    shard = read_shard(path)
    frames, header = len(shard.frames.valid), shard.header
    there_and_back = np.r_[np.arange(frames), np.arange(frames - 2, 0, -1)]
    order = np.resize(there_and_back, count)
    crop = encode_crop(shard.crop(0))
    for number, first in enumerate(range(0, count, CHUNK)):
        own = order[first : first + CHUNK]
        arrays = {
            item.name: None if (value := getattr(shard.frames, item.name)) is None else value[own]
            for item in fields(FrameArrays)
        }
        arrays["frame_id"] = np.arange(first, first + len(own))
        to = folder / path.relative_to(work).with_name(f"{number:06d}{path.suffix}")
        to.parent.mkdir(parents=True, exist_ok=True)
        write_shard(
            to,
            replace(header, start=first, stop=first + len(own)),
            FrameArrays(**arrays),
            [crop] * len(own),
            np.zeros((len(own), len(header.au_names)), np.int8),
        )
    return folder


def cli_ms(work: Path, options: Fit3dOptions, rounds: int) -> float:
    """Milliseconds of processor time a frame of `glee fit3d` with one worker, median."""
    times = []
    for _ in range(rounds + 1):
        begin = time.process_time()
        fit3d(work, options=options, workers=1, overwrite=True, progress=False)
        times.append(time.process_time() - begin)
    frames = sum(len(read_shard(path).frames.valid) for path in list_shards(work))
    return float(1e3 * np.median(times[1:]) / frames)


def beside_scipy(work: Path, count: int) -> dict[str, float]:
    """Eq. 3 as published, each frame by itself: ours, scipy from the same start, and a restart.

    The jaw's contour is that of the start for both, since scipy knows of none that moves.
    """
    shard = read_shard(list_shards(work)[0])
    landmarks = shard.frames.landmarks[shard.frames.valid].astype(np.float64)
    landmarks = landmarks[np.linspace(0, len(landmarks) - 1, count).round().astype(int)]
    model, camera = load_model(), Camera.for_image(*shard.header.frame_size)
    options = FitOptions(regularisation=(1e-4, 1e-4))
    found: dict[str, NDArray[np.float64]] = {}
    for name, dtype in (("ours", np.float32), ("exact", np.float64)):
        fitters = Fitters.of(model, "anatomical", replace(options, dtype=dtype))
        mean = fitters.points.mean
        seen = normalise(landmarks, np.ones(landmarks.shape[:2]), camera, mean)
        frames = SubjectFrames.of(seen, camera.focal)
        states = start(fitters.whole, frames)
        if name == "exact":
            exact, begun, states_begun = fitters, frames, states
            continue
        once = fitters.whole._replace(stop=Stop(1, fitters.whole.stop.tolerance))
        at_start = states.copy()
        contour = fit_frames(once, frames.data, at_start.copy()).contour
        held = frames.data._replace(contour=contour)
        energy = fit_frames(fitters.whole, held, states).energy
        found["ours"], again = states.x[:, -len(model.expression) :].copy(), states.copy()
        fit_frames(fitters.whole, held, again)
        found["restart"] = again.x[:, -len(model.expression) :]
    tight = exact.whole._replace(stop=Stop(1000, 1e-10))
    reached, by_scipy = [], []
    for i in range(count):
        frame = frame_of(begun.data, i)._replace(contour=contour[i])
        rotation, translation = states_begun.rotation[i], states_begun.translation[i]
        cost, x = fit_by_scipy(tight, frame, rotation, translation, "trf")
        reached.append(cost)
        by_scipy.append(x[-len(model.expression) :])
    apart = np.abs(found["ours"] - np.array(by_scipy)).max(1)
    moved = np.abs(found["restart"] - found["ours"]).max(1)
    return {
        "frames": count,
        "energy_over_scipy": float(np.median(energy / np.array(reached))),
        "f_exp_from_scipy_median": float(np.median(apart)),
        "f_exp_from_scipy_most": float(apart.max()),
        "restart_median": float(np.median(moved)),
        "restart_most": float(moved.max()),
    }


def restarts(work: Path, *, paper: bool, every: int) -> dict[str, float]:
    """How far f_exp moves when frames of a real clip are fitted again from their solutions.

    As published, or whitened and with the prior as the command has it, but each frame with the mean
    face's identity: what is asked is whether a fit has settled.
    """
    shard = read_shard(list_shards(work)[0])
    landmarks = shard.frames.landmarks[shard.frames.valid].astype(np.float64)[::every]
    model, camera = load_model(), Camera.for_image(*shard.header.frame_size)
    options = FitOptions(regularisation=(1e-4, 1e-4))
    if not paper:
        noise = detector_noise(model, shard.header.detector.split(" ")[0])
        options = FitOptions(noise=noise, prior=expression_prior(model.expression_names))
    fitters = Fitters.of(model, "anatomical", options)
    seen = normalise(landmarks, np.ones(landmarks.shape[:2]), camera, fitters.points.mean)
    frames = SubjectFrames.of(seen, camera.focal)
    fitter = fitters.whole if paper else fitters.local
    states = start(fitter, frames)
    once = fit_frames(fitter, frames.data, states)
    again = states.copy()
    twice = fit_frames(fitter, frames.data, again)
    moved = np.abs(again.x - states.x)[:, -len(model.expression) :].max(1)
    return {
        "frames": len(landmarks),
        "other_jaw_points": float((once.contour != twice.contour).any(1).mean()),
        "moved_median": float(np.median(moved)),
        "moved_90": float(np.percentile(moved, 90)),
        "energy_ratio": float(np.median(twice.energy / once.energy)),
    }
