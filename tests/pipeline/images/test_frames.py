"""Frames: each in its place after a seek, in damaged files too; any image becomes RGB of 8 bits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from glee.errors import DataError
from glee.pipeline.clips import Clip
from glee.pipeline.datasets import open_dataset
from glee.pipeline.images import frames
from glee.pipeline.images.frames import index_frames, read_frames, read_image

CODECS = [("MJPG", "a.avi"), ("XVID", "a.avi"), ("mp4v", "a.mp4"), ("FFV1", "a.mkv")]


def clip_of(path):
    (clip,) = open_dataset("folder", path)
    return clip


@pytest.fixture
def numbers(numbered):
    """Numbers of the frames of a chunk, None where unreadable."""

    def read(clip, index, start, stop):
        return [
            None if image is None else numbered.read(image)
            for image in read_frames(clip, index, start, stop)
        ]

    return read


@pytest.mark.parametrize(("codec", "name"), CODECS)
def test_every_chunk_has_its_own_frames(make_video, codec, name, numbers):
    clip = clip_of(make_video(name, codec, count=100))
    index = index_frames(clip)
    assert (index.count, index.size, index.fps) == (100, (160, 120), 20.0)
    assert numbers(clip, index, 0, 100) == list(range(100))
    for start, stop in ((1, 3), (37, 60), (64, 96), (99, 100)):
        assert numbers(clip, index, start, stop) == list(range(start, stop))


@pytest.mark.parametrize("name", ["WolfgangLanger_Pexels.mp4", "single_face.mp4"])
def test_seeking_gives_what_sequential_decoding_gives(real_folder, name):
    clip = clip_of(real_folder / name)
    index = index_frames(clip)
    capture = cv2.VideoCapture(str(real_folder / name))
    wanted = {0, 1, 31, 64, 71} if index.count < 100 else {0, 13, 100, 251, 471}
    for number in range(index.count):
        _, image = capture.read()
        if number in wanted:
            (seen,) = read_frames(clip, index, number, number + 1)
            np.testing.assert_array_equal(seen, image[..., ::-1])


def test_pictures_that_an_edit_list_leaves_out_are_no_rows(real_folder):
    clip = clip_of(real_folder / "no_face.mp4")
    index = index_frames(clip)
    images = list(read_frames(clip, index, 0, index.count))
    assert index.count == len(images) == 95
    assert all(image is not None for image in images)


def test_truncated_video_keeps_the_places_of_what_is_gone(make_video, numbers):
    path = make_video("a.avi", "MJPG", count=100)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    clip = clip_of(path)
    index = index_frames(clip)
    found = numbers(clip, index, 0, index.count)
    assert index.count == 100
    readable = [n for n in found if n is not None]
    # The frame that is cut in two may decode to something else.
    assert 30 < len(readable) < 70
    assert readable[:-1] == list(range(len(readable) - 1))
    assert numbers(clip, index, 90, 100) == [None] * 10


def test_damage_inside_a_frame_moves_no_other_frame(make_video, numbers):
    path = make_video("a.mp4", "mp4v", count=60)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(bytes(data))
    clip = clip_of(path)
    index = index_frames(clip)
    found = numbers(clip, index, 0, index.count)
    assert len(found) == 60
    assert found[:20] == list(range(20))
    # Whole again from the next key frame on (every 12 frames).
    assert found[48:] == list(range(48, 60))


def test_avi_with_packets_lost_in_the_middle_is_refused(make_video):
    path = make_video("a.avi", "MJPG", count=60)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"a\.avi: damaged, \d+ of 60 frames are lost"):
        index_frames(clip_of(path))


@pytest.mark.parametrize("content", [b"", b"not a video" * 100])
def test_no_video_at_all(tmp_path, content):
    (tmp_path / "a.avi").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.avi.*get the file again"):
        index_frames(clip_of(tmp_path / "a.avi"))


def test_mp4_without_its_index(make_video):
    path = make_video("a.mp4", "mp4v", count=50)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"a\.mp4: cannot be opened"):
        index_frames(clip_of(path))


def test_video_without_frames(make_video):
    with pytest.raises(DataError, match=r"a\.avi.*frame"):
        index_frames(clip_of(make_video("a.avi", count=0)))


def test_file_that_is_gone(tmp_path):
    clip = Clip("folder", "s", "c", tmp_path, tmp_path / "gone.avi")
    with pytest.raises(DataError, match=r"gone\.avi"):
        index_frames(clip)


def test_grey_and_deep_images_and_alpha_become_rgb(tmp_path, numbered):
    colour = numbered.draw(5)
    colour[:10] = (10, 200, 90)
    grey = colour[..., 1]
    cv2.imwrite(str(tmp_path / "1.png"), colour)
    cv2.imwrite(str(tmp_path / "2.png"), grey)
    cv2.imwrite(str(tmp_path / "3.png"), colour.astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "4.png"), np.dstack([colour, np.full_like(grey, 30)]))
    cv2.imwrite(str(tmp_path / "5.tiff"), grey.astype(np.uint16) * 257)
    clip = clip_of(tmp_path)
    images = list(read_frames(clip, index_frames(clip), 0, 5))
    assert all(image.dtype == np.uint8 and image.shape == (120, 160, 3) for image in images)
    for number in (0, 2, 3):
        np.testing.assert_array_equal(images[number], colour[..., ::-1])
    for number in (1, 4):
        np.testing.assert_array_equal(images[number], np.repeat(grey[..., None], 3, axis=2))


def test_unreadable_image_keeps_its_place(tmp_path, numbers, numbered):
    for number in (1, 3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), numbered.draw(number))
    (tmp_path / "2.png").write_bytes(b"no image")
    (tmp_path / "4.png").write_bytes((tmp_path / "3.png").read_bytes()[:60])
    clip = clip_of(tmp_path)
    index = index_frames(clip)
    assert numbers(clip, index, 0, 4) == [1, None, 3, None]
    assert (index.count, index.size) == (4, (160, 120))


def test_images_that_are_all_broken(tmp_path):
    (tmp_path / "1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"1\.png: cannot be read \(it is no PNG"):
        index_frames(clip_of(tmp_path))
    (tmp_path / "2.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"1\.png: none of 2 images is readable"):
        index_frames(clip_of(tmp_path))


@pytest.mark.parametrize("depth", [10, 12, 14, 16])
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_ten_bits_in_sixteen_are_not_dark(tmp_path, numbered, depth, suffix):
    grey = numbered.draw(5)[..., 1]
    grey[:10] = 250
    deep = grey.astype(np.uint16) << (depth - 8)
    cv2.imwrite(str(tmp_path / f"1{suffix}"), deep)
    image = read_image(tmp_path / f"1{suffix}")
    np.testing.assert_array_equal(image, np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("most", [1.0, 255.0, 65535.0])
def test_images_of_real_numbers(tmp_path, numbered, kind, most):
    colour = numbered.draw(5)
    colour[:10] = (10, 200, 255)
    for name, image in (("colour", colour), ("grey", colour[..., 1])):
        real = (image / 255.0 * most).astype(kind)
        real[0, 0] = np.nan
        cv2.imwrite(str(tmp_path / f"{name}.tiff"), real)
        read = read_image(tmp_path / f"{name}.tiff")
        right = image[..., ::-1] if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
        assert np.abs(read.astype(int) - right)[1:].max() <= 1
        assert (read[0, 0] == 0).all()


def test_a_photograph_that_is_cut_off_says_so(tmp_path, numbered, caplog):
    cv2.imwrite(str(tmp_path / "1.jpg"), numbered.draw(1))
    cv2.imwrite(str(tmp_path / "2.jpg"), numbered.draw(2))
    whole = (tmp_path / "2.jpg").read_bytes()
    (tmp_path / "2.jpg").write_bytes(whole[: len(whole) // 2])
    clip = clip_of(tmp_path)
    first, second = read_frames(clip, index_frames(clip), 0, 2)
    assert first is not None
    assert second is None
    assert "2.jpg: cannot be read (the JPEG is cut off before its end)" in caplog.text


def test_identity_of_a_source_follows_its_content(make_video):
    one, other = (
        index_frames(clip_of(make_video(f"{i}.avi", count=c))) for i, c in ((1, 20), (2, 21))
    )
    again = index_frames(clip_of(make_video("3.avi", count=20)))
    assert one.source_hash == again.source_hash != other.source_hash


def noise_images(folder, count=6):
    """Uncompressed, so that all are of one size."""
    for number in range(count):
        image = np.random.default_rng(number).integers(0, 255, (60, 80, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number}.bmp"), image)
    return clip_of(folder)


def identity(clip):
    index = index_frames(clip)
    return index.source_size, index.source_hash


@pytest.mark.parametrize("most", [frames.MOST_HASHED, 0])
@pytest.mark.parametrize("number", range(6))
def test_a_replaced_image_of_the_same_size_is_noticed(tmp_path, monkeypatch, number, most):
    """Of a large clip, of which only blocks are read, too."""
    monkeypatch.setattr(frames, "MOST_HASHED", most)
    monkeypatch.setattr(frames, "LEAST_HASHED", 1024)
    clip = noise_images(tmp_path)
    before = identity(clip)
    path = tmp_path / f"{number}.bmp"
    other = np.random.default_rng(99).integers(0, 255, (60, 80, 3), np.uint8)
    size = path.stat().st_size
    cv2.imwrite(str(path), other)
    assert path.stat().st_size == size
    assert identity(clip)[0] == before[0]
    assert identity(clip)[1] != before[1]


def test_swapped_images_are_noticed_and_a_copy_is_the_same(tmp_path):
    (tmp_path / "a").mkdir()
    clip = noise_images(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b", copy_function=shutil.copyfile)
    assert identity(clip_of(tmp_path / "b")) == identity(clip)
    (tmp_path / "b" / "4.bmp").rename(tmp_path / "b" / "x")
    (tmp_path / "b" / "3.bmp").rename(tmp_path / "b" / "4.bmp")
    (tmp_path / "b" / "x").rename(tmp_path / "b" / "3.bmp")
    assert identity(clip_of(tmp_path / "b")) != identity(clip)


def test_a_changed_byte_anywhere_in_a_small_clip_is_noticed(tmp_path):
    clip = noise_images(tmp_path)
    path = tmp_path / "2.bmp"
    data = bytearray(path.read_bytes())
    seen = {identity(clip)}
    for place in (60, len(data) // 2, len(data) - 1):
        data[place] ^= 1
        path.write_bytes(data)
        seen.add(identity(clip))
    assert len(seen) == 4


def test_a_video_that_was_filled_in_is_noticed(make_video):
    """As a download that had its full size before it was complete."""
    path = make_video("a.avi", "MJPG", count=60)
    whole = path.read_bytes()
    before = identity(clip_of(path))
    path.write_bytes(whole[:-8] + bytes(8))
    assert identity(clip_of(path)) != before


def test_an_image_that_cannot_be_opened_counts_as_such(tmp_path):
    clip = noise_images(tmp_path)
    before = identity(clip)
    (tmp_path / "2.bmp").unlink()
    (tmp_path / "2.bmp").symlink_to("gone.bmp")
    assert index_frames(clip).count == 6
    assert identity(clip) != before
    assert [image is None for image in read_frames(clip, index_frames(clip), 0, 6)][2]


def test_no_source_is_identified_unless_asked(tmp_path):
    index = index_frames(noise_images(tmp_path), identify=False)
    assert (index.count, index.source_size, index.source_hash) == (6, 0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep names as text")
def test_a_name_that_is_no_utf8_is_one_line_and_no_crash(tmp_path):
    """OpenCV dies of it, so another process looks."""
    path = tmp_path / os.fsdecode(b"caf\xe9.avi")
    path.write_bytes(b"RIFF")
    code = (
        "import sys\nfrom pathlib import Path\nfrom glee.errors import DataError\n"
        "from glee.pipeline.clips import Clip\n"
        "from glee.pipeline.images.frames import index_frames\n"
        "path = Path(sys.argv[1])\n"
        "try:\n    index_frames(Clip('folder', 's', 'c', path.parent, path))\n"
        "except DataError as error:\n    print(str(error).encode('ascii').decode())\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "udce9.avi: this name is not UTF-8; rename" in done.stdout
