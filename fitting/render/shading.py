"""Light on the seen surface, pixel by pixel: skin, lips, eyes, teeth, the dark of the mouth."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

# Columns of the vertex attributes.
U, V, LIPS, BARE, OPENNESS, EYE_X, EYE_Y, EYE_Z, INSIDE = range(9)
ATTRIBUTES = 9
# Rows of the materials: linear albedos.
SKIN, LIP, IRIS, SCLERA, TEETH, TONGUE, MOUTH = range(7)
# Rows of the lamps: direction or colour.
KEY, KEY_COLOUR, FILL, FILL_COLOUR, SKY, GROUND, UP = range(7)

IRIS_RADIUS, PUPIL_RADIUS = 0.46, 0.17  # radii of the eyeball
# Light enters skin and leaves it elsewhere, red farthest: the lamp's edge is soft.
WRAP = (0.30, 0.16, 0.12)


@njit(cache=True, error_model="numpy", fastmath=True)  # type: ignore[untyped-decorator]
def shade(
    triangle: NDArray[np.int32],
    weights: Float32,
    triangles: NDArray[np.int32],
    parts: NDArray[np.uint8],
    points: Float32,
    normals: Float32,
    attributes: Float32,
    texture: NDArray[np.uint8],
    materials: Float32,
    lamps: Float32,
    shadow: Float32,
    shadow_axes: Float32,
    image: Float32,
) -> None:
    """Colours of the seen surface into `image` (h, w, 4): linear RGB and coverage 0 or 1.

    triangle, weights: of a Raster. parts: 0 skin, 1 lips, 2 mouth, 3 eyes, 4 teeth, 5 tongue.
    points, normals: (n, 3), camera coordinates. attributes: (n, ATTRIBUTES). texture: (h, w, 4)
    uint8. materials, lamps: rows as named above. shadow: (s, s) nearness to the key lamp,
    shadow_axes: (3, 4) from camera coordinates to its column, row and nearness.
    """
    height, width = triangle.shape
    rows, columns = texture.shape[:2]
    value = np.empty(ATTRIBUTES, np.float32)
    normal, point = np.empty(3, np.float32), np.empty(3, np.float32)
    albedo = np.empty(3, np.float32)
    for y in range(height):
        for x in range(width):
            index = triangle[y, x]
            if index < 0:
                for channel in range(4):
                    image[y, x, channel] = 0.0
                continue
            a, b, c = triangles[index]
            w_a, w_b = weights[y, x]
            w_c = np.float32(1.0) - w_a - w_b
            part = parts[index]
            first, last = (EYE_X, EYE_Z) if part == 3 else (U, OPENNESS)
            if part == 2 or part > 3:
                first, last = INSIDE, INSIDE
            for k in range(first, last + 1):
                value[k] = w_a * attributes[a, k] + w_b * attributes[b, k] + w_c * attributes[c, k]
            for k in range(3):
                normal[k] = w_a * normals[a, k] + w_b * normals[b, k] + w_c * normals[c, k]
                point[k] = w_a * points[a, k] + w_b * points[b, k] + w_c * points[c, k]
            gloss, power, wrap = np.float32(0.0), 18, np.float32(0.0)
            open_ = value[OPENNESS]
            if part <= 1:
                gloss = _skin(value, texture, rows, columns, materials, albedo)
                wrap = np.float32(1.0)
                if value[LIPS] > 0.3:
                    power = 30
            elif part == 3:
                open_ = _eye(value, materials, albedo)
                gloss, power = np.float32(1.1), 90
            else:
                row = MOUTH if part == 2 else (TEETH if part == 4 else TONGUE)
                for k in range(3):
                    albedo[k] = materials[row, k]
                open_ = value[INSIDE]
                gloss, power = np.float32(0.25), 30
            lit = _unshadowed(point, shadow, shadow_axes)
            if part == 2 or part >= 4:
                lit *= open_
            _lit(normal, point, albedo, lamps, open_, lit, gloss, power, wrap, image[y, x])
            image[y, x, 3] = 1.0


@njit(cache=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator]
def _skin(
    value: Float32,
    texture: NDArray[np.uint8],
    rows: int,
    columns: int,
    materials: Float32,
    albedo: Float32,
) -> np.float32:
    """Albedo of skin and lips from the texture (bilinear); returns the gloss."""
    u = value[U] * columns - np.float32(0.5)
    v = value[V] * rows - np.float32(0.5)
    u = min(max(u, np.float32(0.0)), np.float32(columns - 1.001))
    v = min(max(v, np.float32(0.0)), np.float32(rows - 1.001))
    left, top = int(u), int(v)
    s, t = u - np.float32(left), v - np.float32(top)
    lips = min(max(value[LIPS] * np.float32(1.6) - np.float32(0.3), np.float32(0)), np.float32(1))
    bare = value[BARE]
    gloss = np.float32(0.0)
    for k in range(4):
        upper = (1 - s) * texture[top, left, k] + s * texture[top, left + 1, k]
        lower = (1 - s) * texture[top + 1, left, k] + s * texture[top + 1, left + 1, k]
        level = ((1 - t) * upper + t * lower) * np.float32(1.0 / 255.0)
        if k == 3:
            gloss = level + lips * np.float32(0.45)
        else:
            linear = level * level
            linear += bare * (materials[SKIN, k] * np.float32(0.9) - linear)
            albedo[k] = linear + lips * (materials[LIP, k] * (linear / materials[SKIN, k]) - linear)
    return np.float32(gloss)


@njit(cache=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator]
def _eye(value: Float32, materials: Float32, albedo: Float32) -> np.float32:
    """Albedo of the eyeball by the distance from its axis; returns how open it is to the sky."""
    ex, ey, ez = value[EYE_X], value[EYE_Y], value[EYE_Z]
    radius = np.float32(np.sqrt(ex * ex + ey * ey))
    if ez < 0.0:
        radius = np.float32(2.0)
    rim = min(max((radius - np.float32(IRIS_RADIUS)) * 14 + np.float32(0.5), 0.0), 1.0)
    pupil = min(max((np.float32(PUPIL_RADIUS) - radius) * 16 + np.float32(0.5), 0.0), 1.0)
    ring = np.float32(0.55) + np.float32(0.7) * (np.float32(IRIS_RADIUS) - radius)
    rays = np.float32(1.0) + np.float32(0.18) * np.float32(np.sin(31 * np.arctan2(ey, ex)))
    # Towards the corners the white turns redder.
    red = min(max((radius - np.float32(0.6)) * np.float32(0.9), np.float32(0.0)), np.float32(0.45))
    for k in range(3):
        white = materials[SCLERA, k] * (1 - red * np.float32(0.25 if k == 0 else 0.55))
        iris = materials[IRIS, k] * ring * rays * np.float32(1.8)
        colour = iris + rim * (white - iris)
        albedo[k] = colour + pupil * (np.float32(0.004) - colour)
    return np.float32(0.62)


@njit(cache=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator]
def _unshadowed(point: Float32, shadow: Float32, axes: Float32) -> np.float32:
    """Share of nine neighbouring texels of the shadow map that see the lamp."""
    size = len(shadow)
    u = axes[0, 0] * point[0] + axes[0, 1] * point[1] + axes[0, 2] * point[2] + axes[0, 3]
    v = axes[1, 0] * point[0] + axes[1, 1] * point[1] + axes[1, 2] * point[2] + axes[1, 3]
    near = axes[2, 0] * point[0] + axes[2, 1] * point[1] + axes[2, 2] * point[2] + axes[2, 3]
    u = min(max(u - np.float32(0.5), np.float32(1.0)), np.float32(size - 3))
    v = min(max(v - np.float32(0.5), np.float32(1.0)), np.float32(size - 3))
    left, top = int(u), int(v)
    s, t = u - np.float32(left), v - np.float32(top)
    lit = np.float32(0.0)
    for i in range(3):
        for j in range(3):
            weight_i = (1 - t) if i == 0 else (t if i == 2 else np.float32(1.0))
            weight_j = (1 - s) if j == 0 else (s if j == 2 else np.float32(1.0))
            if near >= shadow[top + i, left + j]:
                lit += weight_i * weight_j
    return np.float32(lit * np.float32(0.25))


@njit(cache=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator]
def _lit(
    normal: Float32,
    point: Float32,
    albedo: Float32,
    lamps: Float32,
    open_: np.float32,
    lit: np.float32,
    gloss: np.float32,
    power: int,
    wrap: np.float32,
    colour: Float32,
) -> None:
    """Wrapped Lambert and Blinn-Phong by two lamps, and the sky's light by openness."""
    nx, ny, nz = normal
    length = np.float32(np.sqrt(nx * nx + ny * ny + nz * nz)) + np.float32(1e-9)
    nx, ny, nz = nx / length, ny / length, nz / length
    px, py, pz = point
    away = np.float32(np.sqrt(px * px + py * py + pz * pz))
    vx, vy, vz = -px / away, -py / away, -pz / away
    up = nx * lamps[UP, 0] + ny * lamps[UP, 1] + nz * lamps[UP, 2]
    sky = np.float32(0.5) + np.float32(0.5) * up
    facing = max(nx * vx + ny * vy + nz * vz, np.float32(0.0))
    edge = (1 - facing) * (1 - facing)
    fresnel = np.float32(0.35) + np.float32(0.65) * edge * edge
    for k in range(3):
        ambient = (lamps[GROUND, k] + sky * (lamps[SKY, k] - lamps[GROUND, k])) * open_
        colour[k] = albedo[k] * ambient
    for lamp in (KEY, FILL):
        lx, ly, lz = lamps[lamp]
        cosine = nx * lx + ny * ly + nz * lz
        seen = lit if lamp == KEY else open_
        hx, hy, hz = lx + vx, ly + vy, lz + vz
        half = np.float32(np.sqrt(hx * hx + hy * hy + hz * hz)) + np.float32(1e-9)
        shine = max((nx * hx + ny * hy + nz * hz) / half, np.float32(0.0))
        highlight = shine**power * gloss * fresnel * seen * np.float32(0.5)
        if cosine <= 0.0:
            highlight = np.float32(0.0)
        for k in range(3):
            soft = wrap * np.float32(WRAP[k])
            diffuse = max((cosine + soft) / (1 + soft), np.float32(0.0))
            # The wrapped part of the light comes through the skin: no shadow stops it all.
            through = seen + (1 - seen) * soft * np.float32(0.5)
            colour[k] += lamps[lamp + 1, k] * (albedo[k] * diffuse * through + highlight)
