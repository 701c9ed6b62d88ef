"""Dense points from the backend through the shard to the fit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from glee.errors import ShardError, UsageError
from glee.fitting.camera import Camera
from glee.fitting.dense_points import load_dense_points
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.solver.problem import landmark_places
from glee.pipeline.fit3d import fit3d
from glee.pipeline.images.crops import encode_crop
from glee.pipeline.landmarks.dense_landmarks import DenseDetector
from glee.pipeline.landmarks.detector import Box, Wrapped
from glee.pipeline.options import Fit3dOptions
from glee.pipeline.shards.shard import (
    FrameArrays,
    ShardHeader,
    list_shards,
    read_shard,
    shard_path,
    write_shard,
)

SIZE = (640, 480)
FRAMES = 20


class Meshy:
    """A backend of three dense points that moves them with the box."""

    name, version, dense_points = "meshy", "1", 3

    def detect(self, image, *, thorough=False):
        return [(Box(0, 0, 10, 10), 0.9)]

    def landmarks_dense(self, image, box):
        return np.full((3, 3), box.left, np.float32), 0.8

    def landmarks_of(self, points):
        return np.full((68, 2), points[0, 0] + 0.5, np.float32)

    def box_of(self, landmarks):
        return Box(1, 1, 2, 2)


class Refining(Wrapped):
    """What `mesh+refiner` is to `mesh`."""

    def __init__(self):
        super().__init__(Meshy())
        self.name, self.version = "meshy+refiner", "2"

    def refined(self, image, first):
        return first + 100

    def box_of(self, landmarks):
        return Box(3, 3, 4, 4)


def test_dense_points_are_those_of_the_landmarks_that_were_kept():
    image = np.zeros((4, 4, 3), np.uint8)
    for backend, added in ((Meshy(), 0), (Refining(), 100)):
        detector = DenseDetector(backend)
        one, confidence = detector.landmarks(image, Box(7, 0, 8, 1))
        detector.landmarks(image, Box(9, 0, 10, 1))
        assert confidence == 0.8
        assert one[0, 0] == 7.5 + added
        np.testing.assert_array_equal(detector.dense_of(one), np.full((3, 2), 7))
        assert np.isnan(detector.dense_of(one)).all()
        assert detector.box_of(one) == backend.box_of(one)


def test_a_backend_without_dense_points_is_refused():
    class Plain:
        name, version = "plain", "1"

    with pytest.raises(UsageError, match="plain: has no dense points"):
        DenseDetector(Plain())


def truth():
    """f_shape (60,), f_exp (n, 51) and pose (n, 6) of one person."""
    random = np.random.default_rng(12)
    f_exp = random.random((FRAMES, 51)) * (random.random((FRAMES, 51)) < 0.2)
    turn = random.normal(0, 0.15, (FRAMES, 3))
    shift = np.column_stack([random.normal(0, 0.3, (FRAMES, 2)), np.full(FRAMES, -14.0)])
    return random.normal(0, 0.8, 60), f_exp, np.column_stack([turn, shift])


@pytest.fixture(scope="module")
def arrays():
    """Frames with landmarks of 1.5 px of noise and exact dense points; the second not valid."""
    model, camera = load_model(), Camera.for_image(*SIZE)
    f_shape, f_exp, pose = truth()
    meshes = [model.shape(f_shape, one) for one in f_exp]
    places = [
        landmark_places(model, mesh, at, "anatomical")
        for mesh, at in zip(meshes, pose, strict=True)
    ]
    laid = load_dense_points(model).places
    landmarks = camera.project(np.stack(places), pose)
    landmarks += 1.5 * np.random.default_rng(3).normal(size=landmarks.shape)
    dense = camera.project(np.stack([laid.on(mesh) for mesh in meshes]), pose)
    valid = np.arange(FRAMES) != 1
    dense[1] = np.nan
    return FrameArrays(
        frame_id=np.arange(FRAMES),
        valid=valid,
        reason=(~valid).astype(np.uint8),
        confidence=np.ones(FRAMES, np.float32),
        landmarks=landmarks.astype(np.float32),
        transform=np.zeros((FRAMES, 2, 3)),
        landmarks_dense=dense.astype(np.float32),
    )


def write(work, frames, options):
    header = ShardHeader(
        dataset="disfa",
        subject="SN001",
        clip="clip",
        start=0,
        stop=FRAMES,
        source="a.avi",
        source_size=1,
        source_hash="00",
        fps=20.0,
        frame_size=SIZE,
        detector="exact 1",
        options=options,
        glee_version="0",
        au_names=(),
        label_kind="none",
    )
    crops = [encode_crop(np.full((200, 200, 3), 128, np.uint8))] * FRAMES
    path = shard_path(work, "SN001", "clip", 0)
    write_shard(path, header, frames, crops, np.empty((FRAMES, 0), np.int8))
    return path


def test_a_shard_with_dense_points_reads_back(arrays, tmp_path):
    path = write(tmp_path, arrays, {"dense": True})
    again = read_shard(path).frames
    np.testing.assert_array_equal(again.landmarks_dense, arrays.landmarks_dense)
    assert again.landmarks_dense.dtype == np.float32
    plain = write(tmp_path / "plain", dataclasses.replace(arrays, landmarks_dense=None), {})
    assert read_shard(plain).frames.landmarks_dense is None
    few = dataclasses.replace(arrays, landmarks_dense=arrays.landmarks_dense[:, :100])
    with pytest.raises(ValueError, match="100 dense points"):
        write(tmp_path / "few", few, {})
    data = bytearray(path.read_bytes())
    data[data.find(arrays.landmarks_dense.tobytes()) + 5000] ^= 1
    path.write_bytes(data)
    with pytest.raises(ShardError, match="checksum"):
        read_shard(path)


def test_fit3d_with_dense_points_comes_nearer_to_the_truth(arrays, tmp_path):
    valid, f_exp = arrays.valid, truth()[1]
    error = {}
    for use in (None, "beside", "only"):
        work = tmp_path / str(use)
        write(work, arrays, {"dense": True})
        options = Fit3dOptions(dense=use)
        fit3d(work, options=options, workers=1, progress=False)
        fit = read_shard(list_shards(work)[0]).fit
        assert (fit.converged == valid).all()
        assert fit.options["dense"] == use
        error[use] = np.abs(fit.f_exp - f_exp)[valid].mean()
        assert fit3d(work, options=options, workers=1, progress=False).kept == 1
    assert error["only"] < 0.8 * error[None]
    assert error["beside"] != error[None]


def test_fit3d_needs_the_dense_points_in_the_shards(arrays, tmp_path):
    write(tmp_path, dataclasses.replace(arrays, landmarks_dense=None), {})
    with pytest.raises(UsageError, match="--dense"):
        fit3d(tmp_path, options=Fit3dOptions(dense="beside"), workers=1, progress=False)
    with pytest.raises(UsageError, match="dense is 'all'"):
        Fit3dOptions(dense="all").check()
