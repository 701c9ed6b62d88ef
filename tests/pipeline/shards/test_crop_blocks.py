"""Crops by byte range: the same as through HDF5, a block at a time."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from glee.errors import ShardError
from glee.pipeline.images.crops import encode_crop
from glee.pipeline.shards import shard as shards
from glee.pipeline.shards.crop_blocks import BLOCK_FRAMES, CropBlocks


def write(path, encoding, count=40):
    random = np.random.default_rng(1)
    valid = np.ones(count, bool)
    header = shards.ShardHeader(
        dataset="made_up", subject="S1", clip="clip", start=0, stop=count, source="clip.avi",
        source_size=1, source_hash="00", fps=25.0, frame_size=(64, 48), detector="none", options={},
        glee_version="0", au_names=(), label_kind="none",
    )  # fmt: skip
    frames = shards.FrameArrays(
        frame_id=np.arange(count), valid=valid, reason=np.zeros(count, np.uint8),
        confidence=np.ones(count, np.float32), landmarks=np.zeros((count, 68, 2), np.float32),
        transform=np.zeros((count, 2, 3)),
    )  # fmt: skip
    images = random.integers(0, 255, (count, 48, 48, 3), dtype=np.uint8)
    crops = [encode_crop(image, encoding) for image in images]
    labels = np.empty((count, 0), np.int8)
    shards.write_shard(path, header, frames, crops, labels, encoding=encoding, crop_size=48)
    return shards.read_shard(path)


@pytest.mark.parametrize("encoding", ["jpeg", "png", "raw"])
def test_crops_are_those_of_the_shard(tmp_path, encoding):
    shard = write(tmp_path / "a.h5", encoding)
    reader = CropBlocks([shard])
    for row in (39, 0, 17, 16, 15, 31, 32):
        assert np.array_equal(reader.crop(0, row), shard.crop(row))
    assert reader.reads == 3


def test_only_the_blocks_used_last_are_kept(tmp_path):
    reader = CropBlocks([write(tmp_path / f"{n}.h5", "raw") for n in range(2)], kept=2)
    for shard, row in ((0, 0), (1, 0), (0, 5), (1, BLOCK_FRAMES), (0, 3), (1, 2)):
        reader.crop(shard, row)
    assert reader.reads == 4


def test_a_reader_can_be_sent_to_another_process(tmp_path):
    reader = CropBlocks([write(tmp_path / "a.h5", "raw")])
    crop = reader.crop(0, 7)
    sent = pickle.dumps(reader)
    assert np.array_equal(pickle.loads(sent).crop(0, 7), crop)


def test_a_shard_that_vanishes_or_shrinks(tmp_path):
    reader = CropBlocks([write(tmp_path / "a.h5", "raw"), write(tmp_path / "b.h5", "raw")])
    (tmp_path / "a.h5").unlink()
    with pytest.raises(ShardError, match=r"a\.h5: cannot be read"):
        reader.crop(0, 0)
    (tmp_path / "b.h5").write_bytes((tmp_path / "b.h5").read_bytes()[:9000])
    with pytest.raises(ShardError, match=r"b\.h5: cut"):
        reader.crop(1, 39)
