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
