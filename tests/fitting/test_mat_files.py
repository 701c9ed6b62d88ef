"""Numeric variables of MATLAB files against what scipy wrote; damaged files are one error."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.io import savemat

from glee.errors import DataError
from glee.fitting.array_files import numbers
from glee.fitting.mat_arrays import open_mat

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
            assert found.dtype.kind == array.dtype.kind
        assert file.shape("other") is None


def test_refuses_what_is_no_real_numbers(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"words": "text", "z": np.array([1 + 2j]), "s": {"a": 1.0}})
    with open_mat(path) as file:
        assert file.shape("words") == (1,) or file.shape("words") == (1, 4)
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
    for size in range(1, len(content) - 8, 97):
        path.write_bytes(content[:size])
        with pytest.raises(DataError):
            read_all(path)
