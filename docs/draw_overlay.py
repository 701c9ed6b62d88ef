"""Draws docs/overlay.webp, the README's moving picture: a rendered person with glee's overlay.

python docs/draw_overlay.py

It runs what a user would: `glee synth` renders the video, `glee analyze --video` finds and draws.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
from PIL import Image

HERE = Path(__file__).resolve().parent
SEED, FRAMES = 3, 60
EVERY = 2  # of the video's 20 frames a second
WIDTH = 640
QUALITY = 60


def glee(*arguments: str | Path) -> None:
    """Run a command of glee."""
    subprocess.run([sys.executable, "-m", "glee.cli", *map(str, arguments)], check=True)


def overlay(folder: Path) -> Path:
    """A video of one rendered person, with the overlay drawn on it."""
    glee("synth", folder, "--subjects", "1", "--frames", str(FRAMES), "--seed", str(SEED))
    (video,) = (folder / "Videos_LeftCamera").glob("*.avi")
    glee("analyze", video, "--out", folder, "--video")
    return folder / f"{video.stem}.mp4"


def frames(video: Path) -> list[Image.Image]:
    """Every second frame of a video, made smaller."""
    reader = cv2.VideoCapture(str(video))
    found = []
    while (read := reader.read())[0]:
        picture = cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)
        height = round(WIDTH * picture.shape[0] / picture.shape[1])
        small = cv2.resize(picture, (WIDTH, height), interpolation=cv2.INTER_AREA)
        found.append(Image.fromarray(small))
    return found[::EVERY]


def main() -> None:
    """Write the picture, from a video that exists or from a new one."""
    with tempfile.TemporaryDirectory() as folder:
        video = Path(sys.argv[1]) if len(sys.argv) > 1 else overlay(Path(folder))
        first, *rest = frames(video)
    first.save(
        HERE / "overlay.webp",
        save_all=True,
        append_images=rest,
        duration=50 * EVERY,
        loop=0,
        quality=QUALITY,
        method=6,
    )


if __name__ == "__main__":
    main()
