"""Light on the visible surface, pixel by pixel: skin, lips, eyes, teeth, the dark of the mouth.

Every material is Lambertian with a Blinn-Phong highlight (Blinn 1977); on skin the diffuse term is
wrapped around the edge of the light, which stands for light scattered below the surface (Green,
GPU Gems, 2004). A hemisphere of sky and ground, weighted by the share of it that a point sees,
stands for all other light (ambient occlusion).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

# Columns of the vertex attributes.
U, V, LIPS, BARE, SKY_VISIBILITY, EYE_X, EYE_Y, EYE_Z, INSIDE = range(9)
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
    """Shade the visible surface into an image.

    Parameters
    ----------
    triangle : (h, w) int32, of a Raster
    weights : (h, w, 2) float32, of a Raster
    triangles : (m, 3) int32
    parts : (m,) uint8, 0 skin, 1 lips, 2 mouth, 3 eyes, 4 teeth, 5 tongue
    points : (n, 3) float32, camera coordinates, decimetres
    normals : (n, 3) float32, camera coordinates, unit length
    attributes : (n, ATTRIBUTES) float32, columns as named above
    texture : (h, w, 4) uint8, sRGB albedo and gloss
    materials : (7, 3) float32, linear albedos, rows as named above
    lamps : (7, 3) float32, directions and linear intensities, rows as named above
    shadow : (s, s) float32, what the key lamp sees: how near to it the nearest surface is
    shadow_axes : (3, 4) float32, from camera coordinates to the shadow map's column, row and
        nearness
    image : (h, w, 4) float32, filled: linear RGB and coverage 0 or 1
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
                for channel in range(4):  # nothing seen: no light, coverage 0
                    image[y, x, channel] = 0.0
                continue
            # Attributes, normal and place are interpolated by the weights; of the attributes only
            # those that the part's material asks for.
            a, b, c = triangles[index]
            w_a, w_b = weights[y, x]
            w_c = np.float32(1.0) - w_a - w_b
            part = parts[index]
            first, last = (EYE_X, EYE_Z) if part == 3 else (U, SKY_VISIBILITY)
            if part == 2 or part > 3:
                first, last = INSIDE, INSIDE
            for k in range(first, last + 1):
                value[k] = w_a * attributes[a, k] + w_b * attributes[b, k] + w_c * attributes[c, k]
            for k in range(3):
                normal[k] = w_a * normals[a, k] + w_b * normals[b, k] + w_c * normals[c, k]
                point[k] = w_a * points[a, k] + w_b * points[b, k] + w_c * points[c, k]
            # The part's material: albedo, highlight (strength, exponent), wrap, visible sky.
            gloss, power, wrap = np.float32(0.0), 18, np.float32(0.0)
            sky_share = value[SKY_VISIBILITY]
            if part <= 1:
                gloss = _skin(value, texture, rows, columns, materials, albedo)
                wrap = np.float32(1.0)
                if value[LIPS] > 0.3:
                    power = 30
            elif part == 3:
                sky_share = _eye(value, materials, albedo)
                gloss, power = np.float32(1.1), 90
            else:
                row = MOUTH if part == 2 else (TEETH if part == 4 else TONGUE)
                for k in range(3):
                    albedo[k] = materials[row, k]
                sky_share = value[INSIDE]
                gloss, power = np.float32(0.25), 30
            lit = _unshadowed(point, shadow, shadow_axes)
            # In the mouth the lamp too fades with depth, beside what the shadow map says.
            if part == 2 or part >= 4:
                lit *= sky_share
            _lit(normal, point, albedo, lamps, sky_share, lit, gloss, power, wrap, image[y, x])
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
    """Albedo of skin and lips from the texture; returns the gloss."""
    # Texel coordinates: texel centres have whole ones. The border repeats.
    u = value[U] * columns - np.float32(0.5)
    v = value[V] * rows - np.float32(0.5)
    u = min(max(u, np.float32(0.0)), np.float32(columns - 1.001))
    v = min(max(v, np.float32(0.0)), np.float32(rows - 1.001))
    left, top = int(u), int(v)
    s, t = u - np.float32(left), v - np.float32(top)
    # A mask that is soft over a triangle becomes the sharper border that lips have.
    lips = min(max(value[LIPS] * np.float32(1.6) - np.float32(0.3), np.float32(0)), np.float32(1))
    bare = value[BARE]
    gloss = np.float32(0.0)
    # Bilinear over four texels, then to linear light by a gamma of 2. Where no hair grows, the
    # skin's own colour covers what the texture has; lips take their colour times the skin's local
    # shade.
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
    # Distance from the optical axis, in radii of the eyeball; the back half is white.
    radius = np.float32(np.sqrt(ex * ex + ey * ey))
    if ez < 0.0:
        radius = np.float32(2.0)
    # Soft steps at the borders of iris and pupil, and an iris of rays that darkens outwards.
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
    # What lids and brows leave of the sky, for the whole eye.
    return np.float32(0.62)


