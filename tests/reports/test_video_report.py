"""The report of one video: what stands in it, against the table and `glee events`."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from glee.cli import run
from glee.errors import DataError
from glee.reports.coding import find_events, read_au_table
from glee.reports.video_report import BEGINNING, clock, video_report

SECOND = 25


def talk(seconds=8, faces=(0,)):
    """A smile from 2 to 4 s and one from 6 to 7 s; the face is lost from 4.8 to 5.2 s, the brows
    are hidden in the first second."""
    count = seconds * SECOND
    times = np.arange(count) / SECOND
    smile = np.where((times >= 2) & (times < 4), 3.0, 0.0) + np.where(
        (times >= 6) & (times < 7), 2.0, 0.0
    )
    lost = (times >= 4.8 - 1e-9) & (times < 5.2 - 1e-9)
    tables = []
    for face in faces:
        table = {"frame": np.arange(count), "face_id": face, "timestamp": times}
        table["valid"] = (~lost).astype(int)
        for unit, curve in (("AU01", 0 * smile), ("AU12", smile)):
            table[f"{unit}_r"] = np.where(lost, np.nan, curve)
            table[f"{unit}_c"] = np.where(lost, np.nan, curve > 1)
            table[f"{unit}_std"] = np.where(lost, np.nan, 0.5)
            table[f"{unit}_visible"] = np.where(lost, np.nan, 1.0)
        table["AU01_visible"] = np.where((times < 1) & ~lost, 0.2, table["AU01_visible"])
        tables.append(pd.DataFrame(table))
    return pd.concat(tables).sort_values(["frame", "face_id"])


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "talk.csv"
    talk().to_csv(path, index=False)
    return path


def page_of(table, video=None, **more):
    return video_report(table, table.with_suffix(".html"), video, **more).read_text()


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def cells(page):
    """The text of each row of the tables."""
    rows = re.findall(r"<tr\b.*?</tr>", page, re.DOTALL)
    return [
        [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)]
        for row in rows
    ]


def test_events_are_those_of_glee_events(table):
    out = table.with_name("events.csv")
    assert run(["events", str(table), "-o", str(out)]) == 0
    expected = pd.read_csv(out)
    assert len(expected) == 2
    page = page_of(table)
    listed = [row for row in cells(page) if row[0].startswith("AU12 ") and len(row) == 8]
    assert [row[1:4] for row in listed] == [
        [clock(event.onset), clock(event.apex), clock(event.offset)]
        for event in expected.itertuples()
    ]
    assert [event[:3] for event in data_of(page)["events"]] == expected[
        ["onset_frame", "apex_frame", "offset_frame"]
    ].to_numpy().tolist()
    # The bars lie where the events do, in percent of the clip.
    bars = re.findall(r'class="bar" style="left:([\d.]+)%;width:([\d.]+)%"', page)
    for (left, width), event in zip(bars, expected.itertuples(), strict=True):
        assert float(left) == pytest.approx(100 * event.onset / 8, abs=0.01)
        assert float(width) == pytest.approx(100 * (event.offset - event.onset) / 8, abs=0.01)


def test_events_of_a_hidden_part_are_told(table):
    assert "hidden" not in {row[6] for row in cells(page_of(table)) if len(row) == 8}
    rows = pd.read_csv(table)
    rows["AU12_visible"] = np.where(rows.timestamp > 4.5, 0.1, 0.9)
    rows.to_csv(table, index=False)
    page = page_of(table)
    listed = [row for row in cells(page) if row[0].startswith("AU12 ") and len(row) == 8]
    assert [row[6] for row in listed] == ["90 %", "10 % (hidden)"]
    assert page.count('class="doubtful"') == 1


def test_what_is_not_seen_is_hatched_and_listed(table):
    page = page_of(table)
    rows = cells(page)
    assert ["face not found", "0:04.800", "0:05.200"] in rows
    assert ["AU1 hidden", "0:00.000", "0:01.000"] in rows
    assert page.count('class="lost" style="left:60%;width:5%"') == 2  # on the curves of both AUs
    assert page.count('class="hidden" style="left:0%;width:12.5%"') == 1
    values, deviations, factor = data_of(page)["rows"][0]
    curve = pd.read_csv(table).AU12_r
    assert [None if np.isnan(value) else round(factor * value) for value in curve] == values
    assert {value for value in deviations if value is not None} == {5}


def test_the_curve_is_drawn_at_the_values_and_broken_where_the_face_is_lost(table):
    page = page_of(table)
    path = re.findall(r'class="line" d="(M[^"]+)"', page)[1]  # the first is the legend's
    pieces = path.split("M")[1:]
    assert len(pieces) == 2
    points = [tuple(map(float, point.split())) for piece in pieces for point in piece.split("L")]
    curve = pd.read_csv(table).AU12_r.dropna()
    x = 2000 * (curve.index.to_numpy() + 0.5) / 200
    np.testing.assert_allclose([point[0] for point in points], x, atol=0.6)
    np.testing.assert_allclose([point[1] for point in points], 200 * (1 - curve / 5), atol=0.5)


def test_action_units_that_are_never_present_are_folded(table):
    page = page_of(table)
    assert "1 Action Unit that is never present: AU1" in page
    assert page.index("AU12</b>") < page.index("<details>") < page.index("AU1</b>")


def test_it_says_where_the_figures_are_from(table):
    assert "estimated from the face&#39;s shape, not trained on coded people" in page_of(table)
    assert "probabilities of the trained run &lt;b&gt;" in page_of(
        table, source="probabilities of the trained run <b>"
    )
    rows = talk()[["frame", "face_id", "timestamp", "valid"]].assign(AU12=0.7)
    rows.to_parquet(table.with_name("run.parquet"))
    page = page_of(table.with_name("run.parquet"))
    assert "probabilities of a trained run" in page
    assert "one standard deviation" not in page
    assert "probability, 0 to 1" in page


def test_every_face_has_a_section(tmp_path):
    table = tmp_path / "panel.parquet"
    talk(faces=(0, 1, 3)).to_parquet(table)
    page = page_of(table)
    assert re.findall(r'<h2 id="(face\d)">(Face \d)</h2>', page) == [
        ("face0", "Face 0"),
        ("face1", "Face 1"),
        ("face3", "Face 3"),
    ]
    assert len(data_of(page)["rows"]) == 6


HOSTILE = '"><img src=x onerror=alert(1)>&amp; #?%41 </script><script>alert(2)'.replace("/", "")


def test_names_are_text_and_urls(tmp_path):
    table = tmp_path / "in" / f"{HOSTILE}.csv"
    table.parent.mkdir()
    talk().to_csv(table, index=False)
    page = page_of(table, tmp_path / "clips" / f"{HOSTILE}:ä.mp4", source=HOSTILE)
    assert "<img" not in page
    assert len(re.findall("<script", page)) == 2
    assert html.unescape(re.search("<h1>(.*?)</h1>", page, re.DOTALL)[1]) == HOSTILE
    (url,) = re.findall(r'<video src="([^"]*)"', page)
    assert re.fullmatch(r"\.\./clips/[\w.%~-]*\.mp4", url)
    # A name that begins like a scheme is still a relative path.
    page = page_of(table, table.with_name("javascript:alert(1).mp4"))
    assert '<video src="javascript%3Aalert%281%29.mp4"' in page


def test_a_name_that_is_no_utf8(tmp_path):
    table = tmp_path / "talk.csv"
    talk().to_csv(table, index=False)
    page = page_of(table, tmp_path / Path(b"t\xe4lk.mp4".decode("utf-8", "surrogateescape")))
    assert '<video src="t%E4lk.mp4"' in page


def test_nothing_but_the_video_is_loaded(table):
    page = page_of(table, table.with_name("talk.mp4"))
    assert page.startswith(BEGINNING)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'; media-src 'self' file:")
    assert "unsafe-eval" not in policy
    assert not re.findall(r"(?:src|href|url\()=?[\"']?https?:", page)


def test_an_hour_is_a_small_file_that_shows_every_extreme(tmp_path):
    count = 3600 * 30
    random = np.random.default_rng(3)
    names = [f"AU{au:02}" for au in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 18, 20, 22)]
    names += [f"AU{au:02}" for au in (23, 24, 25, 26, 28, 45)]
    columns = {"frame": np.arange(count), "face_id": 0, "timestamp": np.arange(count) / 30}
    columns["valid"] = (random.uniform(size=count) > 0.001).astype(int)
    for name in names:
        slow = np.repeat(random.uniform(-6, 3, count // 90), 90)
        columns[f"{name}_r"] = np.clip(slow + random.normal(0, 0.3, count), 0, 4)
        columns[f"{name}_std"] = random.uniform(0.2, 0.6, count)
        columns[f"{name}_visible"] = 1.0
    columns["AU01_r"][:] = 0
    columns["AU01_r"][77_777] = 5.0
    columns["valid"][77_777] = 1
    table = tmp_path / "hour.parquet"
    pd.DataFrame(columns).to_parquet(table)
    page = page_of(table)
    events = sum(len(find_events(face)) for face in read_au_table(table))
    assert len(data_of(page)["events"]) == events > 1000
    assert len(page) < 5_000_000
    row = page[page.index("AU1</b>") :]
    assert "V0L" in re.search(r'class="line" d="([^"]+)"', row)[1]  # the one frame at 5


def test_a_table_without_action_units_is_one_line(tmp_path):
    table = tmp_path / "talk.csv"
    talk()[["frame", "face_id", "timestamp", "valid"]].to_csv(table, index=False)
    with pytest.raises(DataError, match="has no Action Units"):
        page_of(table)
    assert not table.with_suffix(".html").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "arkit"], "--report needs Action Units, which --format arkit lacks"),
        (["--format", "gltf"], "--report needs Action Units, which --format gltf lacks"),
        (["--aus", "none"], "--report needs Action Units; leave out --aus none"),
    ],
)
def test_a_report_without_action_units_is_refused_at_once(tmp_path, capsys, options, said):
    (tmp_path / "talk.mp4").write_bytes(b"")
    assert run(
        ["analyze", str(tmp_path / "talk.mp4"), "-o", str(tmp_path / "o"), "--report", *options]
    )
    assert said in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_the_report_is_planned_and_replaces_nothing_else(tmp_path, capsys):
    (tmp_path / "talk.mp4").write_bytes(b"")
    command = ["analyze", str(tmp_path / "talk.mp4"), "-o", str(tmp_path / "o"), "--report"]
    assert run([*command, "--dry-run"]) == 0
    assert str(tmp_path / "o" / "talk.html") in capsys.readouterr().out
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "talk.html").write_text("<!DOCTYPE html><p>mine")
    assert run([*command, "--dry-run"]) != 0
    assert "is no report of glee" in capsys.readouterr().err
