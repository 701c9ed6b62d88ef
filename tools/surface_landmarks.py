"""The anatomical landmarks, curves and jaw lines of the built head, found on its surface.

Every place is found from the shape (lid rim, lip border, outline) or, where the surface has no
mark (brows), set by hand on a front view of the mean head. Decimetres, model coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.fitting.morphable_model.morphable_model import SurfacePoints
from glee.fitting.morphable_model.surface import FrontView, Points, first_hits

# Brow of the person's left side on the front view: from the nose outwards, lower edge to upper.
BROW = np.array([[0.085, 0.108], [0.185, 0.143], [0.285, 0.156], [0.375, 0.136], [0.455, 0.086]])
NOSTRIL_SIDE, NOSTRIL_MIDDLE, NOSTRIL_RAISE = 0.115, 0.058, 0.038
CURVE_SAMPLES = 17
JAW_SAMPLES = 24


@dataclass(frozen=True, eq=False)
class SurfaceSets:
    """The named points of the head.

    Attributes
    ----------
    landmarks : sets of 68 points
    jaw_candidates : (17, k) points, front to back
    curves : (k,) points each, by name
    """

    landmarks: dict[str, SurfacePoints]
    jaw_candidates: SurfacePoints
    curves: dict[str, SurfacePoints]


@dataclass(frozen=True, eq=False)
class Head:
    """What the searches below share.

    Attributes
    ----------
    mean : (n, 3) float64, decimetres
    expression : (51, n, 3) float64, blendshapes, decimetres
    triangles : (m, 3) int64
    parts : (m,) uint8, index into part_names
    part_names : names
    lips : (n,) float64 in [0, 1], mask
    """

    mean: Points
    expression: Points
    triangles: NDArray[np.int64]
    parts: NDArray[np.uint8]
    part_names: tuple[str, ...]
    lips: Points

    def view(self, **coefficients: float) -> FrontView:
        """The front view at some expression.

        Parameters
        ----------
        coefficients : of blendshapes, by name

        Returns
        -------
        FrontView
        """
        mesh = self.mean.copy()
        for name, value in coefficients.items():
            mesh += value * self.expression[ARKIT_NAMES.index(name)]
        return FrontView(mesh, self.triangles, self.parts)

    def part(self, name: str) -> int:
        """The index of a part.

        Parameters
        ----------
        name : of part_names

        Returns
        -------
        int
        """
        return self.part_names.index(name)


def surface_sets(
    mean: Points,
    expression: Points,
    triangles: NDArray[np.int64],
    parts: NDArray[np.uint8],
    masks: dict[str, Points],
    mirror: NDArray[np.int64],
    part_names: tuple[str, ...],
) -> SurfaceSets:
    """Find all named points of the head.

    Parameters
    ----------
    mean : (n, 3) float64, decimetres
    expression : (51, n, 3) float64, decimetres
    triangles : (m, 3) int64
    parts : (m,) uint8, index into part_names
    masks : (n,) float64 in [0, 1] each
    mirror : (n,) int64
    part_names : names

    Returns
    -------
    SurfaceSets
    """
    lips = 0.5 * (masks["lips"] + masks["lips"][mirror])
    head = Head(mean, expression, triangles, parts, part_names, lips)
    left = _left_curves(head)
    curves = {f"left_{name}": points for name, points in left.items()}
    curves |= {f"right_{name}": _mirrored(points, mirror) for name, points in left.items()}
    curves |= _nose_curves(head, mirror)
    jaw = _jaw_lines(head, mirror)
    return SurfaceSets({"anatomical": _anatomical(head, curves, jaw)}, jaw, curves)


def _mirrored(points: SurfacePoints, mirror: NDArray[np.int64]) -> SurfacePoints:
    return SurfacePoints(mirror[points.vertices].astype(np.int32), points.weights)


def _left_curves(head: Head) -> dict[str, SurfacePoints]:
    """Curves of the person's left half, each from the middle of the face outwards."""
    closed = head.view()
    brow_x = np.linspace(BROW[0, 0], BROW[-1, 0], CURVE_SAMPLES)
    brow = np.column_stack([brow_x, np.interp(brow_x, BROW[:, 0], BROW[:, 1])])
    upper_lid, lower_lid = _lid_rims(head)
    upper_inner, lower_inner = _inner_lips(head)
    upper_outer, lower_outer = _outer_lips(head)
    return {
        "brow": closed.points(brow),
        "upper_lid": upper_lid,
        "lower_lid": lower_lid,
        "upper_outer_lip": upper_outer,
        "lower_outer_lip": lower_outer,
        "upper_inner_lip": upper_inner,
        "lower_inner_lip": lower_inner,
    }


