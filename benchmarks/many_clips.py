"""A dataset of very many very short clips: what a clip costs beside its frames, and the report.

python benchmarks/many_clips.py [--quick] [--json OUT] [--clips 3000] [--workers 2]

Clips of two frames each, of rendered people, in a folder for each of 30 subjects; `glee preprocess`
and `glee report` run over them as a user runs them, in processes of their own. Processor time is
that of all their processes together, memory the most that one of them ever held: of the command's
own, in which the scheduler lives, and of the largest worker.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import psutil
from machine import Target, write_results

from glee.pipeline.synthesis.clips import synthesise

SIZE = (320, 240)
SUBJECTS = 30
# People and frames that are rendered once; each clip is two frames that follow each other.
RENDERED_PEOPLE, RENDERED_FRAMES = 3, 24
SECONDS, MEGABYTES, REPORT_MEGABYTES = 90.0, 350.0, 5.0


@dataclass(frozen=True)
class Cost:
    """What a command took, with all its processes.

    cpu_s: user and system seconds. wall_s: by the clock. command_mb: most memory of the command's
    own process; worker_mb: of its largest child.
    """

    cpu_s: float
    wall_s: float
    command_mb: float
    worker_mb: float


def write_clips(root: Path, clips: int) -> None:
    """So many Motion JPEG files of two frames, evenly over the subjects' folders."""
    pictures = []
    with tempfile.TemporaryDirectory() as folder:
        videos = synthesise(
            Path(folder), subjects=RENDERED_PEOPLE, frames=RENDERED_FRAMES, size=SIZE, seed=19
        )
        for video in videos:
            capture = cv2.VideoCapture(str(video))
            frames = [capture.read()[1] for _ in range(RENDERED_FRAMES)]
            capture.release()
            pictures += list(zip(frames[:-1], frames[1:], strict=True))
    for number in range(clips):
        folder = root / f"S{number % SUBJECTS:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"clip{number:04d}.avi"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25.0, SIZE)
        for picture in pictures[number % len(pictures)]:
            writer.write(picture)
        writer.release()


def cost_of(words: list[str], folder: Path) -> Cost:
    """Run `glee` with these words in the folder, and watch its processes.

    Each process's time is that of the last look at it, a fifth of a second before its end at most.
    """
    begin = time.perf_counter()
    own = worker = 0.0
    times: dict[int, float] = {}
    words = [sys.executable, "-m", "glee.cli", "-q", *words]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL) as process:
        command = psutil.Process(process.pid)
        while process.poll() is None:
            own = max(own, peak_mb(process.pid))
            for one in family(command):
                with suppress(psutil.Error):
                    times[one.pid] = sum(one.cpu_times()[:2])
                if one.pid != process.pid:
                    worker = max(worker, peak_mb(one.pid))
            time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"glee {words[4]} ended with exit status {process.returncode}")
    return Cost(sum(times.values()), time.perf_counter() - begin, own, worker)


def family(command: psutil.Process) -> list[psutil.Process]:
    """A process with all that it started, and these."""
    try:
        return [command, *command.children(recursive=True)]
    except psutil.Error:
        return [command]


def peak_mb(pid: int) -> float:
    """The most memory that a process has held so far; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return max((int(x.split()[1]) / 1024 for x in lines if x.startswith("VmHWM:")), default=0.0)


def main() -> None:
    """Make the clips, run both commands, and print and write what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=3000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--quick", action="store_true", help="60 clips, to see that it works")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    clips = 60 if options.quick else options.clips
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_clips(folder / "clips", clips)
        words = ["preprocess", "--dataset", "folder", "--root", "clips", "-o", "work"]
        made = cost_of([*words, "--workers", str(options.workers)], folder)
        shards = sum(1 for _ in (folder / "work" / "shards").rglob("*.h5"))
        reported = cost_of(["report", "work", "-o", "report.html"], folder)
        report_mb = (folder / "report.html").stat().st_size / 1e6
    if shards != clips:
        raise SystemExit(f"{shards} shards of {clips} clips")
    content = {
        "clips": clips,
        "frames": 2 * clips,
        "workers": options.workers,
        "preprocess": asdict(made),
        "report": {**asdict(reported), "mb": report_mb},
    }
    print(json.dumps(content, indent=1))
    targets = [
        Target("preprocess_cpu_s", made.cpu_s, SECONDS, "lower"),
        Target("command_peak_mb", made.command_mb, MEGABYTES, "lower"),
        Target("report_mb", report_mb, REPORT_MEGABYTES, "lower"),
    ]
    write_results(options.json, content, targets)


if __name__ == "__main__":
    main()
