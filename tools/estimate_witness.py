"""Estimates how a blendshape network is weighed beside the landmarks, across face models.

python tools/estimate_witness.py [--people N] [--frames N] [--cache FOLDER]

People of two models are rendered, with other seeds than those that the benchmark judges, go through
the default path, and both readings of their landmarks and the network's outputs are kept. The
figures are estimated on the people of one model and judged on those of the other, which is printed;
then they are estimated on both and written into the fit's assets, beside those of either model left
out. They must be estimated again when the landmarks, their calibration or the prior change.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glee.errors import GleeError
from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.fitting.witness import FIGURES_PATH, WitnessFigures, witness_figures

# People are rendered, seen and measured as the benchmark does it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from default_path import fitted_pictures  # noqa: E402
from foreign_faces import ACTIVE, LOOKS, NINETY, coefficient_r, in_order  # noqa: E402
from foreign_people import KINDS, SIZE, render_people  # noqa: E402
from witness_readings import SeenPerson, seen_person  # noqa: E402

SEEDS = (11, 12)  # the benchmark's people are of other ones
PEOPLE, FRAMES = 8, 60
DETECTOR = "mesh"
GAINS = np.arange(0.0, 1.01, 0.1)
# Share of a person who moves by the rules, as the people that show them do on average.
TYPICAL_SHARE = 0.9
# The reading without rules, and how outputs are taken: set by trial on both models' people and by
# the real clips, of which no figure here is an average.
RATE, SPREAD, POWER = 5.0, 0.3, 0.5
COUNTED = np.array([not name.startswith(LOOKS) for name in ARKIT_NAMES])
MODELS = tuple(sorted({whose for whose, _, _ in KINDS.values()}))

HEAD = """\
# How a blendshape network's outputs are weighed beside the landmarks; see fitting/witness.py.
# Written by tools/estimate_witness.py.

[common]
landmarks = 1.0
gain = {gain:.1f}
power = {power}

# Lids: the mean of both witnesses. Where the mouth opens wide, landmarks of open eyes sink.
[groups.eyeBlink]
landmarks = 0.5
gain = 0.5
power = 1.0

# Looks: the network has the irises, of which the landmarks know nothing.
[groups.eyeLook]
landmarks = 0.0
gain = 1.0
power = 1.0

[rules]
rate = {rate}
spread = {spread}
even = {even:.2f}
softness = {softness:.2f}

[deviation]
still = {still:.3f}
moving = {moving:.3f}
"""
LEFT_OUT = """
# What is estimated without the people of one model, by which the benchmark judges that model.
[left_out.{model}]
gain = {gain:.1f}
still = {still:.3f}
moving = {moving:.3f}
"""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trained:
    """A rendered person as both witnesses see them. truth: (n, 51), of the frames with a face."""

    kind: str
    seen: SeenPerson
    truth: Floats


def main() -> int:
    """Command line: judge across models, then estimate on both and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=PEOPLE, help="of each kind and seed")
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--cache", type=Path, help="keeps what was seen, to go on from there")
    arguments = parser.parse_args()
    try:
        people = [
            person
            for seed in SEEDS
            for kind in KINDS
            for person in _people(kind, seed, arguments.people, arguments.frames, arguments.cache)
        ]
    except GleeError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    base = _with_rules(people)
    found = {
        model: estimated([p for p in people if KINDS[p.kind][0] != model], base) for model in MODELS
    }
    for kind, (model, _, _) in KINDS.items():
        own = [person for person in people if person.kind == kind]
        print(f"{kind:11s} r {judged(own, found[model]):.3f} by figures of the other model alone")
    figures = estimated(people, base)
    for kind in KINDS:
        own = [person for person in people if person.kind == kind]
        low, high = coverage(own, figures)
        print(
            f"{kind:11s} r {judged(own, figures):.3f} by those of both; within the deviations' "
            f"90 %: {low:.3f} of still, {high:.3f} of moving coefficients"
        )
    FIGURES_PATH.write_text(_text(figures, found), encoding="utf-8")
    print(f"{FIGURES_PATH}: written")
    return 0


def _people(kind: str, seed: int, people: int, frames: int, cache: Path | None) -> list[Trained]:
    """People of a kind as both witnesses see them, from the cache where they are in it."""
    kept = None if cache is None else cache / f"{kind}-{seed}-{people}-{frames}.pickle"
    if kept is not None and kept.exists():
        return list(pickle.loads(kept.read_bytes()))
    rendered = list(render_people(kind, seed, people, frames))
    fitted = fitted_pictures({one.name: list(one.pictures) for one in rendered}, DETECTOR)
    out = []
    for one in rendered:
        clip = fitted.get(one.name)
        seen = None if clip is None else seen_person(clip, SIZE, DETECTOR)
        if clip is None or seen is None:
            continue
        there = np.isfinite(clip.f_exp).all(1) & np.isfinite(clip.blendshapes).all(1)
        truth = in_order(one.f_exp, one.names, ARKIT_NAMES)
        out.append(Trained(kind, seen, truth[there]))
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(pickle.dumps(out))
    print(f"{kind} of seed {seed}: {len(out)} people seen", flush=True)
    return out


