"""Speed and memory of the 3D fit beside its peers, one thread each, medians, in one run.

    python benchmarks/fit.py --json fit.json [--seed 1] [--quick] [--work FOLDER]

Times are processor time of the fitting thread, so that a busy machine changes ratios little. What
`glee fit3d` takes is measured on a real clip that went through `glee preprocess`, or on the work
folder of one that did; without a clip it is left out.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from fit_cli import (
    DEFAULT,
    LONG_FRAMES,
    NO_PRIOR,
    REAL,
    beside_scipy,
    cli_ms,
    long_work,
    real_work,
    restarts,
)
from fit_peers import EOS_INSTALL, blas_seconds, eos_fit, fit_by_scipy, median_seconds
from machine import Target, write_results
from numpy.typing import NDArray
from synthetic_landmarks import SIZE, random_subject, with_noise

from glee.fitting.camera import Camera
from glee.fitting.fit import FitOptions, fit
from glee.fitting.fitters import Fitters
from glee.fitting.initial_pose import normalise
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.solver.levenberg_marquardt import fit_frames
from glee.fitting.solver.problem import State, frame_of
from glee.fitting.subject import SubjectFrames, start

NOISE = 0.005
SUBJECT_FRAMES = LONG_FRAMES


class Case:
    """Landmarks made ready for the kernels, and fits of them."""

    def __init__(self, landmarks: NDArray[np.float64], options: FitOptions) -> None:
        self.model = load_model()
        self.fitters = Fitters.of(self.model, "anatomical", options)
        self.landmarks = landmarks
        self.camera = Camera.for_image(*SIZE)

    def ready(self) -> tuple[SubjectFrames, State]:
        """Normalisation and the initial pose, which belong to a fit."""
        mean = self.fitters.points.mean
        weights = np.ones(self.landmarks.shape[:2])
        landmarks = normalise(self.landmarks, weights, self.camera, mean)
        frames = SubjectFrames.of(landmarks, self.camera.focal)
        return frames, start(self.fitters.whole, frames)

    def cold(self) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """Every frame from the mean face: 117 unknowns. Energies and iterations."""
        frames, states = self.ready()
        result = fit_frames(self.fitters.whole, frames.data, states)
        return result.energy, result.iterations

    def warm(self) -> None:
        """Every frame from the solution of the one before, as in a video."""
        frames, states = self.ready()
        fit_frames(self.fitters.whole, frames.data, states, warm=True)


def make_case(seed: int, frames: int, options: FitOptions, *, smooth: bool) -> Case:
    """A random subject's noisy landmarks."""
    random = np.random.default_rng(seed)
    subject = random_subject(load_model(), frames, random, smooth=smooth)
    return Case(with_noise(subject.landmarks, NOISE, random), options)


def our_speed(seed: int, frames: int) -> dict[str, Any]:
    """Fits a second for the modes that a user chooses between."""
    rows: dict[str, Any] = {}
    for name, options in {
        "points": FitOptions(curves=False, contour=False),
        "curves": FitOptions(contour=False),
        "curves and contour": FitOptions(),
    }.items():
        cold = make_case(seed, frames, options, smooth=False)
        warm = make_case(seed, frames, options, smooth=True)
        iterations = cold.cold()[1]
        rows[name] = {
            "cold_per_s": frames / median_seconds(cold.cold, 5),
            "warm_per_s": frames / median_seconds(warm.warm, 5),
            "iterations": float(iterations.mean()),
        }
    return rows


def peers(seed: int, frames: int) -> dict[str, Any]:
    """Milliseconds a fit and energies of scipy and eos on the frames that we fit."""
    rows: dict[str, Any] = {}
    for method, bounds in (("trf", True), ("lm", False)):
        options = FitOptions(curves=False, contour=False, bounds=bounds, dtype=np.float32)
        case = make_case(seed, frames, options, smooth=False)
        ours = case.cold()[0]
        seconds = median_seconds(case.cold, 5) / frames
        exact = Case(case.landmarks, FitOptions(**{**vars(options), "dtype": np.float64}))
        seen, states = exact.ready()
        energies, times = [], []
        for i in range(frames):
            begin = time.thread_time()
            energies.append(
                fit_by_scipy(
                    exact.fitters.whole,
                    frame_of(seen.data, i),
                    states.rotation[i],
                    states.translation[i],
                    method,
                )[0]
            )
            times.append(time.thread_time() - begin)
        rows[f"scipy {method}"] = {
            "ms": 1e3 * float(np.median(times)),
            "ours_ms": 1e3 * seconds,
            "energy_over_scipy": float(np.median(ours / np.array(energies))),
        }
    rows |= eos_rows(make_case(seed, frames, FitOptions(), smooth=False))
    return rows


