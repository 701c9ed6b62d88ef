"""glTF files read back by a parser of the specification's own words (glTF 2.0, GLB)."""

import json
import struct

import numpy as np
import pytest

from glee.errors import UsageError
from glee.fitting.camera import to_camera
from glee.fitting.exporters.gltf import gltf_bytes, write_gltf
from glee.fitting.morphable_model.model_file import load_model

COMPONENTS = {5126: ("<f4", 4), 5125: ("<u4", 4)}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


def parse(content):
    """The JSON and all accessors of a GLB, with the specification's checks."""
    magic, version, length = struct.unpack("<4sII", content[:12])
    assert (magic, version, length) == (b"glTF", 2, len(content))
    chunks, at = [], 12
    while at < length:
        size, kind = struct.unpack("<I4s", content[at : at + 8])
        assert at % 4 == 0
        assert size % 4 == 0
        chunks.append((kind, content[at + 8 : at + 8 + size]))
        at += 8 + size
    assert [kind for kind, _ in chunks] == [b"JSON", b"BIN\0"]
    scene, binary = json.loads(chunks[0][1]), chunks[1][1]
    assert scene["asset"]["version"] == "2.0"
    assert len(scene["buffers"]) == 1
    assert 0 <= len(binary) - scene["buffers"][0]["byteLength"] < 4
    arrays = []
    for view in scene["bufferViews"]:
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] + view["byteLength"] <= scene["buffers"][0]["byteLength"]
    for accessor in scene["accessors"]:
        view = scene["bufferViews"][accessor["bufferView"]]
        form, size = COMPONENTS[accessor["componentType"]]
        width = WIDTHS[accessor["type"]]
        assert view["byteOffset"] % size == 0
        assert view["byteLength"] == accessor["count"] * width * size
        assert view["byteOffset"] + view["byteLength"] <= scene["buffers"][0]["byteLength"]
        array = np.frombuffer(binary, form, accessor["count"] * width, view["byteOffset"])
        array = array.reshape(-1, width)
        if "min" in accessor:
            assert np.allclose(array.min(0), accessor["min"], rtol=1e-6)
            assert np.allclose(array.max(0), accessor["max"], rtol=1e-6)
        arrays.append(array)
    return scene, arrays


def test_mesh_targets_and_names(tmp_path):
    model = load_model()
    f_shape = np.random.default_rng(1).normal(size=60)
    f_exp = np.linspace(0, 1, 51)
    write_gltf(tmp_path / "face.glb", model, f_shape=f_shape, f_exp=f_exp)
    scene, arrays = parse((tmp_path / "face.glb").read_bytes())
    mesh = scene["meshes"][0]
    assert tuple(mesh["extras"]["targetNames"]) == model.expression_names
    assert np.allclose(mesh["weights"], f_exp)
    corners = []
    for primitive in mesh["primitives"]:
        position = scene["accessors"][primitive["attributes"]["POSITION"]]
        assert {"min", "max"} <= set(position)
        assert len(primitive["targets"]) == 51
        for target in primitive["targets"]:
            accessor = scene["accessors"][target["POSITION"]]
            assert accessor["count"] == position["count"]
            assert {"min", "max"} <= set(accessor)
        name = scene["materials"][primitive["material"]]["name"]
        of_part = model.part_triangles("eyes" if name == "irises" else name)
        indices = arrays[primitive["indices"]].reshape(-1, 3)
        assert set(map(tuple, indices)) <= set(map(tuple, of_part))
        if name not in ("eyes", "irises"):
            assert len(indices) == len(of_part)
        corners.append(indices)
    assert sum(map(len, corners)) == len(model.triangles)
    primitive = mesh["primitives"][0]
    morphed = arrays[primitive["attributes"]["POSITION"]].astype(float)
    for weight, target in zip(mesh["weights"], primitive["targets"], strict=True):
        morphed = morphed + weight * arrays[target["POSITION"]]
    assert np.abs(10 * morphed - model.shape(f_shape, f_exp)).max() < 1e-5, "metres"
    normals = arrays[primitive["attributes"]["NORMAL"]]
    assert np.allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-5)


def test_animation_holds_missing_frames():
    model = load_model()
    f_exp = np.random.default_rng(2).uniform(size=(5, 51))
    f_exp[2] = np.nan
    scene, arrays = parse(gltf_bytes(model, f_exp=f_exp, fps=25.0))
    animation = scene["animations"][0]
    assert animation["channels"][0]["target"] == {"node": 0, "path": "weights"}
    sampler = animation["samplers"][0]
    assert np.allclose(arrays[sampler["input"]].ravel(), np.arange(5) / 25)
    assert {"min", "max"} <= set(scene["accessors"][sampler["input"]])
    weights = arrays[sampler["output"]].reshape(5, 51)
    assert np.allclose(weights[[0, 1, 3, 4]], f_exp[[0, 1, 3, 4]], atol=1e-6)
    assert (weights[2] == weights[1]).all()


def turned(quaternion, points):
    """Points turned by a unit quaternion x, y, z, w, by the sandwich product's formula."""
    axis, w = quaternion[:3].astype(float), float(quaternion[3])
    across = np.cross(axis, points)
    return points + 2 * w * across + 2 * np.cross(axis, across)


def test_the_head_moves_as_the_camera_saw_it():
    model = load_model()
    pose = np.random.default_rng(3).normal(0, 0.4, (6, 6)) + [0, 0, 0, 0, 0, -8.0]
    pose[1:3, 1] = 3.0, 3.4  # past a half turn, where the rotation vector's quaternion changes sign
    pose[4] = np.nan
    scene, arrays = parse(gltf_bytes(model, f_exp=np.zeros((6, 51)), pose=pose, fps=25.0))
    animation = scene["animations"][0]
    tracks = {
        channel["target"]["path"]: arrays[animation["samplers"][channel["sampler"]]["output"]]
        for channel in animation["channels"]
    }
    turns, places = tracks["rotation"], tracks["translation"]
    assert np.allclose(np.linalg.norm(turns, axis=1), 1.0, atol=1e-6)
    assert ((turns[1:] * turns[:-1]).sum(1) >= 0).all(), "the nearer way between two frames"
    assert (turns[4] == turns[3]).all()
    assert (places[4] == places[3]).all()
    for frame in (0, 1, 2, 3, 5):
        seen = to_camera(model.mean, pose[frame]) - pose[0, 3:]
        moved = turned(turns[frame], 0.1 * model.mean.astype(float)) + places[frame]
        assert np.abs(10 * moved - seen).max() < 1e-5
    assert np.allclose(scene["nodes"][0]["rotation"], turns[0])


def test_the_same_model_gives_the_same_bytes():
    assert gltf_bytes(load_model()) == gltf_bytes(load_model())


@pytest.mark.parametrize(
    "options",
    [
        {"f_shape": np.zeros(3)},
        {"f_exp": np.zeros(50)},
        {"f_exp": np.zeros((4, 51))},
        {"f_exp": np.zeros((4, 51)), "fps": 0.0},
        {"f_exp": np.zeros((0, 51)), "fps": 25.0},
        {"fps": 25.0},
        {"f_exp": np.zeros(51), "pose": np.zeros(5)},
        {"f_exp": np.zeros((4, 51)), "pose": np.zeros((3, 6)), "fps": 25.0},
    ],
)
def test_what_does_not_fit_is_refused(options):
    with pytest.raises(UsageError):
        gltf_bytes(load_model(), **options)
