import io
import json
import tracemalloc

import numpy as np
import pytest

from glee.errors import DataError
from glee.fitting.importers.user_files import read_landmarks

INDICES = np.arange(100, 168)


def npy_header(kind):
    """The header of an .npy that claims 68 values of a kind."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": kind, "fortran_order": False, "shape": (68,)}
    )
    return file.getvalue()


def test_every_form_gives_the_same(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(INDICES.tolist()))
    (tmp_path / "b.json").write_text(json.dumps({"idx_to_landmark_verts": INDICES.tolist()}))
    (tmp_path / "c.csv").write_text(", ".join(map(str, INDICES)))
    np.save(tmp_path / "d.npy", INDICES)
    np.savez(tmp_path / "e.npz", landmarks=INDICES)
    corners, weights = np.repeat(INDICES[:, None], 3, 1), np.full((68, 3), 1 / 3)
    np.savez(tmp_path / "f.npz", landmark_vertices=corners, landmark_weights=weights)
    mesh = np.random.default_rng(0).normal(size=(200, 3))
    for path in sorted(tmp_path.iterdir()):
        assert np.allclose(read_landmarks(path, 200).on(mesh), mesh[INDICES], atol=1e-6), path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (INDICES[:67], "68 vertex indices"),
        (INDICES + 50, "out of range"),
        (INDICES - 101, "vertex -1 is out of range"),
        (INDICES.astype(float), "float64"),
        (np.full(68, 5), "many landmarks name one vertex"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, content, message):
    np.save(tmp_path / "l.npy", content)
    with pytest.raises(DataError, match=message):
        read_landmarks(tmp_path / "l.npy", 200)


def test_damaged_files(tmp_path):
    for name, text in (("a.json", "[1, 2"), ("b.json", '["x"]'), ("c.txt", "1 two 3")):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=name):
            read_landmarks(tmp_path / name, 200)
    with pytest.raises(DataError, match=r"missing\.txt"):
        read_landmarks(tmp_path / "missing.txt", 200)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x93NUMPY\x27" + b"\xff" * 40, id="a header of 4 GB"),
        pytest.param(b"\x93NUMPY\x01\x00\x0f\x00{'descr': '''\n\n", id="no Python"),
        pytest.param(npy_header("|V1000000000"), id="values of a gigabyte each"),
        pytest.param(npy_header("|O"), id="pickled objects"),
    ],
)
def test_arrays_that_a_fuzzer_made(tmp_path, content):
    path = tmp_path / "l.npy"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"l\.npy: cannot be read as landmarks"):
        read_landmarks(path, 200)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_number_beyond_64_bits(tmp_path):
    (tmp_path / "l.txt").write_text("9" * 30 + " 1" * 67)
    with pytest.raises(DataError, match=r"l\.txt: cannot be read as landmarks"):
        read_landmarks(tmp_path / "l.txt", 200)
