"""Action Units of rendered people: what is true, and the readings that `glee analyze` takes.

The truth of an AU is its main blendshape alone, not what moves with it by the table that is judged;
that of parted lips (25) is the gap of the true landmarks, none where mouthClose without a jaw that
drops pushes the lower lip over the upper one. No face model here tightens lips (23).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from foreign_people import Person, render_people
from numpy.typing import NDArray

from glee.fitting.visibility import by_region
from glee.pipeline.action_units.clip_estimates import activity, network_outputs
from glee.pipeline.action_units.estimate import Others, standing_out
from glee.pipeline.action_units.readings import (
    AUS,
    FULL_GAP,
    PARTED,
    AUReadings,
    au_readings,
    seen_by_au,
)
from glee.pipeline.analysis.face_fit import ANALYSIS_FIT, FaceFitter, RowStream
from glee.pipeline.analysis.face_stream import (
    FaceRows,
    StreamOptions,
    face_stream,
    sample_stream,
)
from glee.pipeline.analysis.gaze import IrisDetector
from glee.pipeline.analysis.inputs import find_sources
from glee.pipeline.datasets.action_units import BLENDSHAPES, MAXIMUM_INTENSITY
from glee.pipeline.images import CROP_SIZE
from glee.pipeline.images.frames import index_frames
from glee.pipeline.landmarks.backends import (
    AUTO,
    BackendSettings,
    chosen_detector,
    load_detector,
    stated_detector,
)
from glee.pipeline.landmarks.dense_landmarks import has_blendshapes
from glee.pipeline.options import AnalyzeOptions

Floats = NDArray[np.float64]

UNTOLD = (23,)  # no truth
SAMPLE = 32  # as analyze takes them
# Indices of the 68 points: both eyes, and the inner lips above and below.
RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)
ABOVE, BELOW = [61, 62, 63], [67, 66, 65]


@dataclass(frozen=True, eq=False)
class ReadPerson:
    """A clip of n frames read.

    Attributes
    ----------
    truth : (n, m) float64
        Intensity of each reading's AU, 0 to 5; NaN where there is no truth.
    read, std : (n, m) float64
        NaN without a face.
    seen : (n, a) float64
        How far each AU's region is seen.
    network : (n, m) float64
        Readings of the blendshape network's outputs.
    activity : (n,) float64
        How much the network sees move.
    moved : (n,) float64
        How much f_exp is on in all, see `AUReadings.moved`.
    apart : (n,) float64
        See `estimate.Others`.
    f_exp, outputs : (n, 51) float64
        What was read, NaN without a face.
    crops : (n, 200, 200, 3) uint8 or None
        Aligned faces, black without one; None where nobody asked.
    """

    truth: Floats
    read: Floats
    std: Floats
    seen: Floats
    network: Floats
    activity: Floats
    moved: Floats
    apart: Floats
    f_exp: Floats
    outputs: Floats
    crops: NDArray[np.uint8] | None = None


def read_people(
    kind: str, seed: int, people: int, frames: int, *, crops: bool = False
) -> Iterator[ReadPerson]:
    """People of a kind, see `foreign_people.KINDS`, as `glee analyze` reads them."""
    for person in render_people(kind, seed, people, frames):
        with tempfile.TemporaryDirectory() as folder:
            yield read_clip(written(person, Path(folder)), person, crops=crops)


def read_clip(path: Path, person: Person | None = None, *, crops: bool = False) -> ReadPerson:
    """One clip as `glee analyze` reads it; without a rendered person there is no truth."""
    return read_rows(list(analysis_rows(path, crops=crops)), person, crops=crops)


def read_rows(
    rows: list[FaceRows], person: Person | None = None, *, crops: bool = False
) -> ReadPerson:
    """The rows of one clip, see `read_clip`."""
    readings = _analyzer()[2]
    f_exp = np.concatenate([one.fit.f_exp for one in rows])
    valid = np.concatenate([[one.valid(i) for i in range(len(one))] for one in rows])
    std = np.concatenate([one.fit.f_exp_std for one in rows])
    outputs = np.concatenate([network_outputs(one) for one in rows])
    parts = np.stack([one.visibility(i) for one in rows for i in range(len(one))])
    share = np.concatenate([one.fit.rules_share for one in rows])
    nothing = np.full((len(f_exp), len(readings.columns)), np.nan)
    return ReadPerson(
        truth=nothing if person is None else true_intensities(person, readings),
        read=np.where(valid[:, None], readings.of(f_exp), np.nan),
        std=np.where(valid[:, None], readings.std(std), np.nan),
        seen=seen_by_au(by_region(parts)),
        network=readings.of(outputs),
        activity=np.where(valid, activity(outputs), np.nan),
        moved=np.where(valid, readings.moved(f_exp), np.nan),
        apart=np.nan_to_num(1.0 - share),
        f_exp=np.where(valid[:, None], f_exp, np.nan),
        outputs=outputs,
        crops=_crops(rows) if crops else None,
    )


def _crops(rows: list[FaceRows]) -> NDArray[np.uint8]:
    black = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8)
    return np.stack([black if f.crop is None else f.crop for one in rows for f in one.faces])


def written(person: Person, folder: Path) -> Path:
    """Write a person's pictures as a folder of images, without loss."""
    own = folder / person.name
    own.mkdir()
    for number, picture in enumerate(person.pictures):
        path = str(own / f"{number:05d}.bmp")
        cv2.imwrite(path, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return own


def true_intensities(person: Person, readings: AUReadings) -> Floats:
    """The truth of a rendered person: (n, m), see `ReadPerson`."""
    truth = np.full((len(person.f_exp), len(readings.columns)), np.nan)
    for column, (au, side) in enumerate(readings.columns):
        if au == PARTED:
            share = lip_gap(person.landmarks) / FULL_GAP
        elif au in UNTOLD:
            continue
        else:
            largest = max(BLENDSHAPES[au].values())
            main = {
                name: weight
                for name, weight in BLENDSHAPES[au].items()
                if weight > largest / 2 and name.endswith(side.capitalize())
            }
            places = [person.names.index(name) for name in main]
            share = np.mean(person.f_exp[:, places] / list(main.values()), axis=1)
        truth[:, column] = MAXIMUM_INTENSITY * np.clip(share, 0.0, 1.0)
    return truth


def lip_gap(landmarks: Floats) -> Floats:
    """How far the lips are parted (n,), inter-ocular distances; landmarks: (n, 68, 2) pixels.

    The inner lips' mean distance across the line of the eyes, 0 where the lower one lies higher.
    """
    eyes = landmarks[:, LEFT_EYE].mean(1) - landmarks[:, RIGHT_EYE].mean(1)
    squared = (eyes**2).sum(1)
    down = np.stack([-eyes[:, 1], eyes[:, 0]], axis=1)
    gap = (landmarks[:, BELOW] - landmarks[:, ABOVE]).mean(1)
    return np.asarray(np.maximum((gap * down).sum(1) / squared, 0.0))


def rise(person: ReadPerson, rest: Floats, moved: float, *, steady: bool = True) -> Floats:
    """What of a person's readings stands out (n, m), as `glee analyze` has it.

    rest: (m,), the readings at rest; moved: likewise of `ReadPerson.moved`. Frames follow each
    other; steady: the median of three of them.
    """
    read, whole = person.read, person.moved
    if steady:
        read, whole = _steady(read), _steady(whole)
    others = Others(np.nan_to_num(np.maximum(whole - moved, 0.0)), person.apart)
    return standing_out(read - rest, others)


def _steady(values: Floats) -> Floats:
    """The median of three frames, but for the first and the last."""
    middle = np.median([values[:-2], values[1:-1], values[2:]], axis=0)
    inner = np.where(np.isfinite(middle), middle, values[1:-1])
    return np.concatenate([values[:1], inner, values[-1:]])


def by_au(values: Floats, readings: AUReadings) -> Floats:
    """The stronger side of each AU: (n, a), of (n, m)."""
    of = [[c for c, (number, _) in enumerate(readings.columns) if number == au] for au in AUS]
    return np.stack([values[:, columns].max(1) for columns in of], axis=1)


def analysis_rows(path: Path, *, crops: bool = False) -> Iterator[FaceRows]:
    """The rows of a clip with one face, by the parts of which `glee analyze` is made."""
    detector, fitter, _ = _analyzer()
    (source,), _ = find_sources([path])
    index = index_frames(source.clip, identify=False)
    stream = StreamOptions.of(AnalyzeOptions(), scored=crops)
    identity = fitter.identity(list(sample_stream(source.clip, index, detector, stream, SAMPLE)))
    known = {} if identity is None else {0: identity}
    yield from RowStream(fitter, known).rows(face_stream(source.clip, index, detector, stream))


@lru_cache(maxsize=1)
def _analyzer() -> tuple[IrisDetector, FaceFitter, AUReadings]:
    options = AnalyzeOptions()
    name, settings = stated_detector(chosen_detector(AUTO, BackendSettings()), BackendSettings())
    detector = IrisDetector(load_detector(name, settings))
    fitter = FaceFitter.of(
        detector.name, options.fit3d_options(ANALYSIS_FIT), blendshapes=has_blendshapes(detector)
    )
    readings = au_readings(fitter.model.expression_names)
    assert readings is not None
    return detector, fitter, readings
