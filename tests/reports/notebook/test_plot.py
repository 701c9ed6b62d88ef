"""Plots: what is drawn lies where it was put, on the axes that were given."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")

from matplotlib import pyplot  # noqa: E402

import glee  # noqa: E402
from glee.errors import UsageError  # noqa: E402
from glee.fitting.camera import Camera  # noqa: E402
from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES  # noqa: E402
from glee.fitting.morphable_model.model_file import load_model  # noqa: E402


@pytest.fixture
def ax():
    figure, axes = pyplot.subplots()
    yield axes
    pyplot.close(figure)


def test_landmarks(ax):
    points = np.random.default_rng(0).random((68, 2)) * 100
    assert glee.plot.landmarks(points, image=np.zeros((100, 100, 3), np.uint8), ax=ax) is ax
    drawn = {tuple(p) for line in ax.lines for p in line.get_xydata()}
    assert drawn == {tuple(p) for p in points}
    assert ax.yaxis_inverted()
    with pytest.raises(UsageError):
        glee.plot.landmarks(points[:5], ax=ax)


def test_mesh_lies_where_the_pose_puts_it(ax):
    model = load_model()
    pose = np.array([0.0, 0.2, 0.0, 0.5, 0.1, -12.0])
    glee.plot.mesh(np.zeros(51), np.zeros(60), pose, image_size=(320, 240), ax=ax)
    (mesh,) = ax.collections
    drawn = np.concatenate([path.vertices for path in mesh.get_paths()])
    seen = Camera.for_image(320, 240).project(model.mean, pose)
    assert drawn.min(0) == pytest.approx(seen.min(0), abs=3)
    assert drawn.max(0) == pytest.approx(seen.max(0), abs=3)


def test_coefficients_that_move_most(ax):
    table = pd.DataFrame(0.1, index=range(20), columns=["subject", *ARKIT_NAMES])
    table["jawOpen"] = np.linspace(0, 1, 20)
    table["mouthSmileLeft"] = np.linspace(0, 0.5, 20)
    table["frame"] = np.arange(20)
    glee.plot.coefficients(table, most=2, ax=ax)
    assert [line.get_label() for line in ax.lines] == ["jawOpen", "mouthSmileLeft"]
    assert np.array_equal(ax.lines[0].get_ydata(), table["jawOpen"])
    with pytest.raises(UsageError, match="nose"):
        glee.plot.coefficients(table, names=["nose"], ax=ax)


def test_coefficients_of_an_array(ax):
    values = np.zeros((4, 51))
    values[:, 3] = [0, 1, 0, 1]
    glee.plot.coefficients(values, most=1, ax=ax)
    assert ax.lines[0].get_label() == ARKIT_NAMES[3]


def test_f1(ax):
    results = {
        "aus": ["AU1", "AU2"],
        "f1": {"AU1": 0.5, "AU2": None, "mean": 0.5},
        "always_positive_f1": {"AU1": 0.3, "AU2": 0.2, "mean": 0.25},
    }
    glee.plot.f1(results, ax=ax)
    heights = [bar.get_height() for bar in ax.patches]
    assert heights[0] == pytest.approx(50)
    assert np.isnan(heights[1])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["AU1", "AU2", "mean"]
    with pytest.raises(UsageError, match="evaluate"):
        glee.plot.f1({}, ax=ax)
