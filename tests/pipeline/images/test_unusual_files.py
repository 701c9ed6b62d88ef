"""Videos and images that are whole but unusual: each is read right, or refused in one line."""

from __future__ import annotations

import struct
import wave

import cv2
import numpy as np
import pytest

from glee.errors import DataError
from glee.pipeline.clips import Clip
from glee.pipeline.datasets import open_dataset
from glee.pipeline.images.frames import index_frames, read_frames
from glee.pipeline.landmarks.backends import load_detector
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import list_shards, read_shard

# Boxes of an MP4 file that hold the table of durations, from the outside in.
WAY_TO_DURATIONS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts")


def clip_of(path):
    (clip,) = open_dataset("folder", path)
    return clip


def find_boxes(data, names, start=0, stop=None):
    """Where boxes inside each other begin."""
    at, stop = start, len(data) if stop is None else stop
    while at < stop:
        size, name = struct.unpack(">I4s", data[at : at + 8])
        if name == names[0]:
            inside = find_boxes(data, names[1:], at + 8, at + size) if names[1:] else []
            return [at, *inside]
        at += size
    raise AssertionError(f"no {names[0]!r}")


def with_durations(path, factors):
    """Give the frames of an MP4 file durations: so many times the one that they had."""
    data = bytearray(path.read_bytes())
    boxes = find_boxes(data, WAY_TO_DURATIONS)
    table = boxes[-1]
    size, _, _, entries, _, delta = struct.unpack(">I4sIIII", data[table : table + 24])
    assert entries == 1
    runs = b"".join(struct.pack(">II", 1, delta * factor) for factor in factors)
    data[table + 12 : table + size] = struct.pack(">I", len(factors)) + runs
    for box in boxes:
        (old,) = struct.unpack(">I", data[box : box + 4])
        data[box : box + 4] = struct.pack(">I", old + len(runs) - 8)
    # The list of edits states the old length, at which the decoder would stop.
    edits = find_boxes(data, (b"moov", b"trak", b"edts"))[-1]
    data[edits + 4 : edits + 8] = b"free"
    path.write_bytes(bytes(data))


def turned(path):
    """Say in an MP4 file's header that it is to be shown turned by 90 degrees, clockwise."""
    data = bytearray(path.read_bytes())
    header = find_boxes(data, (b"moov", b"trak", b"tkhd"))[-1]
    matrix = header + 8 + 40
    one = 1 << 16
    data[matrix : matrix + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(data))


def test_variable_frame_rate(make_video, numbered):
    path = make_video("a.mp4", "mp4v", count=100)
    factors = [1 + (number % 7 == 3) * 5 + (number > 60) * 9 for number in range(100)]
    with_durations(path, factors)
    clip = clip_of(path)
    index = index_frames(clip)
    steps = np.diff(index.times)
    assert index.count == 100
    assert steps.max() / steps.min() == pytest.approx(15, rel=0.01)
    for start, stop in ((0, 100), (37, 60), (59, 70), (96, 100)):
        found = [numbered.read(image) for image in read_frames(clip, index, start, stop)]
        assert found == list(range(start, stop))


def test_a_video_with_a_rotation_is_seen_upright(make_video):
    path = make_video("a.mp4", "mp4v", count=12)
    (plain,) = read_frames(clip_of(path), index_frames(clip_of(path)), 9, 10)
    turned(path)
    index = index_frames(clip_of(path))
    assert index.size == (120, 160)
    (image,) = read_frames(clip_of(path), index, 9, 10)
    np.testing.assert_array_equal(image, np.rot90(plain, -1))


def test_an_image_with_a_rotation_is_seen_upright(tmp_path, numbered):
    done, data = cv2.imencode(".jpg", numbered.draw(5))
    assert done
    # Exif: one entry, orientation (0x0112) 6, to be turned by 90 degrees.
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    segment = b"Exif\0\0" + tiff
    exif = b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment
    (tmp_path / "1.jpg").write_bytes(data.tobytes()[:2] + exif + data.tobytes()[2:])
    clip = clip_of(tmp_path)
    index = index_frames(clip)
    (image,) = read_frames(clip, index, 0, 1)
    assert index.size == (120, 160)
    assert numbered.read(np.rot90(image)) == 5


def test_a_face_in_a_frame_of_3840_by_2160(real_folder):
    face = cv2.cvtColor(cv2.imread(str(real_folder / "single_face.jpg")), cv2.COLOR_BGR2RGB)
    detector = load_detector("mesh")
    (box, _), *_ = detector.detect(face)
    known, _ = detector.landmarks(face, box)
    scale = 2000 / max(face.shape)
    large = cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    frame = np.full((2160, 3840, 3), 90, np.uint8)
    frame[100 : 100 + len(large), 1500 : 1500 + large.shape[1]] = large
    (box, _), *_ = detector.detect(frame)
    points, confidence = detector.landmarks(frame, box)
    error = np.linalg.norm((points - [1500, 100]) / scale - known, axis=1)
    assert confidence > 0.8
    assert error.mean() / np.linalg.norm(known[36] - known[45]) < 0.03


@pytest.mark.parametrize(
    "name", ["Zoë Müller – 笑顔.avi", "a b's (1) 100% %03d.avi", "T1:T2?#.avi"]
)
def test_any_name_of_a_video(make_video, tmp_path, name, monkeypatch):
    root = tmp_path / "données vidéo"
    make_video(f"données vidéo/{name}", count=5, size=(64, 48))
    monkeypatch.chdir(root)
    out = tmp_path / "travail à faire"
    summary = preprocess("folder", root, out, workers=1, progress=False)
    assert [(one.frames, one.valid) for one in summary.clips] == [(5, 0)]
    (path,) = list_shards(out)
    assert read_shard(path).header.source == name


def test_a_relative_name_with_a_colon_is_no_protocol(make_video, tmp_path, monkeypatch):
    path = make_video("T1:2.avi", count=5)
    monkeypatch.chdir(tmp_path)
    relative = Clip("folder", "s", "c", path.parent, path.relative_to(tmp_path))
    assert index_frames(relative).count == 5


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
def test_sound_without_pictures(tmp_path, name):
    with wave.open(str(tmp_path / name), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    with pytest.raises(DataError, match=r"a\..*: cannot be opened as a video") as caught:
        index_frames(clip_of(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_an_empty_image_keeps_its_place(tmp_path, numbered):
    cv2.imwrite(str(tmp_path / "1.png"), numbered.draw(1))
    (tmp_path / "2.png").write_bytes(b"")
    clip = clip_of(tmp_path)
    one, other = read_frames(clip, index_frames(clip), 0, 2)
    assert numbered.read(one) == 1
    assert other is None


def test_an_empty_video_beside_a_good_one_is_named_and_the_good_one_done(make_video, tmp_path):
    make_video("root/good.avi", count=5, size=(64, 48))
    (tmp_path / "root" / "empty.mp4").write_bytes(b"")
    out = tmp_path / "work"
    with pytest.raises(DataError, match="empty.mp4: is empty"):
        preprocess("folder", tmp_path / "root", out, workers=1, progress=False)
    (shard,) = list_shards(out)
    assert read_shard(shard).header.clip == "good"
