"""`glee.analyze`: one video and several, files that are kept and files that are not."""

from __future__ import annotations

import gc
import subprocess
import sys

import pandas as pd
import pytest

import glee
from glee.errors import DataError, UsageError
from glee.pipeline.synthesis.clips import synthesise

FRAMES = 12


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A rendered person of twelve frames."""
    root = tmp_path_factory.mktemp("videos")
    synthesise(root, subjects=1, frames=FRAMES, size=(320, 240), seed=11)
    (path,) = (root / "Videos_LeftCamera").glob("*.avi")
    return path.rename(root / "talk.avi")


def test_a_video_without_a_folder(video):
    """Its tables are as those of the command, and go with the result."""
    talk = glee.analyze(str(video), progress=False)
    assert talk.name == "talk"
    assert talk.frames["frame"].tolist() == list(range(FRAMES))
    assert "not trained on coded people" in repr(talk)
    # Twelve frames are too few for a baseline of the person's own, which the reader is told.
    assert any("baseline" in note for note in talk.notes)
    written = pd.read_csv(talk.path.with_suffix(".csv"))
    valid = written["valid"] == 1
    assert valid.sum() == talk.frames["valid"].sum() > 0
    difference = (talk.aus["AU12"] - written["AU12_r"]).abs()
    assert difference[valid].max() < 0.001
    folder = talk.path.parent
    assert folder.is_dir()
    del talk
    gc.collect()
    assert not folder.exists()


def test_several_of_which_one_cannot_be_read(video, tmp_path, caplog):
    (tmp_path / "broken.mp4").write_bytes(b"nothing of a video")
    both = glee.analyze(
        [video, tmp_path / "broken.mp4"], tmp_path / "out", progress=False, aus="none"
    )
    assert list(both) == ["talk"]
    (error,) = both.errors.values()
    assert "broken" in error
    assert "\n" not in error
    assert error in caplog.text
    assert "broken" in repr(both)
    with pytest.raises(DataError, match="aus"):
        _ = both["talk"].aus
    again = glee.open(tmp_path / "out")
    assert list(again) == ["talk"]
    assert again["talk"].table.equals(both["talk"].table)


def test_a_folder_of_videos_gives_results_by_name(video, tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "talk.avi").write_bytes(video.read_bytes())
    found = glee.analyze(tmp_path / "videos", format="openface", progress=False)
    assert list(found) == ["talk"]
    assert found["talk"].frames["frame"].tolist() == list(range(FRAMES))


def test_what_cannot_be_analysed(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"nothing of a video")
    for refused in (tmp_path / "none.mp4", tmp_path / "broken.mp4"):
        with pytest.raises(DataError, match=refused.name):
            glee.analyze(refused, progress=False)
    with pytest.raises(DataError, match="none of 2"):
        glee.analyze([tmp_path / "none.mp4", tmp_path / "broken.mp4"], progress=False)
    with pytest.raises(UsageError, match="did you mean faces"):
        glee.analyze(tmp_path / "broken.mp4", face=2)
    with pytest.raises(UsageError, match="arkit"):
        glee.analyze(tmp_path / "broken.mp4", format="arkit")
    with pytest.raises(DataError, match="run"):
        glee.analyze(tmp_path / "broken.mp4", run=tmp_path / "run", progress=False)


def test_the_function_hides_no_module():
    code = (
        "import glee, sys\n"
        "assert 'analyze' in dir(glee)\n"
        "assert not {'numpy', 'pandas', 'torch'} & set(sys.modules)\n"
        "from glee.pipeline.analysis import analyze\n"
        "import glee.pipeline.analysis.analyze, glee.commands.analyze\n"
        "from glee.pipeline.analysis.analyze import analyze as same\n"
        "assert analyze is same and callable(analyze)\n"
        "assert glee.analyze is not analyze and callable(glee.analyze)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
