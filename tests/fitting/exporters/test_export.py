"""The format follows the file's ending; what cannot be written is said."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from glee.errors import UsageError
from glee.fitting.exporters.export import export_fits, export_model
from glee.fitting.morphable_model.model_file import load_model


@pytest.fixture(scope="module")
def fits():
    model = load_model()
    f_exp = np.zeros((3, 51))
    f_exp[:, model.expression_names.index("jawOpen")] = [0.0, 0.5, 1.0]
    pose = np.zeros((3, 6))
    pose[:, 1] = [0.0, 0.2, 0.4]
    return model, np.zeros((3, 60)), f_exp, pose


def test_animation_moves_the_named_target(tmp_path, fits):
    model, f_shape, f_exp, pose = fits
    export_fits(tmp_path / "a.glb", model, f_shape, f_exp, pose, 20.0)
    content = (tmp_path / "a.glb").read_bytes()
    length = struct.unpack("<I", content[12:16])[0]
    document = json.loads(content[20 : 20 + length])
    assert document["meshes"][0]["extras"]["targetNames"] == list(model.expression_names)
    accessor = document["accessors"][document["animations"][0]["samplers"][0]["input"]]
    assert accessor["count"] == 3
    assert accessor["max"] == [pytest.approx(0.1)]
    channels = document["animations"][0]["channels"]
    assert [c["target"]["path"] for c in channels] == ["weights", "rotation", "translation"]


def test_meshes_of_all_frames(tmp_path, fits):
    model, f_shape, f_exp, pose = fits
    holed = f_exp.copy()
    holed[1] = np.nan
    export_fits(tmp_path / "a.npz", model, f_shape, holed, pose, 20.0)
    with np.load(tmp_path / "a.npz") as archive:
        meshes = archive["mesh"]
    np.testing.assert_allclose(meshes[2], model.shape(f_shape[2], f_exp[2]), atol=1e-6)
    assert np.isnan(meshes[1]).all()


def test_one_frame_as_obj(tmp_path, fits):
    model, f_shape, f_exp, pose = fits
    export_fits(tmp_path / "a.obj", model, f_shape[2:], f_exp[2:], pose[2:], 20.0)
    lines = (tmp_path / "a.obj").read_text().splitlines()
    assert sum(line.startswith("v ") for line in lines) == len(model.mean)
    assert sum(line.startswith("f ") for line in lines) == len(model.triangles)


@pytest.mark.parametrize("ending", ["obj", "glb", "npz"])
def test_the_model_itself(tmp_path, ending):
    export_model(tmp_path / f"model.{ending}", load_model())
    assert (tmp_path / f"model.{ending}").stat().st_size > 100_000


def test_what_cannot_be_written(tmp_path, fits):
    model, f_shape, f_exp, pose = fits
    for name, frames, message in (
        ("a.stl", slice(None), "ending"),
        ("a.obj", slice(None), "one frame"),
    ):
        with pytest.raises(UsageError, match=message):
            export_fits(tmp_path / name, model, f_shape[frames], f_exp[frames], pose[frames], 20.0)
    with pytest.raises(UsageError, match="none of the frames"):
        export_fits(tmp_path / "a.glb", model, f_shape, np.full((3, 51), np.nan), pose, 20.0)
    assert list(tmp_path.iterdir()) == []
