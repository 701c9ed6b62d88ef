"""What users give that is not a clean video: right, or one line that says what is wrong."""

from __future__ import annotations

import resource
import struct
import wave
from importlib import import_module

import cv2
import numpy as np
import pandas as pd
import pytest

from glee.cli import run
from glee.errors import DataError
from glee.pipeline.analysis.analyze import analyze
from glee.pipeline.options import AnalyzeOptions


def analysed(path, out, **options):
    (done,) = analyze([path], out, options=AnalyzeOptions(**options), progress=False)
    return pd.read_csv(done.paths[0])


def refused(capsys, path, out):
    """The one line of the command."""
    assert run(["-q", "analyze", str(path), "-o", str(out)]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert not list(out.glob("**/*.csv"))
    return lines[0]


def boxes(data, start=0, stop=None):
    """(kind, begin of its content, end) of the boxes of an MP4 file, nested ones too."""
    stop = len(data) if stop is None else stop
    while start + 8 <= stop:
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        size = size or stop - start
        yield kind, start + 8, start + size
        if kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
            yield from boxes(data, start + 8, start + size)
        start += size


def test_unreadable(tmp_path, capsys):
    path = tmp_path / "noise.mp4"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    assert "cannot be opened as a video" in refused(capsys, path, tmp_path / "out")


def test_empty(tmp_path, capsys):
    path = tmp_path / "empty.mp4"
    path.touch()
    assert "is empty" in refused(capsys, path, tmp_path / "out")


def test_audio_alone(tmp_path, capsys):
    """A sound file whose name says video."""
    path = tmp_path / "sound.mp4"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.zeros(8000, np.int16).tobytes())
    line = refused(capsys, path, tmp_path / "out")
    assert "sound.mp4" in line
    assert "video" in line or "frame" in line


def test_not_a_video_nor_an_image(tmp_path, capsys):
    path = tmp_path / "notes.txt"
    path.write_text("nothing")
    assert "neither a video nor an image" in refused(capsys, path, tmp_path / "out")


def test_one_bad_of_several(tmp_path, capsys, videos):
    path = tmp_path / "empty.mp4"
    path.touch()
    out = tmp_path / "out"
    assert run(["-q", "analyze", str(path), str(videos[0]), "-o", str(out)]) == 1
    said = capsys.readouterr()
    assert "is empty" in said.err
    assert "40 valid" in said.out
    assert len(list(out.glob("*.csv"))) == 1


def test_every_kind_of_bad_input_beside_a_good_one(tmp_path, capsys, videos):
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))
    (tmp_path / "bare").mkdir()
    (tmp_path / "mine.avi").symlink_to(videos[0])
    (tmp_path / "dead.mp4").symlink_to("nowhere.mp4")
    names = ("none.mp4", "notes.txt", "photo.heic", "bare", "mine.avi", "dead.mp4")
    words = ["-q", "analyze", *(str(tmp_path / name) for name in names), "-o", str(tmp_path / "o")]
    assert run(words) == 1
    said = capsys.readouterr()
    lines = said.err.strip().splitlines()
    assert len(lines) == 5
    for name, line in zip((*names[:4], names[5]), lines, strict=True):
        assert str(tmp_path / name) in line
    assert said.out.startswith("mine: 40 frames")
    # A table has the name of the link that the user gave, not of the file that it leads to.
    names = sorted(path.name for path in (tmp_path / "o").iterdir())
    assert names == ["mine.analysis.json", "mine.csv", "mine.parquet"]


def test_several_bad_inputs_alone(tmp_path, capsys):
    words = [str(tmp_path / name) for name in ("a.mp4", "b.mp4")]
    assert run(["-q", "analyze", *words, "-o", str(tmp_path / "out")]) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 2
    assert not (tmp_path / "out").exists()


