"""Videos for analyses: rendered faces of known truth, and what is wrong with real-world files."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from glee.pipeline.synthesis.clips import TRUTH, read_truth, synthesise

SIZE = (320, 240)
FRAMES = 40


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory):
    """Two subjects of 40 frames in DISFA's layout; never written to."""
    root = tmp_path_factory.mktemp("analysis")
    synthesise(root, subjects=2, frames=FRAMES, size=SIZE, seed=11)
    return root


@pytest.fixture(scope="session")
def videos(synthetic):
    """The two rendered videos."""
    return sorted((synthetic / "Videos_LeftCamera").glob("*.avi"))


@pytest.fixture(scope="session")
def truths(synthetic):
    """What is true of them, in the same order."""
    return [read_truth(path) for path in sorted(synthetic.glob(TRUTH.format(subject="*")))]


@pytest.fixture(scope="session")
def frames_of(videos):
    """The frames of the two videos: lists of (h, w, 3) uint8 BGR."""

    def read(path):
        capture = cv2.VideoCapture(str(path))
        frames = []
        while True:
            done, image = capture.read()
            if not done:
                return frames
            frames.append(image)

    return [read(path) for path in videos]


def write_video(path, frames, fps=20.0, codec="mp4v"):
    """Write frames (h, w, 3) uint8 BGR; returns the path."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame)
    writer.release()
    return Path(path)


@pytest.fixture(scope="session")
def save_video():
    """Writes a video: save(path, frames, fps=20.0, codec="mp4v")."""
    return write_video


@pytest.fixture
def video(videos, tmp_path):
    """A copy of the first video that a test may damage."""
    return Path(shutil.copy(videos[0], tmp_path / "talk.avi"))


@pytest.fixture(scope="session")
def plain_frame():
    """A grey frame without a face, (240, 320, 3)."""
    return np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
