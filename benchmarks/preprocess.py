"""Speed and memory of the whole path, from video to fitted shards, beside MediaPipe.

    python benchmarks/preprocess.py --json preprocess.json [--seed 1] [--quick]
        [--mediapipe-python .venv-mediapipe/bin/python]

MediaPipe needs an environment of its own (numpy < 2):

    python3.11 -m venv .venv-mediapipe && .venv-mediapipe/bin/pip install mediapipe==0.10.21

Times are processor time of a process on one core, so that a busy machine changes ratios little;
only the workers' scaling is wall clock and needs a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import preprocess_analyze
import preprocess_tracking
import storage
import video_decoding
from machine import Target, write_results
from preprocess_path import STAGES
from preprocess_workers import long_clip, scaling, worker_memory

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[1] / "shared"
REAL = SHARED / "real" / "WolfgangLanger_Pexels.mp4"
TASK = SHARED / "models" / "face_landmarker.task"
PEER = HERE.parent / ".venv-mediapipe" / "bin" / "python"
PEER_INSTALL = (
    "python3.11 -m venv .venv-mediapipe && .venv-mediapipe/bin/pip install mediapipe==0.10.21"
)
BACKENDS = ("dlib", "mesh", "mesh+refiner")
LONG_FRAMES, QUICK_LONG_FRAMES = 100_000, 3_072


def peer_times(python: Path, video: Path, rounds: int) -> dict[str, Any] | None:
    """MediaPipe's milliseconds a frame; None, and said so, where it is not installed."""
    if not python.exists():
        print(f"MediaPipe is not installed ({PEER_INSTALL}); its rows are left out")
        return None
    command = [str(python), str(HERE / "preprocess_peer.py"), str(video), str(rounds), "1000"]
    command += [str(TASK)] if TASK.exists() else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.splitlines() or ["no message"])[-1]
        print(f"MediaPipe does not run ({last}); its rows are left out ({PEER_INSTALL})")
        return None
    content: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    for name in {"default", "landmarker"} & content.keys():
        content[name]["ms"] = float(np.median(content[name]["ms"]))
    return content


def our_times(video: Path, rounds: int, work: Path) -> dict[str, Any]:
    """The whole path with each backend, each in a process of its own."""
    rows = {}
    for backend in BACKENDS:
        command = [sys.executable, str(HERE / "preprocess_path.py"), str(video), backend]
        done = subprocess.run(
            [*command, str(rounds), str(work)], check=True, capture_output=True, text=True
        )
        rows[backend] = json.loads(done.stdout.splitlines()[-1])
    return rows


