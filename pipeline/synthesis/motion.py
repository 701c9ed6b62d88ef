"""How a synthetic person moves: Action Units that come and go, blinks, gaze and head motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...fitting.camera import rotation_matrix, rotation_vector
from ..datasets.action_units import intensity, weights

Floats = NDArray[np.float64]

# Expressions: AUs that go together and their relative strength. Sources: the prototypes of basic
# emotions in the FACS Investigator's Guide (Ekman, Friesen and Hager 2002), and single AUs.
EXPRESSIONS: tuple[dict[int, float], ...] = (
    {6: 0.9, 12: 1.0},
    {6: 1.0, 12: 1.0, 25: 0.8},
    {12: 0.8},
    {1: 1.0, 2: 1.0, 5: 0.8, 25: 0.7, 26: 0.8},
    {1: 1.0, 2: 0.9},
    {1: 0.9, 4: 0.7, 15: 0.9, 17: 0.6},
    {15: 1.0, 17: 0.9},
    {4: 0.8, 9: 1.0},
    {9: 0.9, 17: 0.8},
    {9: 0.9, 25: 0.7},
    {1: 0.9, 2: 0.6, 4: 0.6, 5: 0.9, 20: 0.9, 25: 0.7},
    {4: 1.0, 5: 0.7, 17: 0.6},
    {4: 1.0},
    {20: 1.0, 25: 0.6},
    {20: 1.0},
    {25: 1.0, 26: 1.0},
    {25: 0.9},
    {2: 0.9, 5: 0.9},
    {17: 1.0},
    {6: 0.9},
    {5: 0.9},
    {7: 0.9},
    {10: 1.0},
    {10: 0.8, 7: 0.7},
    {14: 1.0},
    {23: 1.0},
    {24: 1.0},
)
# Pairs that muscles or their looks do not allow together.
CONFLICTS = (
    *((12, 15), (12, 20), (12, 17), (2, 9), (5, 6), (15, 26), (17, 26), (2, 4), (5, 9)),
    *((10, 24), (10, 23), (12, 24), (14, 10), (23, 24)),
)
OCCURRENCE = 2  # the intensity from which an AU counts as present
LEAST, MOST = 0.20, 0.45  # share of a clip's frames in which each AU is present
EVENTS = 400  # tries to reach the least share

# Blendshapes that no AU of the table drives move a little all the time.
IDLE: tuple[str, ...] = (
    "jawLeft",
    "jawRight",
    "jawForward",
    "mouthLeft",
    "mouthRight",
    "mouthPressLeft",
)
IDLE += ("mouthPressRight", "cheekPuff", "mouthPucker", "mouthDimpleLeft", "mouthDimpleRight")
YAW, PITCH, ROLL = np.radians([9.0, 5.0, 3.0])  # standard deviations
LARGEST_TURN = np.radians(25.0)


@dataclass(frozen=True, eq=False)
class Motion:
    """What moves in a clip of n frames.

    Attributes
    ----------
    f_exp : (n, 51) float64, in [0, 1]
    intensity : (n, k) int8, 0-5, one column an AU
    turn : (n, 3) float64, rotation vectors, radians
    shift : (n, 3) float64, decimetres, about 0
    """

    f_exp: Floats
    intensity: NDArray[np.int8]
    turn: Floats
    shift: Floats


def random_motion(
    aus: tuple[int, ...],
    names: tuple[str, ...],
    frames: int,
    fps: float,
    rng: np.random.Generator,
) -> Motion:
    """The motion of a clip.

    Parameters
    ----------
    aus : numbers of the labelled Action Units
    names : blendshapes in the order of f_exp
    frames : of the clip
    fps : frames per second
    rng : all that the motion depends on
    """
    activation = random_activation(aus, frames, fps, rng)
    f_exp = _idle(names, frames, fps, rng)
    for column, au in enumerate(aus):
        shapes = weights((au,), names)[0]
        for side in ("Left", "Right"):
            uneven = np.clip(1.0 + rng.normal(0.0, 0.08), 0.75, 1.25)
            of_side = np.array([name.endswith(side) for name in names])
            f_exp += activation[:, column, None] * (shapes * of_side * uneven)
        middle = np.array([not name.endswith(("Left", "Right")) for name in names])
        f_exp += activation[:, column, None] * (shapes * middle)
    _look_about(f_exp, names, fps, rng)
    _blink(f_exp, names, fps, rng)
    turn, shift = _head(frames, fps, rng)
    return Motion(np.clip(f_exp, 0.0, 1.0), intensity(activation), turn, shift)


def random_activation(
    aus: tuple[int, ...], frames: int, fps: float, rng: np.random.Generator
) -> Floats:
    """Activations with smooth onsets and offsets.

    Expressions are added where they disturb least until each AU is present in LEAST of the frames.

    Parameters
    ----------
    aus : numbers of the Action Units
    frames : of the clip
    fps : frames per second
    rng : which expressions, when, how strong

    Returns
    -------
    (frames, len(aus)) float64, in [0, 1].
    """
    column = {au: index for index, au in enumerate(aus)}
    activation = np.zeros((frames, len(aus)))
    for _ in range(EVENTS):
        share = (intensity(activation) >= OCCURRENCE).mean(0)
        if share.min() >= LEAST:
            break
        rarest = aus[int(share.argmin())]
        fitting = [e for e in EXPRESSIONS if rarest in e]
        expression = fitting[int(rng.integers(len(fitting)))]
        best: tuple[float, Floats] | None = None
        for _ in range(10):
            proposal = _with_event(activation, expression, column, fps, rng)
            cost = _disturbance(proposal, column)
            if best is None or cost < best[0]:
                best = cost, proposal
        if best is not None:
            activation = best[1]
    return activation


def _with_event(
    activation: Floats,
    expression: dict[int, float],
    column: dict[int, int],
    fps: float,
    rng: np.random.Generator,
) -> Floats:
    """The activations with one more event of an expression at a random time."""
    frames = len(activation)
    hold = min(rng.uniform(0.3, 1.8), 0.12 * frames / fps)
    onset, offset = (min(t, 0.1 * frames / fps) for t in rng.uniform((0.2, 0.3), (0.6, 0.9)))
    start = rng.uniform(-0.1, 0.92) * frames / fps
    proposal = activation.copy()
    peak = rng.uniform(0.5, 1.0)
    for au, strength in expression.items():
        if au not in column:
            continue
        # Not all muscles start in the same frame.
        begin = start + rng.uniform(-0.08, 0.08)
        time = np.arange(frames) / fps - begin
        rise = _smooth_step(time / onset)
        fall = _smooth_step((time - onset - hold) / offset)
        level = float(np.clip(peak * strength * rng.uniform(0.85, 1.15), 0.0, 1.0))
        one = proposal[:, column[au]]
        proposal[:, column[au]] = np.maximum(one, level * rise * (1.0 - fall))
    return proposal


def _disturbance(activation: Floats, column: dict[int, int]) -> float:
    """Frames in conflict, and shares beyond MOST."""
    clash = sum(
        float((activation[:, column[a]] * activation[:, column[b]]).mean())
        for a, b in CONFLICTS
        if a in column and b in column
    )
    share = (intensity(activation) >= OCCURRENCE).mean(0)
    return clash + 2.0 * float(np.maximum(share - MOST, 0.0).sum())


def _smooth_step(x: Floats) -> Floats:
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * (3.0 - 2.0 * x))


def _wander(
    frames: int, fps: float, slowest: float, count: int, rng: np.random.Generator
) -> Floats:
    """`count` smooth random courses (frames, count) of unit variance in the long run.

    Sums of sinusoids with periods from 1 s to `slowest` seconds, slow ones stronger.
    """
    time = np.arange(frames)[:, None, None] / fps
    period = np.exp(rng.uniform(np.log(1.0), np.log(slowest), (1, count, 6)))
    phase = rng.uniform(0.0, 2 * np.pi, (1, count, 6))
    strength = np.sqrt(period)
    strength /= np.sqrt(0.5 * (strength**2).sum(-1, keepdims=True))
    return np.asarray((strength * np.sin(2 * np.pi * time / period + phase)).sum(-1))


def _idle(names: tuple[str, ...], frames: int, fps: float, rng: np.random.Generator) -> Floats:
    f_exp = np.zeros((frames, len(names)))
    course = _wander(frames, fps, 6.0, len(IDLE), rng)
    for index, name in enumerate(IDLE):
        if name in names:
            strength = rng.uniform(0.02, 0.12)
            f_exp[:, names.index(name)] = strength * np.maximum(course[:, index], 0.0)
    return f_exp


def _look_about(
    f_exp: Floats, names: tuple[str, ...], fps: float, rng: np.random.Generator
) -> None:
    """Gaze: fixations with quick moves between them; the model's lids follow a look down."""
    frames = len(f_exp)
    gaze = np.zeros((frames, 2))
    start = 0
    while start < frames:
        length = max(int(rng.uniform(0.4, 2.5) * fps), 1)
        away = rng.random() < 0.6
        gaze[start : start + length] = rng.normal(0.0, (0.35, 0.25)) if away else 0.0
        start += length
    gaze = np.clip(gaze, -0.8, 0.8)
    parts = {
        ("eyeLookOutLeft", "eyeLookInRight"): gaze[:, 0],
        ("eyeLookInLeft", "eyeLookOutRight"): -gaze[:, 0],
        ("eyeLookUpLeft", "eyeLookUpRight"): gaze[:, 1],
        ("eyeLookDownLeft", "eyeLookDownRight"): -gaze[:, 1],
    }
    for pair, course in parts.items():
        for name in pair:
            if name in names:
                f_exp[:, names.index(name)] += np.maximum(course, 0.0)


