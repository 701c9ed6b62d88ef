"""Numeric variables of MATLAB files against what scipy wrote; damaged files are one error."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from scipy.io import savemat

from glee.errors import DataError
from glee.fitting import mat_files
from glee.fitting.array_files import numbers
from glee.fitting.mat_files import open_mat

ARRAYS = {
    "mean": np.linspace(-1, 1, 300),
    "components": np.random.default_rng(0).normal(size=(300, 7)).astype(np.float32),
    "trilist": np.arange(30, dtype=np.uint32).reshape(10, 3),
    "small": np.array([[3]], np.int16),
    "cube": np.arange(24, dtype=np.int64).reshape(2, 3, 4),
    "a_name_that_is_rather_long": np.array([[1.5, 2.5]]),
}


@pytest.mark.parametrize("packed", [False, True])
def test_reads_what_scipy_wrote(tmp_path, packed):
    path = tmp_path / "a.mat"
    savemat(path, ARRAYS, do_compression=packed, oned_as="column")
    with open_mat(path) as file:
        for name, array in ARRAYS.items():
            found = numbers(file, name, what="test")
            expected = array[:, None] if array.ndim == 1 else array
            np.testing.assert_array_equal(found, expected)
            assert found.dtype == array.dtype
        assert file.shape("other") is None


def test_refuses_what_is_no_real_numbers(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"words": "text", "z": np.array([1 + 2j]), "s": {"a": 1.0}})
    for name in ("words", "z", "s"):
        with pytest.raises(DataError, match="not numbers"), open_mat(path) as file:
            numbers(file, name, what="test")


def read_all(path):
    with open_mat(path) as file:
        return [numbers(file, name, what="test") for name in ARRAYS]


def test_any_cut_is_one_error(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, ARRAYS)
    content = path.read_bytes()
    for size in (0, 1, 127, 200, len(content) // 2, len(content) - 8):
        path.write_bytes(content[:size])
        with pytest.raises(DataError, match="MATLAB .mat file"):
            read_all(path)


def test_bytes_that_end_the_reader_are_one_error(tmp_path, monkeypatch):
    """The reader's process is ended as a damaged array would end it."""
    monkeypatch.setattr(mat_files, "__name__", "glee_fitting_that_dies")
    (tmp_path / "glee_fitting_that_dies.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = tmp_path / "a.mat"
    savemat(path, ARRAYS)
    with pytest.raises(DataError, match="its bytes ended the reader: SIGSEGV"):
        read_all(path)


def test_a_file_that_claims_more_than_it_can_hold(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"mean": np.zeros((4, 4))})
    content = bytearray(path.read_bytes())
    at = content.index(struct.pack("<iiii", 5, 8, 4, 4))
    content[at + 8 : at + 16] = struct.pack("<ii", 1 << 15, 1 << 15)
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="1,073,741,824 values in a file of"):
        read_all(path)


def test_level_7_3_is_named(tmp_path):
    path = tmp_path / "a.mat"
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400))
    with pytest.raises(DataError, match="-v7"):
        read_all(path)