def test_turned_by_metadata(frames_of, save_video, tmp_path):
    """A phone's portrait video: pixels lie on their side, the file says how to turn them."""
    lying = [cv2.rotate(frame, cv2.ROTATE_90_COUNTERCLOCKWISE) for frame in frames_of[0][:10]]
    path = save_video(tmp_path / "phone.mp4", lying)
    data = bytearray(path.read_bytes())
    # The matrix of the track header says: turn by 90 degrees clockwise.
    (begin,) = (begin for kind, begin, _ in boxes(data) if kind == b"tkhd")
    turn = (0, 1 << 16, 0, -(1 << 16), 0, 0, 240 << 16, 0, 1 << 30)
    struct.pack_into(">9i", data, begin + 40, *turn)
    path.write_bytes(data)
    upright = save_video(tmp_path / "upright.mp4", frames_of[0][:10])
    turned, straight = analysed(path, tmp_path / "a"), analysed(upright, tmp_path / "b")
    assert (turned["valid"] == 1).all()
    assert turned["x_30"].to_numpy() == pytest.approx(straight["x_30"].to_numpy(), abs=2)
    assert turned["roll"].to_numpy() == pytest.approx(straight["roll"].to_numpy(), abs=3)


def test_variable_frame_rate(frames_of, save_video, tmp_path):
    """Frames that are shown for different times have the file's times, not its mean rate's."""
    path = save_video(tmp_path / "phone.mp4", frames_of[0][:12])
    data = bytearray(path.read_bytes())
    (begin, end) = next((b, e) for kind, b, e in boxes(data) if kind == b"stts")
    count, samples, delta = struct.unpack(">3I", data[begin + 4 : begin + 16])
    assert (count, samples, end - begin) == (1, 12, 16)
    entries = struct.pack(">5I", 2, 6, delta, 6, 3 * delta)
    grown = len(entries) - 12
    for kind, b, _ in list(boxes(data)):
        if kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"):
            (size,) = struct.unpack(">I", data[b - 8 : b - 4])
            struct.pack_into(">I", data, b - 8, size + grown)
    # The list of edits states the old length, behind which a player shows nothing.
    edits = data.find(b"edts")
    if edits >= 0:
        data[edits : edits + 4] = b"free"
    path.write_bytes(data[: begin + 4] + entries + data[end:])
    table = analysed(path, tmp_path / "out")
    steps = np.diff(table["timestamp"])
    assert len(table) == 12
    assert steps[:6] == pytest.approx(0.05, abs=2e-3)
    assert steps[6:] == pytest.approx(0.15, abs=2e-3)


