"""Blendshapes from the backend through the shard to the fit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from click.testing import CliRunner

from glee import cli
from glee.errors import ShardError, UsageError
from glee.fitting.camera import Camera
from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.solver.problem import landmark_places
from glee.fitting.witness import OUTPUTS
from glee.pipeline.fit3d import fit3d
from glee.pipeline.images.crops import encode_crop
from glee.pipeline.landmarks.backends import load_detector
from glee.pipeline.landmarks.dense_landmarks import DenseDetector, has_blendshapes
from glee.pipeline.options import Fit3dOptions, PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import (
    FrameArrays,
    ShardHeader,
    list_shards,
    read_shard,
    shard_path,
    write_shard,
)

SIZE, FRAMES = (640, 480), 24
DEFAULT = Fit3dOptions(whiten=None, prior=None, smooth=None, witness=None)
PUCKER = ARKIT_NAMES.index("mouthPucker")
# Frames in which the network sees a pucker, of which the landmarks show nothing.
SEEN = slice(10, 14)


@pytest.fixture(scope="module")
def frames():
    """A face at rest whose third frame is not valid, with blendshapes."""
    model, camera, rng = load_model(), Camera.for_image(*SIZE), np.random.default_rng(8)
    pose = np.array([0.0, 0.1, 0.0, 0.0, 0.0, -14.0])
    mesh = model.shape(rng.normal(0, 0.8, 60), np.zeros(51))
    exact = camera.project(landmark_places(model, mesh, pose, "anatomical"), pose)
    blendshapes = np.full((FRAMES, 52), 0.02, np.float16)
    blendshapes[SEEN, OUTPUTS.index("mouthPucker")] = 0.9
    valid = np.arange(FRAMES) != 2
    blendshapes[~valid] = np.nan
    return FrameArrays(
        frame_id=np.arange(FRAMES),
        valid=valid,
        reason=(~valid).astype(np.uint8),
        confidence=np.ones(FRAMES, np.float32),
        landmarks=(exact + rng.normal(0, 0.5, (FRAMES, 68, 2))).astype(np.float32),
        transform=np.zeros((FRAMES, 2, 3)),
        blendshapes=blendshapes,
    )


def write(work, frames, start=0, stop=FRAMES, number=0):
    header = ShardHeader(
        dataset="disfa",
        subject="SN001",
        clip="clip",
        start=start,
        stop=stop,
        source="a.avi",
        source_size=1,
        source_hash="00",
        fps=20.0,
        frame_size=SIZE,
        detector="exact 1",
        options={},
        glee_version="0",
        au_names=(),
        label_kind="none",
    )
    part = {
        field.name: None if (value := getattr(frames, field.name)) is None else value[start:stop]
        for field in dataclasses.fields(frames)
    }
    crops = [encode_crop(np.full((200, 200, 3), 128, np.uint8))] * (stop - start)
    path = shard_path(work, "SN001", "clip", number)
    write_shard(path, header, FrameArrays(**part), crops, np.empty((stop - start, 0), np.int8))
    return path


def fits(work, options=DEFAULT):
    fit3d(work, options=options, workers=1, progress=False)
    return [read_shard(path).fit for path in list_shards(work)]


def test_a_shard_with_blendshapes_reads_back(frames, tmp_path):
    path = write(tmp_path, frames)
    again = read_shard(path).frames.blendshapes
    np.testing.assert_array_equal(again, frames.blendshapes)
    assert again.dtype == np.float16
    few = dataclasses.replace(frames, blendshapes=frames.blendshapes[:, :51])
    with pytest.raises(ValueError, match="blendshapes"):
        write(tmp_path / "few", few)
    data = bytearray(path.read_bytes())
    data[data.find(frames.blendshapes.tobytes()) + 600] ^= 1
    path.write_bytes(data)
    with pytest.raises(ShardError, match="checksum"):
        read_shard(path)


def test_blendshapes_are_heard_by_default_and_not_where_told(frames, tmp_path):
    write(tmp_path / "a", frames)
    write(tmp_path / "b", frames)
    (heard,) = fits(tmp_path / "a")
    (alone,) = fits(tmp_path / "b", dataclasses.replace(DEFAULT, witness=False))
    assert heard.options["witness"] is True
    assert alone.options["witness"] is False
    rise = heard.f_exp[SEEN, PUCKER] - np.median(heard.f_exp[14:, PUCKER])
    assert (rise > 0.2).all()
    assert (np.abs(alone.f_exp[SEEN, PUCKER] - np.median(alone.f_exp[14:, PUCKER])) < 0.2).all()
    np.testing.assert_array_equal(heard.pose, alone.pose)
    np.testing.assert_array_equal(heard.f_shape, alone.f_shape)
    assert np.isnan(heard.f_exp[2]).all()
    assert not heard.converged[2]
    assert fit3d(tmp_path / "a", options=DEFAULT, workers=1, progress=False).kept == 1


def test_what_a_frame_gets_does_not_depend_on_chunks(frames, tmp_path):
    write(tmp_path / "whole", frames)
    write(tmp_path / "parts", frames, 0, 11, 0)
    write(tmp_path / "parts", frames, 11, FRAMES, 1)
    (whole,) = fits(tmp_path / "whole")
    parts = np.concatenate([fit.f_exp for fit in fits(tmp_path / "parts")])
    np.testing.assert_allclose(parts, whole.f_exp, atol=1e-5)


def test_shards_without_blendshapes(frames, tmp_path):
    write(tmp_path, dataclasses.replace(frames, blendshapes=None))
    (fit,) = fits(tmp_path)
    assert fit.options["witness"] is False
    with pytest.raises(UsageError, match="hold no blendshapes"):
        fits(tmp_path, dataclasses.replace(DEFAULT, witness=True))
    with pytest.raises(UsageError, match="witness needs identity subject"):
        fits(tmp_path, dataclasses.replace(DEFAULT, witness=True, identity="frame"))


def test_paper_hears_none(frames, tmp_path):
    """Bit for bit what it is without blendshapes."""
    results = []
    for name, own in (("with", frames), ("no", dataclasses.replace(frames, blendshapes=None))):
        write(tmp_path / name, own)
        command = ["fit3d", str(tmp_path / name), "--paper", "--workers", "1"]
        done = CliRunner().invoke(cli.commands, command, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        results.append(read_shard(list_shards(tmp_path / name)[0]).fit)
    one, other = results
    assert one.options["witness"] is False
    for name in ("f_exp", "f_exp_std", "f_shape", "pose", "energy", "rmse", "iterations"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


def test_preprocess_keeps_what_the_mesh_s_network_sees(synthetic_disfa, tmp_path):
    options = PreprocessOptions(detector="mesh", dense=True)
    preprocess("disfa", synthetic_disfa, tmp_path, options=options, workers=1, progress=False)
    shard = read_shard(list_shards(tmp_path)[0])
    valid, found = shard.frames.valid, shard.frames.blendshapes
    assert valid.any()
    assert np.isnan(found[~valid]).all()
    wanted = load_detector("mesh").blendshapes(shard.frames.landmarks_dense[valid])
    np.testing.assert_allclose(found[valid], wanted, atol=1e-3)
    assert found[valid].max() > 0.1


def test_a_backend_without_a_network_has_no_blendshapes():
    class Meshy:
        name, version, dense_points = "meshy", "1", 3

        def landmarks_dense(self, image, box):
            raise AssertionError

    assert not has_blendshapes(Meshy())
    assert not has_blendshapes(DenseDetector(Meshy()))
    assert has_blendshapes(DenseDetector(load_detector("mesh")))
