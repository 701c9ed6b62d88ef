"""The z-buffer against geometry that is known in closed form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glee.fitting.camera import Camera, to_camera
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.morphable_model.surface import vertex_normals
from glee.fitting.render.rasteriser import Raster, rasterise, screen_points

CAMERA = Camera.for_image(64, 48, 60.0)
# Counter-clockwise seen by the viewer.
TRIANGLE = np.array([[0, 1, 2]], np.int32)


def _drawn(points: list[list[float]], triangles: NDArray[np.int32]) -> Raster:
    screen = screen_points(np.asarray(points, float), CAMERA.focal, CAMERA.centre)
    return rasterise(screen, triangles, Raster.empty(CAMERA.height, CAMERA.width))


def test_depth_and_weights_are_those_of_the_plane_under_the_pixel() -> None:
    corners = np.array([[-1.5, -1.0, -3.0], [1.5, -0.8, -6.0], [0.1, 1.4, -4.0]])
    raster = _drawn(corners.tolist(), TRIANGLE)
    rows, columns = np.nonzero(raster.triangle == 0)
    assert len(rows) > 200
    a, b = raster.weights[rows, columns].T.astype(float)
    place = np.stack([a, b, 1 - a - b], 1) @ corners
    pixel = CAMERA.project(place, np.zeros(6))
    np.testing.assert_allclose(pixel, np.stack([columns, rows], 1), atol=2e-3)
    np.testing.assert_allclose(raster.inverse_depth[rows, columns], -1 / place[:, 2], rtol=1e-4)


def test_pixels_are_covered_exactly_where_their_centre_is_inside() -> None:
    corners = np.array([[-1.1, -0.9, -4.0], [1.3, -0.4, -4.0], [-0.2, 1.1, -4.0]])
    raster = _drawn(corners.tolist(), TRIANGLE)
    x, y = CAMERA.project(corners, np.zeros(6)).T
    column, row = np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height))
    edges = [
        (x[j] - x[i]) * (row - y[i]) - (y[j] - y[i]) * (column - x[i])
        for i, j in ((0, 1), (1, 2), (2, 0))
    ]
    depth = np.max(edges, axis=0) / np.hypot(np.ptp(x), np.ptp(y))
    sure = np.abs(depth) > 1e-3  # pixels; a centre on the border may fall to either side
    assert sure.sum() > 0.99 * sure.size
    np.testing.assert_array_equal((raster.triangle == 0)[sure], (depth < 0)[sure])


def test_nearer_triangle_hides_the_farther_whatever_the_order() -> None:
    near = [[-1.0, -1.0, -3.0], [1.0, -1.0, -3.0], [0.0, 1.0, -3.0]]
    far = [[-2.0, -2.0, -5.0], [2.0, -2.0, -5.0], [0.0, 2.0, -5.0]]
    order = np.array([[0, 1, 2], [3, 4, 5]], np.int32)
    one = _drawn(near + far, order)
    other = _drawn(near + far, order[::-1].copy())
    np.testing.assert_array_equal(one.inverse_depth, other.inverse_depth)
    assert one.triangle[24, 32] == 0
    assert other.triangle[24, 32] == 1
    assert one.inverse_depth[24, 32] == np.float32(1 / 3)


def test_triangles_from_behind_or_behind_the_camera_are_left_out() -> None:
    corners = [[-1.0, -1.0, -3.0], [1.0, -1.0, -3.0], [0.0, 1.0, -3.0]]
    assert (_drawn(corners, TRIANGLE[:, ::-1].copy()).triangle == -1).all()
    corners[0][2] = 1.0
    assert (_drawn(corners, TRIANGLE).triangle == -1).all()


def test_closed_surface_has_no_holes_inside_its_outline() -> None:
    model = load_model()
    camera = Camera.for_image(160, 120)
    seen = to_camera(model.mean, np.array([0.1, 0.4, 0.0, 0.0, 0.0, -8.0]))
    screen = screen_points(seen, camera.focal, camera.centre)
    raster = rasterise(screen, model.triangles, Raster.empty(120, 160))
    for row in raster.triangle[30:90] >= 0:
        inside = np.nonzero(row)[0]
        assert len(inside) == inside[-1] - inside[0] + 1


def test_normals_of_a_sphere_point_outwards() -> None:
    steps = np.linspace(0, np.pi, 21)
    turns = np.linspace(0, 2 * np.pi, 41)[:-1]
    grid = [
        [np.sin(t) * np.cos(p), np.cos(t), np.sin(t) * np.sin(p)]
        for t in steps[1:-1]
        for p in turns
    ]
    points = np.array(grid, np.float32)
    quads = [
        (r * 40 + c, r * 40 + (c + 1) % 40, (r + 1) * 40 + (c + 1) % 40, (r + 1) * 40 + c)
        for r in range(18)
        for c in range(40)
    ]
    triangles = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))], np.int32)
    normals = vertex_normals(points, triangles)
    inner = slice(40, -40)
    assert np.abs((normals[inner] * points[inner]).sum(1) - 1).max() < 0.01
