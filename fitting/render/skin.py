"""The painted skin of one person: its texture, and what the renderer must know of each vertex.

The texture holds tone, blotches, brows, stubble, lid creases and the cap of hair. What belongs to
the vertices (place in the texture, ambient occlusion, place on the eyeball) depends on the model
alone and is computed once for its mean shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ..morphable_model.morphable_model import MorphableModel
from ..morphable_model.surface import vertex_normals
from .appearance import Appearance, Colour
from .rasteriser import Raster, rasterise

Float32 = NDArray[np.float32]

# The skin texture is a cylinder around the head: its axis lies FACE_AXIS before the origin
# (decimetres), its height runs from TOP to BOTTOM.
FACE_AXIS, TOP, BOTTOM = 0.1, 1.15, -1.95
OCCLUSION_VIEWS, OCCLUSION_SIZE = 48, 192
OCCLUSION_SLACK = 0.03  # decimetres: closer surfaces do not shade each other

WIDTH, HEIGHT = 1536, 1024
TEXELS_UP = HEIGHT / (TOP - BOTTOM)  # per decimetre of height
FACE_RADIUS = 0.95  # decimetres from the axis to the face: turns angles into lengths
TEXELS_AROUND = WIDTH / (2 * np.pi * FACE_RADIUS)
SUBTEXEL = 4  # bits of cv2's fixed-point coordinates

# The hair line by the angle around the head (degrees from the front): height in decimetres,
# the first three relative to the appearance's hair_line.
HAIR_ANGLES = np.array([0.0, 25.0, 37.0, 47.0, 55.0, 62.0, 69.0, 80.0, 95.0, 120.0, 180.0])
HAIR_HEIGHTS = np.array([0.0, 0.02, -0.06, 0.40, 0.22, 0.05, -0.12, -0.22, -0.35, -0.70, -0.85])
HAIR_RELATIVE = 3
HAIR_SOFTNESS = 0.05

# Rosy places of a face and shadows under the eyes: x, y, radius (dm), redness, darkness.
ROSY = ((0.42, -0.30, 0.20, 0.09, 0.02), (0.0, -0.36, 0.11, 0.08, 0.02), (0.0, -1.0, 0.12, 0.04, 0))
UNDER_EYE = ((0.30, -0.125, 0.085, 0.03, 0.10), (0.20, -0.09, 0.05, 0.03, 0.08))


def skin_texture(model: MorphableModel, appearance: Appearance) -> NDArray[np.uint8]:
    """Paint the skin of a person.

    Parameters
    ----------
    model : its curves and masks
    appearance : of the person; the same one gives the same texture

    Returns
    -------
    (HEIGHT, WIDTH, 4) uint8
        sRGB albedo and gloss (0-255)
    """
    rng = np.random.default_rng([appearance.seed, 1])
    tone = np.empty((HEIGHT, WIDTH, 3), np.float32)
    tone[:] = appearance.skin
    _detail(tone, appearance, rng)
    _creases(tone, model, appearance)
    for side in ("left", "right"):
        brow = _brow(model, side, appearance, rng)
        if "brows" not in appearance.without:
            _mix(tone, brow, appearance.brow)
    if "lip-texture" in appearance.added:
        _lip_furrows(tone, model, appearance)
    gloss = np.full((HEIGHT, WIDTH), 255.0 * appearance.skin_gloss, np.float32)
    gloss *= 0.6 + 0.4 * _spot(0.0, 0.2, 0.45) + 0.4 * _spot(0.0, -0.3, 0.2)
    cap = hair_amount(_angles(), _heights(), appearance)
    if cap.any():
        _hair(tone, gloss, cap, appearance, rng)
    return np.clip(np.rint(np.dstack([tone, gloss])), 0, 255).astype(np.uint8)


def _detail(tone: Float32, appearance: Appearance, rng: np.random.Generator) -> None:
    """What is on the skin itself; without it the generator goes on as if it were there."""
    plain = tone.copy() if "skin" in appearance.without else None
    tone *= 1.0 + _blotches(appearance, rng)
    _blush(tone)
    if appearance.freckles > 0.0:
        _freckles(tone, appearance, rng)
    if appearance.stubble > 0.0:
        _stubble(tone, appearance, rng)
    if plain is not None:
        tone[:] = plain


def hair_amount(
    angle: NDArray[np.floating], height: NDArray[np.floating], appearance: Appearance
) -> Float32:
    """How much hair there is at places around the head.

    Parameters
    ----------
    angle : (...) float, from the front, radians
    height : (...) float, model coordinates, decimetres
    appearance : its hair line

    Returns
    -------
    (...) float32
        0 skin to 1 hair
    """
    if appearance.hair_line is None:
        return np.zeros(np.broadcast(angle, height).shape, np.float32)
    line = HAIR_HEIGHTS.copy()
    line[:HAIR_RELATIVE] += appearance.hair_line
    border = np.interp(np.degrees(np.abs(angle)), HAIR_ANGLES, line)
    share = np.clip((height - border) / HAIR_SOFTNESS + 0.5, 0.0, 1.0)
    return np.asarray(share, np.float32)


def _angles() -> NDArray[np.float64]:
    return ((np.arange(WIDTH) + 0.5) / WIDTH - 0.5)[None, :] * 2 * np.pi


def _heights() -> NDArray[np.float64]:
    return np.asarray(TOP - (np.arange(HEIGHT) + 0.5)[:, None] / TEXELS_UP, np.float64)


def _noise(rng: np.random.Generator, cell: float) -> Float32:
    """Smooth noise of unit variance with features of `cell` texels."""
    rows, columns = int(HEIGHT / cell) + 3, int(WIDTH / cell) + 3
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    noise = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.asarray(noise / max(float(noise.std()), 1e-6), np.float32)


def _spot(x: float, y: float, radius: float) -> Float32:
    """A soft spot on the front and, where x is not 0, on the other side too."""
    across = _angles() * FACE_RADIUS
    up = (_heights() - y) ** 2
    spot = np.exp(-((across - x) ** 2 + up) / (2 * radius**2))
    if x != 0.0:
        spot = spot + np.exp(-((across + x) ** 2 + up) / (2 * radius**2))
    return np.asarray(spot, np.float32)


def _blotches(appearance: Appearance, rng: np.random.Generator) -> Float32:
    large, middle = _noise(rng, 90.0), _noise(rng, 22.0)
    pores = _noise(rng, 2.2)
    red = _noise(rng, 40.0)
    grey = (
        appearance.blotches * (0.022 * large + 0.018 * middle)
        + (0.010 + 0.014 * appearance.blotches) * pores
    )
    shift = 0.018 * appearance.blotches * red
    return np.dstack([grey + shift, grey - shift, grey - shift])


def _blush(tone: Float32) -> None:
    for x, y, radius, redness, darkness in (*ROSY, *UNDER_EYE):
        spot = _spot(x, y, radius)[..., None]
        tone *= 1.0 - spot * (np.array([0.0, redness, redness], np.float32) + np.float32(darkness))


def _freckles(tone: Float32, appearance: Appearance, rng: np.random.Generator) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    for x, y, size in zip(
        rng.normal(0.0, 0.35, 260),
        rng.normal(-0.25, 0.25, 260),
        rng.uniform(0.6, 1.8, 260),
        strict=True,
    ):
        centre = (_column(x), _row(y))
        cv2.circle(mask, centre, round(size * 16), float(rng.uniform(0.2, 1)), -1, cv2.LINE_AA, 4)
    cv2.GaussianBlur(mask, (0, 0), 0.8, dst=mask)
    _mix(tone, 0.45 * appearance.freckles * mask, _times(appearance.skin, (0.60, 0.46, 0.38)))


def _stubble(tone: Float32, appearance: Appearance, rng: np.random.Generator) -> None:
    """The beard's area: chin, jaw and upper lip."""
    across, height = np.degrees(np.abs(_angles())), _heights()
    top = np.interp(
        across, [0.0, 10.0, 17.0, 30.0, 50.0, 65.0], [-0.50, -0.52, -0.62, -0.62, -0.45, -0.1]
    )
    area = np.clip((top - height) / 0.08, 0.0, 1.0) * np.clip((height + 1.3) / 0.15, 0.0, 1.0)
    area = area * np.clip((72.0 - across) / 6.0, 0.0, 1.0)
    grain = np.clip(0.55 + 0.45 * _noise(rng, 1.6), 0.0, 1.0)
    _mix(
        tone,
        (0.55 * appearance.stubble * area * grain).astype(np.float32),
        _times(appearance.hair, (0.9,) * 3),
    )


