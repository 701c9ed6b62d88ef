"""Where intensities of Action Units are lost: what each step brings, what true points would.

python benchmarks/au_ceilings.py --json OUT [--seed N] [--quick]

Mean area and r over the AUs of rendered people, by kind, where a step of the estimate is left out,
where the blendshape network is read alone, and where the true 68 landmarks stand in place of those
that were found: no reading of 68 points by the same model and formula can be expected to do better.
The people are those of the calibration, on whom the steps were chosen, and not those of
`au_estimates.py`. Steps are judged on the real clips that were coded by eye too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from au_estimates import areas_of_intensities, measures
from au_people import ReadPerson, by_au, read_clip, rise, written
from foreign_people import ICT, SIZE, render_people
from landmark_videos import REAL
from machine import write_results
from numpy.typing import NDArray
from seen_action_units import SEEN, read_seen

from glee.fitting.camera import Camera
from glee.fitting.fit import fit
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.options import FitOptions, expression_prior
from glee.fitting.witness import Witness
from glee.pipeline.action_units.estimate import (
    MAXIMUM_INTENSITY,
    au_figures,
    columns_of_aus,
    intensities,
)
from glee.pipeline.action_units.readings import au_readings

Floats = NDArray[np.float64]

KINDS = ("own_single", "ict_alike", "ict_apart")
SEED = 601  # of the calibration's people
PEOPLE, FRAMES = 8, 60
QUICK_PEOPLE, QUICK_FRAMES = 2, 30
CALM = 30.0
READINGS = au_readings(load_model().expression_names)


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip as it was read, and its true landmarks (n, 68, 2), pixels; None of real clips."""

    person: ReadPerson
    landmarks: Floats | None = None


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--quick", action="store_true", help="about a minute, without real clips")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if not (ICT.is_file() and SEEN.is_file()):
        print(f"{ICT} or {SEEN}: it is not there; nothing is measured")
        write_results(arguments.json, {"benchmark": "au_ceilings", "rows": {}}, [])
        return 0
    quick = arguments.quick
    rendered = rendered_clips(arguments.seed, quick=quick)
    content = {
        "benchmark": "au_ceilings",
        "seed": arguments.seed,
        "quick": quick,
        "rows": judge(rendered, {} if quick else real_clips()),
    }
    write_results(arguments.json, content, [])
    return 0


def rendered_clips(seed: int, *, quick: bool) -> dict[str, list[Clip]]:
    """The people of each kind."""
    people, frames = (QUICK_PEOPLE, QUICK_FRAMES) if quick else (PEOPLE, FRAMES)
    clips: dict[str, list[Clip]] = {}
    for kind in KINDS:
        clips[kind] = []
        for person in render_people(kind, seed, people, frames):
            with tempfile.TemporaryDirectory() as folder:
                read = read_clip(written(person, Path(folder)), person)
            clips[kind].append(Clip(read, person.landmarks))
    return clips


def real_clips() -> dict[str, Clip]:
    """The clips of which frames were coded by eye, by name."""
    return {name: Clip(read_clip(REAL / name)) for name in sorted({one[0] for one in read_seen()})}


def judge(rendered: dict[str, list[Clip]], real: dict[str, Clip]) -> dict[str, Any]:
    """A row a way to read: area and r by kind, r by AU, and the mean area on real clips."""
    rows: dict[str, Any] = {}
    for name, way in ways().items():
        row = {kind: _summed([way(one) for one in own], own) for kind, own in rendered.items()}
        if real and name not in BY_TRUTH:
            found = {clip: way(one) for clip, one in real.items()}
            row["real"] = areas_of_intensities(found, read_seen())["mean"]
        rows[name] = row
        shown = "  ".join(f"{kind} {row[kind]['auc']:.3f}/{row[kind]['r']:.3f}" for kind in KINDS)
        print(f"{name:42s} {shown}  real {row.get('real', float('nan')):.3f}", flush=True)
    return rows


BY_TRUTH = ("the true landmarks, fitted", "the true landmarks, without the network")


def ways() -> dict[str, Callable[[Clip], Floats]]:
    """Intensities (n, a) of a clip."""
    return {
        "the estimate": lambda one: estimated(one.person),
        "single frames, no median": lambda one: estimated(one.person, steady=False),
        "no matter what else moves": lambda one: estimated(apart(one.person, 0.0)),
        "as if expressions came apart": lambda one: estimated(apart(one.person, 1.0)),
        "intensity in proportion": lambda one: estimated(one.person, power=1.0),
        "the network's outputs alone": lambda one: estimated(by_network(one.person)),
        BY_TRUTH[0]: lambda one: estimated(by_landmarks(one, heard=True)),
        BY_TRUTH[1]: lambda one: estimated(by_landmarks(one, heard=False)),
    }


def estimated(person: ReadPerson, *, steady: bool = True, power: float | None = None) -> Floats:
    """Intensities (n, a) over the calmest frames."""
    rest, moved = _calm(person, person.read), _calm(person, person.moved[:, None])[0]
    full = au_figures().full[columns_of_aus(READINGS)]
    risen = rise(person, rest, float(moved), steady=steady)
    if power is None:
        return by_au(intensities(risen, full), READINGS)
    return by_au(MAXIMUM_INTENSITY * np.clip(risen / full, 0.0, 1.0) ** power, READINGS)


def _calm(person: ReadPerson, values: Floats) -> Floats:
    """The median (k,) of values (n, k) in a person's calmest frames."""
    limit = np.nanpercentile(person.activity, CALM)
    return np.asarray(np.nanmedian(values[person.activity <= limit], axis=0))


def apart(person: ReadPerson, share: float) -> ReadPerson:
    """The person as one whose expressions come apart so far."""
    return replace(person, apart=np.full(len(person.apart), share))


def by_network(person: ReadPerson) -> ReadPerson:
    """The person read by the network's outputs in place of f_exp."""
    return replace(person, read=person.network, moved=READINGS.moved(person.outputs))


def by_landmarks(clip: Clip, *, heard: bool) -> ReadPerson:
    """The person read by a fit of glee's model to the true landmarks.

    heard: with the network's outputs as second witness, as in the estimate.
    """
    person, model = clip.person, load_model()
    assert clip.landmarks is not None
    outputs = np.column_stack([np.zeros(len(person.outputs)), person.outputs])
    found = fit(
        clip.landmarks,
        model,
        camera=Camera.for_image(*SIZE),
        landmark_set="anatomical",
        witness=Witness.of(outputs) if heard else None,
        options=FitOptions(prior=expression_prior(model.expression_names)),
    )
    f_exp = np.asarray(found.f_exp, np.float64)
    return replace(
        person,
        f_exp=f_exp,
        read=READINGS.of(f_exp),
        moved=READINGS.moved(f_exp),
        apart=np.nan_to_num(1.0 - np.asarray(found.rules_share, np.float64)),
    )


def _summed(found: list[Floats], clips: list[Clip]) -> dict[str, Any]:
    truth = np.concatenate([by_au(one.person.truth, READINGS) for one in clips])
    every = measures(np.concatenate(found), truth)
    return {"auc": every["auc_mean"], "r": every["r_mean"], "r_by_au": every["r"]}


if __name__ == "__main__":
    sys.exit(main())
