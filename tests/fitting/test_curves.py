"""Point-to-curve distance against a dense sampling of the curve and finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from glee.fitting.curves import curve_table, distances_to_curve, signed_distance
from glee.fitting.landmark_scheme import CURVES, END_POINTS

ARC = np.array([[0.0, 0.0], [1.0, 1.5], [2.5, 2.0], [4.0, 1.0], [4.5, -0.5]])


def test_distance_is_that_to_the_nearest_point_of_the_polyline():
    points = np.random.default_rng(2).uniform(-2, 6, (300, 2))
    share = np.linspace(0, 1, 4001)[:, None]
    dense = np.concatenate([a + share * (b - a) for a, b in zip(ARC, ARC[1:], strict=False)])
    nearest = np.linalg.norm(points[:, None] - dense[None], axis=-1).min(1)
    np.testing.assert_allclose(np.abs(distances_to_curve(points, ARC)), nearest, atol=1e-3)


def test_left_of_the_direction_is_positive():
    line = np.array([[0.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(distances_to_curve([[0.5, 2.0], [0.5, -3.0]], line), [2.0, -3.0])


def test_gradient_across_segments_and_nodes_against_finite_differences():
    nodes = np.array([0, 1, 2, 3, 4, -1], np.int32)
    points = np.random.default_rng(3).uniform(-1.5, 5.5, (400, 2))
    step = 1e-6
    for x, y in points:
        distance, gx, gy = signed_distance(x, y, ARC, nodes)
        half_square = [
            (signed_distance(x + dx, y + dy, ARC, nodes)[0] ** 2) / 2
            for dx, dy in ((step, 0), (-step, 0), (0, step), (0, -step))
        ]
        slope = np.array([half_square[0] - half_square[1], half_square[2] - half_square[3]])
        # Where two segments are equally near the distance has a kink: both sides are right there.
        if np.abs(slope / (2 * step) - [distance * gx, distance * gy]).max() > 1e-4:
            near = np.sort([abs(d) for d in _segment_distances(x, y)])
            assert near[1] - near[0] < 1e-4
        assert np.hypot(gx, gy) == pytest.approx(1.0)


def _segment_distances(x, y):
    return [distances_to_curve([[x, y]], ARC[i : i + 2])[0] for i in range(len(ARC) - 1)]


def test_missing_nodes_are_bridged():
    broken = ARC.copy()
    broken[2] = np.nan
    expected = distances_to_curve([[2.0, 3.0]], ARC[[0, 1, 3, 4]])
    np.testing.assert_allclose(distances_to_curve([[2.0, 3.0]], broken), expected)
    alone = np.full_like(ARC, np.nan)
    alone[0] = 0.0
    assert distances_to_curve([[1.0, 1.0]], alone)[0] == 0.0


def test_table_follows_the_scheme():
    curve_of, nodes = curve_table()
    assert set(np.flatnonzero(curve_of < 0)) == set(END_POINTS)
    for row, members in enumerate(CURVES.values()):
        assert tuple(nodes[row][nodes[row] >= 0]) == members
