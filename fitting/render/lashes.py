"""Lashes: dark lines along the lid rims and single hairs, drawn with depth over the face."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..morphable_model.morphable_model import MorphableModel
from .appearance import Appearance
from .rasteriser import screen_points

Float32 = NDArray[np.float32]

# Decimetres.
RIM_WIDTH = {"upper": 0.015, "lower": 0.0055}  # half widths
HAIR_LENGTH = {"upper": 0.08, "lower": 0.035}
HAIR_WIDTH = 0.0022
SLACK = 0.03  # that a lash may lie behind what is seen there
RIM_OPACITY = {"upper": 0.95, "lower": 0.65}
HAIRS = {"upper": 60, "lower": 26}
BLACK = np.array([0.010, 0.008, 0.007], np.float32)


def draw_lashes(
    image: Float32,
    inverse_depth: Float32,
    model: MorphableModel,
    vertices: Float32,
    view: tuple[float, tuple[float, float]],
    appearance: Appearance,
) -> None:
    """Draw the lashes of both eyes into an image.

    Parameters
    ----------
    image : (h, w, 4) float32, linear RGB and coverage, changed in place
    inverse_depth : (h, w) float32, of the Raster, 1 / decimetres
    model : its lid curves and eyes
    vertices : (n, 3) float32, the mesh in camera coordinates, decimetres
    view : focal length and principal point of the image, pixels
    appearance : how strong the lashes are
    """
    focal, centre = view
    strength = np.float32(0.4 + 0.6 * appearance.lashes)
    for side in ("left", "right"):
        middle = vertices[_eye_vertices(model, side)].mean(0)
        for lid in ("upper", "lower"):
            rim = model.curves[f"{side}_{lid}_lid"].on(vertices)
            line = screen_points(rim, focal, centre)
            near = float(line[:, 2].mean())
            if near <= 0.0:
                continue
            # Pixels a decimetre; and SLACK as inverse depth, by d(1 / z) = dz / z^2.
            scale, slack = near * focal, SLACK * near**2
            along = np.linspace(0.0, 1.0, len(rim))
            taper = np.interp(along, [0.0, 0.25, 0.8, 1.0], [0.4, 0.9, 1.2, 0.8])
            widths = (taper * RIM_WIDTH[lid] * scale * (0.5 + 0.8 * appearance.lashes)).astype(
                np.float32
            )
            draw_line(
                image, inverse_depth, line, widths, BLACK, RIM_OPACITY[lid] * float(strength), slack
            )
            hairs = _hairs(rim, middle, lid, appearance)
            thin = np.array([1.0, 0.8, 0.35], np.float32) * np.float32(HAIR_WIDTH * scale)
            for hair in hairs:
                path = screen_points(hair, focal, centre)
                draw_line(image, inverse_depth, path, thin, BLACK, float(strength), slack)


def lid_gap(model: MorphableModel, mesh: NDArray[np.floating], side: str) -> float:
    """How far an eye is open: mean height between the middle thirds of the lid rims.

    Parameters
    ----------
    model : its lid curves
    mesh : (n, 3) float, any unit
    side : ``left`` or ``right``, the person's

    Returns
    -------
    float
        the mesh's unit; 0 is closed, below 0 the lids overlap
    """
    upper = model.curves[f"{side}_upper_lid"].on(mesh)
    lower = model.curves[f"{side}_lower_lid"].on(mesh)
    third = len(upper) // 3
    return float((upper[third:-third, 1] - lower[third:-third, 1]).mean())


@lru_cache(maxsize=8)
def _eye_vertices(model: MorphableModel, side: str) -> NDArray[np.int64]:
    eyes = np.unique(model.part_triangles("eyes"))
    left = model.mean[eyes, 0] > 0
    return np.asarray(eyes[left if side == "left" else ~left], np.int64)


def _hairs(
    rim: NDArray[np.float64], middle: Float32, lid: str, appearance: Appearance
) -> NDArray[np.float64]:
    """Lashes (k, 3, 3): root, middle, tip. They stand off the eyeball and curl away from the lid.

    So they point down when the lid is closed, as real ones do.
    """
    count = int(HAIRS[lid] * (0.4 + 0.6 * appearance.lashes))
    rng = np.random.default_rng([appearance.seed, 3, len(lid), count])
    along = np.sort(rng.uniform(0.06, 1.0, count)) * (len(rim) - 1)
    steps = np.arange(len(rim))
    root = np.stack([np.interp(along, steps, rim[:, axis]) for axis in range(3)], 1)
    off = root - middle
    off /= np.linalg.norm(off, axis=1)[:, None]
    outwards = np.sign(rim[-1] - rim[0]) * (1.0, 0.0, 0.0) * (along / len(rim) - 0.25)[:, None]
    curl = np.array([0.0, 0.55 if lid == "upper" else -0.35, 0.0])
    length = (
        HAIR_LENGTH[lid] * rng.uniform(0.6, 1.1, count)[:, None] * (0.5 + 0.5 * appearance.lashes)
    )
    half = root + 0.5 * length * (off + 0.4 * outwards)
    tip = half + 0.5 * length * (off + 0.7 * outwards + curl)
    return np.stack([root, half, tip], 1)


@njit(cache=True)  # type: ignore[untyped-decorator]
def draw_line(
    image: Float32,
    inverse_depth: Float32,
    line: Float32,
    widths: Float32,
    colour: Float32,
    opacity: float,
    slack: float,
) -> None:
    """Blend a polyline with soft edges into an image where the surface does not hide it.

    A pixel takes the strongest of the segments once, so that joints are not darker.

    Parameters
    ----------
    image : (h, w, 4) float32, linear RGB and coverage, changed in place
    inverse_depth : (h, w) float32, of the surface, 1 / decimetres; nothing is drawn where it is 0
    line : (k, 3) float32, x, y in pixels and inverse depth
    widths : (k,) float32, half widths, pixels
    colour : (3,) float32, linear RGB
    opacity : 0 to 1
    slack : inverse depth by which the line may lie behind the surface
    """
    # Only pixels near the line's bounding box; half a pixel of soft edge and one of rounding.
    height, width = inverse_depth.shape
    margin = widths.max() + np.float32(1.5)
    left = max(int(line[:, 0].min() - margin), 0)
    right = min(int(line[:, 0].max() + margin), width - 1)
    top = max(int(line[:, 1].min() - margin), 0)
    bottom = min(int(line[:, 1].max() + margin), height - 1)
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            if inverse_depth[y, x] <= 0.0:
                continue
            best = np.float32(0.0)
            for k in range(len(line) - 1):
                # Foot of the pixel on the segment: t = (p - a) d / d^2, kept in [0, 1].
                dx, dy = line[k + 1, 0] - line[k, 0], line[k + 1, 1] - line[k, 1]
                squared = dx * dx + dy * dy + np.float32(1e-9)
                t = ((x - line[k, 0]) * dx + (y - line[k, 1]) * dy) / squared
                t = min(max(t, np.float32(0.0)), np.float32(1.0))
                # Inverse depth is linear along a projected segment: hidden by a nearer surface.
                near = line[k, 2] + t * (line[k + 1, 2] - line[k, 2])
                if near < inverse_depth[y, x] - slack:
                    continue
                # Coverage of the pixel by a line of this half width: a ramp of one pixel at its
                # edge; a line thinner than a pixel covers no more than its width.
                ox, oy = x - line[k, 0] - t * dx, y - line[k, 1] - t * dy
                half = widths[k] + t * (widths[k + 1] - widths[k])
                cover = half + np.float32(0.5) - np.float32(np.sqrt(ox * ox + oy * oy))
                best = max(best, min(min(cover, np.float32(1.0)), 2 * half))
            if best > 0.0:
                amount = np.float32(best * opacity)
                for channel in range(3):
                    image[y, x, channel] += amount * (colour[channel] - image[y, x, channel])
