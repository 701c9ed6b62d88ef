"""Shards: what is written is read back, the same bytes each time, whole or absent, and checked."""

from __future__ import annotations

import dataclasses
import errno
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from glee import whole_files
from glee.errors import OutputError, ShardError
from glee.pipeline.images.crops import decode_crop, encode_crop
from glee.pipeline.shards import shard as shards


def make_content(count=5, encoding="raw"):
    random = np.random.default_rng(7)
    header = shards.ShardHeader(
        dataset="disfa",
        subject="SN001",
        clip="LeftVideoSN001_comp",
        start=10,
        stop=10 + count,
        source="Videos_LeftCamera/LeftVideoSN001_comp.avi",
        source_size=1234,
        source_hash="ab" * 32,
        fps=20.0,
        frame_size=(1024, 768),
        detector="dlib 20.0.1",
        options={"crop_size": 200, "detect_every": 10},
        glee_version="0.1.0",
        au_names=("AU1", "AU12"),
        label_kind="intensity",
    )
    frames = shards.FrameArrays(
        frame_id=np.arange(11, 11 + count),
        valid=np.arange(count) != 1,
        reason=(np.arange(count) == 1).astype(np.uint8),
        confidence=random.random(count).astype(np.float32),
        landmarks=random.normal(300, 50, (count, 68, 2)).astype(np.float32),
        transform=random.normal(size=(count, 2, 3)),
    )
    images = random.integers(0, 256, (count, 200, 200, 3), dtype=np.uint8)
    crops = [encode_crop(image, encoding) for image in images]
    labels = random.integers(-1, 6, (count, 2)).astype(np.int8)
    return header, frames, images, crops, labels


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def make_fit(count=5):
    random = np.random.default_rng(8)
    return shards.FitArrays(
        f_exp=random.random((count, 51)).astype(np.float32),
        f_exp_std=random.random((count, 51)).astype(np.float32),
        f_shape=random.normal(size=(count, 60)).astype(np.float32),
        pose=random.normal(size=(count, 6)),
        energy=random.random(count).astype(np.float32),
        rmse=random.random(count).astype(np.float32),
        iterations=np.full(count, 4, np.int32),
        converged=np.ones(count, bool),
        options={"identity": "subject"},
        model="makehuman",
        image_size=(1024, 768),
        focal=1536.0,
    )


def write(path, encoding="raw"):
    header, frames, images, crops, labels = make_content(encoding=encoding)
    shards.write_shard(path, header, frames, crops, labels, encoding=encoding)
    return header, frames, images, labels


@pytest.mark.parametrize("encoding", ["raw", "png"])
def test_written_content_is_read_back(tmp_path, encoding):
    path = shards.shard_path(tmp_path, "SN001", "LeftVideoSN001_comp", 3)
    header, frames, images, labels = write(path, encoding)
    shard = shards.read_shard(path)
    assert path == tmp_path / "shards/SN001/LeftVideoSN001_comp/000003.h5"
    assert shard.header == header
    assert len(shard) == 5
    for item in dataclasses.fields(frames):
        read, written = getattr(shard.frames, item.name), getattr(frames, item.name)
        np.testing.assert_array_equal(read, written)
        assert getattr(read, "dtype", None) == getattr(written, "dtype", None)
    np.testing.assert_array_equal(shard.labels, labels)
    np.testing.assert_array_equal(shard.crops(), images)
    np.testing.assert_array_equal(shard.crop(4), images[4])
    assert shard.fit is None


def test_layout_on_disk_is_the_documented_one(tmp_path):
    path = tmp_path / "shard.h5"
    _, _, _, labels = write(path)
    with h5py.File(path) as file:
        assert set(file) == {"frames", "crops", "labels"}
        assert file.attrs["format"] == "glee-shard"
        assert file.attrs["format_version"] == 2
        assert file.attrs["landmark_definition"] == "ibug68"
        assert list(file["labels"].attrs["au_names"]) == ["AU1", "AU12"]
        assert file["labels"].attrs["kind"] == "intensity"
        np.testing.assert_array_equal(file["labels/AU12"][()], labels[:, 1])
        assert file["frames/reason"].attrs["names"][1] == "no_face"


def test_shard_without_labels(tmp_path):
    header, frames, _, crops, _ = make_content()
    header = dataclasses.replace(header, au_names=(), label_kind="none")
    shards.write_shard(
        tmp_path / "a.h5", header, frames, crops, np.empty((5, 0), np.int8), encoding="raw"
    )
    shard = shards.read_shard(tmp_path / "a.h5")
    assert shard.header.au_names == ()
    assert shard.labels.shape == (5, 0)