def _creases(tone: Float32, model: MorphableModel, appearance: Appearance) -> None:
    """The fold over the upper lid, the lash roots and the folds beside nose and mouth."""
    fold, roots, folds = (np.zeros((HEIGHT, WIDTH), np.float32) for _ in range(3))
    for side in ("left", "right"):
        upper = model.curves[f"{side}_upper_lid"].on(model.mean)
        lower = model.curves[f"{side}_lower_lid"].on(model.mean)
        _polyline(fold, upper + (0.0, 0.055, 0.0), 2)
        _polyline(roots, upper + (0.0, 0.004, 0.0), 3)
        _polyline(roots, lower - (0.0, 0.004, 0.0), 1)
        sign = 1.0 if side == "left" else -1.0
        path = np.array(
            [[0.16, -0.37, 1.1], [0.24, -0.46, 1.05], [0.31, -0.62, 0.98], [0.33, -0.72, 0.95]]
        )
        _polyline(folds, path * (sign, 1.0, 1.0), 5)
    layers = {
        "lids": (fold, 0.30 * appearance.wrinkles, 2.0, (0.42, 0.32, 0.28)),
        "lashes": (roots, 0.45, 1.6, (0.30, 0.20, 0.18)),
        "wrinkles": (folds, 0.28 * appearance.wrinkles, 5.0, (0.55, 0.42, 0.38)),
    }
    for name, (drawn, strength, softness, factors) in layers.items():
        if name not in appearance.without:
            soft = cv2.GaussianBlur(drawn, (0, 0), softness)
            _mix(tone, strength * soft, _times(appearance.skin, factors))


