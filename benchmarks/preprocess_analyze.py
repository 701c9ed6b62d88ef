"""Processor time a frame of `glee analyze` as a user runs it, once its start is paid."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np

# How often the video is shown in the long clip, forwards and backwards in turn.
REPEATS, QUICK_REPEATS = 10, 2
# Of the command without its overlay the median counts.
ROUNDS = 3


def write_repeated(video: Path, out: Path, repeats: int) -> int:
    """A clip of the video forwards, backwards and so on; the number of its frames."""
    with av.open(str(video)) as source:
        frames = [frame.to_ndarray(format="yuv420p") for frame in source.decode(video=0)]
        size = source.streams.video[0].width, source.streams.video[0].height
    with av.open(str(out), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(repeats):
            for frame in frames[:: -1 if number % 2 else 1]:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="yuv420p")))
        container.mux(stream.encode())
    return repeats * len(frames)


def seconds(video: Path, out: Path, *options: str) -> float:
    """Processor seconds of the command with all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "glee.cli", "analyze", str(video), "-o", str(out)]
    subprocess.run(
        [*command, "--overwrite", *options],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(video: Path, folder: Path, *, quick: bool = False) -> dict[str, Any]:
    """Milliseconds a frame of the long clip beyond the short one, without overlay and with it.

    Without it medians of several rounds.
    """
    repeats = QUICK_REPEATS if quick else REPEATS
    short, long = folder / "short.mp4", folder / "long.mp4"
    few, many = write_repeated(video, short, 1), write_repeated(video, long, repeats)
    rows: dict[str, Any] = {"frames": many}
    rounds = 1 if quick else ROUNDS
    for name, options, count in (("ms", (), rounds), ("overlay_ms", ("--video",), 1)):
        times = np.array(
            [
                [seconds(clip, folder / name, *options) for clip in (short, long)]
                for _ in range(count)
            ]
        )
        once, all_of_it = times.T
        found = 1e3 * (all_of_it - once) / (many - few)
        rows[name] = float(np.median(found))
        rows[f"{name}_start_s"] = float(np.median(once)) - few * rows[name] / 1e3
    return rows
