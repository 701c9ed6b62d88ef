"""OBJ, PLY and blendshape folders against hand-made files."""

import struct

import numpy as np
import pytest

from glee.errors import DataError
from glee.fitting.importers.meshes import read_obj, read_obj_vertices, read_ply_vertices
from glee.fitting.importers.user_files import read_blendshapes
from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES

SQUARE = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.5]])


def test_obj_quads_texture_and_negative_indices(tmp_path):
    text = (
        "# c\nv 0 0 0 1\nv 1 0 0 1\nv 1 1 0 1\nv 0 1 0.5 1\n"
        "vt 0.25 0.5\nvt 0.5 0.5\nf 1/1 2/2 3/1 4/1\nf -4 -3 -2\n"
    )
    (tmp_path / "a.obj").write_text(text)
    mesh = read_obj(tmp_path / "a.obj")
    assert (mesh.vertices == SQUARE).all()
    assert mesh.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2]]
    assert mesh.triangle_face.tolist() == [0, 0, 1]
    assert mesh.uv is not None
    assert mesh.uv[1].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("text", ["", "v 1 2\n", "v 1 2 x\n", "v 1 2 nan\n", "f 1 2 3\n"])
def test_bad_obj(tmp_path, text):
    (tmp_path / "bad.obj").write_text(text)
    with pytest.raises(DataError, match=r"bad\.obj"):
        read_obj_vertices(tmp_path / "bad.obj")


def test_obj_face_out_of_range(tmp_path):
    (tmp_path / "bad.obj").write_text("v 0 0 0\nf 1 2 3\n")
    with pytest.raises(DataError, match="point 2 of 1"):
        read_obj(tmp_path / "bad.obj")


HEAD = "ply\nformat {} 1.0\nelement vertex 4\nproperty uchar red\nproperty float x\n"
HEAD += (
    "property float y\nproperty double z\nelement face 0\nproperty list uchar int i\nend_header\n"
)


def test_ply_text_and_binary(tmp_path):
    rows = "".join(f"7 {x} {y} {z}\n" for x, y, z in SQUARE)
    (tmp_path / "a.ply").write_text(HEAD.format("ascii") + rows)
    for order, sign in (("binary_little_endian", "<"), ("binary_big_endian", ">")):
        body = b"".join(struct.pack(f"{sign}Bffd", 7, *row) for row in SQUARE)
        (tmp_path / f"{order}.ply").write_bytes(HEAD.format(order).encode() + body)
    for path in sorted(tmp_path.glob("*.ply")):
        assert (read_ply_vertices(path) == SQUARE).all(), path


def test_cut_ply(tmp_path):
    head = HEAD.format("binary_little_endian").encode()
    (tmp_path / "cut.ply").write_bytes(head + b"\0" * 30)
    with pytest.raises(DataError, match="promises 4 vertices"):
        read_ply_vertices(tmp_path / "cut.ply")
    (tmp_path / "no.ply").write_bytes(b"plain")
    with pytest.raises(DataError, match="is no PLY"):
        read_ply_vertices(tmp_path / "no.ply")


@pytest.mark.parametrize("count", ["\u00b2", "9" * 30, "-4"])
def test_a_ply_whose_count_is_no_number(tmp_path, count):
    head = HEAD.format("ascii").replace("vertex 4", f"vertex {count}")
    (tmp_path / "odd.ply").write_bytes(head.encode("latin-1", "replace") + b"7 1 2 3\n")
    with pytest.raises(DataError, match=r"odd\.ply"):
        read_ply_vertices(tmp_path / "odd.ply")


def write_obj(path, vertices):
    path.write_text("".join(f"v {x} {y} {z}\n" for x, y, z in vertices))


def test_blendshape_folder_with_sides_to_sum(tmp_path):
    names = [name for name in ARKIT_NAMES if name != "cheekPuff"] + ["cheekPuff_L", "cheekPuff_R"]
    for index, name in enumerate(names):
        write_obj(tmp_path / f"{name}.obj", SQUARE + 1.0 + index)
    write_obj(tmp_path / "neutral.obj", SQUARE + 1.0)
    shapes = read_blendshapes(tmp_path, SQUARE)
    assert shapes.shape == (51, 4, 3)
    assert (shapes[ARKIT_NAMES.index("browDownLeft")] == 0.0).all()
    assert (shapes[ARKIT_NAMES.index("cheekPuff")] == 50 + 51).all()


def test_missing_blendshape_and_other_topology(tmp_path):
    for name in ARKIT_NAMES[:-1]:
        write_obj(tmp_path / f"{name}.obj", SQUARE)
    with pytest.raises(DataError, match="1 of the 51 .* are missing .noseSneerRight."):
        read_blendshapes(tmp_path, SQUARE)
    write_obj(tmp_path / f"{ARKIT_NAMES[-1]}.obj", SQUARE[:3])
    with pytest.raises(DataError, match="own topology"):
        read_blendshapes(tmp_path, SQUARE)
