"""An analysis says what it would write, and never writes what it reads."""

from __future__ import annotations

import json
import os

import cv2
import numpy as np
import pytest

from glee.cli import run
from glee.errors import UsageError
from glee.pipeline.analysis.analyze import analyze, plan
from glee.pipeline.options import AnalyzeOptions


@pytest.fixture
def talk(tmp_path):
    """A file with a video's name; no plan reads it."""
    path = tmp_path / "talk.mp4"
    path.write_bytes(b"not read")
    return path


def test_an_overlay_never_replaces_its_own_video(talk, tmp_path):
    shown = AnalyzeOptions(video=True)
    (tmp_path / "same").symlink_to(tmp_path)
    for out in (tmp_path, tmp_path / "same"):
        with pytest.raises(UsageError, match="would be overwritten; give another --out"):
            analyze([talk], out, options=shown, progress=False)
    assert talk.read_bytes() == b"not read"
    assert plan([talk], tmp_path)[0].written == (tmp_path / "talk.csv", tmp_path / "talk.parquet")
    assert plan([talk], tmp_path / "out", shown)[0].written[-1] == tmp_path / "out" / "talk.mp4"


def test_the_plan_as_json(talk, tmp_path, capsys):
    words = ["analyze", str(talk), "-o", str(tmp_path / "o"), "--dry-run", "--json"]
    assert run([*words, "--format", "openface"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    written = [str(tmp_path / "o" / "talk.openface.csv")]
    assert found == {"input": str(talk), "images": 0, "written": written}


def test_a_file_for_each_of_several_faces(talk, tmp_path):
    (found,) = plan([talk], tmp_path, AnalyzeOptions(format="arkit", faces=2))
    assert found.line().endswith("talk_face1.arkit.csv ...")


def test_a_bad_input_is_planned_as_its_error(talk, tmp_path, capsys):
    words = [
        "-q",
        "analyze",
        str(tmp_path / "none.mp4"),
        str(talk),
        "-o",
        str(tmp_path),
        "--dry-run",
    ]
    assert run(words) == 1
    said = capsys.readouterr()
    assert (
        said.err == f"{tmp_path / 'none.mp4'}: no such file or folder; give a video, an image "
        "or a folder\n"
    )
    assert said.out.startswith(f"{talk} -> ")
    assert run([*words, "--json"]) == 1
    bad, good = json.loads(capsys.readouterr().out)
    assert "no such file" in bad["error"]
    assert "error" not in good


def test_links_keep_their_names(talk, tmp_path):
    (tmp_path / "mine.mp4").symlink_to(talk)
    (found,) = plan([tmp_path / "mine.mp4"], tmp_path / "out")
    assert found.input == tmp_path / "mine.mp4"
    assert found.written[0] == tmp_path / "out" / "mine.csv"
    with pytest.raises(UsageError, match="would be overwritten"):
        plan([tmp_path / "mine.mp4"], tmp_path, AnalyzeOptions(video=True))


def test_tables_of_clips_with_one_name(tmp_path):
    for name in ("anna/talk.mp4", "ben/talk.mp4", "ben/other.mp4", "cleo/a.mov", "cleo/a.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"not read")
    plans = plan([tmp_path], tmp_path / "out")
    names = [planned.written[0].stem for planned in plans]
    assert names == ["anna_talk_mp4", "other", "ben_talk_mp4", "cleo_a.mov", "cleo_a.mp4"]
    twice = [tmp_path / "anna" / "talk.mp4", tmp_path / "ben" / "talk.mp4"]
    assert [planned.written[0].stem for planned in plan(twice, tmp_path / "out")] == [
        "anna_talk_mp4",
        "ben_talk_mp4",
    ]


def test_files_of_one_name_in_folders_of_one_name(tmp_path):
    """Names are told apart by as many folders as it takes, and by a number in the end."""
    given = [tmp_path / name for name in ("x/1/1.png", "y/1/1.png", "x/1/2.png")]
    given += [tmp_path / name for name in ("a_b/c/1.png", "a/b_c/1.png", "a_b_c_1_png.png")]
    for path in given:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not read")
    names = [planned.written[0].stem for planned in plan(given, tmp_path / "out")]
    assert len({name.lower() for name in names}) == len(given)
    assert names[:3] == ["x_1_1_png", "y_1_1_png", "2"]
    folders = [tmp_path / "a_b/c", tmp_path / "a/b_c"]
    assert len({planned.written[0] for planned in plan(folders, tmp_path / "out")}) == 2
    with pytest.raises(UsageError, match=r"1\.png: was given 2 times; give it once"):
        plan([given[0], given[0]], tmp_path / "out")


def test_an_unreadable_input_does_not_stop_the_others(talk, tmp_path, capsys, monkeypatch):
    """The system's refusal is imitated, since the tests may run as root."""
    monkeypatch.setattr(os, "access", lambda *arguments, **options: False)
    assert run(["-q", "analyze", str(talk), "-o", str(tmp_path / "o"), "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith(f"{talk} -> ")


def test_what_is_not_glees_is_replaced_only_when_that_is_asked_for(tmp_path, capsys):
    """A stranger's table, video or record; each form has names of its own."""
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((60, 80, 3), np.uint8))
    out = tmp_path / "o"
    out.mkdir()
    words = ["-q", "analyze", str(tmp_path / "a.png"), "-o", str(out), "--video"]
    for name in ("a.csv", "a.parquet", "a.mp4", "a.analysis.json"):
        (out / name).write_text("my own notes")
        assert run(words) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert str(out / name) in line
        assert line.endswith("--overwrite")
        assert (out / name).read_text() == "my own notes"
        assert run([*words, "--dry-run"]) == 2
        capsys.readouterr()
        (out / name).unlink()
    for form, name in (("arkit", "a.arkit.csv"), ("openface", "a.openface.csv"), ("glee", "a.csv")):
        (out / name).write_text("my own notes")
        assert run([*words[:-1], "--format", form, "--overwrite"]) == 0
        assert (out / name).read_text() != "my own notes"
    tables = ["a.arkit.csv", "a.csv", "a.openface.csv", "a.parquet"]
    assert sorted(path.name for path in out.iterdir() if path.suffix != ".json") == tables


def test_overlays_of_former_analyses_are_no_input(talk, tmp_path, capsys, caplog):
    """Only where a record names them; one that is given by its name is taken."""
    out = tmp_path / "out"
    out.mkdir()
    for name in ("talk.mp4", "other.mp4"):
        (out / name).touch()
    record = {"source": {}, "options": {}, "files": {"talk.csv": 1, "talk.mp4": 2}}
    (out / "talk.analysis.json").write_text(json.dumps(record))
    assert [found.input for found in plan([tmp_path], tmp_path / "o")] == [out / "other.mp4", talk]
    assert "1 videos are overlays that `glee analyze` wrote: out/talk.mp4" in caplog.text
    assert [found.input for found in plan([out / "talk.mp4"], tmp_path / "o")] == [out / "talk.mp4"]
    caplog.clear()
    plan([tmp_path], tmp_path / "o", quiet=True)
    assert caplog.text == ""


def test_an_overlay_of_another_form_is_named_as_what_it_is(talk, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "talk.mp4").write_bytes(b"overlay")
    record = {"source": {}, "options": {"format": "glee"}, "files": {"talk.mp4": 7}}
    (out / "talk.analysis.json").write_text(json.dumps(record))
    options = AnalyzeOptions(format="openface", video=True)
    with pytest.raises(UsageError, match="is the overlay of glee analyze --format glee, and would"):
        plan([talk], out, options)
