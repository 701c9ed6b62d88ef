"""Each row shows its own picture: every container and codec, and what makes files unusual."""

from __future__ import annotations

import shutil
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from glee.errors import DataError
from glee.pipeline.images.frames import index_frames, read_frames

from .video_corpus import CORPUS, RATE, X264, Recipe, clip_of, make, number_of, read_all, shown


@pytest.mark.parametrize("name", CORPUS)
def test_every_row_shows_its_picture_whatever_the_chunks(tmp_path, name):
    recipe = CORPUS[name]
    path = make(tmp_path, recipe)
    index = index_frames(clip_of(path))
    wanted = list(range(recipe.count))
    assert index.count == recipe.count
    assert read_all(path) == wanted
    assert read_all(path, chunk=7) == wanted
    assert index.fps == pytest.approx(recipe.rate, rel=0.01)
    if len(index.times):
        np.testing.assert_allclose(index.times / 1e6, np.arange(recipe.count) / RATE, atol=2e-3)
    assert shown(path, index, recipe.count - 1, recipe.count) == wanted[-1:]


@pytest.mark.parametrize("name", ["mp4-h264", "mkv-h264", "avi-h264-b", "ts-mpeg2"])
def test_chunks_are_the_same_pixels(tmp_path, name):
    path = make(tmp_path, CORPUS[name])
    clip = clip_of(path)
    index = index_frames(clip)
    whole = list(read_frames(clip, index, 0, index.count))
    for start in range(0, index.count, 9):
        stop = min(start + 9, index.count)
        for row, image in enumerate(read_frames(clip, index.part(start, stop), start, stop), start):
            np.testing.assert_array_equal(image, whole[row])


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts", ".webm"])
def test_uneven_times_are_the_files_and_no_row_is_made_up(tmp_path, suffix):
    steps = np.random.default_rng(3).integers(1, 9, 40)
    stamps = [0, *np.cumsum(steps)[:-1].tolist()]
    codec = "libvpx" if suffix == ".webm" else "libx264"
    options = {} if suffix == ".webm" else X264
    path = make(tmp_path, Recipe(codec, suffix, options=options, stamps=stamps))
    index = index_frames(clip_of(path))
    assert read_all(path, chunk=11) == list(range(40))
    np.testing.assert_allclose(index.times / 1e6, np.array(stamps) / RATE, atol=2e-3)


def test_a_start_that_is_not_zero(tmp_path):
    for suffix in (".mkv", ".mp4", ".ts"):
        recipe = Recipe("libx264", suffix, options=X264, stamps=range(125, 165))
        path = make(tmp_path, recipe)
        assert read_all(path, chunk=9) == list(range(40))
        assert index_frames(clip_of(path)).times[0] == 0


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi", ".ts"])
def test_sound_that_is_longer_than_the_pictures(tmp_path, suffix, caplog):
    path = make(tmp_path, Recipe("libx264", suffix, options={"bf": "0"}, sound=12.0))
    assert read_all(path) == list(range(40))
    assert not caplog.records


def test_equal_time_stamps_are_rows_of_their_own(tmp_path):
    source = make(tmp_path, Recipe("mjpeg", ".mkv", pixels="yuvj420p"), "source")
    path = tmp_path / "equal.mkv"
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.size:
                packet.pts = packet.dts = packet.pts // 80 * 80
                packet.stream = stream
                new.mux(packet)
    index = index_frames(clip_of(path))
    assert read_all(path, chunk=7) == list(range(40))
    assert (np.diff(index.times) == 0).sum() == 20


def interlaced(folder, suffix):
    """A film of 40 interlaced pictures whose fields are of two moments."""
    options = {"x264-params": "tff=1:bframes=2"}
    return make(folder, Recipe("libx264", suffix, options=options))


@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".mkv"])
@pytest.mark.parametrize("deinterlace", [False, True])
def test_interlaced_pictures_are_rows_and_said(tmp_path, suffix, deinterlace):
    path = interlaced(tmp_path, suffix)
    index = index_frames(clip_of(path), deinterlace=deinterlace)
    assert "interlaced" in index.describe()
    assert ("deinterlaced" in index.describe()) == deinterlace
    wanted = list(range(40))
    assert read_all(path, deinterlace=deinterlace) == wanted
    assert read_all(path, chunk=9, deinterlace=deinterlace) == wanted


def test_deinterlaced_chunks_are_the_same_pixels_and_not_those_of_the_fields(tmp_path):
    path = interlaced(tmp_path, ".mp4")
    clip = clip_of(path)
    plain, made = index_frames(clip), index_frames(clip, deinterlace=True)
    whole = list(read_frames(clip, made, 0, 40))
    woven = list(read_frames(clip, plain, 0, 40))
    assert any((one != other).any() for one, other in zip(whole, woven, strict=True))
    for start in range(0, 40, 7):
        stop = min(start + 7, 40)
        for row, image in enumerate(read_frames(clip, made.part(start, stop), start, stop), start):
            np.testing.assert_array_equal(image, whole[row])


