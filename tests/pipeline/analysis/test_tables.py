"""The tables of an analysis, read as other people's scripts read them, against the truth."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from glee.fitting.camera import rotation_matrix
from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.pipeline.analysis import arkit_table, openface_table
from glee.pipeline.analysis.analyze import analyze
from glee.pipeline.options import AnalyzeOptions

OPENFACE_AUS_R = "01 02 04 05 06 07 09 10 12 14 15 17 20 23 25 26 45"
OPENFACE_AUS_C = "01 02 04 05 06 07 09 10 12 14 15 17 20 23 25 26 28 45"
# As in a recording of the app.
LIVE_LINK_HEADER = (
    "Timecode,BlendShapeCount,EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,EyeLookOutLeft,"
    "EyeLookUpLeft,EyeSquintLeft,EyeWideLeft,EyeBlinkRight,EyeLookDownRight,EyeLookInRight,"
    "EyeLookOutRight,EyeLookUpRight,EyeSquintRight,EyeWideRight,JawForward,JawRight,JawLeft,"
    "JawOpen,MouthClose,MouthFunnel,MouthPucker,MouthRight,MouthLeft,MouthSmileLeft,"
    "MouthSmileRight,MouthFrownLeft,MouthFrownRight,MouthDimpleLeft,MouthDimpleRight,"
    "MouthStretchLeft,MouthStretchRight,MouthRollLower,MouthRollUpper,MouthShrugLower,"
    "MouthShrugUpper,MouthPressLeft,MouthPressRight,MouthLowerDownLeft,MouthLowerDownRight,"
    "MouthUpperUpLeft,MouthUpperUpRight,BrowDownLeft,BrowDownRight,BrowInnerUp,BrowOuterUpLeft,"
    "BrowOuterUpRight,CheekPuff,CheekSquintLeft,CheekSquintRight,NoseSneerLeft,NoseSneerRight,"
    "TongueOut,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,LeftEyePitch,LeftEyeRoll,RightEyeYaw,"
    "RightEyePitch,RightEyeRoll"
)


@pytest.fixture(scope="module")
def tables(videos, tmp_path_factory):
    """The first rendered video in all three formats: format -> text of the CSV file."""
    out = tmp_path_factory.mktemp("tables")
    text = {}
    for kind in ("glee", "openface", "arkit"):
        options = AnalyzeOptions(format=kind)
        (done,) = analyze(videos[:1], out / kind, options=options, progress=False)
        text[kind] = done.paths[0].read_text()
    text["parquet"] = pq.read_table(next((out / "glee").glob("*.parquet")))
    return text


@pytest.fixture(scope="module")
def openface(tables):
    """As analysis scripts read it: names stripped of the blanks that older versions have."""
    table = pd.read_csv(io.StringIO(tables["openface"]))
    table.columns = table.columns.str.strip()
    return table


def test_openface_header(tables):
    """Names and order, spelt out beside the program that writes them."""
    eyes = [f"eye_lmk_{axis}_{i}" for axis in ("x", "y", "X", "Y", "Z") for i in range(56)]
    points = [f"{axis}_{i}" for axis in ("x", "y", "X", "Y", "Z") for i in range(68)]
    expected = [
        *["frame", "face_id", "timestamp", "confidence", "success"],
        *[
            "gaze_0_x",
            "gaze_0_y",
            "gaze_0_z",
            "gaze_1_x",
            "gaze_1_y",
            "gaze_1_z",
            "gaze_angle_x",
            "gaze_angle_y",
        ],
        *eyes,
        *["pose_Tx", "pose_Ty", "pose_Tz", "pose_Rx", "pose_Ry", "pose_Rz"],
        *points,
        *["p_scale", "p_rx", "p_ry", "p_rz", "p_tx", "p_ty"],
        *(f"p_{i}" for i in range(34)),
        *(f"AU{number}_r" for number in OPENFACE_AUS_R.split()),
        *(f"AU{number}_c" for number in OPENFACE_AUS_C.split()),
    ]
    assert len(expected) == 714
    assert tables["openface"].splitlines()[0].split(",") == expected


def test_openface_frames_and_times(openface):
    assert openface["frame"].tolist() == list(range(1, len(openface) + 1))
    assert openface["timestamp"].to_numpy() == pytest.approx(
        np.arange(len(openface)) / 20, abs=1e-3
    )
    assert openface["success"].isin([0, 1]).all()
    assert openface["success"].mean() == 1
    assert openface["confidence"].between(0, 1).all()


def test_openface_pose_and_points_project_to_the_landmarks(openface, truths):
    """X, Y, Z through the camera that OpenFace assumes: x right, y down, z away, millimetres."""
    camera = truths[0].camera
    focal = 1.5 * max(camera.width, camera.height)
    space = np.stack([openface[[f"{a}_{i}" for i in range(68)]] for a in "XYZ"], -1)
    seen = np.stack([openface[[f"{a}_{i}" for i in range(68)]] for a in "xy"], -1)
    centre = np.array([(camera.width - 1) / 2, (camera.height - 1) / 2])
    projected = focal * space[..., :2] / space[..., 2:] + centre
    assert (space[..., 2] > 0).all()
    assert np.linalg.norm(projected - seen, axis=-1).mean() < 3
    # A head is about 15 cm wide.
    width = np.linalg.norm(space[:, 0] - space[:, 16], axis=-1)
    assert ((width > 110) & (width < 190)).all()
    place = openface[["pose_Tx", "pose_Ty", "pose_Tz"]].to_numpy()
    assert np.linalg.norm(place - space.mean(1), axis=-1).max() < 40


def test_openface_rotation_is_rx_ry_rz(openface, truths):
    """Built again by OpenCV's Rodrigues, against the true pose turned to OpenCV's axes."""
    flip = np.diag([1.0, -1.0, -1.0])
    errors = []
    for row, pose in zip(openface.itertuples(), truths[0].pose, strict=True):
        x, y, z = (
            cv2.Rodrigues(np.array(axis) * angle)[0]
            for axis, angle in (
                ([1.0, 0, 0], row.pose_Rx),
                ([0, 1.0, 0], row.pose_Ry),
                ([0, 0, 1.0], row.pose_Rz),
            )
        )
        true = flip @ rotation_matrix(pose[:3]) @ flip
        between = cv2.Rodrigues(x @ y @ z @ true.T)[0]
        errors.append(np.degrees(np.linalg.norm(between)))
    assert np.median(errors) < 5


def test_openface_gaze_are_directions(openface):
    for eye in (0, 1):
        look = openface[[f"gaze_{eye}_{axis}" for axis in "xyz"]].dropna().to_numpy()
        assert len(look) > 10
        assert np.linalg.norm(look, axis=1) == pytest.approx(1, abs=1e-5)
        assert (look[:, 2] < 0).all()
    mean = openface[["gaze_0_x", "gaze_1_x"]].mean(axis=1)
    known = mean.notna()
    assert (np.sign(mean[known]) == np.sign(openface["gaze_angle_x"][known])).mean() > 0.9


def test_openface_leaves_out_what_is_not_measured(openface):
    assert openface.filter(regex="^eye_lmk|^p_").isna().all().all()
    assert openface.filter(regex="^AU").notna().all().all()


def test_openface_action_units_from_probabilities():
    names = ("AU1", "AU12", "AU28")

    class Rows:
        au = np.array([[0.9, 0.2, 0.6]], np.float32)

    values = openface_table._action_units(Rows, 0, names, valid=True)
    table = dict(zip([name for name, _ in openface_table.columns()[-35:]], values, strict=True))
    assert table["AU01_r"] == pytest.approx(4.5)
    assert (table["AU01_c"], table["AU12_c"], table["AU28_c"]) == (1, 0, 1)
    assert np.isnan(table["AU02_r"])
    assert np.isnan(table["AU45_c"])


def test_arkit_header_and_values(tables):
    lines = tables["arkit"].splitlines()
    assert lines[0] == LIVE_LINK_HEADER
    table = pd.read_csv(io.StringIO(tables["arkit"]))
    assert (table["BlendShapeCount"] == 61).all()
    assert table["Timecode"].iloc[[0, 1, 20, 39]].tolist() == [
        *("00:00:00:00.000", "00:00:00:01.000"),
        *("00:00:01:00.000", "00:00:01:19.000"),
    ]
    shapes = table.iloc[:, 2:54]
    assert shapes.to_numpy().min() >= 0
    assert shapes.to_numpy().max() <= 1
    assert (table["TongueOut"] == 0).all()


def test_arkit_eyes_look_where_the_irises_are(tables):
    arkit = pd.read_csv(io.StringIO(tables["arkit"]))
    # As in recordings of the app, where yaw grows to the person's right and pitch downwards.
    assert np.corrcoef(arkit["EyeLookOutRight"], arkit["RightEyeYaw"])[0, 1] > 0.5
    assert np.corrcoef(arkit["EyeLookInRight"], arkit["RightEyeYaw"])[0, 1] < -0.5
    up = arkit["EyeLookUpRight"] - arkit["EyeLookDownRight"]
    assert np.corrcoef(up, arkit["RightEyePitch"])[0, 1] < -0.5
    # From the first frame on, whose face is looked at several times before it is taken.
    both = arkit[["EyeLookOutLeft", "EyeLookInLeft"]].min(axis=1)
    assert (both == 0).all()
    assert np.isfinite(pd.read_csv(io.StringIO(tables["glee"]))["gaze_left_x"][0])


def test_full_looks():
    looks = np.radians([[-30.0, 15.0], [np.nan, np.nan]])
    shapes = arkit_table._eye_looks(looks)
    assert shapes == pytest.approx(
        {
            "eyeLookOutRight": 1.0,
            "eyeLookInRight": 0.0,
            "eyeLookUpRight": 0.5,
            "eyeLookDownRight": 0.0,
        }
    )


def test_arkit_and_glee_say_the_same(tables):
    arkit = pd.read_csv(io.StringIO(tables["arkit"]))
    own = pd.read_csv(io.StringIO(tables["glee"]))
    for name in ("jawOpen", "eyeBlinkLeft", "mouthSmileRight"):
        there = arkit[name[0].upper() + name[1:]]
        assert there.to_numpy() == pytest.approx(own[name].to_numpy(), abs=1e-5)
    for name in ("yaw", "pitch", "roll"):
        turned = arkit[f"Head{name.capitalize()}"].to_numpy()
        assert -turned == pytest.approx(np.radians(own[name]).to_numpy(), abs=1e-4)


def test_the_turn_of_the_head_has_the_signs_that_are_written(tables, truths):
    """Yaw positive to the image's right, where the nose then lies right of the eyes' middle."""
    own = pd.read_csv(io.StringIO(tables["glee"]))
    eyes = own[["x_36", "x_45"]].mean(axis=1)
    assert np.corrcoef(own["yaw"], own["x_30"] - eyes)[0, 1] > 0.5
    rotations = rotation_matrix(truths[0].pose[:, :3])
    true_yaw = np.degrees(np.arctan2(rotations[:, 0, 2], rotations[:, 2, 2]))
    assert np.median(np.abs(own["yaw"] - true_yaw)) < 5


def test_glee_csv_and_parquet_agree(tables):
    own = pd.read_csv(io.StringIO(tables["glee"]))
    parquet = tables["parquet"].to_pandas()
    assert list(own.columns) == list(parquet.columns)
    assert own["reason"].tolist() == parquet["reason"].tolist()
    for name in ("timestamp", "rot_x", "x_30", "jawOpen", "quality"):
        assert own[name].to_numpy() == pytest.approx(parquet[name].to_numpy(), abs=1e-3)
    assert parquet["valid"].dtype == bool


def test_blendshapes_follow_the_truth(tables, truths):
    own = tables["parquet"].to_pandas()
    true = pd.DataFrame(truths[0].f_exp, columns=list(ARKIT_NAMES))
    moved = [name for name in ARKIT_NAMES if true[name].std() > 0.05]
    r = [np.corrcoef(own[name], true[name])[0, 1] for name in moved]
    assert len(moved) > 5
    assert np.nanmedian(r) > 0.5


def test_timecode():
    assert arkit_table.timecode(3661.5, 30) == "01:01:01:15.000"
    assert arkit_table.timecode(0.999999999999, 25) == "00:00:01:00.000"
    assert arkit_table.timecode(8 / 23.976, 23.976) == "00:00:00:08.000"
    assert arkit_table.timecode(1.99999, 30) == "00:00:02:00.000"


@pytest.mark.parametrize("rate", [24000 / 1001, 25.0, 30000 / 1001, 60000 / 1001])
def test_a_timecode_is_the_number_of_its_frame(rate):
    """As importers read it: whole seconds of so many frames, at the rate that they are told."""
    for frame in (0, 23, 24, 471, 1438, 86_399, 3 * 86_400 + 7):
        parts = arkit_table.timecode(round(frame / rate, 6), rate).split(":")
        hours, minutes, seconds = map(int, parts[:3])
        read = ((hours * 60 + minutes) * 60 + seconds) * round(rate) + float(parts[3])
        assert read == pytest.approx(frame, abs=1e-3)
