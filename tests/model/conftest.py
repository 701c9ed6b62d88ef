"""Small work folders whose labels can be seen in the crops and in f_exp."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from glee.model import options
from glee.model.network import config
from glee.pipeline.images.crops import encode_crop
from glee.pipeline.shards import shard

AU_NAMES = ("AU1", "AU2", "AU4", "AU6", "AU9", "AU12", "AU25", "AU26")


def header(subject, count, label_kind="intensity", dataset="disfa", au_names=AU_NAMES):
    return shard.ShardHeader(
        dataset=dataset,
        subject=subject,
        clip=f"LeftVideo{subject}_comp",
        start=0,
        stop=count,
        source=f"Videos_LeftCamera/LeftVideo{subject}_comp.avi",
        source_size=1,
        source_hash="00" * 32,
        fps=20.0,
        frame_size=(640, 480),
        detector="none",
        options={},
        glee_version="0",
        au_names=au_names,
        label_kind=label_kind,
    )


def frame_arrays(count, valid):
    return shard.FrameArrays(
        frame_id=np.arange(1, count + 1),
        valid=valid,
        reason=np.where(valid, 0, 1).astype(np.uint8),
        confidence=np.ones(count, np.float32),
        landmarks=np.zeros((count, 68, 2), np.float32),
        transform=np.zeros((count, 2, 3)),
    )


def fit_arrays(f_exp, model="made-up"):
    count = len(f_exp)
    return shard.FitArrays(
        f_exp=f_exp,
        f_exp_std=np.zeros((count, 51), np.float32),
        f_shape=np.zeros((count, 60), np.float32),
        pose=np.zeros((count, 6)),
        energy=np.zeros(count, np.float32),
        rmse=np.zeros(count, np.float32),
        iterations=np.ones(count, np.int32),
        converged=np.ones(count, bool),
        model=model,
        image_size=(640, 480),
        focal=960.0,
    )


def write_subject(work, subject, count=24, *, seed=0, fit=True, **kind):
    """A bright row of the crop and a coefficient show each AU; frame 0 is not valid."""
    random = np.random.default_rng([seed, int(subject[2:])])
    present = random.random((count, len(AU_NAMES))) < 0.4
    images = random.integers(60, 120, (count, 200, 200, 3), dtype=np.uint8)
    for column in range(len(AU_NAMES)):
        images[present[:, column], 25 * column : 25 * column + 25, 40:160] = 220
    valid = np.arange(count) != 0
    labels = np.where(present, random.integers(2, 6, present.shape), random.integers(0, 2, 1))
    path = shard.shard_path(work, subject, f"LeftVideo{subject}_comp", 0)
    crops = [encode_crop(image, "raw") for image in images]
    shard.write_shard(
        path,
        header(subject, count, **kind),
        frame_arrays(count, valid),
        crops,
        labels.astype(np.int8),
        encoding="raw",
    )
    if fit:
        f_exp = random.random((count, 51)).astype(np.float32) * 0.1
        f_exp[:, : len(AU_NAMES)] += present
        shard.add_fit(path, fit_arrays(f_exp))
    return path


SUBJECTS = ("SN001", "SN002", "SN006", "SN011", "SN003", "SN004")


@pytest.fixture(scope="session")
def work(tmp_path_factory) -> Path:
    """Six of DISFA's subjects, two of each fold, 24 frames each."""
    folder = tmp_path_factory.mktemp("work")
    for subject in SUBJECTS:
        write_subject(folder, subject)
    return folder


@pytest.fixture
def write_shard():
    """Writes one shard without a fit from its labels (n, a) and their kind; returns it read."""

    def write(work, labels, kind, subject="SN001"):
        labels = np.asarray(labels, np.int8)
        count = len(labels)
        names = AU_NAMES[: labels.shape[1]]
        crops = [encode_crop(np.zeros((200, 200, 3), np.uint8))] * count
        valid = np.ones(count, bool)
        head = header(subject, count, kind, "made_up", names)
        path = shard.shard_path(work, subject, head.clip, 0)
        shard.write_shard(path, head, frame_arrays(count, valid), crops, labels)
        return shard.read_shard(path)

    return write


# The compact preset's composition at a tenth of its cost.
TINY = {
    "image_size": 44,
    "global_size": 44,
    "local_size": 16,
    "backbone_widths": (8, 16, 24),
    "local_channels": (4, 8, 8, 12),
    "local_hidden": 32,
}


@pytest.fixture
def tiny(monkeypatch):
    """Makes the compact preset tiny."""
    make_tiny(monkeypatch)


def make_tiny(monkeypatch):
    """Makes the compact preset tiny while the patch lasts."""
    monkeypatch.setitem(config.PRESETS, "compact", {**config.PRESETS["compact"], **TINY})
    # The embedding is of the network as it is shipped.
    recipe = {**options.RECIPES["compact"], "init": ""}
    monkeypatch.setitem(options.RECIPES, "compact", recipe)


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks are fastest, and other tests undisturbed, with one thread."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