def _rims(view: FrontView, inside: list[int], xs: Points, start_y: Points) -> list[SurfacePoints]:
    """Upper and lower border of the opening whose parts are ``inside``, at each x.

    start_y: (k,) a height inside the opening at each x.
    """
    rims = []
    for direction in (1.0, -1.0):
        low, high = start_y.copy(), start_y + direction * 0.3
        for _ in range(22):
            middle = 0.5 * (low + high)
            within = np.isin(view.part_at(np.column_stack([xs, middle])), inside)
            low, high = np.where(within, middle, low), np.where(within, high, middle)
        rims.append(view.points(np.column_stack([xs, high + direction * 2e-4])))
    return rims


def _opening(view: FrontView, inside: list[int], box: tuple[float, float, float, float]) -> Points:
    """Columns where the opening is seen: (k, 2) x and the height of its middle there."""
    x_low, x_high, y_low, y_high = box
    heights = np.linspace(y_low, y_high, 161)
    columns = []
    for x in np.linspace(x_low, x_high, 81):
        seen = np.isin(view.part_at(np.column_stack([np.full(161, x), heights])), inside)
        if seen.any():
            columns.append([x, heights[seen].mean()])
    return np.array(columns)


def _lid_rims(head: Head) -> list[SurfacePoints]:
    view = head.view()
    inside = [head.part("eyes")]
    opening = _opening(view, inside, (0.12, 0.48, -0.10, 0.08))
    xs = np.linspace(opening[0, 0], opening[-1, 0], CURVE_SAMPLES)
    return _rims(view, inside, xs, np.interp(xs, opening[:, 0], opening[:, 1]))


def _inner_lips(head: Head) -> list[SurfacePoints]:
    view = head.view(jawOpen=0.5, mouthUpperUpLeft=0.2, mouthUpperUpRight=0.2)
    inside = [head.part(name) for name in ("mouth", "teeth", "tongue")]
    opening = _opening(view, inside, (0.0, 0.30, -0.95, -0.60))
    xs = np.linspace(0.0, opening[-1, 0], CURVE_SAMPLES)
    return _rims(view, inside, xs, np.interp(xs, opening[:, 0], opening[:, 1]))


def _outer_lips(head: Head) -> list[SurfacePoints]:
    """Where the lip mask falls to one half, upwards and downwards from the line of the lips."""
    view = head.view()
    corner = head.mean[head.lips > 0.5][:, 0].max()
    xs = np.linspace(0.0, corner - 0.004, CURVE_SAMPLES)
    rims = []
    steps = np.linspace(0.0, 0.22, 221)
    line = _lip_line(head, xs)
    for direction in (1.0, -1.0):
        xy = np.array(
            [[x, y + direction * s] for x, y in zip(xs, line, strict=True) for s in steps]
        )
        hit, weights = view.hits(xy)
        value = (head.lips[head.triangles[hit]] * weights).sum(1).reshape(len(xs), -1)
        last = np.array([np.nonzero(row > 0.5)[0].max(initial=0) for row in value])
        rims.append(view.points(np.column_stack([xs, line + direction * steps[last]])))
    return rims


def _lip_line(head: Head, xs: Points) -> Points:
    """Height between the closed lips at each x."""
    upper, lower = _inner_lips(head)
    line = 0.5 * (upper.on(head.mean) + lower.on(head.mean))
    order = np.argsort(line[:, 0])
    return np.asarray(np.interp(xs, line[order, 0], line[order, 1]))


def _jaw_lines(head: Head, mirror: NDArray[np.int64]) -> SurfacePoints:
    """Lines over the cheek, front to back, one for each jaw landmark; 0-7 right, 9-16 left."""
    skin = head.triangles[np.isin(head.parts, [head.part("skin"), head.part("lips")])]
    centre = np.array([0.0, -0.40, 0.55])
    # Angle of a line in the front view, from straight down, where a detector trained on the
    # iBUG scheme puts its jaw points on average; and its sweep from front to back, which ends
    # at the edge of chin and jaw: the skin below is lower in the front view but no contour.
    angles = np.radians([0.0, 13.0, 27.5, 43.0, 59.5, 76.0, 92.0, 107.0, 119.5])
    first = np.radians([48.0, 46.5, 44.1, 41.1, 38.1, 35.4, 33.0, 30.9, 30.0])
    last = np.radians([30.0, 29.0, 23.0, 14.0, 3.0, -6.0, -8.0, -2.8, 0.0])
    lines = []
    for angle, start, stop in zip(angles, first, last, strict=True):
        sweep = np.linspace(start, stop, JAW_SAMPLES)
        outward = np.array([np.sin(angle), -np.cos(angle), 0.0])
        directions = np.cos(sweep)[:, None] * outward + np.sin(sweep)[:, None] * np.eye(3)[2]
        # From outside inwards, so that the outer surface is met first.
        origins = centre + 3.0 * directions
        hit, weights = first_hits(head.mean, skin, origins, -directions)
        lines.append(SurfacePoints(skin[hit].astype(np.int32), weights.astype(np.float32)))
    right = [_mirrored(line, mirror) for line in lines[:0:-1]]
    every = right + lines
    return SurfacePoints(
        np.stack([line.vertices for line in every]), np.stack([line.weights for line in every])
    )


