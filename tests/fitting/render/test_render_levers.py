"""Parts of a render: with all of them pictures are as ever, and each touches only its own place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from glee.errors import UsageError
from glee.fitting.camera import Camera
from glee.fitting.morphable_model.landmark_scheme import REGIONS
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.render.appearance import (
    ADDITIONS,
    ALL_PARTS,
    PARTS,
    RenderParts,
    random_appearance,
    render_parts,
    with_parts,
)
from glee.fitting.render.renderer import render

MODEL = load_model()
CAMERA = Camera.for_image(320, 240)
POSE = np.array([0.0, 0.0, 0.0, 0.0, 0.1, -6.0])
LOOK = replace(random_appearance(np.random.default_rng(90)), background="clutter", wrinkles=0.8)
# Drawn before parts of a picture could be left out.
AS_BEFORE = Path(__file__).with_name("render_as_before.png")

EYES = (*REGIONS["right_eye"], *REGIONS["left_eye"])
BROWS = (*REGIONS["right_brow"], *REGIONS["left_brow"])
# The landmarks around which a part is drawn, and pixels around these.
PLACES = {
    "lids": (EYES, 30),
    "lashes": (EYES, 14),
    "brows": (BROWS, 14),
    "wrinkles": (range(31, 60), 16),
    "lips": (REGIONS["outer_lip"], 8),
    "teeth": (REGIONS["outer_lip"], 3),
    "tongue": (REGIONS["outer_lip"], 3),
    "lip-texture": (REGIONS["outer_lip"], 8),
    "face-cloth": (range(1, 60), 24),
}


def f_exp():
    """A mouth that shows teeth and tongue, lids half closed."""
    values = {"jawOpen": 0.5, "mouthUpperUp": 0.5, "eyeBlink": 0.4}
    stems = (name.removesuffix("Left").removesuffix("Right") for name in MODEL.expression_names)
    return np.array([values.get(stem, 0.0) for stem in stems], np.float32)


def picture(parts=ALL_PARTS):
    look = with_parts(replace(LOOK, defocus=0.5, noise=2.0), parts)
    return render(MODEL, MODEL.shape(None, f_exp()), POSE, CAMERA, look, np.random.default_rng(1))


def box_of(landmarks, margin):
    points = MODEL.landmarks["anatomical"].on(MODEL.shape(None, f_exp()))
    place = CAMERA.project(points, POSE)[list(landmarks)]
    (left, top), (right, bottom) = place.min(0) - margin, place.max(0) + margin
    return slice(max(int(top), 0), int(bottom) + 1), slice(max(int(left), 0), int(right) + 1)


def test_with_all_parts_pictures_are_as_before_there_were_levers() -> None:
    known = cv2.imread(str(AS_BEFORE))[..., ::-1].astype(float)
    difference = np.abs(picture().astype(float) - known)
    # Another processor rounds otherwise here and there.
    assert difference.mean() < 0.02
    assert np.quantile(difference, 0.999) <= 2
    look = random_appearance(np.random.default_rng(0))
    assert with_parts(look, ALL_PARTS) is look


@pytest.mark.parametrize("name", sorted({*PARTS, *ADDITIONS} - {"codec", "compression"}))
def test_a_part_changes_its_own_place_alone(name: str) -> None:
    if name == "motion-blur":
        pytest.skip("of videos: see tests/pipeline/test_synthetic_pictures.py")
    parts = (
        RenderParts(added=frozenset({name}))
        if name in ADDITIONS
        else RenderParts(frozenset({name}))
    )
    changed = (picture(parts) != picture()).any(-1)
    assert changed.sum() > 20
    if name in PLACES:
        changed[box_of(*PLACES[name])] = False
        assert not changed.any()


def test_unknown_parts_are_refused() -> None:
    assert render_parts() == ALL_PARTS
    assert render_parts(("teeth", "teeth"), ("motion-blur",)).without == {"teeth"}
    with pytest.raises(UsageError, match="--without 'ears' is unknown; known are: lids"):
        render_parts(("ears",))
    with pytest.raises(UsageError, match="--with 'teeth' is unknown; known are: lip-texture"):
        render_parts(("lips",), ("teeth",))