def test_jpeg_crop_is_close():
    rows, columns = np.mgrid[0:200, 0:200]
    image = np.stack([rows, columns, 255 - rows], axis=-1).astype(np.uint8)
    data = np.frombuffer(encode_crop(image, "jpeg", 95), np.uint8)
    decoded = decode_crop(data, "jpeg", 200)
    assert np.abs(decoded.astype(int) - image).mean() < 2
    assert decode_crop(data[: len(data) // 20], "jpeg", 200) is None


@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_only_an_image_of_the_crop_size_is_decoded(encoding, monkeypatch):
    data = np.frombuffer(encode_crop(np.zeros((90, 90, 3), np.uint8), encoding), np.uint8)
    assert decode_crop(data, encoding, 90).shape == (90, 90, 3)
    monkeypatch.setattr("glee.pipeline.images.crops.cv2.imdecode", None)
    assert decode_crop(data, encoding, 200) is None
    for damaged in (data[:1], data[:5], data[:20], data[5:], np.zeros(300, np.uint8), data[:0]):
        assert decode_crop(damaged, encoding, 90) is None


def test_same_content_gives_same_bytes_and_another_content_another_digest(tmp_path):
    write(tmp_path / "a.h5")
    write(tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    header, frames, _, crops, labels = make_content()
    labels[2, 1] = 0 if labels[2, 1] else 1
    shards.write_shard(tmp_path / "c.h5", header, frames, crops, labels, encoding="raw")
    assert shards.content_digest(tmp_path / "a.h5") == shards.content_digest(tmp_path / "b.h5")
    assert shards.content_digest(tmp_path / "a.h5") != shards.content_digest(tmp_path / "c.h5")


def test_add_fit_carries_the_old_content_over(tmp_path):
    path = tmp_path / "a.h5"
    header, frames, images, labels = write(path)
    fit = make_fit()
    shards.add_fit(path, fit)
    first = path.read_bytes()
    shards.add_fit(path, fit)
    shard = shards.read_shard(path)
    assert path.read_bytes() == first
    assert shard.header == header
    np.testing.assert_array_equal(shard.frames.landmarks, frames.landmarks)
    np.testing.assert_array_equal(shard.labels, labels)
    np.testing.assert_array_equal(shard.crops(), images)
    np.testing.assert_array_equal(shard.fit.f_exp, fit.f_exp)
    np.testing.assert_array_equal(shard.fit.pose, fit.pose)
    assert shard.fit.options == {"identity": "subject"}
    assert (shard.fit.model, shard.fit.image_size, shard.fit.focal) == (
        "makehuman",
        (1024, 768),
        1536.0,
    )


def test_a_fit_goes_into_the_file_that_was_read(tmp_path):
    for name in ("a.h5", "b.h5"):
        write(tmp_path / name)
    shard, sealed = shards.read_sealed(tmp_path / "a.h5")
    np.testing.assert_array_equal(shard.labels, make_content()[-1])
    shards.add_fit(tmp_path / "a.h5", make_fit(), sealed)
    shards.add_fit(tmp_path / "b.h5", make_fit())
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert shards.read_shard(tmp_path / "a.h5").fit.focal == 1536.0


def test_a_fit_does_not_bring_back_a_file_that_was_replaced(tmp_path):
    path = tmp_path / "a.h5"
    write(path)
    _, sealed = shards.read_sealed(path)
    header, frames, _, crops, labels = make_content()
    shards.write_shard(path, header, frames, crops, labels * 0, encoding="raw")
    shards.add_fit(path, make_fit(), sealed)
    assert not shards.read_shard(path).labels.any()
    path.unlink()
    with pytest.raises(ShardError, match="no such shard"):
        shards.add_fit(path, make_fit(), sealed)
    write(path)
    with h5py.File(path, "r+") as file:
        file["crops/data"][7] ^= 1
    with pytest.raises(ShardError, match="checksum"):
        shards.add_fit(path, make_fit(), sealed)


def test_add_fit_of_wrong_length_leaves_the_shard(tmp_path):
    path = tmp_path / "a.h5"
    write(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="f_exp"):
        shards.add_fit(path, make_fit(count=4))
    assert path.read_bytes() == before
    assert names_in(tmp_path) == ["a.h5"]


def alter_attribute(path, name, value):
    with h5py.File(path, "r+") as file:
        file.attrs[name] = value


def test_other_version_is_refused(tmp_path):
    write(tmp_path / "a.h5")
    alter_attribute(tmp_path / "a.h5", "format_version", 3)
    with pytest.raises(ShardError, match=r"a\.h5.*version 3.*version 2"):
        shards.read_shard(tmp_path / "a.h5")


def test_a_shard_of_other_landmarks_says_what_to_do(tmp_path):
    write(tmp_path / "a.h5")
    alter_attribute(tmp_path / "a.h5", "format_version", 1)
    with pytest.raises(ShardError, match=r"a\.h5.*another definition.*glee preprocess") as caught:
        shards.read_shard(tmp_path / "a.h5")
    assert "\n" not in str(caught.value)


def test_other_kind_of_file_is_refused(tmp_path):
    write(tmp_path / "a.h5")
    alter_attribute(tmp_path / "a.h5", "format", "something")
    (tmp_path / "b.h5").write_text("not hdf5")
    for name in ("a.h5", "b.h5", "absent.h5"):
        with pytest.raises(ShardError, match=name):
            shards.read_shard(tmp_path / name)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_cut_shard_is_refused(tmp_path, share):
    path = tmp_path / "a.h5"
    write(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ShardError, match=r"a\.h5"):
        shards.read_shard(path)


def test_altered_content_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    write(path)
    with h5py.File(path, "r+") as file:
        file["labels/AU1"][0] = 5 - file["labels/AU1"][0]
    with pytest.raises(ShardError, match="checksum"):
        shards.read_shard(path)


def test_lengths_must_agree(tmp_path):
    header, frames, _, crops, labels = make_content()
    with pytest.raises(ValueError, match="4 crops"):
        shards.write_shard(tmp_path / "a.h5", header, frames, crops[:-1], labels, encoding="raw")
    with pytest.raises(ValueError, match="encoding"):
        shards.write_shard(tmp_path / "a.h5", header, frames, crops, labels, encoding="gif")
    assert names_in(tmp_path) == []


def test_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def fail(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(whole_files.os, "fsync", fail)
    with pytest.raises(OutputError, match=r"a\.h5.*No space left"):
        write(tmp_path / "a.h5")
    assert names_in(tmp_path) == []


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"a\.h5"):
        write(tmp_path / "file" / "a.h5")


def test_list_shards_is_sorted_and_leaves_temporaries_out(tmp_path):
    with pytest.raises(ShardError, match="no shards"):
        shards.list_shards(tmp_path)
    paths = [shards.shard_path(tmp_path, s, "c", i) for s in ("SN002", "SN001") for i in (1, 0)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    stale = paths[0].with_name(".000001.h5.99.partial")
    stale.touch()
    assert shards.list_shards(tmp_path) == sorted(paths)
    assert whole_files.remove_temporaries(tmp_path) == 1
    assert not stale.exists()
    assert all(Path(path).exists() for path in paths)


def test_altered_content_is_not_sealed_again_by_the_fit(tmp_path):
    path = tmp_path / "a.h5"
    write(path)
    with h5py.File(path, "r+") as file:
        file["frames/landmarks"][0] += 1
    with pytest.raises(ShardError, match="checksum"):
        shards.add_fit(path, make_fit())


def replace_by_external_link(file, other):
    del file["frames/confidence"]
    file["frames/confidence"] = h5py.ExternalLink(str(other), "/frames/confidence")


def replace_by_external_storage(file, other):
    del file["frames/valid"]
    file["frames"].create_dataset("valid", (5,), bool, external=[(str(other), 0, 5)])


def replace_by_virtual_dataset(file, other):
    layout = h5py.VirtualLayout((5,), np.float32)
    layout[:] = h5py.VirtualSource(str(other), "/frames/confidence", (5,))
    del file["frames/confidence"]
    file["frames"].create_virtual_dataset("confidence", layout)


def replace_by_larger_than_the_file(file, other):
    del file["frames/valid"]
    file["frames"].create_dataset("valid", (10**9,), bool)


def replace_by_compressed(file, other):
    del file["frames/valid"]
    file["frames"].create_dataset("valid", data=np.ones(5, bool), compression="gzip")


def replace_by_soft_link(file, other):
    del file["frames/valid"]
    file["frames/valid"] = h5py.SoftLink("/frames/reason")


def add_something(file, other):
    file["frames/more"] = np.zeros(5)


@pytest.mark.parametrize(
    "change",
    [
        replace_by_external_link,
        replace_by_external_storage,
        replace_by_virtual_dataset,
        replace_by_larger_than_the_file,
        replace_by_compressed,
        replace_by_soft_link,
        add_something,
    ],
)
def test_anything_but_the_documented_layout_is_refused(tmp_path, change):
    for name in ("a.h5", "other.h5"):
        write(tmp_path / name)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        change(file, tmp_path / "other.h5")
    with pytest.raises(ShardError, match=r"a\.h5: cut or damaged shard \(.*(frames|link|more)"):
        shards.read_shard(tmp_path / "a.h5", verify=False)
