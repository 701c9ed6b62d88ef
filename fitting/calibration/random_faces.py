"""Random faces for calibration: identity, a plausible expression, and a pose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..camera import Camera, rotation_matrix, rotation_vector
from ..morphable_model.morphable_model import MorphableModel

LARGEST_YAW, LARGEST_PITCH, LARGEST_ROLL = np.radians([25.0, 10.0, 10.0])
IDENTITY_LIMIT = 2.0
BLINK_SHARE = 0.25
MOVES = 3.0  # mean number of movements beside the eyes'
FACE_HEIGHT, FACE_SHARE = 1.9, 0.5  # decimetres; share of the picture's height
# Both sides of a blendshape rarely differ much.
UNEVEN = 0.15


def random_face(
    model: MorphableModel,
    camera: Camera,
    rng: np.random.Generator,
    *,
    largest_yaw: float = LARGEST_YAW,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Draw a face of a random identity, expression and pose.

    Parameters
    ----------
    model : the morphable model
    camera : in whose picture it lies
    rng : the same state gives the same face
    largest_yaw : radians

    Returns
    -------
    mesh : (n, 3) float32
        decimetres
    pose : (6,) float64
        rotation vector (radians) and translation (decimetres)
    """
    f_shape = rng.standard_normal(len(model.identity))
    f_shape = np.clip(f_shape, -IDENTITY_LIMIT, IDENTITY_LIMIT)
    mesh = model.shape(f_shape, random_expression(model.expression_names, rng))
    return mesh, random_pose(camera, rng, largest_yaw)


def random_expression(names: tuple[str, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a plausible expression: a few movements, mostly symmetric, gaze and blinks.

    Parameters
    ----------
    names : of the e blendshapes, ARKit's
    rng : the same state gives the same expression

    Returns
    -------
    (e,) float64
        coefficients in [0, 1]
    """
    f_exp = np.zeros(len(names))
    stems = sorted({name.removesuffix("Left").removesuffix("Right") for name in names})
    moving = [s for s in stems if not s.startswith(("eyeBlink", "eyeLook", "mouthClose"))]
    for stem in rng.choice(moving, int(rng.poisson(MOVES)), replace=False):
        _move(f_exp, names, stem, float(rng.uniform(0.2, 1.0)), rng)
    if rng.random() < BLINK_SHARE:
        _move(f_exp, names, "eyeBlink", float(rng.uniform(0.3, 1.0)), rng)
    gaze = rng.normal(0.0, 0.3, 2)
    for side, other in (("Left", "Right"), ("Right", "Left")):
        if f"eyeLookOut{side}" in names and f"eyeLookIn{other}" in names:
            sign = gaze[0] if side == "Left" else -gaze[0]
            f_exp[names.index(f"eyeLookOut{side}")] = max(sign, 0.0)
            f_exp[names.index(f"eyeLookIn{other}")] = max(sign, 0.0)
    _move(f_exp, names, "eyeLookUp" if gaze[1] > 0.0 else "eyeLookDown", abs(gaze[1]), rng)
    return np.clip(f_exp, 0.0, 1.0)


def _move(
    f_exp: NDArray[np.float64],
    names: tuple[str, ...],
    stem: str,
    amount: float,
    rng: np.random.Generator,
) -> None:
    for name in (stem, f"{stem}Left", f"{stem}Right"):
        if name in names:
            f_exp[names.index(name)] += amount * (1.0 + UNEVEN * rng.uniform(-1.0, 1.0))


def random_pose(
    camera: Camera, rng: np.random.Generator, largest_yaw: float = LARGEST_YAW
) -> NDArray[np.float64]:
    """Draw a pose: turned within the limits, the face about half as high as the picture.

    Parameters
    ----------
    camera : in whose picture it lies
    rng : the same state gives the same pose
    largest_yaw : radians

    Returns
    -------
    (6,) float64
        rotation vector (radians) and translation (decimetres)
    """
    pitch, yaw, roll = rng.uniform(-1.0, 1.0, 3) * (LARGEST_PITCH, largest_yaw, LARGEST_ROLL)
    turn = (
        rotation_matrix([0.0, yaw, 0.0])
        @ rotation_matrix([pitch, 0.0, 0.0])
        @ rotation_matrix([0.0, 0.0, roll])
    )
    distance = camera.focal * FACE_HEIGHT / (FACE_SHARE * camera.height * rng.uniform(0.8, 1.15))
    shift = rng.normal(0.0, (0.15, 0.08)) + (0.0, 0.12)
    return np.concatenate([rotation_vector(turn), shift, [-distance]])
