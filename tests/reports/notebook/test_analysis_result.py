"""A finished table in Python, against pandas by hand from the CSV file."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")

from matplotlib import pyplot  # noqa: E402

import glee  # noqa: E402
from glee.errors import DataError, UsageError  # noqa: E402

FPS = 10.0
COUNT = 40


def rows(face=0, seed=1, smile=(10, 20)):
    """A face of 40 frames: AU12 in some, frames 5 without a face and 6 not trusted."""
    random = np.random.default_rng(seed)
    frame = np.arange(COUNT)
    there = (frame >= smile[0]) & (frame < smile[1])
    table = pd.DataFrame({"frame": frame, "face_id": face, "timestamp": frame / FPS})
    table["valid"], table["reason"] = 1, "ok"
    table["confidence"], table["quality"] = 0.9, 0.8
    for name in ("rot_x", "rot_y", "rot_z", "pos_x", "pos_y", "pos_z", "yaw", "pitch", "roll"):
        table[name] = random.normal(size=COUNT).round(3)
    names = [f"{axis}_{i}" for axis in "xy" for i in range(68)]
    points = pd.DataFrame(random.random((COUNT, 136)).round(3) * 100, columns=names)
    table = pd.concat([table, points], axis=1)
    table["gaze_right_x"] = 0.1
    table["jawOpen"] = random.random(COUNT).round(4)
    table["AU01_r"], table["AU01_c"] = 0.25, 0
    table["AU12_r"] = np.where(there, 3.0, random.random(COUNT).round(3) / 5)
    table["AU12_c"] = there.astype(int)
    table["AU12_std"], table["AU12_visible"] = 0.4, 1.0
    table["AU12_left_r"], table["AU12_right_r"] = 1.0, 2.0
    bad = table.columns[7:]
    table[bad] = table[bad].astype(float)
    table.loc[[5, 6], "valid"] = 0
    table.loc[[5, 6], "reason"] = ["no_face", "large_residual"]
    table.loc[[5, 6], list(bad)] = np.nan
    return table.copy()


@pytest.fixture
def one(tmp_path):
    table = rows()
    table.loc[5, "face_id"] = -1
    table.to_csv(tmp_path / "talk.csv", index=False)
    return tmp_path / "talk.csv"


@pytest.fixture
def two(tmp_path):
    """Face 1 has rows in the first half alone."""
    table = pd.concat([rows(), rows(1, 2, (0, 10)).query("frame < 20")])
    table.sort_values(["frame", "face_id"]).to_csv(tmp_path / "two.csv", index=False)
    return tmp_path / "two.csv"


@pytest.fixture
def openface(tmp_path):
    """As OpenFace writes it: blanks after commas, frames from 1, 0 where it fails."""
    table = pd.DataFrame({"frame": np.arange(1, 7), "face_id": 0, "timestamp": np.arange(6) / FPS})
    table["confidence"], table["success"] = 0.98, [1, 1, 1, 1, 0, 1]
    table["pose_Tx"], table["pose_Ry"] = 30.0, 0.1
    table["x_0"] = 7.0
    table["AU12_r"], table["AU12_c"] = [0, 2.0, 2.0, 2.0, 0, 0.5], [0, 1, 1, 1, 0, 0]
    table["AU28_c"] = [1, 0, 0, 0, 0, 0]
    table.loc[4, "pose_Tx"] = table.loc[4, "x_0"] = 0.0
    head = ", ".join(table.columns)
    lines = [", ".join(str(value) for value in row) for row in table.itertuples(index=False)]
    (tmp_path / "webcam.csv").write_text("\n".join([head, *lines]) + "\n")
    return tmp_path / "webcam.csv"


def test_parts_are_those_of_the_file(one):
    talk, own = glee.open(one), pd.read_csv(one)
    assert len(talk) == COUNT
    assert list(talk.columns) == list(own.columns)
    pd.testing.assert_frame_equal(talk.table, own)
    assert talk["jawOpen"].equals(own["jawOpen"])
    assert talk.frames["timestamp"].tolist() == own["timestamp"].tolist()
    assert talk.frames["reason"].tolist() == own["reason"].tolist()
    assert list(talk.aus) == ["AU01", "AU12"]
    np.testing.assert_array_equal(talk.aus["AU12"], own["AU12_r"])
    np.testing.assert_array_equal(talk.present["AU12"], own["AU12_c"])
    assert list(talk.au_sides) == ["AU12_left", "AU12_right"]
    assert talk.au_std["AU12"].max() == 0.4
    assert list(talk.blendshapes) == ["jawOpen"]
    assert list(talk.pose)[:2] == ["rot_x", "rot_y"]
    assert list(talk.gaze) == ["gaze_right_x"]
    assert talk.landmarks.shape == (COUNT, 68, 2)
    assert talk.landmarks[3, 17] == pytest.approx(own.loc[3, ["x_17", "y_17"]].to_numpy(float))
    assert "not trained on coded people" in repr(talk)
    assert "jawOpen" in talk._repr_html_()


def test_a_frame_without_a_face_keeps_its_row(one):
    talk = glee.open(one)
    assert talk.frames["frame"].tolist() == list(range(COUNT))
    assert talk.frames.index[~talk.frames["valid"]].tolist() == [5, 6]
    assert np.isnan(talk.aus.loc[5]).all()
    assert np.isnan(talk.landmarks[5]).all()
    assert talk.lost.to_dict() == {"no_face": 1, "large_residual": 1}


def test_summary_by_hand(one):
    own = pd.read_csv(one).query("valid == 1")
    found = glee.open(one).summary().loc["AU12"]
    assert found["mean"] == pytest.approx(own["AU12_r"].mean())
    assert found["max"] == 3.0
    assert found["present"] == pytest.approx(10 / 38)
    counts = found[["events", "frames", "valid", "lost", "lost_no_face", "lost_large_residual"]]
    assert counts.tolist() == [1, 40, 38, 2, 1, 1]
    assert glee.open(one).summary().loc["AU01", "events"] == 0


def test_by_spans_columns_arrays_and_functions(one):
    talk, own = glee.open(one), pd.read_csv(one)
    spans = talk.by({"before": (0, 1), "after": [(1, 2), (2, 4)], "never": (90, 91)})
    assert spans.index.names == ["condition", "AU"]
    before, after = spans.loc[("before", "AU12")], spans.loc[("after", "AU12")]
    assert before["mean"] == pytest.approx(own.query("timestamp < 1")["AU12_r"].mean())
    assert after["mean"] == pytest.approx(own.query("timestamp >= 1")["AU12_r"].mean())
    assert [before["frames"], before["lost"], after["frames"]] == [10, 2, 30]
    assert [before["events"], after["events"]] == [0, 1]
    never = spans.loc[("never", "AU12")]
    assert np.isnan(never["mean"])
    assert never["frames"] == 0

    turned = talk.by(lambda table: table["yaw"] > 0)
    assert turned.loc[(True, "AU12"), "mean"] == pytest.approx(
        own.loc[own["yaw"] > 0, "AU12_r"].mean()
    )
    assert turned.loc[(False, "AU12"), "frames"] == (~(own["yaw"] > 0)).sum()
    assert talk.by("reason").loc[("no_face", "AU12"), "lost_no_face"] == 1
    values = np.where(own["frame"] < 7, "a", "b")
    assert talk.by(values)["frames"].unstack("AU")["AU12"].to_dict() == {"a": 7, "b": 33}
    shuffled = pd.Series(values, name="block").sample(frac=1, random_state=0)
    again = talk.by(shuffled)
    assert again.index.names == ["block", "AU"]
    assert again["mean"].tolist() == talk.by(values)["mean"].tolist()


def test_frames_without_a_condition_are_a_part_of_their_own(one):
    values = pd.Series([1.0] * 30 + [np.nan] * 10, name="trial")
    found = glee.open(one).by(values)["frames"].xs("AU12", level="AU")
    assert found.tolist() == [30, 10]
    assert found.index.isna().tolist() == [False, True]


def test_two_faces_are_two_people(two):
    both, own = glee.open(two), pd.read_csv(two)
    assert both.faces == (0, 1)
    found = both.summary()
    assert found.index.names == ["face_id", "AU"]
    for face in (0, 1):
        hand = own.query(f"face_id == {face} and valid == 1")["AU12_r"]
        assert found.loc[(face, "AU12"), "mean"] == pytest.approx(hand.mean())
    # Face 1 has no rows in the second half: these frames are lost, not gone.
    second = found.loc[(1, "AU12")]
    assert [second["frames"], second["valid"], second["lost"]] == [40, 18, 22]
    assert [second["lost_no_face"], second["lost_large_residual"]] == [21, 1]
    by = both.by(np.arange(COUNT) >= 20)
    assert by.index.names == ["condition", "face_id", "AU"]
    assert by.loc[(True, 1, "AU12"), ["frames", "lost"]].tolist() == [20, 20]
    assert by.loc[(True, 0, "AU12"), ["frames", "lost"]].tolist() == [20, 0]


def test_openface(openface):
    table = glee.open(openface)
    assert table.frames["frame"].tolist() == list(range(6))
    assert table.frames["reason"].tolist() == ["ok"] * 4 + ["no_success", "ok"]
    assert table.aus["AU12"].tolist()[:4] == [0, 2, 2, 2]
    assert np.isnan(table.aus.loc[4, "AU12"])
    assert np.isnan(table.pose.loc[4, "pose_Tx"])
    found = table.summary()
    assert found.loc["AU12", "mean"] == pytest.approx(6.5 / 5)
    assert found.loc["AU12", "present"] == pytest.approx(3 / 5)
    assert found.loc["AU28", "present"] == pytest.approx(1 / 5)
    assert np.isnan(found.loc["AU28", "mean"])
    assert found.loc["AU12", "lost_no_success"] == 1
    with pytest.raises(DataError, match="no blendshapes"):
        _ = table.blendshapes
    with pytest.raises(DataError, match="no landmarks"):
        _ = table.landmarks


def test_a_trained_run(tmp_path):
    table = rows().loc[:, :"jawOpen"]
    table["AU1"], table["AU12"] = 0.2, np.linspace(0, 1, COUNT)
    table.to_parquet(tmp_path / "talk.parquet")
    talk = glee.open(tmp_path / "talk.parquet")
    valid = table["valid"] == 1
    assert list(talk.aus) == ["AU01", "AU12"]
    assert talk.aus.loc[valid, "AU12"].tolist() == table.loc[valid, "AU12"].tolist()
    assert talk.summary().loc["AU12", "present"] == pytest.approx(
        (table.loc[valid, "AU12"] >= 0.5).mean()
    )
    assert "trained run" in repr(talk)


def test_nothing_but_the_header_is_read_before_it_is_asked_for(tmp_path, monkeypatch):
    """Rows that are no table harm nobody until they are wanted; of Parquet, columns alone are."""
    head = "frame,face_id,timestamp,valid,reason,AU12_r\n"
    (tmp_path / "bad.csv").write_text(head + '0,0,0,1,ok,"' + "x" * 9)
    talk = glee.open(tmp_path / "bad.csv")
    assert "AU12_r" in talk.columns
    assert repr(talk)
    with pytest.raises(DataError, match="bad.csv"):
        _ = talk.frames

    rows().to_parquet(tmp_path / "talk.parquet")
    asked = []
    real = pd.read_parquet
    monkeypatch.setattr(
        pd,
        "read_parquet",
        lambda path, columns: asked.append(columns) or real(path, columns=columns),
    )
    talk = glee.open(tmp_path / "talk.parquet")
    assert asked == []
    _ = talk.pose
    assert asked == [["rot_x", "rot_y", "rot_z", "pos_x", "pos_y", "pos_z", "yaw", "pitch", "roll"]]
    _ = talk.pose
    assert len(asked) == 1


def test_plot(two):
    talk = glee.open(two)
    ax = talk.plot(face=1)
    assert [line.get_label() for line in ax.lines] == ["AU12", "AU01"]
    drawn = ax.lines[0].get_ydata()
    own = talk.aus.loc[talk.frames["face_id"] == 1, "AU12"]
    np.testing.assert_array_equal(drawn[:20], own)
    assert np.isnan(drawn[20:]).all()
    grey = [patch.get_extents().transformed(ax.transData.inverted()) for patch in ax.patches]
    assert [(round(b.x0, 2), round(b.x1, 2)) for b in grey] == [(0.5, 0.7), (2.0, 4.0)]
    with pytest.raises(UsageError, match="no AU99"):
        talk.plot(["AU99"], ax=ax)
    with pytest.raises(UsageError, match="no face 7"):
        talk.plot(face=7, ax=ax)
    pyplot.close(ax.figure)


def test_a_folder_of_tables(one, two, openface, tmp_path):
    (tmp_path / "events.csv").write_text("onset,offset\n1,2\n")
    (tmp_path / "note.txt").write_text("nothing")
    rows().to_parquet(tmp_path / "talk.parquet")
    all_of_them = glee.open(tmp_path)
    assert list(all_of_them) == ["talk", "two", "webcam"]
    assert all_of_them["talk"].path.suffix == ".parquet"
    found = all_of_them.summary()
    assert found.index.names == ["clip", "face_id", "AU"]
    assert found.loc[("two", 1, "AU12"), "lost"] == 22
    assert found.loc[("webcam", 0, "AU12"), "lost_no_face"] == 0
    with pytest.raises(KeyError, match="talk, two, webcam"):
        _ = all_of_them["walk"]


def test_bad_inputs_are_one_clear_line(one, tmp_path):
    def refused(path, text=None):
        if text is not None:
            path.write_text(text)
        with pytest.raises(DataError) as caught:
            _ = glee.open(path).frames
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
        return str(caught.value)

    assert "no such file" in refused(tmp_path / "none.csv")
    assert "cannot be read" in refused(tmp_path / "empty.csv", "")
    assert "cannot be read" in refused(tmp_path / "no.parquet", "text")
    assert "'timestamp'" in refused(tmp_path / "a.csv", "frame,valid\n0,1\n")
    assert "'frame'" in refused(tmp_path / "arkit.csv", "Timecode,BlendShapeCount,jawOpen\n1,2,3\n")
    assert "'timestamp' holds" in refused(
        tmp_path / "b.csv", "frame,timestamp,valid\n0,soon,1\n1,later,1\n"
    )
    plain = "frame,timestamp,valid\n0,0,1\n"
    (tmp_path / "plain.csv").write_text(plain)
    with pytest.raises(DataError, match="no Action Units"):
        _ = glee.open(tmp_path / "plain.csv").aus
    (tmp_path / "twice.csv").write_text("frame,timestamp,valid,AU1\n0,0,1,1\n0,0,1,1\n")
    with pytest.raises(DataError, match="twice for face 0"):
        glee.open(tmp_path / "twice.csv").summary()

    talk = glee.open(one)
    for condition, said in (
        (np.zeros(7), "7 values for 40 frames"),
        ({"a": (3, 1)}, "start before end"),
        ({}, "no condition"),
        (5, "one value a frame"),
    ):
        with pytest.raises(UsageError, match=said):
            talk.by(condition)
    with pytest.raises(DataError, match="no column 'mood'"):
        talk.by("mood")
    again = glee.open(one)
    one.unlink()
    with pytest.raises(DataError, match="no longer there"):
        _ = again.frames


def test_the_report_is_that_of_the_command(tmp_path):
    path = tmp_path / "talk.csv"
    rows().to_csv(path, index=False)
    found = glee.open(path)
    page = found.report()
    assert page == tmp_path / "talk.html"
    assert "AU12" in page.read_text()
    assert found.report(tmp_path / "other.html").is_file()