def _outline(head: Head, jaw: SurfacePoints) -> list[SurfacePoints]:
    """The candidate of each jaw line that lies farthest out in the front view."""
    places = jaw.on(head.mean)
    outward = places[:, -1, :2] - places[:, 0, :2]
    outward /= np.linalg.norm(outward, axis=1)[:, None]
    best = np.einsum("jkc,jc->jk", places[..., :2], outward).argmax(1)
    return [jaw[j][int(k)] for j, k in enumerate(best)]


def _anatomical(head: Head, curves: dict[str, SurfacePoints], jaw: SurfacePoints) -> SurfacePoints:
    """The 68 points in the iBUG order (facts of the scheme: landmark_scheme.py)."""

    def along(name: str, fractions: list[float]) -> list[SurfacePoints]:
        curve = curves[name]
        steps = np.linalg.norm(np.diff(curve.on(head.mean), axis=0), axis=1)
        length = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
        return [curve[int(np.abs(length - f).argmin())] for f in fractions]

    points = _outline(head, jaw)
    points += along("right_brow", [1.0, 0.75, 0.5, 0.25, 0.0])
    points += along("left_brow", [0.0, 0.25, 0.5, 0.75, 1.0])
    points += _nose(curves)
    points += along("right_upper_lid", [1.0, 0.67, 0.33, 0.0])
    points += along("right_lower_lid", [0.33, 0.67])
    points += along("left_upper_lid", [0.0, 0.33, 0.67, 1.0])
    points += along("left_lower_lid", [0.67, 0.33])
    points += along("right_upper_outer_lip", [1.0, 0.62, 0.26, 0.0])
    points += along("left_upper_outer_lip", [0.26, 0.62, 1.0])
    points += along("left_lower_outer_lip", [0.64, 0.32, 0.0])
    points += along("right_lower_outer_lip", [0.32, 0.64])
    points += along("right_upper_inner_lip", [1.0, 0.45, 0.0])
    points += along("left_upper_inner_lip", [0.45, 1.0])
    points += along("left_lower_inner_lip", [0.45, 0.0])
    points += along("right_lower_inner_lip", [0.45])
    return SurfacePoints(
        np.stack([p.vertices for p in points]), np.stack([p.weights for p in points])
    )


def _nose_curves(head: Head, mirror: NDArray[np.int64]) -> dict[str, SurfacePoints]:
    """The bridge of the nose down to its tip, and each line of nostrils from the middle out."""
    view = head.view()
    bridge, nostrils = _nose_places(head)
    left = view.points(nostrils)
    right = _mirrored(left, mirror)
    return {"nose_bridge": view.points(bridge), "left_nostrils": left, "right_nostrils": right}


def _nose_places(head: Head) -> tuple[Points, Points]:
    """Places (CURVE_SAMPLES, 2) on the front view: the bridge, and the left line of nostrils."""
    view = head.view()
    heights = np.linspace(0.05, -0.62, 300)
    ridge = view.points(np.column_stack([np.full(300, 1e-4), heights])).on(head.mean)
    tip = int(ridge[:, 2].argmax())
    below = tip + int(ridge[tip : tip + 90, 2].argmin())
    bridge_y = np.linspace(0.0, heights[tip], CURVE_SAMPLES)
    bridge = np.column_stack([np.full(CURVE_SAMPLES, 1e-4), bridge_y])
    xs = np.linspace(1e-4, NOSTRIL_SIDE, CURVE_SAMPLES)
    lift = np.interp(xs, [0.0, NOSTRIL_MIDDLE, NOSTRIL_SIDE], [0.0, 0.006, 0.020])
    return bridge, np.column_stack([xs, heights[below] + NOSTRIL_RAISE + lift])


def _nose(curves: dict[str, SurfacePoints]) -> list[SurfacePoints]:
    """Bridge 27-30 on the midline down to the tip, nostril line 31-35 below it."""
    last = CURVE_SAMPLES - 1
    bridge = [curves["nose_bridge"][round(last * part / 3)] for part in range(4)]
    right = [curves["right_nostrils"][index] for index in (last, last // 2)]
    left = [curves["left_nostrils"][index] for index in (0, last // 2, last)]
    return bridge + right + left