def eos_rows(case: Case) -> dict[str, Any]:
    """eos with our model, its default five iterations, beside our fit with contour and curves."""
    rows = {}
    seconds = median_seconds(case.cold, 5) / len(case.landmarks)
    every = eos_fit(case.model, case.landmarks, SIZE)
    if not every:
        print(f"eos is not installed ({EOS_INSTALL}); its rows are left out")
    for name, peer in every.items():
        times = []
        for i in range(min(len(case.landmarks), 20)):
            begin = time.thread_time()
            peer(i)
            times.append(time.thread_time() - begin)
        rows[name] = {"ms": 1e3 * float(np.median(times)), "ours_ms": 1e3 * seconds}
    return rows


def _fits_in_a_process(seed: int, frames: int, barrier: Any) -> float:
    case = make_case(seed, frames, FitOptions(curves=False, contour=False), smooth=False)
    case.cold()
    barrier.wait()
    begin = time.perf_counter()
    for _ in range(4):
        case.cold()
    return 4 * frames / (time.perf_counter() - begin)


def scaling(seed: int, frames: int) -> float:
    """Fits a second of two processes at once over those of one alone, wall clock."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(2) as pool:
        rates = {}
        for count in (1, 2):
            barrier = manager.Barrier(count)
            work = [(seed, frames, barrier)] * count
            rates[count] = sum(pool.starmap(_fits_in_a_process, work, chunksize=1))
    return rates[2] / rates[1]


def joint(seed: int, frames: int) -> dict[str, float]:
    """A subject's video with one identity, over the same frames each with its own."""
    random = np.random.default_rng(seed)
    subject = random_subject(load_model(), frames, random, smooth=True)
    noisy, camera = with_noise(subject.landmarks, NOISE, random), Camera.for_image(*SIZE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = {}
    for identity in ("subject", "frame"):
        fit(noisy[:50], load_model(), camera=camera, identity=identity)
        begin = time.thread_time()
        fit(noisy, load_model(), camera=camera, identity=identity)
        seconds[identity] = time.thread_time() - begin
        if identity == "subject":
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "frames": frames,
        "joint_s": seconds["subject"],
        "alone_s": seconds["frame"],
        "peak_mb": after / 1024,
        "added_mb": (after - before) / 1024,
    }


