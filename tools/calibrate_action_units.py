"""Calibrates the estimates of Action Units on rendered people of two face models.

python tools/calibrate_action_units.py [--people N] [--frames N] [--cache FILE]

People of both models, of other seeds than those that `benchmarks/au_estimates.py` judges, go
through `glee analyze`. Of each AU are written: the reading of full movement, the intensity from
which it counts as present, how far estimates are off, and what is usual at rest. They must be
written again when the landmarks, the fit or the table of blendshapes change.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glee.fitting.morphable_model.model_file import load_model
from glee.pipeline.action_units.estimate import FIGURES_PATH, intensities
from glee.pipeline.action_units.person_baseline import CALM, PERCENTILE
from glee.pipeline.action_units.readings import AUS, au_readings

# People are rendered and read as the benchmark does it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from au_people import ReadPerson, read_people, rise  # noqa: E402

Floats = NDArray[np.float64]

KINDS = ("own_single", "ict_alike", "ict_apart")
SEEDS = (601, 602)  # the benchmark's people are of other ones
PEOPLE, FRAMES = 8, 60
ACTIVE, STILL = 3.0, 0.25  # intensities from which, and below which, a frame counts for a figure
FULLS = np.arange(0.4, 1.61, 0.01)
# An AU that is not there is called present in so many frames, of people who move something else.
FALSE_SHARE = 0.03
LEAST_PRESENT = 0.5  # half of a trace, FACS's A
MOST_PEOPLE = 95.0  # per cent whose rest is taken as it is
# The network sees an AU from this reading of its outputs on, at least.
LEAST_SEEN = 0.3
NINETY = 1.645  # deviations to both sides that hold 90 % of a Gaussian
CERTAIN = 0.9  # of deviations of faces in plain sight: only what is above it is hidden
LEAST_SPREAD = 0.05
LOW_SHARE = 0.7  # of the estimates, sorted, that give `spread`
GROWTHS = np.arange(0.1, 0.81, 0.02)

HEAD = """\
# Figures of the estimates of Action Units; see pipeline/action_units/estimate.py.
# Written by tools/calibrate_action_units.py.
"""


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--cache", type=Path, help="where readings are kept from run to run")
    arguments = parser.parse_args()
    people = _people(arguments)
    text = HEAD
    for place, au in enumerate(AUS):
        figures = calibrated(people, au)
        lines = "".join(f"{key} = {value:.3f}\n" for key, value in figures.items())
        text += f"\n[AU{au:02}]\n{lines}"
        print(f"AU{au:02}", figures, f"({place + 1} of {len(AUS)})", flush=True)
    FIGURES_PATH.write_text(text, encoding="utf-8")
    return 0


def _people(arguments: argparse.Namespace) -> list[ReadPerson]:
    if arguments.cache is not None and arguments.cache.is_file():
        return list(pickle.loads(arguments.cache.read_bytes()))
    people = [
        person
        for seed in SEEDS
        for kind in KINDS
        for person in read_people(kind, seed, arguments.people, arguments.frames)
    ]
    if arguments.cache is not None:
        arguments.cache.write_bytes(pickle.dumps(people))
    return people


def calibrated(people: list[ReadPerson], au: int) -> dict[str, float]:
    """The figures of an AU, its sides taken together."""
    readings = au_readings(load_model().expression_names)
    assert readings is not None
    columns = [place for place, (number, _) in enumerate(readings.columns) if number == au]
    lows = np.array([np.nanpercentile(p.read[:, columns], PERCENTILE, axis=0) for p in people])
    usual, most = np.median(lows), np.percentile(lows, MOST_PEOPLE)
    outputs = np.array([_calm(p, p.network[:, columns]) for p in people])
    risen, truth, std = (
        np.concatenate([one.ravel() for one in ones])
        for ones in (
            [_risen(p)[:, columns] for p in people],
            [p.truth[:, columns] for p in people],
            [p.std[:, columns] for p in people],
        )
    )
    known = np.isfinite(risen) & np.isfinite(truth)
    risen, truth, std = risen[known], truth[known], std[known]
    if not len(risen):  # an AU that no model has: as the one nearest to it
        return calibrated(people, 28)
    full = full_movement(risen, truth)
    found = intensities(risen, np.asarray(full))
    still = truth < STILL
    present = max(float(np.quantile(found[still], 1 - FALSE_SHARE)), LEAST_PRESENT)
    spread, growth = deviations(found, truth)
    return {
        "full": full,
        "present": present,
        "usual": float(usual),
        "most": float(most),
        "network": max(float(np.percentile(outputs, MOST_PEOPLE)), LEAST_SEEN),
        "spread": spread,
        "growth": growth,
        "certain": float(np.quantile(std, CERTAIN)),
    }


def _risen(person: ReadPerson) -> Floats:
    """What stands out (n, m) of a person's readings, over the calmest frames."""
    moved = _calm(person, person.moved[:, None])[0]
    return rise(person, _calm(person, person.read), float(moved))


def _calm(person: ReadPerson, values: Floats) -> Floats:
    """The median (k,) of values (n, k) in a person's calmest frames."""
    limit = np.nanpercentile(person.activity, CALM)
    return np.asarray(np.nanmedian(values[person.activity <= limit], axis=0))


def full_movement(risen: Floats, truth: Floats) -> float:
    """The rise at which moved frames are, on average, as intense as they are."""
    active = truth >= ACTIVE
    off = [abs(float(np.mean(intensities(risen[active], f) - truth[active]))) for f in FULLS]
    return float(FULLS[int(np.argmin(off))])


def deviations(found: Floats, truth: Floats) -> tuple[float, float]:
    """`spread`, of the lower estimates, and the least `growth` that has 90 % of all within."""
    error = np.abs(found - truth) / NINETY
    low = found <= np.quantile(found, LOW_SHARE)
    spread = max(float(np.quantile(error[low], 0.9)), LEAST_SPREAD)
    inside = [(error**2 <= spread**2 + (g * found) ** 2).mean() >= 0.9 for g in GROWTHS]
    return spread, float(GROWTHS[int(np.argmax(inside))] if any(inside) else GROWTHS[-1])


if __name__ == "__main__":
    sys.exit(main())
