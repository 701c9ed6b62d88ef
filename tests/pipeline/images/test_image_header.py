"""Images are decoded only where their header claims a size that a camera has."""

from __future__ import annotations

import struct
import tracemalloc

import cv2
import numpy as np
import pytest

from glee.errors import DataError
from glee.pipeline.clips import Clip
from glee.pipeline.images.frames import index_frames, read_frames, read_image
from glee.pipeline.images.image_header import MAXIMUM_PIXELS, claimed_size

SIDE = 60_000


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tiff", ".webp"])
def test_the_claimed_size_is_the_images(tmp_path, suffix):
    path = tmp_path / f"i{suffix}"
    cv2.imwrite(str(path), np.full((37, 52, 3), 90, np.uint8))
    data = path.read_bytes()
    assert claimed_size(data) == (52, 37)
    assert read_image(path).shape == (37, 52, 3)
    for end in range(0, 40, 3):
        assert claimed_size(data[:end]) in (None, (52, 37))


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_big_tiff(tmp_path, order):
    """Made by hand: 52 x 37 grey pixels in one strip."""
    pixels = bytes(range(37)) * 52
    tags = [(256, 52), (257, 37), (258, 8), (259, 1), (262, 1), (273, 8 + 8)]
    tags += [(277, 1), (278, 37), (279, len(pixels))]
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HHHQ", 43, 8, 0, 16 + len(pixels))
    entries = b"".join(
        struct.pack(f"{order}HHQ", tag, 4, 1) + struct.pack(f"{order}I", value) + bytes(4)
        for tag, value in tags
    )
    data = head + pixels + struct.pack(f"{order}Q", len(tags)) + entries + bytes(8)
    assert claimed_size(data) == (52, 37)
    (tmp_path / "big.tif").write_bytes(data)
    image = read_image(tmp_path / "big.tif")
    np.testing.assert_array_equal(image[..., 0].ravel(), np.frombuffer(pixels, np.uint8))
    for end in range(0, len(data), 97):
        assert claimed_size(data[:end]) in (None, (52, 37))


def test_lossless_and_extended_webp():
    bits = struct.pack("<I", (52 - 1) | (37 - 1) << 14)
    head = b"RIFF" + bytes(4) + b"WEBP"
    assert claimed_size(head + b"VP8L" + bytes(4) + b"\x2f" + bits) == (52, 37)
    extended = head + b"VP8X" + bytes(8) + (51).to_bytes(3, "little") + (36).to_bytes(3, "little")
    assert claimed_size(extended) == (52, 37)


def huge_png(image):
    return image[:16] + struct.pack(">II", SIDE, SIDE) + image[24:]


def huge_jpeg(image):
    at = image.index(b"\xff\xc0")
    return image[: at + 5] + struct.pack(">HH", SIDE, SIDE) + image[at + 9 :]


def huge_bmp(image):
    return image[:18] + struct.pack("<ii", SIDE, -SIDE) + image[26:]


@pytest.mark.parametrize(
    ("suffix", "enlarge"), [(".png", huge_png), (".jpg", huge_jpeg), (".bmp", huge_bmp)]
)
def test_an_image_that_claims_to_be_huge_is_not_decoded(tmp_path, suffix, enlarge):
    path = tmp_path / f"i{suffix}"
    cv2.imwrite(str(path), np.full((37, 52, 3), 90, np.uint8))
    path.write_bytes(enlarge(path.read_bytes()))
    width, height = claimed_size(path.read_bytes())
    assert width * height > MAXIMUM_PIXELS
    tracemalloc.start()
    assert read_image(path) is None
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("size", [(100_000, 1), (1, 100_000), (40_000, 2_000), (660, 20)])
def test_a_strip_is_not_decoded_and_its_line_says_why(tmp_path, size, caplog):
    """Such pictures are valid files of a few hundred bytes; their neighbours are read."""
    picture = np.full((24, 32, 3), 90, np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((size[1], size[0]), np.uint8))
    clip = Clip(
        dataset="folder",
        subject="s",
        name="c",
        root=tmp_path,
        source=tmp_path,
        images=("a.png", "b.png"),
    )
    index = index_frames(clip)
    first, second = read_frames(clip, index, 0, 2)
    assert (first == picture).all()
    assert second is None
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"b.png: cannot be read (it claims {size[0]} x {size[1]} pixels" in line


@pytest.mark.parametrize("size", [(100_000, 1), (660, 20)])
def test_a_refused_size_is_not_answered_with_another_format(tmp_path, size):
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((size[1], size[0]), np.uint8))
    clip = Clip("folder", "s", "b", root=tmp_path, source=tmp_path, images=("b.png",))
    with pytest.raises(DataError, match="cut out the face, or make it smaller") as caught:
        index_frames(clip)
    assert "PNG" not in str(caught.value)
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="get it again, or save it as PNG"):
        index_frames(clip)


def test_a_file_larger_than_any_picture_is_not_read(tmp_path):
    path = tmp_path / "i.png"
    cv2.imwrite(str(path), np.full((24, 32, 3), 90, np.uint8))
    assert read_image(path) is not None
    with path.open("r+b") as file:
        file.truncate(64 << 30)  # of holes: it takes no space
    tracemalloc.start()
    assert read_image(path) is None
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_file_that_tells_no_size_is_unreadable(tmp_path):
    path = tmp_path / "i.jpg"
    path.write_bytes(b"P6 60000 60000 255\n")
    assert read_image(path) is None
    path.write_bytes(b"")
    assert read_image(path) is None


def test_a_video_that_claims_huge_frames(tmp_path):
    path = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (48, 48))
    writer.write(np.zeros((48, 48, 3), np.uint8))
    writer.release()
    content = bytearray(path.read_bytes())
    struct.pack_into("<ii", content, content.find(b"strf") + 12, 15_000, 15_000)
    path.write_bytes(content)
    clip = Clip(dataset="folder", subject="s", name="v", root=tmp_path, source=path)
    with pytest.raises(DataError, match=r"v\.avi: .*"):
        index_frames(clip)
