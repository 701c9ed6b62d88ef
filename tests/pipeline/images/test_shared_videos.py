"""The files that real users bring, as their list says they are to be read; skipped without them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from glee.errors import DataError
from glee.pipeline.analysis.analyze import analyze
from glee.pipeline.analysis.inputs import AnalyzeOptions
from glee.pipeline.images.frames import index_frames, read_frames
from glee.pipeline.preprocess import PreprocessOptions, preprocess
from glee.pipeline.shards.shard import list_shards, read_shard

from .video_corpus import clip_of

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "videos"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="../shared/videos is not here")

EVERY = list(range(40))
# What rows show, by the picture of plain.mp4; None where unreadable.
RIGHT = {
    **dict.fromkeys(
        (
            *("plain.mp4", "int_h264.mp4", "int_avchd.mpg", "int_mpeg2.mpg", "xvid_b1.avi"),
            *("mpeg2_b.avi", "x264_b.avi", "audio120ms.mkv", "audio20s.mkv", "vfr.mkv"),
            *("vfr.webm", "offset5.mkv", "frag.mp4", "wmv.wmv", "mts.m2ts", "mpeg2_nob.mpg"),
            *("vob.mpg", "av1.mp4"),
        ),
        EVERY,
    ),
    "editlist.mov": EVERY[15:],
    "dmg_hole.mkv": [*EVERY[:17], None, None, None, *EVERY[20:]],
    "dmg_zero.mkv": [*EVERY[:17], None, None, None, *EVERY[20:]],
    # Its encoder left out two of the last three.
    "xvid_libb.avi": [*EVERY[:37], 39],
}
SAID = {"int_": "interlaced", "dmg_": "frames are lost", "xvid_libb": "2 of 40 frames"}


@lru_cache(maxsize=1)
def reference():
    return [_small(image) for image in _images(FOLDER / "plain.mp4")]


def _images(path):
    index = index_frames(clip_of(path))
    return read_frames(clip_of(path), index, 0, index.count)


def _small(image):
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[::4, ::4].astype(np.int32)


def _picture(image):
    return int(np.argmin([np.abs(_small(image) - other).mean() for other in reference()]))


@pytest.mark.parametrize("name", RIGHT)
def test_every_row_shows_the_picture_that_it_should(name):
    path = FOLDER / name
    assert [None if i is None else _picture(i) for i in _images(path)] == RIGHT[name]
    said = index_frames(clip_of(path)).describe()
    for prefix, words in SAID.items():
        assert (words in said) == name.startswith(prefix)


def test_an_avi_with_a_hole_is_refused_in_one_line():
    with pytest.raises(DataError, match=r"dmg_hole\.avi: damaged, 3 of 40 frames") as caught:
        index_frames(clip_of(FOLDER / "dmg_hole.avi"))
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """All these videos in one folder, preprocessed in chunks of 16 and of 1024 frames."""
    root = tmp_path_factory.mktemp("root")
    for name in RIGHT:
        (root / name).symlink_to(FOLDER / name)
    found = []
    for frames in (16, 1024):
        out = tmp_path_factory.mktemp(f"work{frames}")
        options = PreprocessOptions(chunk_frames=frames)
        preprocess("folder", root, out, options=options, workers=2, progress=False)
        clips = {}
        for path in list_shards(out):
            clips.setdefault(read_shard(path).header.source, []).append(read_shard(path).frames)
        found.append(clips)
    return found


def _rows(parts, name):
    return np.concatenate([getattr(part, name) for part in parts])


@pytest.mark.parametrize("name", RIGHT)
def test_preprocess_has_the_landmarks_of_each_picture_whatever_the_chunks(shards, name):
    chunks, whole = (clips[name] for clips in shards)
    x, plain = (_rows(parts, "landmarks")[:, 30, 0] for parts in (whole, shards[1]["plain.mp4"]))
    valid = _rows(whole, "valid")
    assert valid.tolist() == [number is not None for number in RIGHT[name]]
    wanted = [plain[number] for number in RIGHT[name] if number is not None]
    assert np.abs(x[valid] - wanted).max() <= 2.5
    np.testing.assert_array_equal(valid, _rows(chunks, "valid"))


@pytest.mark.parametrize("name", ["int_h264.mp4", "x264_b.avi", "editlist.mov", "vfr.webm"])
def test_analyze_has_a_row_a_picture(tmp_path, name):
    options = AnalyzeOptions(deinterlace=name.startswith("int_"))
    (done,) = analyze([FOLDER / name], tmp_path, options=options, progress=False)
    assert done.frames == done.reasons["ok"] == len(RIGHT[name])
    assert "interlaced (deinterlaced)" in done.source or not options.deinterlace