def _with_rules(people: list[Trained]) -> WitnessFigures:
    """The figures with the difference of energies that speaks for either reading.

    Halfway between the people who move by the rules and those of the same model who do not.
    """

    def typical(kind: str) -> float:
        own = [p.seen.readings.difference.mean() for p in people if p.kind == kind]
        return float(np.mean(own))

    by_rules, apart = typical("own_rules"), typical("own_single")
    softness = 0.5 * (apart - by_rules) / np.log(TYPICAL_SHARE / (1.0 - TYPICAL_SHARE))
    return replace(witness_figures(), even=-0.5 * (by_rules + apart), softness=softness)


def estimated(people: list[Trained], base: WitnessFigures) -> WitnessFigures:
    """The common gain that gives the best r on average over the kinds, and the deviations."""
    kinds = sorted({person.kind for person in people})

    def mean_r(gain: float) -> float:
        figures = _with_gain(base, gain)
        return float(
            np.mean([judged([p for p in people if p.kind == kind], figures) for kind in kinds])
        )

    figures = _with_gain(base, max(GAINS.tolist(), key=mean_r))
    return _with_deviations(people, figures)


def _with_gain(figures: WitnessFigures, gain: float) -> WitnessFigures:
    common = figures.power == POWER
    return replace(figures, gain=np.where(common, gain, figures.gain))


def _with_deviations(people: list[Trained], figures: WitnessFigures) -> WitnessFigures:
    """Deviations that hold 90 % of the errors, of still coefficients and of moving ones."""
    plain = replace(figures, still=1.0, moving=0.0)
    fused = [person.seen.fused(plain) for person in people]
    error = np.concatenate(
        [np.abs(p.truth - f.expression)[:, COUNTED] for p, f in zip(people, fused, strict=True)]
    )
    value = np.concatenate([f.expression[:, COUNTED] for f in fused])
    spread = np.concatenate([f.deviation[:, COUNTED] for f in fused])
    moves = value > ACTIVE
    still = float(np.quantile((error / spread)[~moves], 0.9)) / NINETY
    # What (error / 1.645)^2 - (still spread)^2 leaves to (moving value)^2.
    left = ((error / NINETY) ** 2 - (still * spread) ** 2)[moves] / value[moves] ** 2
    moving = float(np.sqrt(max(np.quantile(left, 0.9), 0.0)))
    return replace(figures, still=still, moving=moving)


def judged(people: list[Trained], figures: WitnessFigures) -> float:
    """Median r over the coefficients that move, as the benchmark has it."""
    found = np.concatenate([person.seen.fused(figures).expression for person in people])
    truth = np.concatenate([person.truth for person in people])
    subject = np.repeat(np.arange(len(people)), [len(person.truth) for person in people])
    r = coefficient_r(found, truth, subject, ARKIT_NAMES, COUNTED)
    return float(np.median(list(r.values())))


def coverage(people: list[Trained], figures: WitnessFigures) -> tuple[float, float]:
    """Share of the truth within the deviations' 90 %, of still and of moving coefficients."""
    inside, moves = [], []
    for person in people:
        fused = person.seen.fused(figures)
        error = np.abs(person.truth - fused.expression)
        inside.append((error <= NINETY * fused.deviation)[:, COUNTED])
        moves.append((fused.expression > ACTIVE)[:, COUNTED])
    within, moving = np.concatenate(inside), np.concatenate(moves)
    return float(within[~moving].mean()), float(within[moving].mean())


def _text(figures: WitnessFigures, left_out: dict[str, WitnessFigures]) -> str:
    common = float(figures.gain[figures.power == POWER][0])
    text = HEAD.format(
        gain=common,
        power=POWER,
        rate=RATE,
        spread=SPREAD,
        even=figures.even,
        softness=figures.softness,
        still=figures.still,
        moving=figures.moving,
    )
    for model, of in left_out.items():
        gain = float(of.gain[of.power == POWER][0])
        text += LEFT_OUT.format(model=model, gain=gain, still=of.still, moving=of.moving)
    return text


if __name__ == "__main__":
    sys.exit(main())
