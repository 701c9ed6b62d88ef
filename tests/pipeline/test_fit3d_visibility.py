"""What is hidden, from the shard to the fit: a mouth that a hand covers for some frames."""

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
from glee.fitting.options import expression_prior
from glee.fitting.solver.problem import landmark_places
from glee.fitting.visibility import PARTS
from glee.pipeline.fit3d import fit3d
from glee.pipeline.images.crops import encode_crop
from glee.pipeline.options import Fit3dOptions
from glee.pipeline.shards.shard import (
    FrameArrays,
    ShardHeader,
    list_shards,
    read_shard,
    shard_path,
    write_shard,
)
from glee.pipeline.verification.shards import verify_shards

SIZE, FRAMES = (640, 480), 30
DEFAULT = Fit3dOptions(whiten=None, prior=None, smooth=None, witness=None, visibility=None)
MOUTH = [i for i, name in enumerate(ARKIT_NAMES) if name.startswith(("mouth", "jaw"))]
# Frames in which the mouth is hidden, and what the detector draws there is another one.
HIDDEN = slice(12, 20)


@pytest.fixture(scope="module")
def frames():
    """A face at rest whose third frame is not valid."""
    model, camera, rng = load_model(), Camera.for_image(*SIZE), np.random.default_rng(8)
    pose = np.array([0.0, 0.1, 0.0, 0.0, 0.0, -14.0])
    mesh = model.shape(rng.normal(0, 0.8, 60), np.zeros(51))
    exact = camera.project(landmark_places(model, mesh, pose, "anatomical"), pose)
    landmarks = exact + rng.normal(0, 0.4, (FRAMES, 68, 2))
    middle = landmarks[HIDDEN, 48:].mean(1, keepdims=True)
    landmarks[HIDDEN, 48:] = middle + (landmarks[HIDDEN, 48:] - middle) * (1.4, 2.5) + (0, 8)
    visibility = np.full((FRAMES, len(PARTS)), 0.97, np.float16)
    visibility[HIDDEN, list(PARTS).index("mouth")] = 0.2
    valid = np.arange(FRAMES) != 2
    visibility[~valid] = np.nan
    return FrameArrays(
        frame_id=np.arange(FRAMES),
        valid=valid,
        reason=(~valid).astype(np.uint8),
        confidence=np.ones(FRAMES, np.float32),
        landmarks=landmarks.astype(np.float32),
        transform=np.zeros((FRAMES, 2, 3)),
        visibility=visibility,
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


def test_a_shard_with_visibility_reads_back(frames, tmp_path):
    path = write(tmp_path, frames)
    again = read_shard(path).frames.visibility
    np.testing.assert_array_equal(again, frames.visibility)
    assert again.dtype == np.float16
    few = dataclasses.replace(frames, visibility=frames.visibility[:, :5])
    with pytest.raises(ValueError, match="visibility"):
        write(tmp_path / "few", few)
    data = bytearray(path.read_bytes())
    data[data.find(frames.visibility.tobytes()) + 300] ^= 1
    path.write_bytes(data)
    with pytest.raises(ShardError, match="checksum"):
        read_shard(path)


def test_hidden_coefficients_return_and_the_others_stay(frames, tmp_path):
    for name in ("heeded", "not"):
        write(tmp_path / name, frames)
    (heeded,) = fits(tmp_path / "heeded")
    (not_heeded,) = fits(tmp_path / "not", dataclasses.replace(DEFAULT, visibility=False))
    assert heeded.options["visibility"] is True
    prior = expression_prior(ARKIT_NAMES)
    mean, std = np.clip(prior.mean, 0, 1)[MOUTH], np.sqrt(np.diagonal(prior.covariance))[MOUTH]
    hidden = heeded.f_exp[HIDDEN][:, MOUTH]
    np.testing.assert_allclose(hidden, np.broadcast_to(mean, hidden.shape), atol=1e-5)
    np.testing.assert_allclose(heeded.f_exp_std[HIDDEN][0, MOUTH], std, rtol=1e-3)
    assert (not_heeded.f_exp[HIDDEN][:, MOUTH].max(1) > 0.4).all()
    seen = [i for i in range(FRAMES) if i != 2 and not 12 <= i < 20]
    assert (heeded.f_exp_std[seen][:, MOUTH] < std + 1e-6).mean() > 0.9
    # A face at rest: the frames before and after the hand know nothing of it.
    beside = heeded.f_exp[[10, 11, 20, 21]][:, MOUTH].max()
    assert beside < heeded.f_exp[seen][:, MOUTH].max() + 1e-6
    assert np.isnan(heeded.f_exp[2]).all()


def test_what_a_frame_gets_does_not_depend_on_chunks(frames, tmp_path):
    write(tmp_path / "whole", frames)
    write(tmp_path / "parts", frames, 0, 14, 0)
    write(tmp_path / "parts", frames, 14, FRAMES, 1)
    (whole,) = fits(tmp_path / "whole")
    parts = np.concatenate([fit.f_exp for fit in fits(tmp_path / "parts")])
    np.testing.assert_allclose(parts, whole.f_exp, atol=1e-5)


def test_shards_that_do_not_know_it(frames, tmp_path):
    write(tmp_path, dataclasses.replace(frames, visibility=None))
    with pytest.raises(UsageError, match="do not say what is hidden"):
        fits(tmp_path, dataclasses.replace(DEFAULT, visibility=True))
    (found,) = fits(tmp_path)
    assert found.options["visibility"] is False


def test_the_papers_fit_knows_nothing_of_it(frames, tmp_path):
    found = {}
    for name, own in (("with", frames), ("no", dataclasses.replace(frames, visibility=None))):
        write(tmp_path / name, own)
        ran = CliRunner().invoke(cli.commands, ["fit3d", str(tmp_path / name), "--paper"])
        assert ran.exit_code == 0, ran.output
        found[name] = read_shard(list_shards(tmp_path / name)[0]).fit
    np.testing.assert_array_equal(found["with"].f_exp, found["no"].f_exp)
    np.testing.assert_array_equal(found["with"].f_exp_std, found["no"].f_exp_std)


def test_verify_names_frames_without_it(frames, tmp_path):
    spoilt = frames.visibility.copy()
    spoilt[5] = np.nan
    write(tmp_path, dataclasses.replace(frames, visibility=spoilt))
    assert "visibility" in str(verify_shards(tmp_path))