@njit(cache=True, error_model="numpy", inline="always")  # type: ignore[untyped-decorator]
def _unshadowed(point: Float32, shadow: Float32, axes: Float32) -> np.float32:
    """Share of the lamp that a point sees: percentage-closer filtering (Reeves et al. 1987)."""
    size = len(shadow)
    # The point as the lamp sees it: column, row, and how near to the lamp it is.
    u = axes[0, 0] * point[0] + axes[0, 1] * point[1] + axes[0, 2] * point[2] + axes[0, 3]
    v = axes[1, 0] * point[0] + axes[1, 1] * point[1] + axes[1, 2] * point[2] + axes[1, 3]
    near = axes[2, 0] * point[0] + axes[2, 1] * point[1] + axes[2, 2] * point[2] + axes[2, 3]
    u = min(max(u - np.float32(0.5), np.float32(1.0)), np.float32(size - 3))
    v = min(max(v - np.float32(0.5), np.float32(1.0)), np.float32(size - 3))
    left, top = int(u), int(v)
    s, t = u - np.float32(left), v - np.float32(top)
    # A box of two by two texels around the point: of the three by three texels that it touches,
    # each counts by the area inside it, which is 4 together.
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
    sky_share: np.float32,
    lit: np.float32,
    gloss: np.float32,
    power: int,
    wrap: np.float32,
    colour: Float32,
) -> None:
    """Wrapped Lambert and Blinn-Phong by two lamps, and the sky's light by what is seen of it."""
    # Unit normal n, and unit vector v to the camera, which is the origin.
    nx, ny, nz = normal
    length = np.float32(np.sqrt(nx * nx + ny * ny + nz * nz)) + np.float32(1e-9)
    nx, ny, nz = nx / length, ny / length, nz / length
    px, py, pz = point
    away = np.float32(np.sqrt(px * px + py * py + pz * pz))
    vx, vy, vz = -px / away, -py / away, -pz / away
    # Hemisphere light: between ground and sky by the angle to the vertical.
    up = nx * lamps[UP, 0] + ny * lamps[UP, 1] + nz * lamps[UP, 2]
    sky = np.float32(0.5) + np.float32(0.5) * up
    # Reflection grows towards grazing views, as 0.35 + 0.65 (1 - n v)^4: after Schlick's
    # approximation of Fresnel's law (1994), whose power is 5.
    facing = max(nx * vx + ny * vy + nz * vz, np.float32(0.0))
    edge = (1 - facing) * (1 - facing)
    fresnel = np.float32(0.35) + np.float32(0.65) * edge * edge
    for k in range(3):
        ambient = (lamps[GROUND, k] + sky * (lamps[SKY, k] - lamps[GROUND, k])) * sky_share
        colour[k] = albedo[k] * ambient
    for lamp in (KEY, FILL):
        # n l, and the highlight (n h)^power with the half vector h of l and v.
        lx, ly, lz = lamps[lamp]
        cosine = nx * lx + ny * ly + nz * lz
        visible = lit if lamp == KEY else sky_share
        hx, hy, hz = lx + vx, ly + vy, lz + vz
        half = np.float32(np.sqrt(hx * hx + hy * hy + hz * hz)) + np.float32(1e-9)
        shine = max((nx * hx + ny * hy + nz * hz) / half, np.float32(0.0))
        highlight = shine**power * gloss * fresnel * visible * np.float32(0.5)
        if cosine <= 0.0:
            highlight = np.float32(0.0)
        for k in range(3):
            # max((n l + s) / (1 + s), 0): light reaches s past the edge, which differs by colour.
            soft = wrap * np.float32(WRAP[k])
            diffuse = max((cosine + soft) / (1 + soft), np.float32(0.0))
            # The wrapped part of the light comes through the skin: no shadow stops it all.
            through = visible + (1 - visible) * soft * np.float32(0.5)
            colour[k] += lamps[lamp + 1, k] * (albedo[k] * diffuse * through + highlight)