def command(work: Path | None, quick: bool) -> dict[str, Any]:
    """What `glee fit3d` takes, and Eq. 3 on a real clip's landmarks beside scipy.

    work: a work folder with one clip; None for the real clip, where it is at hand.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if work is None:
            if not REAL.is_file():
                print(f"{REAL}: it is not there; the command is not measured")
                return {}
            work = real_work(REAL, folder)
        rows: dict[str, Any] = {
            "short_ms": cli_ms(work, DEFAULT, 1 if quick else 5),
            "whitened_no_prior_ms": cli_ms(work, NO_PRIOR, 1 if quick else 3),
        }
        if not quick:
            long = long_work(work, folder / "long", LONG_FRAMES)
            rows["long_ms"] = cli_ms(long, DEFAULT, 3)
        rows["restarts"] = {
            "command": restarts(work, paper=False, every=20 if quick else 2),
            "paper": restarts(work, paper=True, every=20 if quick else 2),
        }
        return {**rows, "real": beside_scipy(work, 5 if quick else 30)}


def start_seconds() -> float:
    """A process that fits one frame, from start to end, the compiled code being cached."""
    code = (
        "import numpy as np\nfrom glee.fitting import Camera, fit, load_model\nm = load_model()\n"
        "p = m.landmarks['anatomical'].on(m.mean)[:, :2] * [80, -80] + 400\n"
        "fit(p, m, camera=Camera.for_image(800, 800))"
    )
    times = []
    for _ in range(4):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - begin)
    return float(np.median(times[1:]))


def first_run_seconds() -> float:
    """What compiling all kernels of the fit takes, as after an installation, of wall clock."""
    code = "from glee.fitting.solver.kernel_cache import ensure_compiled\nensure_compiled()"
    with tempfile.TemporaryDirectory() as kept:
        begin = time.perf_counter()
        own = {**os.environ, "NUMBA_CACHE_DIR": kept}
        subprocess.run([sys.executable, "-c", code], check=True, env=own)
        return time.perf_counter() - begin


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="fewer frames: under 50 seconds")
    parser.add_argument("--work", type=Path, help="work folder of `glee preprocess` with one clip")
    arguments = parser.parse_args()
    seed, quick = arguments.seed, arguments.quick
    whole = joint(seed, 600 if quick else SUBJECT_FRAMES)
    speed = our_speed(seed, 100 if quick else 400)
    others = peers(seed, 10 if quick else 60)
    scale = scaling(seed, 100 if quick else 400)
    base = speed["points"]
    bound = blas_seconds(136, 117) * base["iterations"]
    content = {
        "seed": seed,
        "quick": quick,
        "ours": speed,
        "peers": others,
        "blas_ms_a_fit": 1e3 * bound,
        "joint": whole,
        "start_s": start_seconds(),
        "first_run_s": None if quick else first_run_seconds(),
        "command": command(arguments.work, quick),
    }
    show(content)
    ran = content["command"]

    def over(name: str) -> float | None:
        return others[name]["ms"] / others[name]["ours_ms"] if name in others else None

    write_results(
        arguments.json,
        content,
        [
            Target("fit3d_cli_ms_per_frame", ran.get("short_ms"), 1.2, "lower"),
            Target("fit3d_cli_ms_per_frame_long", ran.get("long_ms"), 0.6, "lower"),
            Target("whitened_no_prior_ms", ran.get("whitened_no_prior_ms"), 2.5, "lower"),
            Target(
                "fit_curves_per_s_cold", speed["curves and contour"]["cold_per_s"], 3500, "higher"
            ),
            Target("first_run_seconds", content["first_run_s"], 40, "lower"),
            Target("fits_per_s_cold", base["cold_per_s"], 2000, "higher"),
            Target("fits_per_s_warm", base["warm_per_s"], 4000, "higher"),
            Target("scaling_2_cores", scale, 1.9, "higher"),
            Target("speedup_trf", over("scipy trf"), 40, "higher"),
            Target("speedup_lm", over("scipy lm"), 100, "higher"),
            Target("speedup_eos", over("eos, with contours"), 100, "higher"),
            Target("time_over_blas_bound", 1 / base["cold_per_s"] / bound, 0.8, "lower"),
            Target("joint_time_ratio", whole["joint_s"] / whole["alone_s"], 1.5, "lower"),
            Target("joint_peak_mb", whole["peak_mb"], 500, "lower"),
        ],
    )


def show(content: dict[str, Any]) -> None:
    """The tables."""
    print(f"{'ours':24s} {'cold fits/s':>12s} {'warm fits/s':>12s} {'iterations':>11s}")
    for name, row in content["ours"].items():
        print(
            f"{name:24s} {row['cold_per_s']:12.0f} {row['warm_per_s']:12.0f} "
            f"{row['iterations']:11.2f}"
        )
    print(f"\n{'peer':24s} {'ms a fit':>12s} {'ours, ms':>12s} {'ratio':>8s} {'E/E':>8s}")
    for name, row in content["peers"].items():
        energy = f"{row['energy_over_scipy']:8.4f}" if "energy_over_scipy" in row else ""
        print(
            f"{name:24s} {row['ms']:12.2f} {row['ours_ms']:12.3f} "
            f"{row['ms'] / row['ours_ms']:8.1f} {energy}"
        )
    print(f"{'BLAS bound':24s} {content['blas_ms_a_fit']:12.3f}")
    print("\njoint", {k: round(v, 3) for k, v in content["joint"].items()})
    print(f"start to end of a process that fits one frame: {content['start_s']:.2f} s")
    print("glee fit3d", content["command"])


if __name__ == "__main__":
    main()
