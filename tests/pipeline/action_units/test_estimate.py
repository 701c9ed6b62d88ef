"""Readings and intensities against sums by hand."""

from __future__ import annotations

import numpy as np
import pytest

from glee.errors import DataError
from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.solver.problem import landmark_places
from glee.pipeline.action_units.estimate import (
    OTHERS,
    POWER,
    AUFigures,
    Others,
    au_figures,
    estimate,
    standing_out,
)
from glee.pipeline.action_units.readings import AUS, LIP_GAP, au_readings, seen_by_au

READINGS = au_readings(ARKIT_NAMES)
COUNT = len(READINGS.columns)


def figures(**values):
    """Figures that are alike for all AUs."""
    known = {"full": 0.8, "present": 2.0, "usual": 0.0, "most": 0.1, "network": 0.3, "spread": 0.5}
    known |= {"growth": 0.0, "certain": 0.2} | values
    return AUFigures(**{key: np.full(len(AUS), value) for key, value in known.items()})


def on(**coefficients):
    """One row of f_exp."""
    row = np.zeros((1, len(ARKIT_NAMES)))
    for name, value in coefficients.items():
        row[0, ARKIT_NAMES.index(name)] = value
    return row


def column(au, side=""):
    return READINGS.columns.index((au, side))


def estimates(f_exp, rest=0.0, std=0.0, visible=1.0, **values):
    read = READINGS.of(f_exp)
    seen = np.full((len(read), len(AUS)), visible)
    return estimate(
        READINGS,
        read,
        READINGS.std(np.full_like(f_exp, std)),
        seen,
        np.full(COUNT, rest),
        figures(**values),
    )


def test_the_aus_are_those_of_openface_and_three_more():
    openface = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 28, 45)
    assert set(AUS) == {*openface, 18, 22, 24}


def test_a_reading_is_one_where_its_blendshapes_are_at_their_weights():
    assert READINGS.of(on(mouthSmileLeft=1.0))[0, column(12, "left")] == pytest.approx(1.0)
    assert READINGS.of(on(mouthSmileLeft=1.0))[0, column(12, "right")] == 0.0
    assert READINGS.of(on(jawOpen=0.65))[0, column(26)] == pytest.approx(1.0)
    # cheekSquint 1 and eyeSquint 0.5: (1 x 0.4 + 0.5 x 0.2) / (1 + 0.25)
    row = on(cheekSquintRight=0.4, eyeSquintRight=0.2)
    assert READINGS.of(row)[0, column(6, "right")] == pytest.approx(0.4)


def test_parted_lips_are_the_gap_that_the_model_leaves():
    """Each blendshape by itself, on the embedded model's mean face, from its landmarks."""
    model = load_model()
    straight = np.zeros(6)

    def gap(f_exp):
        mesh = model.shape(np.zeros(len(model.identity)), f_exp)
        places = landmark_places(model, mesh, straight, "anatomical")
        eyes = places[42:48].mean(0) - places[36:42].mean(0)
        return (places[[61, 62, 63]] - places[[67, 66, 65]])[:, 1].mean() / np.linalg.norm(eyes)

    closed = gap(np.zeros(len(model.expression_names)))
    for name, opened in LIP_GAP.items():
        alone = np.array([float(one == name) for one in model.expression_names])
        assert gap(alone) - closed == pytest.approx(opened, abs=0.002)
    assert READINGS.of(on(jawOpen=1.0, mouthClose=1.0))[0, column(25)] < 0.02
    assert READINGS.of(on(jawOpen=0.3 / 0.455))[0, column(25)] == pytest.approx(1.0)


def test_all_that_moves_but_the_look():
    row = on(jawOpen=0.5, mouthSmileLeft=0.25, eyeLookUpLeft=1.0)
    assert READINGS.moved(row)[0] == pytest.approx(0.75)


def test_a_rise_beside_much_else_counts_less():
    rise = np.array([[0.5, -0.2], [0.5, 0.0], [0.5, np.nan]])
    moved, apart = np.array([2.5, 2.5, 0.0]), np.array([0.5, 0.0, 1.0])
    found = standing_out(rise, Others(moved, apart))
    assert found[0, 0] == pytest.approx(0.5 * 0.5 / (0.5 + OTHERS * 0.5 * 2.0))
    assert found[0, 1] == 0.0
    # Of somebody whose expressions go together, others say nothing.
    assert found[1, 0] == 0.5
    assert found[2, 0] == 0.5
    assert np.isnan(found[2, 1])
    np.testing.assert_array_equal(standing_out(rise[:2], None), np.maximum(rise[:2], 0.0))
    # Alone, it is what it is.
    alone = standing_out(np.array([[0.5]]), Others(np.array([0.5]), np.array([1.0])))
    assert alone[0, 0] == pytest.approx(0.5)


def test_deviations_of_independent_coefficients():
    std = READINGS.std(np.full((1, len(ARKIT_NAMES)), 0.1))
    assert std[0, column(12, "left")] == pytest.approx(0.1)
    assert std[0, column(28)] == pytest.approx(0.1 * np.sqrt(2) / 2)


def test_a_model_without_the_blendshapes_has_no_readings():
    assert au_readings(ARKIT_NAMES[:-10]) is None


def test_intensity_of_the_stronger_side_over_rest():
    found = estimates(on(mouthSmileLeft=0.5, mouthSmileRight=0.3), rest=0.1, present=2.5)
    place = AUS.index(12)
    assert found.sides[0, column(12, "left")] == pytest.approx(5 * 0.5**POWER)
    assert found.sides[0, column(12, "right")] == pytest.approx(5 * 0.25**POWER)
    assert found.intensity[0, place] == pytest.approx(5 * 0.5**POWER)
    assert found.present[0, place] == 0.0
    assert estimates(on(mouthSmileLeft=1.0)).intensity[0, place] == 5.0
    assert estimates(on(mouthSmileLeft=1.0)).present[0, place] == 1.0
    assert estimates(on(), rest=0.3).intensity.max() == 0.0


def test_what_is_hidden_is_less_certain():
    place = AUS.index(12)
    plain = estimates(on(), std=0.2)
    assert plain.std[0, place] == pytest.approx(0.5)
    hidden = estimates(on(), std=0.3)
    expected = np.sqrt(0.5**2 + (5 / 0.8) ** 2 * (0.3**2 - 0.2**2))
    assert hidden.std[0, place] == pytest.approx(expected)


def test_nothing_is_known_of_a_row_without_a_face():
    found = estimates(np.full((1, len(ARKIT_NAMES)), np.nan))
    for values in (found.intensity, found.std, found.present, found.visible, found.sides):
        assert np.isnan(values).all()


def test_regions_of_aus():
    """Lids, brows, nose, mouth and jaw."""
    seen = seen_by_au(np.array([[0.1, 0.2, 0.3, 0.4, 0.5]]))[0]
    assert dict(zip(AUS, seen, strict=True))[45] == 0.1
    assert dict(zip(AUS, seen, strict=True))[1] == 0.2
    assert dict(zip(AUS, seen, strict=True))[9] == 0.3
    assert dict(zip(AUS, seen, strict=True))[26] == 0.4


def test_glees_figures_make_sense(tmp_path):
    known = au_figures()
    assert ((known.full > 0) & (known.full < 2)).all()
    assert ((known.present >= 0.5) & (known.present <= 5)).all()
    assert ((known.usual >= 0) & (known.usual <= known.most)).all()
    with pytest.raises(DataError, match="calibrate_action_units"):
        au_figures(tmp_path / "none.toml")