def networks(rounds: int) -> dict[str, Any]:
    """What the networks of `mesh` reach, by a script in a process of its own."""
    command = [sys.executable, str(HERE / "preprocess_networks.py"), str(rounds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    content: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return content


def scheduler(quick: bool, folder: Path) -> dict[str, float]:
    """The scheduler's figures, by its own benchmark in a process that holds nothing else."""
    script, result = HERE / "scheduler.py", folder / "scheduler.json"
    if quick or not script.exists():
        print("the scheduler's figures are left out: run benchmarks/scheduler.py")
        return {}
    subprocess.run([sys.executable, str(script), "--json", str(result)], check=True)
    rows = json.loads(result.read_text())["targets"]
    return {row["name"]: row["value"] for row in rows}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="fewer frames: under 50 seconds")
    parser.add_argument("--long-frames", type=int, help="of the long clip [default: 100000]")
    parser.add_argument("--mediapipe-python", type=Path, default=PEER)
    parser.add_argument("--video", type=Path, default=REAL, help="a real video of 640x360")
    arguments = parser.parse_args()
    seed, quick = arguments.seed, arguments.quick
    if not arguments.video.exists():
        parser.error(f"{arguments.video} is not there; give another by --video")
    content: dict[str, Any] = {"seed": seed, "quick": quick}
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "video" / arguments.video.name
        video.parent.mkdir()
        shutil.copyfile(arguments.video, video)
        rounds = 1 if quick else 5
        content["peer"] = peer_times(arguments.mediapipe_python, video, rounds)
        content["path"] = our_times(video, rounds, Path(folder) / "work")
        show_path(content)
        content["networks"] = networks(10 if quick else 60)
        content["analyze"] = preprocess_analyze.measure(video, Path(folder), quick=quick)
        print("\nnetworks", content["networks"], "\nanalyze", content["analyze"])
        content["tracking"] = {
            name: preprocess_tracking.drift(name, seed, video, quick=quick)
            for name in (BACKENDS[:1] if quick else BACKENDS)
        }
        preprocess_tracking.show(content["tracking"])
        content["scaling"] = scaling(video, quick=quick)
        content["worker_mb"] = {
            name: worker_memory(video, name) for name in (BACKENDS[:1] if quick else BACKENDS)
        }
        print("\nworkers", content["scaling"], content["worker_mb"])
        content["video"] = video_decoding.measure([video], video)
        content["storage"] = storage.measure(video, seed, quick=quick)
        content["scheduler"] = scheduler(quick, Path(folder))
    storage.show(content["storage"])
    frames = arguments.long_frames or (QUICK_LONG_FRAMES if quick else LONG_FRAMES)
    content["long"] = long_clip(frames, seed)
    print("\nlong clip", {k: v for k, v in content["long"].items() if k not in ("ms", "mb")})
    write_results(arguments.json, content, targets(content))


def targets(content: dict[str, Any]) -> list[Target]:
    """The issue's figures."""
    peer, busy = content["peer"], content["scheduler"]
    path = content["path"]
    ratio = path["dlib"]["ms"] / peer["default"]["ms"] if peer else None
    landmarker = (peer or {}).get("landmarker", {}).get("ms", math.nan)
    worst = max(row["ratio"] for row in content["tracking"].values())
    stored = content["storage"]
    ours = stored["stores"]["shards, JPEG"]
    videos = content["video"]
    return [
        Target("cpu_over_mediapipe", ratio, 1.0, "lower"),
        Target("cpu_ms_per_frame", path["dlib"]["ms"], 5.0, "lower"),
        Target(
            "landmarks_over_face_landmarker",
            path["mesh"]["landmarks_ms"] / landmarker,
            0.7,
            "lower",
        ),
        Target("path_over_face_landmarker", path["mesh"]["ms"] / landmarker, 1.0, "lower"),
        Target(
            "refined_path_over_face_landmarker",
            path["mesh+refiner"]["ms"] / landmarker,
            1.2,
            "lower",
        ),
        Target(
            "network_share_of_peak",
            min(row["share_of_peak"] for row in content["networks"]["ncnn"].values()),
            0.5,
            "higher",
        ),
        Target("analyze_ms_per_frame", content["analyze"]["ms"], 8.0, "lower"),
        Target("landmark_drift_tracking", worst, 0.03, "lower"),
        Target("scaling_2_workers", content["scaling"]["ratio"], 1.85, "higher"),
        Target("worker_peak_mb", content["worker_mb"]["dlib"], 600, "lower"),
        Target("long_clip_time_ratio", content["long"]["time_ratio"], 1.05, "lower"),
        Target("long_clip_memory_growth_mb", content["long"]["memory_growth_mb"], 20, "lower"),
        Target("scheduler_busy", busy.get("scheduler_busy"), 0.9, "higher"),
        Target("driver_peak_mb", busy.get("driver_peak_mb"), 1000, "lower"),
        Target("decode_over_opencv", videos["decode_over_opencv"], 1.3, "lower"),
        Target("overlay_bytes_over_mpeg4", videos["overlay_bytes_over_mpeg4"], 0.5, "lower"),
        Target("overlay_ssim_gain", videos["overlay_ssim_gain"], 0.0, "higher"),
        Target("kb_per_crop", ours["kb"], 15, "lower"),
        Target("landmark_change_px", stored["default_change_px"], 0.3, "lower"),
        Target("random_reads_per_s", ours["random_per_s"], 2000, "higher"),
        Target(
            "random_reads_raw_per_s",
            stored["stores"]["shards, raw"]["random_per_s"],
            10000,
            "higher",
        ),
    ]


def show_path(content: dict[str, Any]) -> None:
    """Milliseconds a frame by stage, beside the peer's."""
    print(f"{'CPU ms a frame':16s}" + "".join(f"{name:>10s}" for name in content["path"]))
    for stage in (*STAGES, "rest"):
        row = [of["stages"][stage] for of in content["path"].values()]
        print(f"{stage:16s}" + "".join(f"{ms:10.3f}" for ms in row))
    print(f"{'all':16s}" + "".join(f"{of['ms']:10.3f}" for of in content["path"].values()))
    if content["peer"]:
        for name in {"default", "landmarker"} & content["peer"].keys():
            row = content["peer"][name]
            print(f"MediaPipe, {name}: {row['ms']:.3f} ({row['faces']} faces found)")
        ours = {name: round(of["landmarks_ms"], 3) for name, of in content["path"].items()}
        print("landmarks and blendshapes alone", ours)


if __name__ == "__main__":
    main()
