"""The animated head of an analysis, against the table of the same video."""

from __future__ import annotations

import json
import struct

import numpy as np
import pandas as pd
import pytest

from glee.errors import UsageError
from glee.fitting.exporters.gltf import gltf_bytes
from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.fitting.morphable_model.model_file import load_model
from glee.pipeline.analysis.analyze import analyze
from glee.pipeline.options import AnalyzeOptions


def read_head(content):
    """The scene of a .glb, and its floats by accessor."""
    length = struct.unpack("<I", content[12:16])[0]
    scene, binary = json.loads(content[20 : 20 + length]), content[28 + length :]

    def floats(number):
        accessor = scene["accessors"][number]
        view = scene["bufferViews"][accessor["bufferView"]]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
        start = view.get("byteOffset", 0)
        return np.frombuffer(binary, np.float32, accessor["count"] * width, start)

    return scene, floats


def test_the_head_moves_as_the_table_says(videos, tmp_path):
    options = AnalyzeOptions(format="gltf")
    (done,) = analyze(videos[:1], tmp_path / "gltf", options=options, progress=False)
    (path,) = done.paths
    assert path.suffix == ".glb"
    (other,) = analyze(videos[:1], tmp_path / "table", progress=False)
    table = pd.read_csv(other.paths[0])
    scene, floats = read_head(path.read_bytes())
    (animation,) = scene["animations"]
    weights, rotation, _ = animation["samplers"]
    times = floats(weights["input"])
    np.testing.assert_allclose(times, table["timestamp"] - table["timestamp"][0], atol=1e-5)
    names = scene["meshes"][0]["extras"]["targetNames"]
    assert names == list(ARKIT_NAMES)
    values = pd.DataFrame(floats(weights["output"]).reshape(len(table), -1), columns=names)
    same = [name for name in names if not name.startswith("eyeLook")]
    np.testing.assert_allclose(values[same], table[same], atol=1e-4)
    # Eyes too are as in the ARKit table, also in blinks, where both hold the last look.
    options = AnalyzeOptions(format="arkit")
    (app,) = analyze(videos[:1], tmp_path / "arkit", options=options, progress=False)
    curves = pd.read_csv(app.paths[0]).rename(columns=lambda name: name[0].lower() + name[1:])
    np.testing.assert_allclose(values, curves[names], atol=1e-4)
    assert app.remarks == ("timecodes count 20 frames a second; tell the importer that rate",)
    turns = floats(rotation["output"]).reshape(-1, 4)
    angle = 2 * np.arccos(np.clip(np.abs(turns[:, 3]), 0, 1))
    expected = np.linalg.norm(table[["rot_x", "rot_y", "rot_z"]], axis=1)
    np.testing.assert_allclose(angle, expected, atol=1e-3)


def test_a_video_without_a_face_gives_a_head_at_rest(plain_frame, save_video, tmp_path):
    path = save_video(tmp_path / "empty.avi", [plain_frame] * 5, codec="MJPG")
    options = AnalyzeOptions(format="gltf", baseline="0-3")
    (done,) = analyze([path], tmp_path / "out", options=options, progress=False)
    assert done.remarks == ("--baseline 0-3 is not used: it is for estimated Action Units",)
    scene, _ = read_head(done.paths[0].read_bytes())
    assert "animations" not in scene


def test_times_must_fit():
    model = load_model()
    f_exp = np.zeros((3, 51))
    for wrong in ([0.0, 0.1], [0.0, 0.2, 0.1]):
        with pytest.raises(UsageError, match="times"):
            gltf_bytes(model, f_exp=f_exp, times=wrong)
    with pytest.raises(UsageError, match="times"):
        gltf_bytes(model, f_exp=f_exp, times=[0.0, 0.1, 0.2], fps=25.0)
