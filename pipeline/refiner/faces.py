"""Random faces for training: wider in shape, expression, pose, light and sensor than life is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...fitting.calibration.random_faces import FACE_HEIGHT, random_expression
from ...fitting.camera import Camera, rotation_matrix, rotation_vector
from ...fitting.morphable_model.morphable_model import MorphableModel
from ...fitting.render.appearance import Appearance, Light, random_appearance, random_light
from ..datasets.action_units import weights
from ..synthesis.motion import EXPRESSIONS

Floats = NDArray[np.float64]

PICTURE = 320  # side, pixels: the face is then about as large as in the crop, or a little larger
FOCAL = (1.1, 3.2)  # over the picture's side
IDENTITY_SPREAD, IDENTITY_LIMIT = 1.25, 3.0
YAW, PITCH, ROLL = np.radians([38.0, 20.0, 12.0])
FACE_SHARE = (0.45, 0.62)  # of the picture's height
# How expressions are drawn: a few movements, Action Units, or all blendshapes a little.
FEW, UNITS = 0.4, 0.35
LIDS = (("eyeBlink", 0.35), ("eyeWide", 0.2), ("eyeSquint", 0.25))
BROWS = (("browDown", 0.25), ("browOuterUp", 0.2), ("browInnerUp", 0.25))
LIPS = (
    *(("jawOpen", 0.2), ("mouthUpperUp", 0.15), ("mouthLowerDown", 0.15), ("mouthPress", 0.1)),
    *(("mouthRollUpper", 0.08), ("mouthRollLower", 0.08), ("mouthPucker", 0.1)),
    *(("mouthFunnel", 0.08), ("mouthSmile", 0.12), ("mouthFrown", 0.1), ("noseSneer", 0.12)),
)


def random_person(rng: np.random.Generator) -> Appearance:
    """What is painted on a person's skin: costly to draw, so that several pictures share it."""
    look = random_appearance(rng)
    return replace(
        look,
        brow_density=float(rng.uniform(0.3, 1.0)),
        brow_width=float(rng.uniform(0.026, 0.075)),
        wrinkles=float(rng.uniform(0.0, 1.0)),
        blotches=float(rng.uniform(0.2, 1.0)),
    )


def random_picture(person: Appearance, rng: np.random.Generator) -> Appearance:
    """The person in another light, before another background, through another lens."""
    light = random_light(rng)
    if rng.random() < 0.3:
        light = _hard(light, rng)
    return replace(
        person,
        lashes=float(rng.uniform(0.2, 1.0)),
        light=light,
        background=("plain", "soft", "clutter")[int(rng.integers(0, 3))],
        defocus=float(rng.uniform(0.2, 0.9)),
        noise=0.0,
        exposure=float(rng.uniform(0.75, 1.35)),
    )


def _hard(light: Light, rng: np.random.Generator) -> Light:
    """A strong lamp from anywhere before the head, and little light beside it."""
    side, height = np.radians(rng.uniform((-85.0, -30.0), (85.0, 75.0)))
    key = (
        float(np.sin(side) * np.cos(height)),
        float(np.sin(height)),
        float(np.cos(side) * np.cos(height)),
    )
    strength, dim = float(rng.uniform(0.8, 1.4)), float(rng.uniform(0.3, 0.9))
    return replace(
        light,
        key=key,
        key_colour=(strength, strength * 0.97, strength * 0.93),
        sky_colour=_times(light.sky_colour, dim),
        ground_colour=_times(light.ground_colour, dim),
    )


def _times(colour: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    red, green, blue = colour
    return red * factor, green * factor, blue * factor


def random_shape(model: MorphableModel, rng: np.random.Generator) -> NDArray[np.float32]:
    """A mesh (n, 3), decimetres: identity and expression at random."""
    f_shape = rng.normal(0.0, IDENTITY_SPREAD, len(model.identity))
    f_shape = np.clip(f_shape, -IDENTITY_LIMIT, IDENTITY_LIMIT)
    return model.shape(f_shape, _expression(model.expression_names, rng))


def _expression(names: tuple[str, ...], rng: np.random.Generator) -> Floats:
    """f_exp (len(names),) in [0, 1]; lids, brows and lips move more often than the rest."""
    kind = rng.random()
    f_exp = random_expression(names, rng)
    if FEW <= kind < FEW + UNITS:
        f_exp = 0.3 * f_exp + _units(names, rng)
    elif kind >= FEW + UNITS:
        f_exp = 0.5 * f_exp + rng.uniform(0.0, 1.0, len(names)) ** 4
    for stem, share in (*LIDS, *BROWS, *LIPS):
        if rng.random() < share:
            _set_sides(f_exp, names, stem, rng)
    if "mouthClose" in names:
        # It closes the lips of an open jaw: without one it has no meaning.
        close, jaw = names.index("mouthClose"), f_exp[names.index("jawOpen")]
        f_exp[close] = jaw * rng.uniform(0.0, 1.0) if rng.random() < 0.15 else 0.0
    return np.clip(f_exp, 0.0, 1.0)


def _units(names: tuple[str, ...], rng: np.random.Generator) -> Floats:
    """One or two expressions of Action Units, each as strong as it happens."""
    f_exp = np.zeros(len(names))
    for index in rng.choice(len(EXPRESSIONS), int(rng.integers(1, 3)), replace=False):
        for au, strength in EXPRESSIONS[int(index)].items():
            f_exp += strength * rng.uniform(0.1, 1.1) * weights((au,), names)[0]
    return f_exp


def _set_sides(f_exp: Floats, names: tuple[str, ...], stem: str, rng: np.random.Generator) -> None:
    """A blendshape at random on both sides, alike or not."""
    amount = float(rng.uniform(0.0, 1.0))
    alike = rng.random() < 0.7
    for name in (stem, f"{stem}Left", f"{stem}Right"):
        if name in names:
            side = amount if alike else float(rng.uniform(0.0, 1.0))
            f_exp[names.index(name)] = side * rng.uniform(0.85, 1.15)


def random_view(rng: np.random.Generator) -> tuple[Camera, Floats]:
    """A camera and a pose (6,) in which the face stands in the picture's middle."""
    camera = Camera.for_image(PICTURE, PICTURE, focal=PICTURE * float(rng.uniform(*FOCAL)))
    pitch, yaw, roll = rng.uniform(-1.0, 1.0, 3) * (PITCH, YAW, ROLL)
    turn = (
        rotation_matrix([0.0, yaw, 0.0])
        @ rotation_matrix([pitch, 0.0, 0.0])
        @ rotation_matrix([0.0, 0.0, roll])
    )
    distance = camera.focal * FACE_HEIGHT / (rng.uniform(*FACE_SHARE) * PICTURE)
    shift = rng.normal(0.0, (0.12, 0.1)) + (0.0, 0.2)
    return camera, np.concatenate([rotation_vector(turn), shift, [-distance]])
