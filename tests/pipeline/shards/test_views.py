"""The table says what a shard holds; the contact sheet shows landmarks and mesh where they are."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from glee.errors import OutputError, ShardError, UsageError
from glee.fitting.camera import Camera
from glee.fitting.morphable_model.model_file import load_model
from glee.pipeline.images.crops import align, alignment_transform, encode_crop
from glee.pipeline.shards.shard import (
    FitArrays,
    FrameArrays,
    ShardHeader,
    add_fit,
    read_shard,
    write_shard,
)
from glee.pipeline.shards.views import contact_sheet, describe_shard, export_shard

HEADER = ShardHeader(
    dataset="disfa",
    subject="SN001",
    clip="LeftVideoSN001_comp",
    start=0,
    stop=3,
    source="Videos_LeftCamera/LeftVideoSN001_comp.avi",
    source_size=1234,
    source_hash="ab",
    fps=20.0,
    frame_size=(640, 480),
    detector="dlib 20",
    options={"crop_size": 200},
    glee_version="0.1.0",
    au_names=("AU1", "AU12"),
    label_kind="intensity",
)


@pytest.fixture
def shard(tmp_path):
    """Three black frames, the mean head's landmarks in two of them, the third without a face."""
    model = load_model()
    pose = np.array([0, 0.2, 0.1, 0.2, 0, -15])
    points = model.landmarks["anatomical"].on(model.mean)
    landmarks = Camera.for_image(640, 480).project(points, pose).astype(np.float32)
    transform = alignment_transform(landmarks)
    crop = encode_crop(align(np.zeros((480, 640, 3), np.uint8), transform, 200), "png")
    frames = FrameArrays(
        frame_id=np.array([1, 2, 3]),
        valid=np.array([True, True, False]),
        reason=np.array([0, 0, 1], np.uint8),
        confidence=np.array([0.9, 0.8, 0.0], np.float32),
        landmarks=np.stack([landmarks, landmarks, np.full_like(landmarks, np.nan)]),
        transform=np.stack([transform, transform, np.full((2, 3), np.nan)]),
    )
    labels = np.array([[0, 5], [2, 5], [-1, 5]], np.int8)
    path = tmp_path / "000000.h5"
    write_shard(path, HEADER, frames, [crop] * 3, labels, encoding="png")
    fit = FitArrays(
        f_exp=np.zeros((3, 51), np.float32),
        f_exp_std=np.zeros((3, 51), np.float32),
        f_shape=np.zeros((3, 60), np.float32),
        pose=np.stack([pose, pose, np.full(6, np.nan)]),
        energy=np.zeros(3, np.float32),
        rmse=np.array([0.5, 0.7, np.nan], np.float32),
        iterations=np.array([4, 5, 0], np.int32),
        converged=np.array([True, True, False]),
        options={"identity": "subject"},
        model="makehuman",
        image_size=(640, 480),
        focal=960.0,
    )
    return path, fit


def test_table(shard):
    path, fit = shard
    text = describe_shard(path)
    for part in ("SN001", "1234 bytes, 640x480, 20 frames/s", "2 valid", "no_face", "1: 3"):
        assert part in text
    assert "0: 1, 2: 1, unknown: 1" in text
    assert "5: 3" in text
    assert text.splitlines()[-1].split() == ["fit", "none"]
    add_fit(path, fit)
    text = describe_shard(path)
    assert "2 frames converged, model makehuman, focal 960 pixels" in text
    assert "identity subject" in text
    with pytest.raises(ShardError, match="no such shard"):
        describe_shard(path.with_name("absent.h5"))


def green(picture):
    """Where the picture (BGR) is the colour of landmarks."""
    return (picture[..., 1] > 150) & (picture[..., 2] < 100)


def test_sheet_shows_landmarks_on_valid_frames_only(shard, tmp_path):
    path, _ = shard
    contact_sheet(path, tmp_path / "sheet.png")
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape == (322, 900, 3)
    counts = [green(sheet[:, 300 * cell : 300 * cell + 300]).sum() for cell in range(3)]
    assert min(counts[:2]) > 500
    assert counts[2] == 0


def test_mesh_lies_where_the_landmarks_are(shard, tmp_path):
    path, fit = shard
    add_fit(path, fit)
    contact_sheet(path, tmp_path / "sheet.png")
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape == (322, 1800, 3)
    points, mesh = sheet[:300, :300], sheet[:300, 300:600]
    covered = mesh.max(2) > 5
    assert covered[green(points)].mean() > 0.97
    moved = dataclasses.replace(fit, pose=fit.pose + [0, 0, 0, 3, 0, 0])
    add_fit(path, moved)
    contact_sheet(path, tmp_path / "sheet.png")
    mesh = cv2.imread(str(tmp_path / "sheet.png"))[:300, 300:600]
    assert (mesh.max(2) > 5)[green(points)].mean() < 0.5


def test_sheet_that_cannot_be_written(shard, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"sheet\.png"):
        contact_sheet(shard[0], tmp_path / "file" / "sheet.png")


@pytest.fixture
def clip(shard):
    """The folder of a clip of two chunks of three frames, the jaw opening from first to last."""
    path, fit = shard
    other = path.with_name("000001.h5")
    read = read_shard(path)
    header = dataclasses.replace(HEADER, start=3, stop=6)
    frames = dataclasses.replace(read.frames, frame_id=np.array([4, 5, 6]))
    crops = [encode_crop(read.crop(index), "png") for index in range(3)]
    write_shard(other, header, frames, crops, read.labels, encoding="png")
    jaw = load_model().expression_names.index("jawOpen")
    for number, one in enumerate((path, other)):
        f_exp = np.zeros((3, 51), np.float32)
        f_exp[:, jaw] = 0.1 * (np.arange(3) + 3 * number)
        add_fit(one, dataclasses.replace(fit, f_exp=f_exp, model="makehuman-60"))
    return path.parent


def test_all_chunks_of_a_clip_are_one_file(clip, tmp_path):
    model = load_model()
    assert export_shard(clip, tmp_path / "face.npz") == 6
    with np.load(tmp_path / "face.npz") as archive:
        meshes = archive["mesh"]
    fits = [read_shard(clip / name).fit for name in ("000000.h5", "000001.h5")]
    expected = [model.shape(fit.f_shape[i], fit.f_exp[i]) for fit in fits for i in range(2)]
    np.testing.assert_allclose(meshes[[0, 1, 3, 4]], expected, atol=1e-5)
    assert export_shard(clip, tmp_path / "one.npz", frame=4) == 1
    with np.load(tmp_path / "one.npz") as archive:
        np.testing.assert_array_equal(archive["mesh"][0], meshes[4])
    with pytest.raises(UsageError, match="the clip has frames 0 to 5"):
        export_shard(clip, tmp_path / "none.npz", frame=6)


def test_a_folder_that_is_no_clip_or_not_whole(clip, tmp_path):
    whole = tmp_path / "shards" / "SN001" / "clip"
    whole.mkdir(parents=True)
    for path in clip.glob("*.h5"):
        path.rename(whole / path.name)
    with pytest.raises(UsageError, match=f"give the folder of a clip, such as {whole}"):
        export_shard(whole.parent, tmp_path / "face.glb")
    (whole / "000000.h5").unlink()
    with pytest.raises(ShardError, match="frames 0 to 2 are missing before 000001.h5"):
        export_shard(whole, tmp_path / "face.glb")
