"""`glee train-landmarks --photos`: a refiner from photographs that people annotated.

Ridge regression, for each landmark by itself, from what the mesh's network sees (`second_look`) to
how far the annotation lies from the mesh's landmark. The penalty of each region and the covariances
come from cross-validation, whose parts never share a picture; so do the errors that are told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import nnls

from .... import __version__
from ....errors import OutputError, UsageError
from ....fitting.morphable_model.landmark_scheme import COUNT as LANDMARKS
from ....fitting.morphable_model.landmark_scheme import INNER, inter_ocular_distance
from ...cluster.tasks import one_thread
from ..backends import load_detector
from ..mesh.points import LandmarkDefinition, ibug_definition
from .annotated_looks import Material, gather
from .photograph_refiner import (
    BACKEND,
    Head,
    disagreement,
    frame_axes,
    mirrored_back,
    write_head,
)
from .photographs import find_annotations, picture_of, read_photograph, read_pts
from .second_look import WHOLE

Floats = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

FOLDS = 5
PENALTIES = (0.003, 0.006)
SHARE_OF_WHOLE = 0.1  # of the variance that a landmark's numbers have in all
LEAST_DEVIATION = 1e-3  # of a number that hardly changes, so that it is not blown up
# Photographs that a region's mean covariance counts for beside a landmark's own.
SHRUNK = 20
LARGEST_ERROR = 9.0  # squared, in standard deviations, that counts when doubt is measured

# Landmarks that share a penalty and a measure of doubt.
PARTS: dict[str, tuple[int, ...]] = {
    "jaw": tuple(range(17)),
    "brows": tuple(range(17, 27)),
    "nose": tuple(range(27, 36)),
    "lids": tuple(range(36, 48)),
    "lips": tuple(range(48, 68)),
}


@dataclass(frozen=True, eq=False)
class Learnt:
    """A head, and how it and the mesh err on photographs that their part of it did not know.

    Attributes
    ----------
    head : of all photographs
    before, after : (n, 68) float64, distances from the annotation, in those of the eye corners
    """

    head: Head
    before: Floats
    after: Floats


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Attributes
    ----------
    path : the weights file
    digest : its digest
    photographs : from which it learnt
    missed : in which the annotated face was not found
    before, after : by part, errors on photographs held out, % of the eye corners' distance
    """

    path: Path
    digest: str
    photographs: int
    missed: tuple[str, ...]
    before: dict[str, float]
    after: dict[str, float]

    def lines(self) -> tuple[str, ...]:
        """What the command prints."""
        rows = [
            f"{part}: {self.before[part]:.2f} before, {self.after[part]:.2f} after"
            for part in self.before
        ]
        lost = f"; the face of {len(self.missed)} was not found" if self.missed else ""
        return (
            f"{self.path}: {self.digest}, trained on {self.photographs} photographs{lost}",
            *(f"{name}: no face is found where its annotation has one" for name in self.missed),
            f"error on photographs held out ({FOLDS} parts), % of the eye corners' distance:",
            *(f"  {row}" for row in rows),
            *(() if self._helps() else ("It does not help: keep the detector as it is.",)),
            f"use it: --detector {BACKEND}+refiner:{self.path}",
        )

    def _helps(self) -> bool:
        return self.after["inner 51"] < self.before["inner 51"]


def train_on_photographs(
    folder: Path,
    output: Path,
    *,
    seed: int = 0,
    stepped: Callable[[int], None] = lambda steps: None,
) -> Trained:
    """Learn from a folder's annotated photographs and write the weights file.

    Parameters
    ----------
    folder : with photographs and their `.pts` files, nested or not
    output : the weights file
    seed : of the looks and of the parts held out
    stepped : told of so many more steps

    Returns
    -------
    Trained
        with errors before and after on photographs held out

    Raises
    ------
    DataError
        an annotation or photograph is wrong, or too few can be learnt from
    UsageError
        the seed is negative
    OutputError
        the file cannot be written
    """
    if seed < 0:
        raise UsageError(f"seed is {seed}; give 0 or more")
    check_output(output)
    annotations = find_annotations(folder)
    for path in annotations:
        read_pts(path)
    photographs = (read_photograph(path, folder) for path in annotations)
    detector, definition = load_detector(BACKEND), ibug_definition()
    with one_thread():
        material = gather(
            photographs, len(annotations), detector, definition, seed=seed, stepped=stepped
        )
    learnt = learn(material, definition, seed=seed, stepped=stepped)
    before, after = errors_by_part(learnt.before), errors_by_part(learnt.after)
    source = {
        "glee": __version__,
        "photographs": len(material.names),
        "missed": len(material.missed),
        "seed": seed,
        "held_out_before": before,
        "held_out_after": after,
    }
    digest = write_head(output, learnt.head, source)
    return Trained(output, digest, len(material.names), material.missed, before, after)


def planned_steps(folder: Path) -> int:
    """How many steps `train_on_photographs` takes: photographs and landmarks. Raises DataError."""
    return len(find_annotations(folder)) + LANDMARKS