def _lip_furrows(tone: Float32, model: MorphableModel, appearance: Appearance) -> None:
    """Furrows across the lips, and paler and darker places; from a generator of their own."""
    rng = np.random.default_rng([appearance.seed, 4])
    area = np.zeros((HEIGHT, WIDTH), np.float32)
    lips = model.masks["lips"][model.triangles].mean(1) > 0.3
    corners = _texels(model.mean[model.triangles[lips]])
    for corner in np.rint(corners * 2**SUBTEXEL).astype(np.int32):
        cv2.fillPoly(area, [corner], 1.0, cv2.LINE_AA, SUBTEXEL)
    cv2.GaussianBlur(area, (0, 0), 1.5, dst=area)
    rows = rng.standard_normal((HEIGHT // 24 + 2, WIDTH // 3), dtype=np.float32)
    furrows = cv2.resize(rows, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    depth = 0.10 * np.maximum(furrows, 0.0) + 0.03 * _noise(rng, 12.0)
    tone *= 1.0 - (np.clip(depth, -0.2, 0.5) * area)[..., None]


def _brow(
    model: MorphableModel, side: str, appearance: Appearance, rng: np.random.Generator
) -> Float32:
    """Coverage of one brow: a soft body and single hairs, the curve in the middle."""
    path = _texels(model.curves[f"{side}_brow"].on(model.mean))
    body, hairs = np.zeros((HEIGHT, WIDTH), np.float32), np.zeros((HEIGHT, WIDTH), np.float32)
    outwards = float(np.sign(path[-1, 0] - path[0, 0]))
    for start, end in _brow_hairs(path, outwards, appearance, rng):
        strength = float(rng.uniform(0.5, 1.0))
        cv2.line(hairs, _fixed(start), _fixed(end), strength, 1, cv2.LINE_AA, SUBTEXEL)
        cv2.line(body, _fixed(start), _fixed(end), 1.0, 3, cv2.LINE_AA, SUBTEXEL)
    cv2.GaussianBlur(body, (0, 0), 2.5, dst=body)
    return np.asarray(
        np.clip(appearance.brow_density * (0.55 * body + 0.65 * hairs), 0.0, 0.97), np.float32
    )


def _brow_hairs(
    path: NDArray[np.float64], outwards: float, appearance: Appearance, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    steps = np.linspace(0.0, 1.0, len(path))
    for along in rng.uniform(0.0, 1.0, int(260 * (0.5 + appearance.brow_density))):
        centre = np.array([np.interp(along, steps, path[:, axis]) for axis in (0, 1)])
        profile = min(1.0, 0.65 + 1.4 * along, 1.9 * (1.06 - along))
        half = 0.5 * appearance.brow_width * TEXELS_UP * profile
        root = centre + (0.0, half * rng.uniform(-0.9, 1.0))
        lean = np.radians(np.interp(along, [0.0, 0.3, 0.7, 1.0], [75.0, 45.0, 12.0, -20.0]))
        lean += rng.normal(0.0, 0.18)
        length = rng.uniform(0.5, 1.1) * 0.065 * TEXELS_UP
        yield root, root + length * np.array([outwards * np.cos(lean), -np.sin(lean)])


def _hair(
    tone: Float32, gloss: Float32, cap: Float32, appearance: Appearance, rng: np.random.Generator
) -> None:
    """The cap of hair: strands that run from the crown down."""
    roots = rng.standard_normal((40, WIDTH), dtype=np.float32)
    strands = cv2.resize(roots, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    wave = np.rint(14.0 * _noise(rng, 120.0)).astype(np.int64)
    rows, columns = np.indices((HEIGHT, WIDTH))
    strands = strands[rows, (columns + wave) % WIDTH]
    border = np.clip(cap + 0.9 * cap * (1.0 - cap) * strands, 0.0, 1.0)
    shade = np.clip(1.0 + 0.22 * strands + 0.10 * _noise(rng, 60.0), 0.35, 1.9)
    hair = np.asarray(appearance.hair, np.float32) * shade[..., None]
    tone += border[..., None] * (hair - tone)
    gloss += border * (60.0 * np.clip(shade - 0.6, 0.0, 1.0) - gloss)


def _polyline(canvas: Float32, points: NDArray[np.float64], thickness: int) -> None:
    texels = np.rint(_texels(points) * 2**SUBTEXEL).astype(np.int32)
    cv2.polylines(canvas, [texels], False, 1.0, thickness, cv2.LINE_AA, SUBTEXEL)


def _texels(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return texture_coordinates(points) * (WIDTH, HEIGHT) - 0.5


def _fixed(texel: NDArray[np.float64]) -> tuple[int, int]:
    return round(float(texel[0]) * 2**SUBTEXEL), round(float(texel[1]) * 2**SUBTEXEL)


def texture_coordinates(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Where points of the mean shape lie in the skin texture, a cylinder around the head.

    Parameters
    ----------
    points : (..., 3) float, model coordinates, decimetres

    Returns
    -------
    (..., 2) float64
        right and down, in [0, 1]
    """
    points = np.asarray(points, np.float64)
    angle = np.arctan2(points[..., 0], points[..., 2] - FACE_AXIS)
    return np.stack([angle / (2 * np.pi) + 0.5, (TOP - points[..., 1]) / (TOP - BOTTOM)], -1)


def _column(x: float) -> int:
    return int(round((WIDTH / 2 + x * TEXELS_AROUND) * 2**SUBTEXEL))


def _row(y: float) -> int:
    return int(round((TOP - y) * TEXELS_UP * 2**SUBTEXEL))


def _mix(tone: Float32, amount: Float32, colour: Colour) -> None:
    tone += amount[..., None] * (np.asarray(colour, np.float32) - tone)


def _times(colour: Colour, factors: tuple[float, ...]) -> Colour:
    red, green, blue = (c * f for c, f in zip(colour, factors, strict=True))
    return red, green, blue


@dataclass(frozen=True, eq=False)
class SurfacePaint:
    """Constant attributes of the model's vertices.

    Attributes
    ----------
    texture_coordinates : (n, 2) float32 in [0, 1], right and down in the skin texture
    lips : (n,) float32 in [0, 1], share of the lips' colour
    bare : (n,) float32 in [0, 1], 1 where no hair grows (ears)
    sky_visibility : (n,) float32 in [0, 1], share of the sky that a vertex sees, lids open
    sky_visibility_closed : (n,) float32 in [0, 1], the same with closed lids
    eye : (n, 3) float32, place on the eyeball in radii from its centre, z to the pupil; 0 elsewhere
    normals : (n, 3) float32, of the mean shape, unit length
    """

    texture_coordinates: Float32
    lips: Float32
    bare: Float32
    sky_visibility: Float32
    sky_visibility_closed: Float32
    eye: Float32
    normals: Float32


@lru_cache(maxsize=4)
def surface_paint(model: MorphableModel) -> SurfacePaint:
    """Compute the constant vertex attributes of a model; kept for the next call.

    Parameters
    ----------
    model : the morphable model

    Returns
    -------
    SurfacePaint
    """
    normals = vertex_normals(model.mean, model.triangles)
    blink = [name.startswith("eyeBlink") for name in model.expression_names]
    closed = model.shape(None, np.asarray(blink, np.float32))
    none = np.zeros(len(model.mean), np.float32)
    ears = model.masks.get("ears", none)
    return SurfacePaint(
        texture_coordinates=texture_coordinates(model.mean).astype(np.float32),
        lips=_smoothed(model.masks.get("lips", none), model.triangles, 1),
        bare=_smoothed((ears > 0.5).astype(np.float32), model.triangles, 1),
        sky_visibility=_sky_visibility(model, model.mean),
        sky_visibility_closed=_sky_visibility(model, closed),
        eye=eye_coordinates(model),
        normals=normals,
    )


def eye_coordinates(model: MorphableModel) -> Float32:
    """Give each vertex's place on its eyeball, from a sphere through the vertices.

    Parameters
    ----------
    model : the morphable model, with a part called eyes

    Returns
    -------
    (n, 3) float32
        in radii from the eyeball's centre, z to the pupil; 0 for other vertices
    """
    places = np.zeros_like(model.mean)
    eyes = np.unique(model.part_triangles("eyes"))
    for side in (eyes[model.mean[eyes, 0] > 0], eyes[model.mean[eyes, 0] <= 0]):
        points = model.mean[side].astype(np.float64)
        # The sphere |p - c|^2 = r^2 is linear in c and r^2 - |c|^2.
        system = np.column_stack([2 * points, np.ones(len(points))])
        solution = np.linalg.lstsq(system, (points**2).sum(1), rcond=None)[0]
        offset = points - solution[:3]
        places[side] = offset / np.linalg.norm(offset, axis=1).mean()
    return places


def _sky_visibility(model: MorphableModel, mesh: Float32) -> Float32:
    """Cosine-weighted share of directions in which a vertex sees out, over a Fibonacci sphere."""
    # Directions that spread evenly: heights in equal steps, each turned by the golden angle.
    steps = np.arange(OCCLUSION_VIEWS) + 0.5
    z = 1 - 2 * steps / OCCLUSION_VIEWS
    turn = np.pi * (1 + 5**0.5) * steps
    ring = np.sqrt(1 - z**2)
    normals = vertex_normals(mesh, model.triangles)
    directions = np.column_stack([ring * np.cos(turn), z, ring * np.sin(turn)])
    visible, total = np.zeros(len(normals)), np.full(len(normals), 1e-6)
    raster = Raster.empty(OCCLUSION_SIZE, OCCLUSION_SIZE)
    # A sky of even light gives each direction the weight of Lambert's cosine.
    for direction in directions:
        cosine = np.maximum(normals @ direction, 0.0)
        visible += cosine * visible_from(mesh, model.triangles, direction, raster)
        total += cosine
    return _smoothed((visible / total).astype(np.float32), model.triangles, 2)


def visible_from(
    mesh: Float32,
    triangles: NDArray[np.int32],
    direction: NDArray[np.float64],
    raster: Raster,
) -> NDArray[np.bool_]:
    """Say which vertices are seen from far away in a direction, without perspective.

    Parameters
    ----------
    mesh : (n, 3) float32, decimetres
    triangles : (m, 3) int32
    direction : (3,) float64, towards the viewer, any length
    raster : square buffers, changed in place

    Returns
    -------
    (n,) bool
    """
    height, width = raster.triangle.shape
    axes = parallel_axes(mesh, direction, width)
    screen = mesh @ axes[:, :3].T + axes[:, 3]
    rasterise(screen, triangles, raster)
    column = np.clip(np.rint(screen[:, 0]).astype(int), 0, width - 1)
    row = np.clip(np.rint(screen[:, 1]).astype(int), 0, height - 1)
    return np.asarray(screen[:, 2] >= raster.inverse_depth[row, column] - OCCLUSION_SLACK)


def parallel_axes(mesh: Float32, direction: NDArray[np.float64], size: int) -> Float32:
    """The view of a mesh along a direction, without perspective, that fills a square.

    Parameters
    ----------
    mesh : (n, 3) float32, any unit
    direction : (3,) float64, towards the viewer, any length
    size : side of the square, pixels

    Returns
    -------
    (3, 4) float32
        column, row and nearness to the viewer (the mesh's unit, 1 or more) as affine functions of
        the mesh's coordinates
    """
    # A right-handed frame: z to the viewer, x level where z is not the vertical, y down the rows.
    z = direction / np.linalg.norm(direction)
    x = np.cross((0.0, 1.0, 0.0) if abs(z[1]) < 0.99 else (0.0, 0.0, 1.0), z)
    x /= np.linalg.norm(x)
    axes = np.stack([x, -np.cross(z, x), z])
    turned = mesh @ axes.T
    low, high = turned.min(0), turned.max(0)
    scale = (size - 3) / max(high[0] - low[0], high[1] - low[1])
    factors = np.array([scale, scale, 1.0])
    return np.column_stack([axes * factors[:, None], 1.0 - low * factors]).astype(np.float32)


def _smoothed(values: Float32, triangles: NDArray[np.int32], rounds: int) -> Float32:
    """Vertex values averaged with their neighbours."""
    result = values.astype(np.float64)
    corners = triangles.ravel()
    count = np.maximum(np.bincount(corners, minlength=len(values)), 1)
    for _ in range(rounds):
        of_triangle = np.repeat(result[triangles].mean(1), 3)
        result = np.bincount(corners, of_triangle, minlength=len(values)) / count
    return result.astype(np.float32)
