"""The command line: light help, one-line errors, exit codes, the commands on real videos."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

import glee
from glee.cli import commands, run

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
HEAVY = ("torch", "numba", "cv2", "dask", "distributed", "scipy", "h5py", "dlib")


@pytest.mark.parametrize("words", [["--help"], ["preprocess", "--help"], ["model", "--help"]])
def test_help_loads_nothing_heavy(words):
    code = (
        "import sys\nfrom glee.cli import run\n"
        f"assert run({words!r}) == 0\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage: glee" in done.stdout


def test_version(capsys):
    assert run(["--version"]) == 0
    assert glee.__version__ in capsys.readouterr().out


def test_every_command_says_what_it_does():
    def walk(group):
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command.help, name
            if isinstance(command, click.Group):
                walk(command)

    walk(commands)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["preprocess"], 2, "--dataset"),
        (["nonsense"], 2, "nonsense"),
        (["-v", "-q", "model", "info"], 2, "exclude each other"),
        (["preprocess", "--dataset", "x", "--root", ".", "--out", "{tmp}/w"], 2, "known are"),
        (["preprocess", "--dataset", "disfa", "--root", "{tmp}/no", "--out", "{tmp}/w"], 1, "no"),
        (["fit3d", "{tmp}/no"], 1, "no"),
        (["train", "{tmp}/no"], 1, "no"),
        (["evaluate", "{tmp}/no"], 1, "no"),
        (["inspect", "{tmp}/no.h5"], 1, "no.h5"),
        (["export", "{tmp}/no.h5", "-o", "{tmp}/a.obj"], 1, "no.h5"),
        (["verify"], 2, "--dataset"),
        (["verify", "{tmp}/no"], 1, "no"),
        (["synth", "{tmp}/s", "--size", "big"], 2, "width x height"),
        (["model", "info", "{tmp}/no.h5"], 1, "no.h5"),
        (["model", "import", "lsfm", "{tmp}/no.mat", "-o", "{tmp}/m.h5"], 1, "no.mat"),
    ],
)
def test_errors_are_one_line(tmp_path, capsys, words, code, message):
    given = [word.replace("{tmp}", str(tmp_path)) for word in words]
    assert run(given) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("glee: error: ")
    assert message in lines[0]


def test_debug_shows_the_traceback(tmp_path, capsys):
    assert run(["--debug", "inspect", str(tmp_path / "no.h5")]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_is_no_success(monkeypatch, capsys):
    import glee.fitting.morphable_model.description

    def broken(model):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(glee.fitting.morphable_model.description, "model_info", broken)
    assert run(["model", "info"]) == 1
    assert "unexpected ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.skipif(not REAL.exists(), reason="../shared/real is not there")
def test_a_real_video_from_pixels_to_meshes(tmp_path, capsys):
    work = tmp_path / "work"
    video = str(REAL / "single_face.mp4")
    common = ["--workers", "1"]
    assert (
        run(
            [
                "-q",
                "preprocess",
                "--dataset",
                "folder",
                "--root",
                video,
                "--out",
                str(work),
                *common,
            ]
        )
        == 0
    )
    assert run(["-q", "fit3d", str(work), *common]) == 0
    shard = next((work / "shards").rglob("*.h5"))
    assert run(["inspect", str(shard), "--png", str(tmp_path / "sheet.png")]) == 0
    assert run(["export", str(shard), "-o", str(tmp_path / "face.glb")]) == 0
    out = capsys.readouterr().out
    assert "72 frames, 72 valid" in out
    assert (tmp_path / "sheet.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "face.glb").read_bytes()[:4] == b"glTF"
    assert run(["verify", str(work), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)


@pytest.mark.skipif(not REAL.exists(), reason="../shared/real is not there")
def test_a_video_without_a_face_is_no_error(tmp_path, capsys):
    video = str(REAL / "no_face.mp4")
    work = tmp_path / "work"
    words = ["-q", "preprocess", "--dataset", "folder", "--root", video, "--out", str(work)]
    assert run([*words, "--workers", "1"]) == 0
    assert "0 valid" in capsys.readouterr().out
    assert run(["-q", "fit3d", str(work), "--workers", "1"]) == 0
    assert "0 valid" in capsys.readouterr().out


def test_a_video_given_as_model_is_one_plain_line(tmp_path, capsys):
    video = tmp_path / "talk.mp4"
    video.write_bytes(b"\0\0\0 ftypisom")
    for words in (
        ["fit3d", "work"],
        ["analyze", "a.mp4", "-o", "out"],
        ["predict", "run", "a.mp4"],
    ):
        assert run([*words, "--model", str(video)]) == 1
        said = capsys.readouterr().err
        assert "talk.mp4: is no morphable model; give the .h5" in said
        assert "pickle" not in said


def test_the_trainings_help_states_the_values_of_both_presets(capsys):
    assert run(["train", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "passes over the training frames. [default: (10)" in said
    assert "Learning rate of SGD. [default: (paper: 0.002, compact: 0.02)]" in said
    assert run(["pretrain", "--help"]) == 0
    assert "[default: (paper: 0.0002, compact: 0.05)]" in " ".join(capsys.readouterr().out.split())


def test_an_image_whose_name_is_no_utf8_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture = Path("caf\udce9.png")
    try:
        picture.write_bytes(b"")
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system keeps names as text")
    assert run(["analyze", str(picture), "-o", "out"]) == 1
    assert "unexpected" not in capsys.readouterr().err
