"""People's coding against tables: figures counted by hand, files as other programs write them."""

from __future__ import annotations

import json
import math

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from pympi.Elan import Eaf

from glee.cli import run

COUNT, RATE = 40, 25


def spans(*frames, value=1.0):
    """A curve that is `value` from first to last frame of each span, else 0."""
    curve = np.zeros(COUNT)
    for first, last in frames:
        curve[first : last + 1] = value
    return curve


def write_table(folder, name="talk", lost=(), face=0, **curves):
    valid = ~np.isin(np.arange(COUNT), lost)
    columns = {au: np.where(valid, curve, np.nan) for au, curve in curves.items()}
    frame = np.arange(COUNT)
    head = {"frame": frame, "face_id": face, "timestamp": frame / RATE, "valid": valid.astype(int)}
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.csv"
    pd.DataFrame(head | columns).to_csv(path, index=False)
    return path


def write_elan(path, **tiers):
    """What pympi writes of tiers, each of (first frame, last frame, value)."""
    document = Eaf(author="Anna")
    document.remove_tier("default")
    for name, marks in tiers.items():
        document.add_tier(name)
        for first, last, value in marks:
            at, end = (round(1000 * frame / RATE) for frame in (first, last + 1))
            document.add_annotation(name, at, end, value)
    path.parent.mkdir(exist_ok=True)
    document.to_file(str(path))
    return path


def said(capsys, *words):
    assert run(["agree", *map(str, words)]) == 0
    return capsys.readouterr()


def figures(capsys, *words):
    return json.loads(said(capsys, *words, "--json").out)


def refused(capsys, *words):
    assert run(["agree", *map(str, words)]) in (1, 2)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_frames_are_counted_as_by_hand(tmp_path, capsys):
    """The person has frames 10 to 19, the table 12 to 21; frames 30 and 31 are lost."""
    table = write_table(tmp_path, lost=(30, 31), AU12_r=spans((12, 21), value=2.0))
    coding = write_elan(tmp_path / "talk.eaf", AU12=[(10, 19, "B")])
    found = figures(capsys, coding, table)
    assert (found["coded_frames"], found["lost_frames"]) == (40, 2)
    unit = found["units"]["AU12"]
    assert (unit["frames"], unit["coded"], unit["shown"]) == (38, 10, 10)
    # 8 both, 2 each alone, 26 neither: agreed 34 of 38, by chance (10 * 10 + 28 * 28) / 38^2.
    chance = (10 * 10 + 28 * 28) / 38**2
    assert unit["kappa"]["value"] == pytest.approx((34 / 38 - chance) / (1 - chance))
    assert unit["f1"]["value"] == pytest.approx(16 / 20)
    # Of 10 x 28 pairs, 8 x 26 are in order, 8 x 2 and 2 x 26 tied, 2 x 2 in the wrong order.
    assert unit["auc"]["value"] == pytest.approx((8 * 26 + 8 * 2 / 2 + 2 * 26 / 2) / 280)
    assert unit["kappa"]["low"] is None
    assert found["intervals"] is None


def test_intensities_of_letters_have_iccs(tmp_path, capsys):
    """The same ratings but for 10 frames of 40, where C (3) meets 2: both raters rate in twos."""
    table = write_table(tmp_path, AU12_r=spans((10, 19), value=2.0))
    coding = write_elan(tmp_path / "talk.eaf", AU12=[(10, 19, "C")])
    unit = figures(capsys, coding, table)["units"]["AU12"]
    # By hand: rows' means 2.5 (10 frames) and 0 (30), raters' means .75 and .5, grand mean .625.
    rows = 2 * (10 * (2.5 - 0.625) ** 2 + 30 * 0.625**2)
    raters = 40 * ((0.75 - 0.625) ** 2 + (0.5 - 0.625) ** 2)
    total = 10 * ((3 - 0.625) ** 2 + (2 - 0.625) ** 2) + 60 * 0.625**2
    msr, msc, mse = rows / 39, raters, (total - rows - raters) / 39
    assert unit["icc31"]["value"] == pytest.approx((msr - mse) / (msr + mse))
    assert unit["icc21"]["value"] == pytest.approx((msr - mse) / (msr + mse + 2 * (msc - mse) / 40))


@pytest.mark.parametrize("value", ["", "smile", "7"])
def test_values_that_are_no_intensities_have_no_iccs(tmp_path, capsys, value):
    table = write_table(tmp_path, AU12_r=spans((10, 19), value=2.0))
    coding = write_elan(tmp_path / "talk.eaf", AU12=[(10, 19, value)])
    unit = figures(capsys, coding, table)["units"]["AU12"]
    assert unit["icc21"]["value"] is None
    assert unit["kappa"]["value"] == 1.0


