"""`glee.open`: a work folder as tables and arrays, against the shards themselves."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import glee
from glee.errors import DataError, ShardError
from glee.pipeline.images.crops import encode_crop
from glee.pipeline.shards.content import FrameArrays, ShardHeader
from glee.pipeline.shards.shard import shard_path, write_shard

COUNT = 5


def written(work, subject, start, seed, dense=None):
    """A shard of five frames whose third is not valid; returns its crops."""
    random = np.random.default_rng(seed)
    crops = random.integers(0, 255, (COUNT, 200, 200, 3), np.uint8)
    reason = np.array([0, 0, 1, 0, 0], np.uint8)
    header = ShardHeader(
        dataset="disfa",
        subject=subject,
        clip="talk",
        start=start,
        stop=start + COUNT,
        source="talk.avi",
        source_size=1,
        source_hash="0",
        fps=20.0,
        frame_size=(640, 480),
        detector="mesh 1",
        options={},
        glee_version=glee.__version__,
        au_names=("AU1", "AU12"),
        label_kind="intensity",
    )
    frames = FrameArrays(
        frame_id=np.arange(start, start + COUNT) + 1,
        valid=reason == 0,
        reason=reason,
        confidence=np.linspace(0.5, 1, COUNT, dtype=np.float32),
        landmarks=random.random((COUNT, 68, 2), np.float32),
        transform=np.zeros((COUNT, 2, 3)),
        landmarks_dense=dense,
    )
    labels = random.integers(0, 6, (COUNT, 2)).astype(np.int8)
    write_shard(
        shard_path(work, subject, "talk", start // COUNT),
        header,
        frames,
        [encode_crop(crop, "raw") for crop in crops],
        labels,
        encoding="raw",
    )
    return crops, labels, frames.landmarks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A work folder of two subjects, one with two chunks; and what was written."""
    work = tmp_path_factory.mktemp("work")
    parts = [
        written(work, "SN001", 0, 1),
        written(work, "SN001", 5, 2),
        written(work, "SN002", 0, 3),
    ]
    return work, [np.concatenate(column) for column in zip(*parts, strict=True)]


def test_tables(folder):
    path, (_, labels, landmarks) = folder
    work = glee.open(path)
    assert work.subjects == ("SN001", "SN002")
    assert work.clips["frames"].tolist() == [10, 5]
    assert work.clips["valid"].tolist() == [8, 4]
    frames = work.frames
    assert frames["frame"].tolist() == [*range(10), *range(5)]
    assert frames["frame_id"].tolist() == [*range(1, 11), *range(1, 6)]
    assert frames.loc[~frames["valid"], "reason"].tolist() == ["no_face"] * 3
    assert np.array_equal(frames[["AU1", "AU12"]], labels)
    assert np.array_equal(work.landmarks, landmarks)
    assert "2 subjects, 2 clips, 3 shards" in repr(work)


def test_dense_points(folder, tmp_path):
    dense = np.random.default_rng(6).random((2, COUNT, 478, 2), np.float32)
    for part in (0, 1):
        written(tmp_path, "SN001", part * COUNT, 4, dense[part])
    assert np.array_equal(glee.open(tmp_path).landmarks_dense, np.concatenate(dense))
    with pytest.raises(DataError, match="glee preprocess --dense"):
        _ = glee.open(folder[0]).landmarks_dense


def test_crops_by_number_slice_and_mask(folder):
    path, (crops, _, _) = folder
    work = glee.open(path)
    assert len(work.crops) == len(crops)
    assert np.array_equal(work.crops[7], crops[7])
    assert np.array_equal(work.crops[-1], crops[-1])
    assert np.array_equal(work.crops[4:8], crops[4:8])
    mask = work.frames["subject"] == "SN002"
    assert np.array_equal(work.crops[mask], crops[10:])
    assert np.array_equal(work.crops[[3, 12]], crops[[3, 12]])
    assert work.crops[work.frames["AU1"] > 99].shape == (0, 200, 200, 3)
    with pytest.raises(IndexError):
        work.crops[len(crops)]


def test_nothing_is_read_before_it_is_asked_for(folder, tmp_path):
    path, _ = folder
    work = glee.open(path)
    assert "shards" not in vars(work)
    assert work.subjects
    assert "shards" not in vars(work)


def test_what_is_no_work_folder(tmp_path):
    with pytest.raises(DataError, match="no work folder"):
        glee.open(tmp_path)
    (tmp_path / "shards").mkdir()
    with pytest.raises(ShardError, match="no shards"):
        glee.open(tmp_path)


def test_what_is_not_fitted(folder):
    with pytest.raises(DataError, match="fit3d"):
        _ = glee.open(folder[0]).f_shape


def test_import_is_light():
    code = (
        "import sys, glee\n"
        "heavy = {'numpy', 'pandas', 'matplotlib', 'torch', 'h5py', 'cv2'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert {'open', 'plot'} <= set(dir(glee))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError):
        _ = glee.nothing