def check_output(output: Path) -> None:
    """Raises OutputError where a file cannot be written, before anything is learnt."""
    if not output.parent.is_dir():
        raise OutputError(f"{output}: there is no folder {output.parent}; make it first")
    if output.is_dir():
        raise OutputError(f"{output}: is a folder; give the name of a file")


def errors_by_part(errors: Floats) -> dict[str, float]:
    """Mean of errors (n, 68), in %: of the inner 51 points and of each part."""
    parts = {"inner 51": INNER, **PARTS}
    return {name: 100 * float(errors[:, list(points)].mean()) for name, points in parts.items()}


def learn(
    material: Material,
    definition: LandmarkDefinition,
    *,
    seed: int,
    stepped: Callable[[int], None] = lambda landmarks: None,
) -> Learnt:
    """Learn a head from looks at photographs.

    Parameters
    ----------
    material : the looks
    definition : by which they were made
    seed : of the parts held out
    stepped : told of one more landmark

    Returns
    -------
    Learnt
        with the errors on photographs held out
    """
    fold = folds(material.names, seed)[material.photograph]
    first = material.seen.landmarks.astype(float)
    target = (material.truth - first) @ np.linalg.inv(frame_axes(first))
    whole = _Numbers.of(material.seen.whole, SHARE_OF_WHOLE)
    fits = []
    for landmark in range(LANDMARKS):
        near = _Numbers.of(material.seen.near[:, landmark], 1.0 - SHARE_OF_WHOLE)
        fits.append(_ridge(_Numbers.joined(whole, near), target[:, landmark], fold))
        stepped(1)
    plain = _first_looks(material)
    truth = material.truth[plain]
    looks = _held_out_landmarks(material, fits)
    errors = _errors(looks.mean(0), truth)
    best, every = _best_penalties(errors), np.arange(LANDMARKS)
    covariance, doubt = _uncertainty(looks[:, best, :, every].transpose(1, 2, 0, 3), truth)
    weights = np.stack([fit.weights[i] for fit, i in zip(fits, best, strict=True)])
    shift = np.stack([fit.shift[i] for fit, i in zip(fits, best, strict=True)])
    head = Head(
        points=definition.weights.astype(np.float32),
        offsets=definition.offsets.astype(np.float32),
        whole=weights[..., :WHOLE].astype(np.float32),
        near=weights[..., WHOLE:].astype(np.float32),
        shift=shift.astype(np.float32),
        covariance=covariance.astype(np.float32),
        doubt=doubt.astype(np.float32),
    )
    return Learnt(head, _errors(first[plain], truth), errors[best, :, every].T)


def _first_looks(material: Material) -> npt.NDArray[np.int64]:
    """Each photograph's look as it is; the next one is the mirrored: a user's picture gets both."""
    return np.flatnonzero(np.diff(material.photograph, prepend=-1))


def _held_out_landmarks(material: Material, fits: Sequence[_Fit]) -> Floats:
    """Landmarks of both looks by each penalty (2, p, n, 68, 2), pixels of the crop as it is."""
    plain = _first_looks(material)
    pairs = np.stack([plain, plain + 1], 1)
    first = material.seen.landmarks.astype(float)[pairs]
    shifts = np.stack([fit.held_out[:, pairs] for fit in fits], 3)
    placed = first + shifts @ frame_axes(first)
    return np.stack([placed[:, :, 0], mirrored_back(placed[:, :, 1])])


def _errors(landmarks: Floats, truth: Floats) -> Floats:
    """Distances (..., n, 68) from the truth (n, 68, 2), in those of the outer eye corners."""
    distance = np.linalg.norm(landmarks - truth, axis=-1)
    return np.asarray(distance / inter_ocular_distance(truth)[:, None])


def _best_penalties(errors: Floats) -> npt.NDArray[np.int64]:
    """For each landmark (68,) the number of the penalty that is best in its part of the face.

    errors: (p, n, 68), by each penalty on photographs held out.
    """
    best = np.zeros(LANDMARKS, np.int64)
    for points in map(list, PARTS.values()):
        best[points] = errors[:, :, points].mean((1, 2)).argmin()
    return best


def folds(names: tuple[str, ...], seed: int) -> npt.NDArray[np.int64]:
    """For each photograph (n,) its part, 0 to FOLDS - 1; faces of one picture are in one."""
    pictures = [picture_of(name) for name in names]
    every = sorted(set(pictures))
    order = np.random.default_rng([seed, 11]).permutation(len(every))
    part = {picture: int(order[i]) % FOLDS for i, picture in enumerate(every)}
    return np.array([part[picture] for picture in pictures])