@pytest.mark.parametrize(("tolerance", "matched", "frames"), [(0, 1, 40), (1, 2, 28), (3, 3, 12)])
def test_events_match_one_to_one_within_the_tolerance(tmp_path, capsys, tolerance, matched, frames):
    """Pairs overlap by two frames, follow at once, and lie three frames apart."""
    table = write_table(tmp_path, AU4=spans((3, 6), (16, 19), (33, 36)))
    coding = write_elan(tmp_path / "talk.eaf", AU4=[(1, 4, ""), (12, 15, ""), (27, 30, "")])
    words = (coding, table, "--smoothing", 0, "--tolerance", tolerance)
    unit = figures(capsys, *words)["units"]["AU4"]
    counts = [unit[f"{kind}_events"] for kind in ("coded", "shown", "matched")]
    assert counts == [3, 3, matched]
    assert unit["event_recall"]["value"] == pytest.approx(matched / 3)
    # Frames near the boundaries at 1, 5, 12, 16, 27 and 31 are left out: with 3, these are 0 to 7,
    # 9 to 18 and 24 to 33.
    assert unit["frames"] == frames


def test_one_long_event_matches_one_short_one_alone(tmp_path, capsys):
    table = write_table(tmp_path, AU4=spans((5, 30)))
    coding = write_elan(tmp_path / "talk.eaf", AU4=[(6, 8, ""), (12, 20, ""), (25, 27, "")])
    unit = figures(capsys, coding, table, "--smoothing", 0)["units"]["AU4"]
    assert (unit["matched_events"], unit["onset_shift_frames"]) == (1, -7)
    assert unit["event_precision"]["value"] == 1.0


def test_presence_is_openfaces_column_where_there_is_one_and_no_threshold_is_given(
    tmp_path, capsys
):
    curves = {"AU12_r": spans((0, 39), value=2.0), "AU12_c": spans((10, 19))}
    table = write_table(tmp_path, **curves)
    coding = write_elan(tmp_path / "talk.eaf", AU12=[(10, 19, "")])
    assert figures(capsys, coding, table)["units"]["AU12"]["shown"] == 10
    assert figures(capsys, coding, table, "--on", 1)["units"]["AU12"]["shown"] == 40


def events(table, output, *words):
    assert run(["events", str(table), "-o", str(output), "--smoothing", "0", *words]) == 0


def test_what_glee_wrote_and_nobody_changed_is_no_coding(tmp_path, capsys):
    table = write_table(tmp_path, AU4=spans((5, 12)), AU12_r=spans((20, 30), value=2.0))
    for name, form in (("a.eaf", "elan"), ("b.csv", "csv"), ("c.tsv", "boris")):
        events(table, tmp_path / name, "--form", form)
        capsys.readouterr()
        assert "glee's own, unchanged" in refused(capsys, tmp_path / name, table), name


@pytest.mark.parametrize(("name", "form"), [("b.csv", "csv"), ("c.tsv", "boris")])
def test_what_glee_wrote_is_known_without_the_file_beside_it(tmp_path, capsys, name, form):
    table = write_table(tmp_path, AU4=spans((5, 12)))
    events(table, tmp_path / name, "--form", form)
    (tmp_path / f"{name}.json").unlink()
    capsys.readouterr()
    assert f"{name}.json is missing" in refused(capsys, tmp_path / name, table)


def test_a_tier_that_a_person_changed_counts(tmp_path, capsys):
    table = write_table(tmp_path, AU4=spans((5, 12)), AU12_r=spans((20, 30), value=2.0))
    events(table, tmp_path / "a.eaf")
    document = Eaf(str(tmp_path / "a.eaf"))
    document.remove_all_annotations_from_tier("AU4")
    document.add_annotation("AU4", 120, 480, "")
    document.to_file(str(tmp_path / "a.eaf"))
    capsys.readouterr()
    found = figures(capsys, tmp_path / "a.eaf", table)
    assert list(found["units"]) == ["AU4"]
    assert found["units"]["AU4"]["coded"] == 9
    assert found["clips"][0]["unchanged_tiers"] == ["AU12"]
    # Or says that it is the person's own.
    document.tiers["AU12"][2]["ANNOTATOR"] = "Anna"
    document.to_file(str(tmp_path / "a.eaf"))
    assert list(figures(capsys, tmp_path / "a.eaf", table)["units"]) == ["AU4", "AU12"]


