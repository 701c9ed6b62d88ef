"""fit3d on shards of FEC, where every frame shows another person."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest

from glee.errors import UsageError
from glee.fitting.camera import Camera
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.solver.problem import landmark_places
from glee.pipeline.datasets import fec
from glee.pipeline.fit3d import fit3d
from glee.pipeline.images.crops import encode_crop
from glee.pipeline.options import Fit3dOptions
from glee.pipeline.shards.shard import FrameArrays, ShardHeader, read_shard, shard_path, write_shard
from glee.pipeline.work_folder import read_options

SIZE = (640, 480)


@pytest.fixture(scope="module")
def landmarks():
    """Exact landmarks (3, 68, 2) of three people."""
    model, random = load_model(), np.random.default_rng(0)
    pose = np.array([0, 0, 0, 0, 0, -14.0])
    places = [
        landmark_places(model, model.shape(f_shape, np.zeros(51)), pose, "anatomical")
        for f_shape in random.normal(0, 1, (3, 60))
    ]
    camera = Camera.for_image(*SIZE)
    return np.stack([camera.project(p[None], pose[None])[0] for p in places]).astype(np.float32)


def write(work, landmarks, dataset):
    header = ShardHeader(
        *(dataset, "train", "000000", 0, 3, "images", 1, "00", 0.0, SIZE, "exact 1", {}, "0"),
        au_names=(),
        label_kind="none",
    )
    frames = FrameArrays(
        *(np.arange(3), np.ones(3, bool), np.zeros(3, np.uint8), np.ones(3, np.float32)),
        landmarks,
        np.zeros((3, 2, 3)),
    )
    crops = [encode_crop(np.full((200, 200, 3), 128, np.uint8))] * 3
    path = shard_path(work, "train", "000000", 0)
    write_shard(path, header, frames, crops, np.empty((3, 0), np.int8))
    return path


def test_identity_is_the_frames_and_recorded(landmarks, tmp_path, caplog):
    path = write(tmp_path, landmarks, fec.NAME)
    with caplog.at_level(logging.WARNING, "glee"):
        fit3d(tmp_path, workers=1, progress=False)
    (line,) = [record.message for record in caplog.records]
    assert line == "fec: every frame shows another person; fitted with --identity frame"
    fit = read_shard(path).fit
    assert len(np.unique(fit.f_shape, axis=0)) == 3
    assert fit.options["identity"] == "frame"
    assert read_options(tmp_path)["fit3d"]["identity"] == "frame"
    before = path.read_bytes()
    fit3d(tmp_path, options=Fit3dOptions(identity="frame"), workers=1, progress=False)
    assert path.read_bytes() == before


def test_options_that_need_one_person_are_refused(landmarks, tmp_path):
    write(tmp_path, landmarks, fec.NAME)
    with pytest.raises(UsageError, match="need identity subject"):
        fit3d(tmp_path, options=Fit3dOptions(temporal=1e-3), workers=1, progress=False)


def test_other_datasets_keep_what_was_asked_for(landmarks, tmp_path):
    path = write(tmp_path, landmarks, "folder")
    fit3d(tmp_path, workers=1, progress=False)
    assert dataclasses.asdict(Fit3dOptions())["identity"] == "subject"
    assert len(np.unique(read_shard(path).fit.f_shape, axis=0)) == 1
