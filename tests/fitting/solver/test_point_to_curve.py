"""Point-to-curve distance against a dense sampling of the curve and finite differences."""

from __future__ import annotations

import numpy as np

from glee.fitting.morphable_model.landmark_scheme import CURVES, END_POINTS, curve_table
from glee.fitting.solver.point_to_curve import signed_distances

ARC = np.array([[0.0, 0.0], [1.0, 1.5], [2.5, 2.0], [4.0, 1.0], [4.5, -0.5]])


def test_distance_is_that_to_the_nearest_point_of_the_polyline():
    points = np.random.default_rng(2).uniform(-2, 6, (300, 2))
    share = np.linspace(0, 1, 4001)[:, None]
    dense = np.concatenate([a + share * (b - a) for a, b in zip(ARC, ARC[1:], strict=False)])
    nearest = np.linalg.norm(points[:, None] - dense[None], axis=-1).min(1)
    np.testing.assert_allclose(np.abs(signed_distances(points, ARC)[:, 0]), nearest, atol=1e-3)


def test_left_of_the_direction_is_positive():
    line = np.array([[0.0, 0.0], [1.0, 0.0]])
    found = signed_distances([[0.5, 2.0], [0.5, -3.0]], line)
    np.testing.assert_allclose(found, [[2.0, 0, 1], [-3.0, 0, 1]])


def test_gradient_across_segments_and_nodes_against_finite_differences():
    points = np.random.default_rng(3).uniform(-1.5, 5.5, (400, 2))
    step = 1e-6
    found = signed_distances(points, ARC)
    numeric = np.empty((400, 2))
    for axis in (0, 1):
        shift = step * np.eye(2)[axis]
        forward, back = (signed_distances(points + s * shift, ARC)[:, 0] for s in (1, -1))
        numeric[:, axis] = (forward**2 - back**2) / (4 * step)
    # Where two segments are equally near the distance has a kink: both sides are right there.
    each = [np.abs(signed_distances(points, ARC[i : i + 2])[:, 0]) for i in range(len(ARC) - 1)]
    nearest = np.sort(each, axis=0)
    smooth = (nearest[1] - nearest[0] > 1e-4) | (nearest[1] == nearest[0])
    assert smooth.mean() > 0.95
    expected = found[:, :1] * found[:, 1:]
    np.testing.assert_allclose(numeric[smooth], expected[smooth], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found[:, 1:], axis=1), 1.0)


def test_missing_nodes_are_bridged():
    broken = ARC.copy()
    broken[2] = np.nan
    expected = signed_distances([[2.0, 3.0]], ARC[[0, 1, 3, 4]])
    np.testing.assert_allclose(signed_distances([[2.0, 3.0]], broken), expected)
    alone = np.full_like(ARC, np.nan)
    alone[0] = 0.0
    assert (signed_distances([[1.0, 1.0]], alone) == 0.0).all()


def test_table_follows_the_scheme():
    curve_of, nodes = curve_table()
    assert set(np.flatnonzero(curve_of < 0)) == set(END_POINTS)
    for row, members in enumerate(CURVES.values()):
        assert tuple(nodes[row][nodes[row] >= 0]) == members
