"""Files in whose heaps the HDF5 library would turn for ever are refused before it sees them."""

from __future__ import annotations

import struct

import h5py
import numpy as np
import pytest

from glee.errors import DataError
from glee.fitting.array_files import check_heaps, check_heaps_in, open_hdf5


@pytest.fixture
def content(tmp_path):
    with h5py.File(tmp_path / "right.h5", "w") as file:
        file.attrs["format"] = "text of variable length"
        file.attrs["name"] = "another"
        file["mean"] = np.arange(6.0)
    return (tmp_path / "right.h5").read_bytes()


def objects(content):
    """Places and numbers of the objects in the file's only heap."""
    start = content.find(b"GCOL")
    end = start + struct.unpack_from("<Q", content, start + 8)[0]
    place, found = start + 16, []
    while place + 16 <= end:
        number, _, _, size = struct.unpack_from("<HHIQ", content, place)
        found.append((place, number))
        place += size if number == 0 else 16 + -(-size // 8) * 8
    return found


def test_a_right_file_is_read(content, tmp_path):
    path = tmp_path / "right.h5"
    check_heaps(path)
    with open_hdf5(path) as file:
        assert file.attribute("name") == "another"
    assert [number for _, number in objects(content)] == [1, 2, 0]


def test_a_heap_that_never_ends(content, tmp_path):
    (place, _) = objects(content)[-1]
    path = tmp_path / "endless.h5"
    path.write_bytes(content[: place + 8] + bytes(8) + content[place + 16 :])
    message = rf"endless\.h5.*object at byte {place} has no size"
    with pytest.raises(DataError, match=message), open_hdf5(path) as file:
        file.attribute("name")


def test_sizes_beyond_the_heap_end_the_walk(content, tmp_path):
    (place, _) = objects(content)[0]
    path = tmp_path / "far.h5"
    path.write_bytes(content[: place + 8] + b"\xff" * 8 + content[place + 16 :])
    check_heaps(path)


def test_the_word_among_other_bytes_is_no_heap(tmp_path):
    path = tmp_path / "image.bin"
    path.write_bytes(b"GCOL" + bytes(100) + b"GCOL\x01\0\0\0")
    check_heaps(path)
    path.write_bytes(b"")
    check_heaps(path)


@pytest.mark.parametrize("near", [0, 4 << 15, 8 << 15])
def test_a_heap_is_found_wherever_it_lies(near):
    heap = b"GCOL\x01\0\0\0" + struct.pack("<Q", 64) + struct.pack("<HHIQ", 0, 0, 0, 0)
    for place in range(max(near - 9, 0), near + 9):
        for after in (40, 1 << 18):
            content = b"GCOL" * (place // 4) + b"L" * (place % 4) + heap + bytes(after)
            with pytest.raises(ValueError, match=f"byte {place + 16} has no size"):
                check_heaps_in(content)