def test_a_table_from_which_a_person_removed_an_event_counts(tmp_path, capsys):
    table = write_table(tmp_path, AU4=spans((5, 12)), AU12_r=spans((20, 30), value=2.0))
    events(table, tmp_path / "a.csv")
    rows = pd.read_csv(tmp_path / "a.csv")
    rows[rows["au"] != "AU4"].to_csv(tmp_path / "a.csv", index=False)
    capsys.readouterr()
    found = figures(capsys, tmp_path / "a.csv", table)
    assert {unit: row["coded"] for unit, row in found["units"].items()} == {"AU4": 0}


def test_tiers_are_known_however_people_call_them(tmp_path, capsys):
    sides = {f"AU12_{side}_r": spans((10, 19), value=2.0) for side in ("left", "right")}
    table = write_table(tmp_path, AU01_r=spans((10, 19)), AU45_r=spans((3, 5)), **sides)
    names = ("AU 1 - inner brow", "L12", "au12_right", "AU43", "speech", "AU1+2", "AU1 apex")
    coding = write_elan(tmp_path / "x.eaf", **{name: [(10, 19, "x")] for name in names})
    found = figures(capsys, coding, table)
    assert list(found["units"]) == ["AU1", "AU12 left", "AU12 right", "AU45"]
    assert found["clips"][0]["other_tiers"] == ["speech", "AU1+2", "AU1 apex"]


def test_a_borders_millisecond_belongs_to_the_frame_that_begins_there(tmp_path, capsys):
    table = write_table(tmp_path, AU4=spans((10, 19)))
    rows = "au,onset,offset\nAU4,0.400,0.800\n"
    (tmp_path / "c.csv").write_text(rows)
    assert figures(capsys, tmp_path / "c.csv", table)["units"]["AU4"]["coded"] == 10
    (tmp_path / "c.csv").write_text(rows.replace("0.400", "0.401"))
    assert figures(capsys, tmp_path / "c.csv", table)["units"]["AU4"]["coded"] == 9


BORIS = """Observation id,Observation date,Media file name,Total length,FPS,Subject,Behavior,\
Behavioral category,Modifier #1,Behavior type,Time,Media file,Image index,Comment
talk,2024-01-01,/home/anna/talk.mp4,1.6,25.0,No focal subject,AU12,face,B,START,0.400,x,10,
talk,2024-01-01,/home/anna/talk.mp4,1.6,25.0,No focal subject,speaks,,None,START,0.500,x,12,hm
talk,2024-01-01,/home/anna/talk.mp4,1.6,25.0,No focal subject,AU12,face,B,STOP,0.800,x,20,
talk,2024-01-01,/home/anna/talk.mp4,1.6,25.0,No focal subject,speaks,,None,STOP,0.900,x,22,
walk,2024-01-01,/home/anna/walk.mp4,1.6,25.0,No focal subject,4,face,None,START,0:00.2,x,5,
walk,2024-01-01,/home/anna/walk.mp4,1.6,25.0,No focal subject,4,face,None,STOP,0:00.4,x,10,
"""


def test_boris_codes_several_videos_in_one_table_with_columns_of_its_own(tmp_path, capsys):
    (tmp_path / "coding.csv").write_text(BORIS)
    for name in ("talk", "walk"):
        curves = {"AU12_r": spans((10, 19), value=2.0), "AU04_r": spans((5, 9))}
        write_table(tmp_path / "tables", name, **curves)
    found = figures(capsys, tmp_path / "coding.csv", tmp_path / "tables")
    units = found["units"]
    # AU12 is not seen in walk, AU4 not in talk: they are coded absent there.
    assert (units["AU12"]["coded"], units["AU12"]["frames"], units["AU4"]["coded"]) == (10, 80, 5)
    assert units["AU12"]["shown"] == 20
    assert found["clips"][0]["other_tiers"] == ["speaks"]
    assert units["AU12"]["icc31"]["value"] is not None


@pytest.mark.parametrize(
    "text",
    [
        "Tier\tBegin Time - ss.msec\tEnd Time - ss.msec\tAnnotation\nAU12\t0.400\t0.800\tB\n",
        "au;start_ms;end_ms;intensity\n12;400;800;2\n",
        "Observation id,Behavior,Behavior type,Start (s),Stop (s)\nx,AU12,STATE,0.4,0.8\n",
        "Title,x\n\nBehavior,Status,Time\nAU12,START,0.4\nAU12,STOP,0.8\n",
    ],
)
def test_other_tables_are_read(tmp_path, capsys, text):
    (tmp_path / "c.csv").write_text(text)
    table = write_table(tmp_path, AU12_r=spans((10, 19), value=2.0))
    assert figures(capsys, tmp_path / "c.csv", table)["units"]["AU12"]["coded"] == 10


