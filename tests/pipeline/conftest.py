"""What several tests of the pipeline start from: real videos, a synthetic DISFA, made-up videos."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.pipeline.datasets import disfa as disfa_facts
from glee.pipeline.synthesis.clips import synthesise
from glee.pipeline.synthesis.motion import random_motion
from glee.pipeline.verification.labels import LabelledClip

REAL = Path(__file__).resolve().parents[3] / "shared" / "real"


@pytest.fixture(scope="session")
def real_folder():
    if not REAL.is_dir():
        pytest.skip("the real videos are not here")
    return REAL


@pytest.fixture(scope="session")
def synthetic_disfa(tmp_path_factory):
    """Two subjects of 36 frames in DISFA's layout; never written to (copy it first)."""
    root = tmp_path_factory.mktemp("disfa")
    synthesise(root, subjects=2, frames=36, size=(320, 240), seed=3)
    return root


@pytest.fixture
def disfa(synthetic_disfa, tmp_path):
    """A copy of the synthetic dataset that a test may damage."""
    root = tmp_path / "DISFA"
    shutil.copytree(synthetic_disfa, root)
    return root


def numbered_frame(number, width=160, height=120):
    """A frame that tells its number: a bar code of 8 blocks, high contrast against codecs."""
    image = np.full((height, width, 3), 40, np.uint8)
    for bit in range(8):
        if number >> bit & 1:
            left = bit * width // 8
            image[20 : height - 20, left : left + width // 8] = 220
    return image


def number_of(image):
    """The number that `numbered_frame` drew."""
    height, width = image.shape[:2]
    middle = image[height // 2, :, 1].astype(int)
    blocks = [middle[bit * width // 8 + width // 16] for bit in range(8)]
    return sum(1 << bit for bit, value in enumerate(blocks) if value > 130)


@pytest.fixture(scope="session")
def numbered():
    """Frames that tell their number: `draw(number)` makes one (BGR), `read(image)` tells it."""
    return SimpleNamespace(draw=numbered_frame, read=number_of)


@pytest.fixture
def make_video(tmp_path):
    """Writes a video of numbered frames and returns its path."""

    def make(name="clip.avi", codec="MJPG", count=40, fps=20.0, size=(160, 120)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, size)
        assert writer.isOpened()
        for number in range(count):
            writer.write(numbered_frame(number, *size))
        writer.release()
        return path

    return make


@pytest.fixture(scope="session")
def motions():
    """Labels and true coefficients of six clips, with noise on these as a fit has it."""
    clips = []
    for seed in range(6):
        rng = np.random.default_rng([77, seed])
        motion = random_motion(disfa_facts.AUS, ARKIT_NAMES, 400, 20.0, rng)
        noise = rng.normal(0.0, 0.15, motion.f_exp.shape)
        f_exp = np.clip(motion.f_exp + noise, 0.0, 1.0).astype(np.float32)
        clips.append(LabelledClip(np.arange(1, 401), motion.intensity, f_exp))
    return clips


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder with files of the fan backend's networks, made here."""
    from .landmarks.fan import fan_weights  # it imports torch

    folder = tmp_path_factory.mktemp("weights")
    for write in ("landmark_network", "sfd", "blazeface", "scrfd"):
        getattr(fan_weights, write)(folder)
    return folder


@pytest.fixture
def no_network(monkeypatch):
    """Whoever asks the network fails."""

    def refuse(*_, **__):
        raise AssertionError("the network is asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