def test_4k(frames_of, save_video, tmp_path):
    large = [
        cv2.resize(frame, (3840, 2160), interpolation=cv2.INTER_CUBIC) for frame in frames_of[0][:3]
    ]
    path = save_video(tmp_path / "large.mp4", large)
    table = analysed(path, tmp_path / "out", video=True)
    assert (table["valid"] == 1).all()
    assert table["x_30"].between(1000, 2800).all()
    video = cv2.VideoCapture(str(tmp_path / "out" / "large.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_WIDTH) < 1700


def test_grey_and_alpha_images(frames_of, tmp_path):
    image = frames_of[0][0]
    colour = analysed(written(tmp_path / "colour.png", image), tmp_path / "out")
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    alpha = np.dstack([image, np.full(image.shape[:2], 200, np.uint8)])
    deep = image.astype(np.uint16) * 257
    for name, other in (("grey", grey), ("alpha", alpha), ("deep", deep)):
        table = analysed(written(tmp_path / f"{name}.png", other), tmp_path / "out")
        assert table["valid"].tolist() == [1]
        assert table["x_30"][0] == pytest.approx(colour["x_30"][0], abs=2)


def test_folder_of_mixed_sizes(frames_of, tmp_path):
    """Each image has its own camera; landmarks are in its own pixels."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, scale in enumerate((1, 1, 2, 3)):
        image = cv2.resize(frames_of[0][number], None, fx=scale, fy=scale)
        written(folder / f"photo{number}.png", image)
    table = analysed(folder, tmp_path / "out")
    assert table["valid"].tolist() == [1, 1, 1, 1]
    x = table["x_30"] / [1, 1, 2, 3]
    assert np.ptp(x) < 12
    assert np.ptp(table["pos_z"]) < 0.2 * abs(table["pos_z"].mean())


def test_damaged_image_in_a_folder(frames_of, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        written(folder / f"{number}.png", frames_of[0][number])
    (folder / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n then nothing")
    table = analysed(folder, tmp_path / "out")
    assert table["reason"].tolist() == ["ok", "unreadable", "ok"]


def test_names_with_blanks_and_other_alphabets(frames_of, save_video, tmp_path):
    path = save_video(tmp_path / "Vidéo d'été 動画 №1.mp4", frames_of[0][:4])
    out = tmp_path / "Ausgabe größer"
    table = analysed(path, out, video=True)
    assert len(table) == 4
    names = sorted(item.name for item in out.iterdir())
    suffixes = (".analysis.json", ".csv", ".mp4", ".parquet")
    assert names == [f"Vidéo d'été 動画 №1{suffix}" for suffix in suffixes]


def test_no_face_at_all(tmp_path, save_video, plain_frame):
    path = save_video(tmp_path / "wall.mp4", [plain_frame] * 12)
    for kind in ("glee", "openface", "arkit"):
        assert len(analysed(path, tmp_path / kind, format=kind)) == 12
    openface = pd.read_csv(tmp_path / "openface" / "wall.openface.csv")
    assert (openface["success"] == 0).all()
    assert (openface.drop(columns=["frame", "timestamp"]).to_numpy() == 0).all()


def test_folder_that_cannot_be_written(videos, tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.touch()
    line = ""
    assert run(["-q", "analyze", str(videos[0]), "-o", str(blocked / "out")]) == 1
    line = capsys.readouterr().err.strip()
    assert "cannot write" in line
    assert len(line.splitlines()) == 1


def test_full_disk(videos, tmp_path, capsys):
    """A limit on the size of files, reported by the system as a full disk is."""
    out = tmp_path / "out"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        code = run(["-q", "analyze", str(videos[0]), "-o", str(out)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 1
    assert len(lines) == 1, lines
    assert "cannot write" in lines[0]
    assert list(out.iterdir()) == []


def written(path, image):
    done, data = cv2.imencode(".png", image)
    assert done
    path.write_bytes(data.tobytes())
    return path


def test_missing(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        analyze([tmp_path / "none"], tmp_path / "out", progress=False)


def test_an_error_that_nobody_foresaw_is_one_clips_error(tmp_path, capsys, monkeypatch):
    """The other clip is analysed; the line says the error's kind and where in glee it arose."""
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((60, 80, 3), np.uint8))
    module = import_module("glee.pipeline.analysis.batch.clip")
    stream = module.face_stream

    def fails_for_a(clip, *more):
        if clip.images == ("a.png",):
            raise ZeroDivisionError("a thing divided by none")
        return stream(clip, *more)

    monkeypatch.setattr(module, "face_stream", fails_for_a)
    out = tmp_path / "out"
    given = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert run(["-q", "analyze", *given, "-o", str(out)]) == 1
    line, note = capsys.readouterr().err.strip().splitlines()
    assert "unexpected ZeroDivisionError: a thing divided by none, at " in line
    assert note.startswith("note: b: no usable face in any frame")
    assert {path.name for path in out.iterdir()} == {"b.analysis.json", "b.csv", "b.parquet"}


@pytest.mark.parametrize("stage", ["analyze", "preprocess"])
def test_a_clip_without_a_face_says_what_to_try(tmp_path, capsys, stage):
    for name in ("a", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "in" / name / f"{name}.png"), np.zeros((60, 80, 3), np.uint8))
    given = {
        "analyze": [str(tmp_path / "in" / "a"), str(tmp_path / "in" / "b")],
        "preprocess": ["--dataset", "folder", "--root", str(tmp_path / "in"), "--workers", "1"],
    }
    assert run(["-q", stage, *given[stage], "-o", str(tmp_path / "out")]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert len(lines) == {"analyze": 2, "preprocess": 1}[stage]
    assert all("no usable face in any frame" in line for line in lines)
    assert stage == "analyze" or " and 1 more: " in lines[0]