@pytest.mark.parametrize("first", [0, 1])
def test_a_row_a_frame_is_a_coding_too(tmp_path, capsys, first):
    """Of 40 frames, 5 were not coded; frames are counted from 0 or from 1."""
    levels = np.where((np.arange(40) >= 10) & (np.arange(40) < 20), 3, 0).astype(object)
    levels[30:33], levels[33:35] = "", -1
    rows = pd.DataFrame({"frame": np.arange(40) + first, "AU12": levels, "smiles": "x"})
    rows.to_csv(tmp_path / "c.csv", index=False)
    table = write_table(tmp_path, AU12_r=spans((10, 19), value=3.0))
    unit = figures(capsys, tmp_path / "c.csv", table)["units"]["AU12"]
    assert (unit["frames"], unit["coded"], unit["coded_events"]) == (35, 10, 1)
    assert unit["icc21"]["value"] == unit["kappa"]["value"] == 1.0


def test_a_row_a_time_is_a_coding_too_and_0_and_1_are_no_intensities(tmp_path, capsys):
    times = np.arange(40) / 25
    rows = pd.DataFrame({"time": times, "AU12": ((times >= 0.4) & (times < 0.8)).astype(int)})
    rows.iloc[5:].to_csv(tmp_path / "c.csv", index=False, sep=";")
    table = write_table(tmp_path, AU12_r=spans((10, 19), value=3.0))
    unit = figures(capsys, tmp_path / "c.csv", table)["units"]["AU12"]
    assert (unit["frames"], unit["coded"]) == (35, 10)
    assert unit["icc21"]["value"] is None


def test_points_have_no_length_and_are_left_out(tmp_path, capsys):
    text = "Behavior,Status,Time\nAU12,START,0.4\nAU12,STOP,0.8\nAU4,POINT,0.9\n"
    (tmp_path / "c.csv").write_text(text)
    table = write_table(tmp_path, AU12_r=spans((10, 19)), AU04_r=spans((10, 19)))
    got = said(capsys, tmp_path / "c.csv", table, "--json")
    assert list(json.loads(got.out)["units"]) == ["AU12"]
    assert "of no Action Unit: points of AU4" in got.err


def two_clips(tmp_path, count=2):
    for number in range(count):
        name = f"clip{number}"
        write_table(tmp_path / "tables", name, AU12_r=spans((10, 19 + number), value=2.0))
        write_elan(tmp_path / "coding" / f"{name}.eaf", AU12=[(10 + number, 19, "B")])
    return tmp_path / "coding", tmp_path / "tables"


def test_folders_are_paired_by_name_and_intervals_are_over_clips(tmp_path, capsys):
    coding, tables = two_clips(tmp_path, 6)
    write_elan(coding / "stray.eaf", AU12=[(1, 3, "")])
    again = [said(capsys, coding, tables) for _ in range(2)]
    assert again[0].out == again[1].out
    assert "95% intervals over 6 clips" in again[0].out
    assert "stray.eaf: is left out" in again[0].err
    kappa = figures(capsys, coding, tables)["units"]["AU12"]["kappa"]
    assert kappa["low"] < kappa["value"] < kappa["high"]


def test_all_figures_go_to_a_file(tmp_path, capsys):
    words = two_clips(tmp_path)
    said(capsys, *words, "-o", tmp_path / "a.csv")
    said(capsys, *words, "-o", tmp_path / "a.json")
    rows = pd.read_csv(tmp_path / "a.csv", index_col="au")
    data = json.loads((tmp_path / "a.json").read_text())
    assert list(rows.index) == ["AU12", "mean"]
    assert rows.loc["AU12", "kappa_low"] == pytest.approx(
        data["units"]["AU12"]["kappa"]["low"], abs=1e-6
    )
    assert rows.loc["AU12", "matched_events"] == data["units"]["AU12"]["matched_events"] == 2
    assert data == figures(capsys, *words)