def test_pixels_that_are_not_square_are_stretched(tmp_path):
    wide = make(tmp_path, Recipe("libx264", ".mp4", options=X264, aspect=Fraction(4, 3)), "wide")
    index = index_frames(clip_of(wide))
    assert index.size == (427, 240)
    assert read_all(wide) == list(range(40))
    tall = make(tmp_path, Recipe("libx264", ".mkv", options=X264, aspect=Fraction(3, 4)), "tall")
    assert index_frames(clip_of(tall)).size == (320, 320)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_picture_is_upright(tmp_path, degrees):
    path = make(tmp_path, Recipe("libx264", ".mp4", options=X264, turn=degrees))
    index = index_frames(clip_of(path))
    upright = (240, 320) if degrees % 180 else (320, 240)
    assert index.size == upright
    for row, image in enumerate(read_frames(clip_of(path), index, 11, 21), 11):
        # The header says counter-clockwise; back again is what was drawn.
        assert number_of(np.rot90(image, -degrees // 90)) == row


def test_an_edit_list_cuts(tmp_path):
    """A copy from a key picture on, of which the first five are not to be shown."""
    source = make(tmp_path, CORPUS["mp4-h264"], "source")
    path = tmp_path / "cut.mp4"
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        begin = None
        for packet in old.demux(video=0):
            if packet.size and (begin is not None or packet.is_keyframe and packet.pts):
                begin = packet.pts + round(0.2 / packet.time_base) if begin is None else begin
                packet.pts, packet.dts = packet.pts - begin, packet.dts - begin
                packet.stream = stream
                new.mux(packet)
    assert read_all(path) == list(range(15, 40))
    assert read_all(path, chunk=4) == list(range(15, 40))


def test_a_cover_picture_is_no_video(tmp_path):
    path = make(tmp_path, CORPUS["mkv-h264"])
    with_cover = tmp_path / "cover.mp4"
    drawing = make(tmp_path, Recipe("mjpeg", ".avi", pixels="yuvj420p", count=1), "cover")
    opened = av.open(str(path)), av.open(str(drawing)), av.open(str(with_cover), "w")
    with opened[0] as old, opened[1] as cover, opened[2] as new:
        picture = new.add_stream_from_template(cover.streams.video[0])
        picture.disposition = av.stream.Disposition.attached_pic
        stream = new.add_stream_from_template(old.streams.video[0])
        for source, target in ((cover, picture), (old, stream)):
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = target
                    new.mux(packet)
    assert read_all(with_cover) == list(range(40))


PLAYLISTS = {
    "concat": "ffconcat version 1.0\nfile {video}\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{video}\n#EXT-X-ENDLIST\n",
    "dash": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet '
    'mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{video}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
}


@pytest.mark.parametrize("suffix", [".avi", ".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_what_opens_other_files_is_refused_in_one_line(tmp_path, kind, suffix):
    video = make(tmp_path, Recipe("mpeg2video", ".ts", count=12), "other")
    path = tmp_path / f"list{suffix}"
    path.write_text(PLAYLISTS[kind].format(video=video))
    with pytest.raises(DataError, match=rf"list\{suffix}: is a playlist") as caught:
        index_frames(clip_of(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["é 1.mp4", "pipe:.mp4", "a:b.mp4", "%03d.mp4"])
def test_any_name_is_a_file(tmp_path, name, monkeypatch):
    shutil.move(make(tmp_path, CORPUS["mp4-h264"]), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert read_all(tmp_path / name) == list(range(40))


def test_one_thread_decodes(tmp_path):
    """Processor time is no more than the wall clock's: nothing runs beside the reader."""
    path = make(tmp_path, Recipe("libx264", ".mp4", options=X264, size=(1280, 720)))
    code = (
        "import sys, threading\nfrom pathlib import Path\n"
        "from glee.pipeline.clips import Clip\n"
        "from glee.pipeline.images.frames import index_frames, read_frames\n"
        "path = Path(sys.argv[1])\nclip = Clip('folder', 's', 'c', path.parent, path)\n"
        "before = len(list(Path('/proc/self/task').iterdir()))\n"
        "index = index_frames(clip)\nmost = 0\n"
        "for _ in read_frames(clip, index, 0, index.count):\n"
        "    most = max(most, len(list(Path('/proc/self/task').iterdir())))\n"
        "print(most - before)\n"
    )
    if sys.platform != "linux":
        pytest.skip("threads are counted in /proc")
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert (done.stderr, done.stdout.strip()) == ("", "0")