def _blink(f_exp: Floats, names: tuple[str, ...], fps: float, rng: np.random.Generator) -> None:
    """Blinks every few seconds: closing within 0.1 s, opening within 0.25 s."""
    time = np.arange(len(f_exp)) / fps
    columns = [names.index(n) for n in ("eyeBlinkLeft", "eyeBlinkRight") if n in names]
    at = rng.uniform(0.3, 2.0)
    while at < time[-1]:
        hold = rng.uniform(0.03, 0.15)
        closed = _smooth_step((time - at) / 0.10) * (
            1.0 - _smooth_step((time - at - 0.10 - hold) / 0.25)
        )
        closed *= rng.uniform(0.85, 1.0)
        for column in columns:
            f_exp[:, column] = np.maximum(f_exp[:, column], closed)
        at += rng.uniform(1.5, 4.5)


def _head(frames: int, fps: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Rotation vectors and shifts of the head."""
    course = _wander(frames, fps, 12.0, 6, rng)
    rest = rng.normal(0.0, (0.5, 0.4, 0.4))
    angles = (course[:, :3] * 0.8 + rest) * (YAW, PITCH, ROLL)
    yaw, pitch, roll = np.clip(angles, -LARGEST_TURN, LARGEST_TURN).T
    zero = np.zeros_like(yaw)
    turn = (
        rotation_matrix(np.stack([zero, yaw, zero], 1))
        @ rotation_matrix(np.stack([pitch, zero, zero], 1))
        @ rotation_matrix(np.stack([zero, zero, roll], 1))
    )
    shift = course[:, 3:] * (0.12, 0.06, 0.25) + rng.normal(0.0, (0.12, 0.05, 0.3))
    return rotation_vector(turn), shift