@pytest.mark.parametrize("clips", [1, 3])
def test_the_plot_is_a_picture_that_is_the_same_again(tmp_path, capsys, clips):
    words = two_clips(tmp_path, clips)
    for name in ("a.png", "b.png"):
        said(capsys, *words, "--plot", tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    picture = matplotlib.image.imread(tmp_path / "a.png")
    assert picture.shape[1] > 1000
    assert picture[..., :3].std() > 0.05


def test_the_terminal_says_what_is_lost_and_that_one_clip_has_no_interval(tmp_path, capsys):
    table = write_table(tmp_path, lost=range(12), AU12_r=spans((10, 19), value=2.0))
    coding = write_elan(tmp_path / "talk.eaf", AU12=[(10, 19, "")], gaze=[(1, 3, "up")])
    got = said(capsys, coding, table)
    assert "12 of 40 coded frames have no face" in got.out
    assert "one clip: no intervals" in got.out
    assert "of no Action Unit: gaze" in got.err


def test_of_several_coders_and_faces_one_is_chosen(tmp_path, capsys):
    first = write_table(tmp_path, "one", face=0, AU12_r=spans((10, 19), value=2.0))
    second = write_table(tmp_path, "two", face=1, AU12_r=spans((20, 29), value=2.0))
    both = pd.concat([pd.read_csv(first), pd.read_csv(second)])
    both.to_csv(tmp_path / "talk.csv", index=False)
    marks = {"AU12@Anna": [(10, 19, "")], "AU12@Bob": [(20, 29, "")]}
    coding = write_elan(tmp_path / "talk.eaf", **marks)
    assert "does not say whose" in refused(capsys, coding, tmp_path / "talk.csv")
    words = (coding, tmp_path / "talk.csv", "--face", 1)
    assert "give --coder: Anna, Bob" in refused(capsys, *words)
    assert figures(capsys, *words, "--coder", "Bob")["units"]["AU12"]["kappa"]["value"] == 1.0
    assert "there are Anna, Bob" in refused(capsys, *words, "--coder", "Eve")


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("c.eaf", "<a>", "is no ELAN document"),
        ("c.eaf", "<TREE/>", "its root is 'TREE'"),
        ("c.csv", "a,b\n1,2\n", "has no columns 'au'"),
        ("c.csv", "au,onset,offset\nAU12,x,1\n", "'x' is no time"),
        ("c.csv", "au,onset,offset\nAU12,2,1\n", "before it begins"),
        ("c.csv", "au,onset,offset\nsmile,0,1\n", "no tier of an Action Unit"),
        ("c.csv", "au,onset,offset\nAU10,0,1\n", "has no AU10"),
        ("c.csv", "Behavior,Status,Time\nAU12,START,1\n", "never stops"),
        ("c.csv", "Behavior,Status,Time\nAU12,STOP,1\n", "without a start"),
        ("c.txt", "", "is no coding"),
        ("c.csv", "frame,AU12\n0,1\n0,1\n", "a frame twice"),
        ("c.csv", "frame,AU12\nx,1\n", "no number of a frame"),
        ("c.csv", "frame,timestamp,valid,AU12\n0,0,1,0.3\n", "give it as TABLE"),
        ("c.csv", "frame,timestamp,success,AU12_r\n1,0,1,0.3\n", "give it as TABLE"),
        ("c.csv", "au,onset_ms,offset\nAU12,1.2.3,4\n", "'1.2.3' is no time"),
        ("c.csv", "au,onset,offset\nAU12," + "1" * 200_000 + ",4\n", "is no table"),
    ],
)
def test_bad_codings_are_one_line(tmp_path, capsys, name, text, line):
    (tmp_path / name).write_text(text)
    table = write_table(tmp_path, AU12_r=spans((10, 19)))
    assert line in refused(capsys, tmp_path / name, table)


def test_bad_outputs_are_told_before_any_work(tmp_path, capsys):
    words = two_clips(tmp_path)
    assert ".csv or .json" in refused(capsys, *words, "-o", tmp_path / "a.txt")
    assert ".png" in refused(capsys, *words, "--plot", tmp_path / "a.jpg")
    assert "0 or more" in refused(capsys, *words, "--tolerance", -1)


def test_a_shift_is_told_in_frames(tmp_path, capsys):
    table = write_table(tmp_path, AU4=spans((12, 21)))
    coding = write_elan(tmp_path / "talk.eaf", AU4=[(10, 18, "")])
    unit = figures(capsys, coding, table, "--smoothing", 0)["units"]["AU4"]
    assert (unit["onset_shift_frames"], unit["offset_shift_frames"]) == (2, 3)
    assert not math.isnan(unit["kappa"]["value"])
