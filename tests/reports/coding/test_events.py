"""Events of curves whose movements are known, and the files that coders' tools read."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from pympi.Elan import Eaf

from glee.cli import run
from glee.reports.coding import EventOptions, find_events, read_au_table

UNSMOOTHED = EventOptions(smoothing=0)


def table(values, *, times=None, valid=None, face=0, **more):
    values = np.asarray(values, float)
    count = len(values)
    shown = np.ones(count, int) if valid is None else np.asarray(valid)
    columns = {
        "frame": np.arange(count),
        "face_id": face,
        "timestamp": np.arange(count) / 25 if times is None else times,
        "valid": shown,
        "AU12_r": np.where(shown, values, np.nan),
    }
    return pd.DataFrame(columns | more)


def found_in(tmp_path, rows, options=UNSMOOTHED, name="talk.csv"):
    path = tmp_path / name
    rows.to_parquet(path) if name.endswith("parquet") else rows.to_csv(path, index=False)
    return [event for face in read_au_table(path) for event in find_events(face, options)]


def bump(*pieces):
    return np.concatenate([np.full(count, level, float) for level, count in pieces])


@pytest.mark.parametrize("name", ["talk.csv", "talk.parquet"])
def test_an_event_lasts_from_off_to_off_and_reaches_on(tmp_path, name):
    curve = bump((0, 10), (0.7, 3), (2.0, 4), (3.5, 1), (0.6, 2), (0.4, 10), (0.9, 5), (0, 5))
    (event,) = found_in(tmp_path, table(curve), name=name)
    assert (event.onset_frame, event.apex_frame, event.offset_frame) == (10, 17, 19)
    assert (event.onset, event.apex, event.offset) == pytest.approx((0.4, 0.68, 0.8))
    assert (event.peak, event.cut, event.lost_frames) == (3.5, "", 0)


def test_a_variable_frame_rate_counts_in_seconds(tmp_path):
    times = np.cumsum(np.r_[0, np.full(9, 0.04), np.full(3, 0.01), np.full(7, 0.04)])
    curve = np.where((times > 0.365) & (times < 0.395), 2.0, 0.0)
    assert curve.sum() == 6  # three frames, but 0.06 s alone
    assert found_in(tmp_path, table(curve, times=times)) == []
    (event,) = found_in(tmp_path, table(curve, times=times), EventOptions(smoothing=0, shortest=0))
    assert event.offset - event.onset == pytest.approx(0.06)


def test_smoothing_is_a_weighted_mean_as_by_convolution(tmp_path):
    curve = np.random.default_rng(1).uniform(0, 2, 60) + bump((0, 20), (2, 20), (0, 20))
    weights = np.cos(np.pi * np.arange(-2, 3) / 25 / 0.2) ** 2
    expected = np.convolve(curve, weights / weights.sum(), "same")
    events = found_in(tmp_path, table(curve), EventOptions(on=3, off=2, smoothing=0.2))
    assert max(event.peak for event in events) == pytest.approx(expected[2:-2].max())


@pytest.mark.parametrize(("lost", "count"), [(2, 1), (3, 2)])
def test_a_short_loss_of_the_face_is_bridged_and_a_long_one_ends_the_event(tmp_path, lost, count):
    curve = bump((0, 10), (2, 20), (0, 10))
    valid = np.ones(40, int)
    valid[18 : 18 + lost] = 0
    events = found_in(tmp_path, table(curve, valid=valid))
    assert len(events) == count
    if count == 1:
        assert (events[0].lost_frames, events[0].cut) == (2, "")
    else:
        assert [event.cut for event in events] == ["end", "start"]


def test_openfaces_table_counts_from_one_and_has_blanks_and_success(tmp_path):
    lines = ["frame, face_id, timestamp, confidence, success, AU12_r, AU12_c, AU28_c"]
    for i in range(40):
        here = 10 <= i < 20
        lines.append(
            f"{i + 1}, 0, {i / 25:.3f}, 0.98, {int(i != 30)}, {2.0 * here:.2f}, 1.00, 0.00"
        )
    path = tmp_path / "talk.csv"
    path.write_text("\n".join(lines) + "\n")
    (face,) = read_au_table(path)
    assert list(face.curves) == ["AU12", "AU28"]
    assert face.valid.sum() == 39
    (event,) = find_events(face, UNSMOOTHED)
    assert (event.onset_frame, event.offset_frame) == (10, 19)


def test_probabilities_of_a_run_have_thresholds_of_their_own(tmp_path):
    rows = table(np.zeros(30)).drop(columns="AU12_r")
    rows["AU4"] = bump((0.1, 10), (0.4, 3), (0.9, 7), (0.1, 10))
    (event,) = found_in(tmp_path, rows)
    assert (event.tier, event.kind, event.onset_frame) == ("AU4", "probability", 10)


def written(tmp_path, name, *options):
    smile = bump((0, 10), (2.2, 10), (0, 20))
    rows = [table(smile), table(smile[::-1], face=1)]
    sides = {f"AU12_{side}_r": smile for side in ("left", "right")}
    pd.concat([rows[0].assign(**sides), rows[1]]).to_csv(tmp_path / "talk.csv", index=False)
    (tmp_path / "talk.mp4").write_bytes(b"")
    path = tmp_path / "coded" / name
    words = ["events", str(tmp_path / "talk.csv"), "-o", str(path), "--smoothing", "0", *options]
    assert run(words) == 0
    return path


def test_elan_gets_ordered_slots_unique_ids_and_the_video(tmp_path):
    path = written(tmp_path, "talk.eaf", "--sides")
    root = ET.parse(path).getroot()
    assert root.tag == "ANNOTATION_DOCUMENT"
    assert root.get("FORMAT") == "3.0"
    order = [child.tag for child in root]
    assert order == sorted(order, key=("HEADER TIME_ORDER TIER LINGUISTIC_TYPE CONSTRAINT").find)
    slots = [(s.get("TIME_SLOT_ID"), int(s.get("TIME_VALUE"))) for s in root.iter("TIME_SLOT")]
    assert all(a[1] <= b[1] for a, b in pairwise(slots))
    annotations = list(root.iter("ALIGNABLE_ANNOTATION"))
    names = [a.get("ANNOTATION_ID") for a in annotations] + [name for name, _ in slots]
    assert len(set(names)) == len(names)
    refs = [a.get(f"TIME_SLOT_REF{i}") for a in annotations for i in (1, 2)]
    assert sorted(refs) == sorted(name for name, _ in slots)
    types = {t.get("LINGUISTIC_TYPE_ID") for t in root.iter("LINGUISTIC_TYPE")}
    tiers = {t.get("TIER_ID") for t in root.iter("TIER")}
    for tier in root.iter("TIER"):
        assert tier.get("LINGUISTIC_TYPE_REF") in types
        assert tier.get("PARENT_REF") in {None, *tiers}
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    assert (media.get("RELATIVE_MEDIA_URL"), media.get("MIME_TYPE")) == ("../talk.mp4", "video/mp4")


def test_pympi_reads_what_elan_gets(tmp_path):
    document = Eaf(str(written(tmp_path, "talk.eaf", "--sides")))
    assert "AU12 left face 0" in document.get_tier_names()
    assert document.get_annotation_data_for_tier("AU12 face 0") == [(400, 800, "B")]
    assert document.get_annotation_data_for_tier("AU12 face 1") == [(800, 1200, "B")]
    assert document.get_annotation_data_for_tier("AU12 face 0 apex") == [(400, 440, "2.20")]
    stated = dict(document.properties)
    assert json.loads(stated["glee thresholds"]) == {"intensity": {"on": 1.0, "off": 0.5}}


def test_boris_gets_a_start_and_a_stop_of_each_event(tmp_path):
    rows = pd.read_csv(written(tmp_path, "talk.tsv", "--form", "boris"), sep="\t")
    assert list(rows["Behavior type"]) == ["START", "STOP", "START", "STOP"]
    assert list(rows["Time"]) == [0.4, 0.8, 0.8, 1.2]
    assert set(rows["Subject"]) == {"face 0", "face 1"}
    assert set(rows["Behavior"]) == {"AU12"}


def test_a_plain_table_has_its_parameters_beside_it(tmp_path):
    path = written(tmp_path, "events.csv", "--gap", "0.3")
    rows = pd.read_csv(path)
    assert list(rows["au"]) == ["AU12", "AU12"]
    assert list(rows["apex_frame"]) == [10, 20]
    assert json.loads((path.parent / "events.csv.json").read_text())["gap_seconds"] == 0.3


@pytest.mark.parametrize(
    ("content", "words", "said"),
    [
        ("frame,timestamp,valid\n0,0.0,1\n", [], "has no Action Units"),
        ("a,b\n1,2\n", [], "has no column 'frame'"),
        ("", [], "is no table"),
        ("frame,timestamp,AU12_r\n0,0.0,x\n", [], "holds something else"),
        ("frame,timestamp,AU12_r\n0,0.0,1\n1,0.0,1\n", [], "times that do not grow"),
        ("frame,timestamp,AU12_r\n0,0.0,1\n", ["--on", "1", "--off", "2"], "--off 2"),
        ("frame,timestamp,AU12_r\n0,0.0,1\n", ["--form", "elan"], "is written to .eaf"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, content, words, said):
    path = tmp_path / "talk.csv"
    path.write_text(content)
    assert run(["events", str(path), "-o", str(tmp_path / "out.csv"), *words]) in (1, 2)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert not (tmp_path / "out.csv").exists()


def test_an_event_of_a_hidden_part_is_marked(tmp_path, capsys):
    curve = bump((0, 10), (2, 10), (0, 10), (3, 10), (0, 10))
    seen = bump((1, 25), (0.2, 25))
    rows = table(curve, AU12_visible=seen)
    events = found_in(tmp_path, rows)
    assert [(event.seen, event.hidden) for event in events] == [(1.0, False), (0.2, True)]
    (unknown, *_) = found_in(tmp_path, table(curve), name="other.csv")
    assert np.isnan(unknown.seen)
    assert not unknown.hidden
    assert run(["events", str(tmp_path / "talk.csv"), "-o", str(tmp_path / "events.csv")]) == 0
    assert "2 events (1 of them mostly hidden)" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "events.csv")["seen"].tolist() == [1.0, 0.2]
    run(["events", str(tmp_path / "other.csv"), "-o", str(tmp_path / "events.csv")])
    assert pd.read_csv(tmp_path / "events.csv")["seen"].isna().all()
    boris = tmp_path / "boris.csv"
    run(["events", str(tmp_path / "talk.csv"), "-o", str(boris), "--form", "boris"])
    assert boris.read_text().count("mostly hidden") == 1


def test_elan_gets_the_video_that_the_table_was_made_of(tmp_path, capsys):
    """It need not lie by the table; the overlay that does is not taken."""
    source, out = tmp_path / "videos" / "talk.mp4", tmp_path / "out"
    for folder in (source.parent, out):
        folder.mkdir()
    for form in ("", ".openface"):
        path = out / f"talk{form}.csv"
        table(bump((0, 10), (2, 10), (0, 10))).to_csv(path, index=False)
        record = {"source": {"path": str(source)}, "options": {}, "files": {path.name: 1}}
        (out / f"talk{form}.analysis.json").write_text(json.dumps(record))
        source.touch()
        eaf = tmp_path / "talk.eaf"
        assert run(["events", str(path), "-o", str(eaf)]) == 0
        assert 'RELATIVE_MEDIA_URL="./videos/talk.mp4"' in eaf.read_text()
        assert capsys.readouterr().err == ""
        source.unlink()
        assert run(["events", str(path), "-o", str(eaf)]) == 0
        assert "give --media" in capsys.readouterr().err


def test_a_folder_is_no_table(tmp_path, capsys):
    table(bump((0, 9))).to_parquet(tmp_path / "talk.parquet")
    (tmp_path / "a.arkit.csv").touch()
    assert run(["events", str(tmp_path), "-o", str(tmp_path / "e.csv")]) == 1
    assert f"is a folder; give one table of `glee analyze`, such as {tmp_path}/talk.parquet" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("name", ["talk.eaf", "talk.csv", "talk.tsv"])
def test_a_persons_coding_is_not_replaced(tmp_path, capsys, name):
    """Hours of work would be lost by running the command again."""
    source = tmp_path / "in.csv"
    table(bump((0, 10), (2, 10), (0, 10))).to_csv(source, index=False)
    path = tmp_path / name
    words = ["events", str(source), "-o", str(path)]
    assert run(words) == 0
    # What nobody changed is made anew, with other options too, where there is no event any more.
    assert run([*words, "--on", "5"]) == 0
    assert run(words) == 0
    if name == "talk.eaf":
        document = Eaf(str(path))
        document.add_tier("remarks")
        document.add_annotation("remarks", 0, 900, "look again")
        document.to_file(str(path))
    else:
        path.write_text(path.read_text().replace("0.8", "0.9"))
    coded = path.read_bytes()
    assert run(words) == 2
    assert "such as a person's coding, and would be replaced" in capsys.readouterr().err
    assert path.read_bytes() == coded
    assert run([*words, "--overwrite"]) == 0
    assert path.read_bytes() != coded


def test_a_file_that_is_not_glees_is_not_replaced(tmp_path, capsys):
    source, notes = tmp_path / "in.csv", tmp_path / "notes.csv"
    table(bump((0, 9))).to_csv(source, index=False)
    notes.write_text("mine\n")
    assert run(["events", str(source), "-o", str(notes)]) == 2
    assert notes.read_text() == "mine\n"
