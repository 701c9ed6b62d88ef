"""Plots for notebooks: each takes matplotlib axes, or makes some, and gives them back.

>>> import glee
>>> work = glee.open("work/disfa")
>>> glee.plot.landmarks(work.landmarks[0])
>>> glee.plot.coefficients(work.frames.query("clip == 'LeftVideoSN001_comp'"))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot
from matplotlib.collections import PolyCollection
from numpy.typing import ArrayLike

from ...errors import UsageError
from ...fitting.camera import Camera, to_camera
from ...fitting.morphable_model.landmark_scheme import ARKIT_NAMES, CURVES
from ...fitting.morphable_model.model_file import load_model
from ...fitting.morphable_model.morphable_model import MorphableModel

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from .analysis_result import Analysis

# Okabe and Ito (2008): distinct with every kind of colour vision.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999933")
_SKIN = np.array([96, 188, 162]) / 255.0
_LIGHT = np.array([0.35, 0.45, 0.82])  # towards the lamp, nearly a unit vector


def landmarks(
    points: ArrayLike, *, image: ArrayLike | None = None, ax: Axes | None = None, **style: Any
) -> Axes:
    """Draw 68 landmarks with the curves that join them.

    Parameters
    ----------
    points : (68, 2) float, pixels
        y down.
    image : (h, w, 3) uint8, optional
        RGB, beneath them.
    ax : Axes, optional
        To draw on; new ones by default.
    **style
        Of the points, such as ``color="red"``.

    Returns
    -------
    Axes
        Those drawn on.

    Raises
    ------
    UsageError
        For another shape.

    Examples
    --------
    >>> ax = landmarks(work.landmarks[0], image=frame)
    """
    xy = np.asarray(points, np.float64)
    if xy.shape != (68, 2):
        raise UsageError(f"landmarks: shape {xy.shape}, expected (68, 2)")
    ax = _axes(ax)
    _show(ax, image)
    style = {"color": _COLOURS[5], "markersize": 3.0, "linewidth": 1.0, **style}
    for curve in CURVES.values():
        ax.plot(*xy[list(curve)].T, marker="o", **style)
    return _as_image(ax)


def mesh(
    f_exp: ArrayLike,
    f_shape: ArrayLike | None = None,
    pose: ArrayLike | None = None,
    *,
    image: ArrayLike | None = None,
    image_size: tuple[int, int] | None = None,
    focal: float | None = None,
    model: MorphableModel | None = None,
    ax: Axes | None = None,
    alpha: float = 1.0,
) -> Axes:
    """Draw the morphable model's mesh, shaded, where the fit puts it.

    Parameters
    ----------
    f_exp : (51,) float
        Expression coefficients.
    f_shape : (60,) float, optional
        Shape coefficients; by default the mean face.
    pose : (6,) float, optional
        Rotation vector (radians) and translation (decimetres); by default from the front.
    image : (h, w, 3) uint8, optional
        RGB, beneath it, whose size the camera has.
    image_size : (int, int), optional
        Width and height of the camera's image, pixels.
    focal : float, optional
        Pixels.
    model : MorphableModel, optional
        By default the embedded one.
    ax : Axes, optional
        To draw on; new ones by default.
    alpha : float
        Opacity, 0 to 1.

    Returns
    -------
    Axes
        Those drawn on.

    Examples
    --------
    >>> row = work.frames.iloc[0]
    >>> ax = mesh(row[list(names)], work.f_shape[0], row[["rot_x", ...]], image_size=(1024, 768))
    """
    model = model or load_model()
    shape = np.zeros(len(model.identity)) if f_shape is None else np.asarray(f_shape, np.float64)
    vertices = model.shape(shape, np.asarray(f_exp, np.float64))
    if pose is None:
        pose = np.array([0.0, 0.0, 0.0, *(-vertices.mean(0)[:2]), -15.0])
    size = (480, 480) if image_size is None else image_size
    if image is not None:
        size = np.asarray(image).shape[1], np.asarray(image).shape[0]
    camera = Camera.for_image(*size, focal)
    in_camera = to_camera(vertices, np.asarray(pose, np.float64))
    ax = _axes(ax)
    _show(ax, image)
    screen = camera.project(vertices, np.asarray(pose, np.float64))
    ax.add_collection(_shaded(in_camera, screen, model.triangles, alpha))
    ax.set_xlim(0, size[0])
    ax.set_ylim(size[1], 0)
    if image is None:
        ax.set_xlim(screen[:, 0].min() - 8, screen[:, 0].max() + 8)
        ax.set_ylim(screen[:, 1].max() + 8, screen[:, 1].min() - 8)
    return _as_image(ax)


def coefficients(
    table: pd.DataFrame | ArrayLike,
    *,
    names: Sequence[str] | None = None,
    most: int = 6,
    ax: Axes | None = None,
) -> Axes:
    """Draw the blendshapes that move most over time, one line each.

    Parameters
    ----------
    table : DataFrame or (n, 51) array
        Rows in time with a column a blendshape, as `glee.open(...).frames` or the table of `glee
        analyze`.
    names : sequence of str, optional
        Which to draw, in order; by default the `most` with the largest deviation.
    most : int
        Lines where no names are given.
    ax : Axes, optional
        To draw on; new ones by default.

    Returns
    -------
    Axes
        Those drawn on.

    Raises
    ------
    UsageError
        Where there is no such column.

    Examples
    --------
    >>> ax = coefficients(pandas.read_parquet("out/talk.parquet"), names=["jawOpen"])
    """
    values, known, time, label = _in_time(table)
    wanted = list(names) if names is not None else _moving(values, known, most)
    missing = [name for name in wanted if name not in known]
    if missing or not wanted:
        raise UsageError(f"coefficients: no column {', '.join(missing) or 'of a blendshape'}")
    ax = _axes(ax)
    for number, name in enumerate(wanted):
        colour = _COLOURS[number % len(_COLOURS)]
        ax.plot(time, values[:, known.index(name)], color=colour, linewidth=1.3, label=name)
    ax.set_xlabel(label)
    ax.set_ylabel("coefficient")
    ax.set_ylim(-0.02, 1.02)
    ax.legend(loc="upper right", fontsize="small", framealpha=0.8)
    return ax


def action_units(
    result: Analysis,
    *,
    names: Sequence[str] | None = None,
    face: int | None = None,
    most: int = 6,
    ax: Axes | None = None,
) -> Axes:
    """Draw Action Units over time, one line each; grey where the face is lost.

    Parameters
    ----------
    result : Analysis
        Of `glee.analyze` or `glee.open`.
    names : sequence of str, optional
        Which to draw, such as "AU12"; by default the `most` with the largest deviation.
    face : int, optional
        Whose; by default the first.
    most : int
        Lines where no names are given.
    ax : Axes, optional
        To draw on; new ones by default.

    Returns
    -------
    Axes
        Those drawn on.

    Raises
    ------
    UsageError
        Where there is no such Action Unit or face.

    Examples
    --------
    >>> ax = action_units(glee.open("out/talk.parquet"), names=["AU12"])
    """
    whose = face if face is not None else next(iter(result.faces), -1)
    known, curves = list(result.aus.columns), result.aus.to_numpy(np.float64)
    of_face = (result.frames["face_id"] == whose).to_numpy()
    if face is not None and not of_face.any():
        raise UsageError(f"action_units: no face {face}; there are {list(result.faces)}")
    times, first = np.unique(result.frames["timestamp"], return_index=True)
    values = np.full((len(times), len(known)), np.nan)
    values[np.searchsorted(times, result.frames["timestamp"][of_face])] = curves[of_face]
    lost = np.ones(len(times), bool)
    valid = of_face & result.frames["valid"].to_numpy()
    lost[np.searchsorted(times, result.frames["timestamp"][valid])] = False
    wanted = list(names) if names is not None else _moving(values, known, most)
    missing = [name for name in wanted if name not in known]
    if missing:
        raise UsageError(f"action_units: no {', '.join(missing)}; there are {', '.join(known)}")
    ax = _axes(ax)
    ends = np.append(times[1:], times[-1:] + np.median(np.diff(times)) if len(times) > 1 else times)
    for begin, end in _stretches(lost):
        ax.axvspan(times[begin], ends[end], color="0.88", linewidth=0, zorder=0)
    for number, name in enumerate(wanted):
        colour = _COLOURS[number % len(_COLOURS)]
        ax.plot(times, values[:, known.index(name)], color=colour, linewidth=1.3, label=name)
    probable = result.au_source.startswith("probabilities")
    ax.set_xlabel("seconds")
    ax.set_ylabel("probability" if probable else "intensity")
    ax.set_ylim(*((-0.02, 1.02) if probable else (-0.1, 5.1)))
    whom = f" of face {whose}" if len(result.faces) > 1 else ""
    ax.set_title(f"Action Units{whom}, {result.au_source}", fontsize="small")
    if wanted:  # beside the curves: a smile that is held fills the upper right
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small", frameon=False)
    return ax


def f1(results: Mapping[str, Any], *, ax: Axes | None = None) -> Axes:
    """Draw the F1 of each AU as bars, beside it what always saying "present" gives.

    Parameters
    ----------
    results : mapping
        As `glee evaluate RUN --json` prints them and RUN/results.json holds them.
    ax : Axes, optional
        To draw on; new ones by default.

    Returns
    -------
    Axes
        Those drawn on.

    Raises
    ------
    UsageError
        Where they hold no F1.

    Examples
    --------
    >>> ax = f1(json.loads(Path("work/disfa/runs/paper/results.json").read_text()))
    """
    if "f1" not in results or "aus" not in results:
        raise UsageError("f1: give the results of `glee evaluate`, which have `aus` and `f1`")
    names = [*results["aus"], "mean"]
    chance = results.get("always_positive_f1", {})
    ax = _axes(ax)
    x = np.arange(len(names))
    heights = [_percent(results["f1"].get(name)) for name in names]
    bars = ax.bar(x, heights, 0.62, color=[_COLOURS[0]] * len(results["aus"]) + [_COLOURS[6]])
    ax.bar_label(bars, fmt="%.0f", fontsize="small", padding=2)
    marks = [_percent(chance.get(name)) for name in names]
    ax.hlines(marks, x - 0.4, x + 0.4, color=_COLOURS[1], label="always present")
    if np.isfinite(marks).any():
        ax.legend(loc="lower right", fontsize="small")
    ax.set_xticks(x, names)
    ax.set_ylim(0, 109)
    ax.set_ylabel("F1, %")
    return ax


def _axes(ax: Axes | None) -> Axes:
    return pyplot.subplots()[1] if ax is None else ax


def _show(ax: Axes, image: ArrayLike | None) -> None:
    if image is not None:
        ax.imshow(np.asarray(image))


def _as_image(ax: Axes) -> Axes:
    """Equal scales, y down, no ticks."""
    ax.set_aspect("equal")
    if not ax.yaxis_inverted():
        ax.invert_yaxis()
    ax.set_xticks([])
    ax.set_yticks([])
    return ax


def _shaded(
    in_camera: npt.NDArray[np.float64],
    screen: npt.NDArray[np.float64],
    triangles: npt.NDArray[np.int32],
    alpha: float,
) -> PolyCollection:
    """The triangles that face the camera, the far ones first."""
    corners = in_camera[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing = np.einsum("nk,nk->n", normal, -corners[:, 0]) > 0
    order = np.flatnonzero(facing)[np.argsort(corners[facing].mean(1)[:, 2], kind="stable")]
    normal = normal[order] / (np.linalg.norm(normal[order], axis=1, keepdims=True) + 1e-12)
    shade = 0.3 + 0.75 * np.clip(normal @ _LIGHT, 0.0, 1.0)
    colour = np.clip(shade[:, None] * _SKIN, 0.0, 1.0)
    return PolyCollection(
        list(screen[triangles[order]]),
        facecolors=colour,
        edgecolors=colour,
        linewidths=0.3,
        alpha=alpha,
    )


def _in_time(
    table: Any,
) -> tuple[npt.NDArray[np.float64], list[str], npt.NDArray[np.float64], str]:
    """Values (n, k), their names, times (n,) and what these are."""
    if not hasattr(table, "columns"):
        values = np.atleast_2d(np.asarray(table, np.float64))
        names = list(ARKIT_NAMES[: values.shape[1]])
        return values, names, np.arange(len(values), dtype=np.float64), "frame"
    known = [str(name) for name in table.columns if name in ARKIT_NAMES]
    column = next((name for name in ("timestamp", "frame") if name in table.columns), None)
    time = np.arange(len(table)) if column is None else table[column].to_numpy()
    label = "seconds" if column == "timestamp" else "frame"
    return table[known].to_numpy(np.float64), known, np.asarray(time, np.float64), label


def _moving(values: npt.NDArray[np.float64], known: list[str], most: int) -> list[str]:
    shown = [i for i in range(len(known)) if np.isfinite(values[:, i]).any()]
    spread = np.array([np.nanstd(values[:, i]) for i in shown])
    return [known[shown[i]] for i in np.argsort(-spread, kind="stable")[:most]]


def _stretches(there: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last place of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]])))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


def _percent(value: float | None) -> float:
    return float("nan") if value is None else 100.0 * value
