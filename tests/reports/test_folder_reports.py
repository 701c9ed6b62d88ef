"""Reports of work folders and runs: what they say, that they need nothing else, in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter

import numpy as np
import pytest

from glee.cli import run
from glee.commands.report import folder_report
from glee.errors import DataError
from glee.pipeline.shards.shard import list_shards, read_shard
from glee.reports.frame_charts import Dots, dots_chart, heat_map, strip_chart
from glee.reports.report import render_report
from glee.reports.work_frames import gather_frames

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def pages(made, tmp_path_factory):
    """The files of a work folder's and of a run's report."""
    out = tmp_path_factory.mktemp("pages")
    found = {}
    for name in ("work", "run"):
        found[name] = out / f"{name}.html"
        assert run(["report", str(made[0] / name), "-o", str(found[name])]) == 0
    return found


@pytest.mark.slow
def test_frames_are_counted_as_the_shards_have_them(made):
    frames = gather_frames(made[0] / "work")
    shards = [read_shard(path) for path in list_shards(made[0] / "work")]
    expected = Counter(int(r) for shard in shards for r in shard.frames.reason)
    assert Counter(int(r) for clip in frames.clips for r in clip.reason) == expected
    clip = frames.clips[0]
    np.testing.assert_array_equal(frames.crop(clip, 5), shards[0].crop(5))
    points = shards[0].frames.landmarks[4:7, 17:].astype(float)
    unit = np.linalg.norm(shards[0].frames.landmarks[5, 36] - shards[0].frames.landmarks[5, 45])
    second = np.linalg.norm(points[0] - 2 * points[1] + points[2], axis=1).mean() / unit
    assert clip.jitter[5] == pytest.approx(second, rel=1e-4)


@pytest.mark.slow
def test_a_report_needs_nothing_else(pages):
    for page in pages.values():
        html = page.read_text()
        assert not re.findall(r"""(?:src|href)=["'](?!data:|#)[^"']+""", html)
        assert "http://" not in html.replace("http://www.w3.org", "")


@pytest.mark.slow
def test_the_runs_report_gives_the_f1_of_evaluate(made, pages):
    mean = made[1]["f1"]["mean"]
    assert f"{100 * mean:.1f}\u00a0%" in pages["run"].read_text()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_dot_shows_its_face_in_a_browser(pages, tmp_path):
    """The page's own script runs without an error and fills the picture of a focused dot."""
    page = tmp_path / "page.html"
    focus = (
        "<script>document.querySelector('[data-frame]').dispatchEvent(new Event('focus'));"
        "document.title = document.querySelector('#face img').src.slice(0, 22)</script></body>"
    )
    page.write_text(pages["work"].read_text().replace("</body>", focus))
    words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'user'}"]
    done = subprocess.run(
        [CHROMIUM, *words, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "<title>data:image/jpeg;base64</title>" in done.stdout


def test_a_folder_of_another_kind_is_one_line(tmp_path, capsys):
    assert run(["report", str(tmp_path)]) == 1
    assert "neither a work folder" in capsys.readouterr().err
    with pytest.raises(DataError, match="neither"):
        folder_report(tmp_path)
    (tmp_path / "talk.csv").write_text("frame,face_id\n")
    with pytest.raises(DataError, match="`glee analyze VIDEO -o .* --report`"):
        folder_report(tmp_path)


def test_charts_of_frames():
    strip = strip_chart(["a"], [np.array([0, 0, 1, 1, 0], np.uint8)], ("ok", "no_face"), title="t")
    assert strip.count("<rect") == 3
    assert "a: frames 2 to 3, no face" in strip
    dots = Dots([0, 1], [1.0, float("nan")], ["<x>", ""], ["first", "second"])
    drawn = dots_chart(dots, title="t", x_label="s", y_label="e")
    assert drawn.count("<circle") == 1
    assert 'data-frame="&lt;x&gt;"' in drawn
    grid = heat_map(["r"], ["c", "d"], np.array([[0.0, np.nan]]), title="t")
    assert "r, c: 0.00" in grid
    assert "r, d: not defined" in grid


def test_rendering_escapes_what_comes_from_outside(made):
    report = folder_report(made[0] / "run")
    object.__setattr__(report, "title", "<script>")
    assert "<h1>&lt;script&gt;</h1>" in render_report(report)
