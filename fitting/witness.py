"""A second witness for f_exp: a blendshape network's outputs beside the landmarks of a fit.

The landmarks are read twice: by the prior's rules, as the fit does, and as few expressions that
need not go together (an exponential prior). How far a person keeps to the rules is a share that
the energies of that person's frames tell. To the mean of both readings comes what the network sees
beyond what is usual for the person, with one gain for all coefficients: gains of each coefficient,
or of all outputs on each, fitted people of the model they were estimated on better and those of
another worse, so that real faces, which are of neither, get none.

All figures stand in `assets/expression_witness.toml`; `tools/estimate_witness.py` writes them.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, UsageError
from .morphable_model.landmark_scheme import ARKIT_NAMES
from .solver.fitter import Prior
from .solver.frame_quadratics import frame_deviations, minimise_frames

Floats = NDArray[np.float64]

# What the network gives, in its order: a rest that means nothing by itself, then ARKit's names.
OUTPUTS = ("_neutral", *ARKIT_NAMES)
FIGURES_PATH = Path(__file__).with_name("assets") / "expression_witness.toml"
# What is usual for a person: a percentile of each output over the frames. Outputs only grow from
# 0, so rest is low among them.
USUAL = 20.0
# So many frames' quadratics are taken at once, which stay in the processor's cache.
_AT_ONCE = 128


@dataclass(frozen=True, eq=False)
class WitnessFigures:
    """How both witnesses are weighed; e = 51 coefficients in the order of ARKIT_NAMES.

    Attributes
    ----------
    landmarks : (e,) float64, weight of the landmarks' reading
    gain, power : (e,) float64, an output p counts as gain x p^power
    rate, spread : of the reading without rules, whose density falls as
        exp(-rate x - x^2 / 2 spread^2)
    even, softness : the mean difference of the readings' energies at which a person's frames speak
        for either of them, and what changes the odds by e
    still, moving : f_exp_std is the root of (still x the readings' own)^2 + (moving x f_exp)^2
    """

    landmarks: Floats
    gain: Floats
    power: Floats
    rate: float
    spread: float
    even: float
    softness: float
    still: float
    moving: float


@lru_cache(maxsize=2)
def witness_figures(path: Path = FIGURES_PATH) -> WitnessFigures:
    """The figures that glee comes with.

    Parameters
    ----------
    path : of the TOML file

    Raises
    ------
    DataError
        the file is missing or lacks a figure
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        every = [_of_name(name, found) for name in ARKIT_NAMES]
        weights = {
            key: np.array([float(one[key]) for one in every])
            for key in ("landmarks", "gain", "power")
        }
        rules, deviation = found["rules"], found["deviation"]
        return WitnessFigures(
            landmarks=weights["landmarks"],
            gain=weights["gain"],
            power=weights["power"],
            rate=float(rules["rate"]),
            spread=float(rules["spread"]),
            even=float(rules["even"]),
            softness=float(rules["softness"]),
            still=float(deviation["still"]),
            moving=float(deviation["moving"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: no figures of the second witness ({error}); write them again with "
            "tools/estimate_witness.py"
        ) from None


def _of_name(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """A coefficient's weights: of the longest group of names that it belongs to, or the common."""
    groups = [group for group in found["groups"] if name.startswith(group)]
    return dict(found["groups"][max(groups, key=len)] if groups else found["common"])


@dataclass(frozen=True, eq=False)
class Witness:
    """What a blendshape network says of n frames.

    Attributes
    ----------
    evidence : (n, e) float64, how much more of each coefficient it sees than is usual for the
        person, in the unit of f_exp; NaN where it says nothing
    rules_share : how far the person keeps to the prior's rules, in [0, 1]; None for what the
        frames that are fitted tell
    """

    evidence: Floats
    rules_share: float | None = None

    @classmethod
    def of(
        cls, outputs: ArrayLike, usual: ArrayLike | None = None, rules_share: float | None = None
    ) -> Witness:
        """What outputs of the network mean for f_exp.

        Parameters
        ----------
        outputs : (n, 52) float, in [0, 1], in the order of OUTPUTS; NaN where there is none
        usual : (52,) float, of the person, see `usual_outputs`; by default of these frames
        rules_share : see the class

        Raises
        ------
        UsageError
            outputs or usual have another shape
        """
        values = np.asarray(outputs, np.float64)
        if values.ndim != 2 or values.shape[1] != len(OUTPUTS):
            raise UsageError(f"outputs: shape {values.shape}, expected (n, {len(OUTPUTS)})")
        rest = usual_outputs(values) if usual is None else np.asarray(usual, np.float64)
        if rest.shape != (len(OUTPUTS),):
            raise UsageError(f"usual: shape {rest.shape}, expected ({len(OUTPUTS)},)")
        of = witness_figures()
        power = of.power
        return cls(of.gain * (values[:, 1:] ** power - rest[1:] ** power), rules_share)

    @classmethod
    def silent(cls, count: int) -> Witness:
        """A witness of so many frames who saw nothing, to learn how far a person keeps to rules.

        Parameters
        ----------
        count : of frames
        """
        return cls(np.full((count, len(ARKIT_NAMES)), np.nan))

    def rows(self, chosen: NDArray[np.integer]) -> Witness:
        """Some of the frames.

        Parameters
        ----------
        chosen : (m,) int, their indices
        """
        return Witness(self.evidence[chosen], self.rules_share)


def usual_outputs(outputs: ArrayLike) -> Floats:
    """What is usual for a person: (52,) float64, 0 where no frame has outputs.

    Parameters
    ----------
    outputs : (n, 52) float, of the person's frames, NaN where there is none
    """
    values = np.asarray(outputs, np.float64)
    values = values[np.isfinite(values).all(1)]
    if not len(values):
        return np.zeros(len(OUTPUTS))
    return np.asarray(np.percentile(values, USUAL, axis=0))


@dataclass(frozen=True, eq=False)
class FusedExpression:
    """f_exp of n frames by both witnesses.

    Attributes
    ----------
    expression, deviation : (n, e) float64, f_exp and its standard deviations
    rules_share : how far the person keeps to the prior's rules, in [0, 1]
    """

    expression: Floats
    deviation: Floats
    rules_share: float


@dataclass(frozen=True, eq=False)
class Readings:
    """Both readings of the landmarks of one person's n frames.

    Attributes
    ----------
    by_rules, apart : (n, e) float64, f_exp by the prior's rules, and as expressions that need not
        go together
    by_rules_deviation, apart_deviation : (n, e) float64, their standard deviations
    difference : (n,) float64, the energy of the first less that of the second, both negative
        logarithms of densities; NaN where a frame has none
    """

    by_rules: Floats
    apart: Floats
    by_rules_deviation: Floats
    apart_deviation: Floats
    difference: Floats


def fuse(
    x: NDArray[np.floating],
    deviation: Floats,
    hessian: NDArray[np.floating],
    gradient: Floats,
    prior: Prior,
    unit: float,
    witness: Witness,
) -> FusedExpression:
    """f_exp of one person's frames by the landmarks and a second witness.

    Parameters
    ----------
    x : (n, e) float, each frame's solution
    deviation : (n, e) float64, its standard deviations
    hessian : (n, e, e) float, half the Hessian of its energy there, lower triangle
    gradient : (n, e) float64, half the gradient there
    prior : of f_exp, part of that energy
    unit : the error of a landmark's coordinate that counts as one, inter-ocular distances
    witness : of the same frames
    """
    figures = witness_figures()
    by_rules = np.asarray(x, np.float64)
    if prior.precision.size:
        readings = _readings(by_rules, deviation, hessian, gradient, prior, unit, figures)
    else:
        nothing = np.full(len(x), np.nan)
        readings = Readings(by_rules, by_rules, deviation, deviation, nothing)
    fused = combine(readings, witness, figures)
    return replace(fused, expression=np.clip(fused.expression, prior.lower, prior.upper))


def combine(readings: Readings, witness: Witness, figures: WitnessFigures) -> FusedExpression:
    """f_exp and its deviations by both readings of the landmarks and a second witness.

    Parameters
    ----------
    readings : of one person's n frames
    witness : of the same frames
    figures : how they are weighed
    """
    share = witness.rules_share
    if share is None:
        share = rules_share(readings.difference, figures)
    reading = share * readings.by_rules + (1.0 - share) * readings.apart
    # Of a mixture: the readings' own variances and that between them.
    spread = np.sqrt(
        share * (readings.by_rules_deviation**2 + (readings.by_rules - reading) ** 2)
        + (1.0 - share) * (readings.apart_deviation**2 + (readings.apart - reading) ** 2)
    )
    said = np.isfinite(witness.evidence)
    heard = figures.landmarks * reading + np.where(said, witness.evidence, 0.0)
    fused = np.clip(np.where(said, heard, reading), 0.0, 1.0)
    deviation = np.hypot(figures.still * spread, figures.moving * fused)
    return FusedExpression(fused, deviation, float(share))


def rules_share(difference: Floats, figures: WitnessFigures) -> float:
    """How far a person keeps to the prior's rules, in [0, 1].

    Parameters
    ----------
    difference : (n,) float64, of the readings' energies in the person's frames, see `Readings`
    figures : where it speaks for which
    """
    known = difference[np.isfinite(difference)]
    if not len(known):
        return 1.0
    odds = np.clip((known.mean() + figures.even) / figures.softness, -50.0, 50.0)
    return float(1.0 / (1.0 + np.exp(odds)))


def _readings(
    x: Floats,
    deviation: Floats,
    hessian: NDArray[np.floating],
    gradient: Floats,
    prior: Prior,
    unit: float,
    figures: WitnessFigures,
) -> Readings:
    """Both readings from the quadratic of the first one's energy.

    The Gaussian prior is taken out of the quadratic and the exponential one put into its place.
    """
    apart_from_mean = x - prior.mean
    data_gradient = gradient - apart_from_mean @ prior.precision
    added = (unit / figures.spread) ** 2
    slope = data_gradient + added * x + figures.rate * unit**2
    found, found_deviation, rise = np.empty_like(x), np.empty_like(x), np.empty(len(x))
    diagonal = np.arange(x.shape[1])
    for first in range(0, len(x), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        own = np.tril(hessian[some] - prior.precision)
        own[:, diagonal, diagonal] += added
        found[some] = minimise_frames(x[some], own, slope[some], (prior.lower, prior.upper))
        found_deviation[some] = frame_deviations(own, unit)
        # What the landmarks' energy rises by from the one reading to the other: d^T H d is twice
        # the product with the lower triangle, less the diagonal's part, which counts twice in it.
        step = found[some] - x[some]
        product = 2.0 * (own @ step[:, :, None])[:, :, 0]
        product -= (own[:, diagonal, diagonal] + added) * step
        rise[some] = ((product + 2.0 * data_gradient[some]) * step).sum(1)
    rules = ((apart_from_mean @ prior.precision) * apart_from_mean).sum(1)
    alone = figures.rate * found.sum(1) + 0.5 * (found**2).sum(1) / figures.spread**2
    difference = (rules - rise) / (2.0 * unit**2) - alone
    # Frames without a solution have no energy.
    difference[~hessian.any(axis=(1, 2))] = np.nan
    return Readings(x, found, deviation, found_deviation, difference)
