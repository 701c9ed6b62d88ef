"""The same crops in WebDataset, LMDB, zarr and a folder of JPEG files: written, read in order and
at random. Each store is a class with `write`, `open`, `sequential` and `random`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glee.pipeline.images.crops import decode_crop

SIZE = 200
Crop = NDArray[np.uint8]


def decoded(data: bytes | memoryview) -> Crop:
    """A JPEG crop as glee decodes it."""
    crop = decode_crop(np.frombuffer(data, np.uint8), "jpeg", SIZE)
    assert crop is not None
    return crop


class JpegFolder:
    """One file a crop."""

    install = ""

    def write(self, path: Path, encoded: Sequence[bytes], crops: Sequence[Crop]) -> None:
        """Write all crops."""
        path.mkdir()
        for number, data in enumerate(encoded):
            (path / f"{number:06d}.jpg").write_bytes(data)

    def open(self, path: Path) -> None:
        """Open for reading."""
        self._paths = sorted(path.iterdir())

    def sequential(self) -> Iterator[Crop]:
        """All crops, in order."""
        for path in self._paths:
            yield decoded(path.read_bytes())

    def random(self, number: int) -> Crop:
        """One crop."""
        return decoded(self._paths[number].read_bytes())


class Lmdb:
    """One database, the frame's number as key."""

    install = "pip install lmdb"

    def write(self, path: Path, encoded: Sequence[bytes], crops: Sequence[Crop]) -> None:
        """Write all crops in one transaction."""
        import lmdb

        environment = lmdb.open(str(path), map_size=1 << 32)
        with environment, environment.begin(write=True) as transaction:
            for number, data in enumerate(encoded):
                transaction.put(b"%06d" % number, data)

    def open(self, path: Path) -> None:
        """Open for reading."""
        import lmdb

        self._environment = lmdb.open(str(path), readonly=True, lock=False, readahead=False)

    def sequential(self) -> Iterator[Crop]:
        """All crops, in order."""
        with self._environment.begin(buffers=True) as transaction:
            for _, data in transaction.cursor():
                yield decoded(data)

    def random(self, number: int) -> Crop:
        """One crop."""
        with self._environment.begin(buffers=True) as transaction:
            return decoded(transaction.get(b"%06d" % number))


class WebDataset:
    """A tar file; read in order only."""

    install = "pip install webdataset"
    random = None

    def write(self, path: Path, encoded: Sequence[bytes], crops: Sequence[Crop]) -> None:
        """Write all crops."""
        import webdataset

        path.mkdir()
        with webdataset.TarWriter(str(path / "000000.tar")) as writer:
            for number, data in enumerate(encoded):
                writer.write({"__key__": f"{number:06d}", "jpg": data})

    def open(self, path: Path) -> None:
        """Open for reading."""
        import webdataset

        self._files = webdataset.WebDataset(str(path / "000000.tar"), shardshuffle=False)

    def sequential(self) -> Iterator[Crop]:
        """All crops, in order."""
        for sample in self._files:
            yield decoded(sample["jpg"])


class Zarr:
    """An array of pixels, one chunk a crop, with zarr's own compression."""

    install = "pip install zarr"

    def write(self, path: Path, encoded: Sequence[bytes], crops: Sequence[Crop]) -> None:
        """Write all crops."""
        import zarr

        array = zarr.create_array(
            store=str(path),
            shape=(len(crops), SIZE, SIZE, 3),
            chunks=(1, SIZE, SIZE, 3),
            dtype="uint8",
        )
        for number, crop in enumerate(crops):
            array[number] = crop

    def open(self, path: Path) -> None:
        """Open for reading."""
        import zarr

        self._array: Any = zarr.open_array(str(path), mode="r")

    def sequential(self) -> Iterator[Crop]:
        """All crops, in order."""
        for number in range(self._array.shape[0]):
            yield self._array[number]

    def random(self, number: int) -> Crop:
        """One crop."""
        crop: Crop = self._array[number]
        return crop


PEERS: dict[str, type[Any]] = {
    "JPEG folder": JpegFolder,
    "LMDB, JPEG": Lmdb,
    "WebDataset, JPEG": WebDataset,
    "zarr, compressed pixels": Zarr,
}
