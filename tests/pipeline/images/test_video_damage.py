"""Damaged videos: what is lost is unreadable, and no row ever shows another picture."""

from __future__ import annotations

import numpy as np
import pytest

from glee.errors import DataError, GleeError
from glee.pipeline.images.frames import index_frames

from .video_corpus import CORPUS, X264, Recipe, clip_of, make, read_all

FUZZED = (
    "mp4-h264",
    "mp4-fragmented",
    "mkv-h264",
    "mkv-mpeg2",
    "mkv-ffv1",
    "webm-vp8-hidden-pictures",
    "webm-vp9-hidden-pictures",
    "avi-mjpeg",
    "avi-mpeg4",
    "avi-mpeg4-b",
    "avi-h264-b",
    "ts-h264",
    "ts-mpeg2",
    "mpg-mpeg2",
    "wmv",
    "flv-h264",
)
# Damage to the head of a file may change what its clock begins with, or what it says it is.
BODY = (0.2, 0.9)
ROUNDS = 2


def wrong_rows(rows):
    """Rows that show another picture than their own."""
    return [(row, n) for row, n in enumerate(rows) if isinstance(n, int) and n != row]


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("libx264", ".mkv", options=X264, lost=(17, 18)),
        Recipe("libx264", ".mkv", options={"bf": "0"}, lost=(17, 18)),
        Recipe("mpeg4", ".mkv", lost=(17, 18)),
        Recipe("mpeg2video", ".mkv", lost=(17, 18)),
        Recipe("libvpx", ".webm", options={"auto-alt-ref": "0"}, lost=(17, 18)),
        Recipe("libvpx-vp9", ".webm", options={"auto-alt-ref": "0"}, lost=(17, 18)),
        Recipe("mjpeg", ".mkv", pixels="yuvj420p", lost=(17, 18)),
        Recipe("libx264", ".ts", options={"bf": "0"}, lost=(17, 18)),
        Recipe("mpeg2video", ".mpg", "mpeg", lost=(17, 18)),
    ],
    ids=lambda recipe: f"{recipe.codec}{recipe.suffix}",
)
def test_lost_packets_are_unreadable_rows_in_their_place(tmp_path, recipe):
    """Most codecs show the picture before once more, under the time of one that is lost."""
    path = make(tmp_path, recipe)
    rows = read_all(path)
    assert len(rows) == 40
    assert wrong_rows(rows) == []
    assert rows[:16] == list(range(16))
    assert rows[17] is rows[18] is None
    assert rows[20:] == list(range(20, 40))
    assert read_all(path, chunk=6) == rows


def test_a_hole_in_an_avi_is_refused(tmp_path):
    path = make(tmp_path, CORPUS["avi-mpeg4"])
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(data[:middle] + bytes(9000) + data[middle + 9000 :])
    with pytest.raises(DataError, match=r"damaged, \d+ of 40 frames are lost in its middle"):
        index_frames(clip_of(path))


@pytest.mark.parametrize("name", ["mp4-h264", "mkv-h264", "avi-mpeg4-b", "ts-h264", "mpg-mpeg2"])
def test_a_file_that_is_cut_off_keeps_what_is_there(tmp_path, name):
    recipe = CORPUS[name]
    if name == "mp4-h264":
        recipe = Recipe("libx264", ".mp4", options=X264, muxing={"movflags": "+faststart"})
    path = make(tmp_path, recipe)
    data = path.read_bytes()
    path.write_bytes(data[: int(0.6 * len(data))])
    rows = read_all(path)
    assert wrong_rows(rows) == []
    assert rows[:12] == list(range(12))
    assert sum(isinstance(n, int) for n in rows) < 36
    if name in ("mp4-h264", "avi-mpeg4-b"):
        assert len(rows) == 40  # their tables say how many there were


def damaged(data, kind, random):
    """A file's bytes after an accident in its body."""
    low, high = (int(share * len(data)) for share in BODY)
    at = int(random.integers(low, high))
    size = int(random.integers(1, max(len(data) // 12, 2)))
    if kind == "flipped":
        changed = bytearray(data)
        for place in random.integers(low, high, 1 + size % 12):
            changed[place] ^= 1 << int(random.integers(8))
        return bytes(changed)
    if kind == "zeroed":
        return data[:at] + bytes(min(size, len(data) - at)) + data[at + size :]
    if kind == "cut out":
        return data[:at] + data[min(at + size, high) :]
    if kind == "doubled":
        return data[: at + size] + data[at:]
    return data[:at]


@pytest.mark.parametrize("kind", ["flipped", "zeroed", "cut out", "doubled", "cut off"])
@pytest.mark.parametrize("name", FUZZED)
def test_no_row_of_a_damaged_file_shows_another_picture(tmp_path, name, kind):
    data = make(tmp_path, CORPUS[name]).read_bytes()
    path = tmp_path / f"damaged{CORPUS[name].suffix}"
    for seed in range(ROUNDS):
        random = np.random.default_rng([seed, len(kind), len(name)])
        path.write_bytes(damaged(data, kind, random))
        try:
            rows = read_all(path)
        except GleeError:
            continue
        assert wrong_rows(rows) == [], f"seed {seed}"
        assert len(rows) <= 80
        assert read_all(path, chunk=13) == rows, f"seed {seed}"
