"""The table of Action Units: complete, sensible, invertible."""

from __future__ import annotations

import numpy as np
import pytest

from glee.errors import UsageError
from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.pipeline.datasets.action_units import BLENDSHAPES, NAMES, coefficient, intensity, weights

DISFA = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
BP4D = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)


def test_every_au_of_disfa_and_bp4d_has_blendshapes_of_the_model() -> None:
    matrix = weights(tuple(sorted({*DISFA, *BP4D})), ARKIT_NAMES)
    assert (matrix.max(1) > 0.3).all()
    assert matrix.max() <= 1.0
    assert matrix.min() >= 0.0
    assert set(NAMES) == set(BLENDSHAPES)


def test_both_sides_are_driven_alike() -> None:
    for au, shapes in BLENDSHAPES.items():
        for name, weight in shapes.items():
            if name.endswith("Left"):
                assert shapes[name.replace("Left", "Right")] == weight, au


@pytest.mark.parametrize(
    ("au", "name"),
    [(1, "browInnerUp"), (4, "browDownLeft"), (12, "mouthSmileRight"), (26, "jawOpen")],
)
def test_main_blendshape_follows_the_facs_manual(au: int, name: str) -> None:
    row = weights((au,), ARKIT_NAMES)[0]
    assert ARKIT_NAMES[int(row.argmax())] == name or row[ARKIT_NAMES.index(name)] == row.max()


def test_intensity_and_coefficient_are_inverse() -> None:
    levels = np.arange(6)
    np.testing.assert_array_equal(intensity(coefficient(levels)), levels)
    assert intensity(7.0) == 5
    assert intensity(-1.0) == 0


def test_unknown_au_or_blendshape_is_refused() -> None:
    with pytest.raises(UsageError, match="AU 3"):
        weights((3,), ARKIT_NAMES)
    with pytest.raises(UsageError, match="jawOpen"):
        weights((26,), ("browInnerUp",))