@dataclass(frozen=True, eq=False)
class _Numbers:
    """What is seen, (m, k) float32, centred, and scaled so that all of it has a set variance."""

    scaled: Float32
    mean: Float32
    scale: Float32

    @classmethod
    def of(cls, seen: npt.NDArray[np.floating], variance: float) -> _Numbers:
        seen = seen.astype(np.float32)
        mean, deviation = seen.mean(0), np.maximum(seen.std(0), LEAST_DEVIATION)
        scale = (np.sqrt(variance / seen.shape[1]) / deviation).astype(np.float32)
        return cls((seen - mean) * scale, mean, scale)

    @classmethod
    def joined(cls, one: _Numbers, other: _Numbers) -> _Numbers:
        return cls(
            np.concatenate([one.scaled, other.scaled], 1),
            np.concatenate([one.mean, other.mean]),
            np.concatenate([one.scale, other.scale]),
        )


@dataclass(frozen=True, eq=False)
class _Fit:
    """One landmark by each penalty.

    held_out: (p, m, 2), a look's shift by looks at other pictures. weights: (p, 2, k) and shift:
    (p, 2), of all looks, for numbers as they are seen.
    """

    held_out: Floats
    weights: Floats
    shift: Floats


def _ridge(numbers: _Numbers, target: Floats, fold: npt.NDArray[np.int64]) -> _Fit:
    """Ridge regression of a landmark's shift (m, 2): of all, and without each part in turn."""
    seen, back = numbers.scaled, None
    if 2 * len(seen) < seen.shape[1]:
        # Few looks span few directions, and the ridge stays within these.
        left, size, back = np.linalg.svd(seen, full_matrices=False)
        seen = left * size
    parts = [_Sums.of(seen[fold == part], target[fold == part]) for part in range(FOLDS)]
    total = reduce(_Sums.plus, parts)
    held_out = np.zeros((len(PENALTIES), len(seen), 2))
    weights = np.zeros((len(PENALTIES), 2, len(numbers.mean)))
    shift = np.zeros((len(PENALTIES), 2))
    for number, penalty in enumerate(PENALTIES):
        for part, own in enumerate(parts):
            if own.looks:
                slope, level = total.plus(own, -1.0).solved(penalty)
                held_out[number, fold == part] = seen[fold == part] @ slope + level
        slope, level = total.solved(penalty)
        slope = slope if back is None else back.T @ slope
        weights[number] = (slope * numbers.scale[:, None]).T
        shift[number] = level - weights[number] @ numbers.mean
    return _Fit(held_out, weights, shift)


class _Sums(NamedTuple):
    """Sums over looks of which least squares are made: numbers x (m, k), targets y (m, 2)."""

    looks: float
    products: Float32  # x x', (k, k)
    sums: Float32  # x, (k,)
    mixed: Float32  # x y', (k, 2)
    targets: Floats  # y, (2,)

    @classmethod
    def of(cls, x: Float32, y: Floats) -> _Sums:
        narrow = y.astype(np.float32)
        return cls(float(len(x)), x.T @ x, x.sum(0), x.T @ narrow, y.sum(0))

    def plus(self, other: _Sums, times: float = 1.0) -> _Sums:
        """The sums over these looks and the others; with times -1 without those."""
        factor = np.float32(times)
        return _Sums(
            self.looks + times * other.looks,
            self.products + factor * other.products,
            self.sums + factor * other.sums,
            self.mixed + factor * other.mixed,
            self.targets + times * other.targets,
        )

    def solved(self, penalty: float) -> tuple[Float32, Floats]:
        """Slopes (k, 2) and level (2,) that minimise the mean square and the penalised slopes."""
        mean, level = self.sums / self.looks, self.targets / self.looks
        normal = self.products / self.looks - np.outer(mean, mean)
        normal[np.diag_indices_from(normal)] += penalty
        right = self.mixed / self.looks - np.outer(mean, level)
        slope = cho_solve(cho_factor(normal.astype(np.float32), lower=True), right)
        return slope.astype(np.float32), level - mean @ slope


def _uncertainty(looks: Floats, truth: Floats) -> tuple[Floats, Floats]:
    """Covariances (68, 2, 2) of errors in the face's frame, and doubt (68, 2): see `Head`.

    looks: (2, n, 68, 2), landmarks of photographs held out by both looks, pixels. truth: (n, 68,
    2).
    """
    middle, half = looks.mean(0), (looks[0] - looks[1]) / 2
    back = np.linalg.inv(frame_axes(middle))
    error, apart = (truth - middle) @ back, half @ back
    count = len(truth)
    covariance = np.einsum("nka,nkb->kab", error, error)
    doubt = np.zeros((LANDMARKS, 2))
    for points in map(list, PARTS.values()):
        region = covariance[points].mean(0) / count
        covariance[points] = (covariance[points] + SHRUNK * region) / (count + SHRUNK)
        square = disagreement(error, covariance)[:, points].ravel()
        known = disagreement(apart, covariance)[:, points].ravel()
        columns = np.stack([np.ones_like(known), known], 1)
        factors, _ = nnls(columns, np.minimum(square, LARGEST_ERROR))
        # Large errors are cut for the slope only; in the mean the covariance is what it is.
        doubt[points] = factors * square.mean() / max((columns @ factors).mean(), 1e-6)
    return covariance, doubt
