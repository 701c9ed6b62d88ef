"""`glee analyze --report`: a page beside the tables, of their events, that plays the video."""

from __future__ import annotations

import json
import re

import pytest

from glee.cli import run
from glee.reports.coding import find_events, read_au_table


@pytest.mark.parametrize("overlay", [True, False])
def test_the_report_lies_beside_the_tables(videos, tmp_path, capsys, overlay):
    options = ["--video"] if overlay else []
    assert (
        run(["analyze", str(videos[0]), "-o", str(tmp_path), "--report", "--json", *options]) == 0
    )
    (done,) = json.loads(capsys.readouterr().out)
    page = next(path for path in done["paths"] if path.endswith(".html"))
    text = (tmp_path / f"{done['name']}.html").read_text()
    assert page == str(tmp_path / f"{done['name']}.html")
    assert "estimated from the face&#39;s shape, not trained on coded people" in text
    (url,) = re.findall(r'<video src="([^"]*)"', text)
    played = (tmp_path / url).resolve()
    assert played == ((tmp_path / f"{done['name']}.mp4") if overlay else videos[0]).resolve()
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert (data["count"], data["overlay"]) == (done["frames"], overlay)
    (face,) = read_au_table(tmp_path / f"{done['name']}.csv")
    expected = sorted(
        [event.onset_frame, event.tier] for event in find_events(face) if " " not in event.tier
    )
    assert sorted([event[0], event[3]] for event in data["events"]) == expected


def test_the_line_says_the_videos_rate_and_the_seconds_that_it_took(videos, tmp_path, capsys):
    words = ["analyze", str(videos[0]), "-o", str(tmp_path)]
    for kept in (False, True):
        assert run(words) == 0
        said = capsys.readouterr().out
        assert "mjpeg in avi, 20 frames/s; " in said
        assert ("kept" if kept else re.search(r"; \d+\.\d s -> ", said)[0]) in said


def test_who_asks_for_a_report_of_nothing_is_told(save_video, plain_frame, tmp_path, capsys):
    path = save_video(tmp_path / "wall.avi", [plain_frame] * 3)
    assert run(["analyze", str(path), "-o", str(tmp_path / "o"), "--report"]) == 0
    said = capsys.readouterr().err
    assert "no usable face in any frame" in said
    assert "no report, since no face was found" in said
