"""Datasets of an HDF5 file by path; no link or storage that leaves the file is followed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .array_files import MOST_PACKED, one_line
from .hdf5_heap import check_heaps


class Hdf5File:
    """Datasets of an HDF5 file by path; only such as lie in the file itself."""

    def __init__(self, path: Path, file: Any) -> None:
        self.path = path
        self._file = file

    def _node(self, name: str) -> Any | None:
        import h5py

        node = self._file
        for part in name.split("/"):
            link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
            if link is None:
                return None
            if not isinstance(link, h5py.HardLink):
                raise DataError(
                    f"{self.path}: '{name}' is a link to another place or file, which is never "
                    "followed; copy the data into the file"
                )
            node = node[part]
        return node

    def _dataset(self, name: str) -> Any | None:
        import h5py

        node = self._node(name)
        if not isinstance(node, h5py.Dataset):
            return None
        if node.external or node.is_virtual:
            raise DataError(
                f"{self.path}: '{name}' keeps its data in other files, which are never opened; "
                "copy the data into the file"
            )
        if node.nbytes > MOST_PACKED * (node.id.get_storage_size() + 1):
            raise DataError(
                f"{self.path}: '{name}' claims {node.nbytes:,} bytes, of which the file holds "
                f"{node.id.get_storage_size():,}; get it again"
            )
        return node

    def shape(self, name: str) -> tuple[int, ...] | None:
        """See ArrayFile."""
        dataset = self._dataset(name)
        return None if dataset is None or dataset.shape is None else tuple(dataset.shape)

    def array(self, name: str) -> NDArray[Any]:
        """See ArrayFile."""
        dataset = self._dataset(name)
        if dataset is None:
            raise KeyError(name)
        content = dataset.asstr()[()] if dataset.dtype.kind == "O" else dataset[()]
        array = np.asarray(content)
        return array.astype(np.str_) if array.dtype.kind == "O" else array

    def members(self, group: str) -> list[str]:
        """The names directly below a group, sorted; empty where there is no such group."""
        import h5py

        node = self._node(group)
        return sorted(node) if isinstance(node, h5py.Group) else []

    def attribute(self, name: str) -> Any:
        """A root attribute, None where it is missing."""
        return self._file.attrs.get(name)


@contextmanager
def open_hdf5(path: Path) -> Iterator[Hdf5File]:
    """An HDF5 file to read; raises DataError where it is none or damaged."""
    import h5py

    try:
        check_heaps(path)
        with h5py.File(path, "r") as file:
            yield Hdf5File(path, file)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be read as an HDF5 file ({one_line(error)})") from None
