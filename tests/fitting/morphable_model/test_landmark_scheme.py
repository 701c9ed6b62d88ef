"""Facts of the 68-point scheme that must fit together."""

from __future__ import annotations

import numpy as np

from glee.fitting.morphable_model import landmark_scheme as scheme


def test_regions_are_a_partition():
    every = sorted(index for region in scheme.REGIONS.values() for index in region)
    assert every == list(range(68))


def test_each_sliding_point_lies_inside_exactly_one_curve():
    inside = [index for curve in scheme.CURVES.values() for index in curve[1:-1]]
    assert sorted(inside) == sorted(scheme.SLIDING)
    ends = {index for curve in scheme.CURVES.values() for index in (curve[0], curve[-1])}
    assert ends <= set(scheme.END_POINTS)


def test_mirror_is_an_involution_that_swaps_the_eyes():
    assert (scheme.MIRROR[scheme.MIRROR] == np.arange(68)).all()
    assert set(scheme.MIRROR[list(scheme.REGIONS["right_eye"])]) == set(scheme.REGIONS["left_eye"])


def test_mirrored_mean_face_has_the_same_scheme(model):
    points = model.landmarks["anatomical"].on(model.mean)
    mirrored = points[scheme.MIRROR] * [-1, 1, 1]
    assert np.abs(points - mirrored).max() < 0.02


def test_nme_by_hand():
    truth = np.zeros((1, 68, 2))
    truth[0, 45, 0] = 100.0
    measured = truth + [3.0, 4.0]
    assert scheme.nme(measured, truth) == 0.05
    assert np.isnan(scheme.nme(np.full((1, 68, 2), np.nan), truth))
