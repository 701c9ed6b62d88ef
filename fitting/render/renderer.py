"""Pictures of the morphable model that a landmark detector takes for photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ..camera import Camera, to_camera
from ..morphable_model.morphable_model import MorphableModel
from ..morphable_model.surface import vertex_normals
from . import shading
from .appearance import Appearance, Light, random_appearance
from .background import add_face_cloth, add_shoulders, backdrop
from .lashes import draw_lashes, lid_gap
from .rasteriser import Raster, rasterise, screen_points
from .skin import FACE_AXIS, hair_amount, parallel_axes, skin_texture, surface_paint

__all__ = ["Appearance", "random_appearance", "render"]

Float32 = NDArray[np.float32]

SUPERSAMPLING = 2
SHADOW_SIZE = 256
SHADOW_SLACK = 0.02  # decimetres
NOISE_MARGIN = 256  # pixels
HAIR_RISE = np.array([0.0, 0.25, 0.0], np.float32)  # hair stands up a little
SCLERA, TEETH, TONGUE, MOUTH = (226, 220, 214), (214, 204, 184), (160, 84, 84), (104, 38, 36)


@dataclass(frozen=True, eq=False)
class Painted:
    """A model painted for one appearance.

    Attributes
    ----------
    attributes : (n, 9) float32, in the columns of shading.py
    texture : (h, w, 4) uint8, sRGB albedo and gloss
    materials : (7, 3) float32, linear albedos in the rows of shading.py
    lamps : (7, 3) float32, directions and linear intensities in the rows of shading.py
    cap : (n, 3) float32, displacement of the skin by hair, decimetres
    """

    attributes: Float32
    texture: NDArray[np.uint8]
    materials: Float32
    lamps: Float32
    cap: Float32


def render(
    model: MorphableModel,
    mesh: NDArray[np.floating],
    pose: NDArray[np.floating],
    camera: Camera,
    appearance: Appearance,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Take a picture of a face.

    Parameters
    ----------
    model : the embedded model (texture coordinates, masks and curves are needed)
    mesh : (n, 3) float, as of `model.shape`, decimetres
    pose : (6,) float, rotation vector (radians) and translation (decimetres), see camera.py
    camera : that takes the picture
    appearance : of the person, the light and the sensor
    rng : gives this picture's sensor noise, nothing else

    Returns
    -------
    (camera.height, camera.width, 3) uint8
        RGB
    """
    scene = _scene(model, mesh, np.asarray(pose, np.float64), camera, appearance)
    return _expose(scene, appearance, rng)


def render_moving(
    model: MorphableModel,
    meshes: Sequence[NDArray[np.floating]],
    poses: Sequence[NDArray[np.floating]],
    camera: Camera,
    appearance: Appearance,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Take a picture of a face that moves while the shutter is open: the mean of its moments.

    Parameters
    ----------
    model : the embedded model
    meshes : (n, 3) float each, one a moment, decimetres
    poses : (6,) float each, one a moment
    camera : that takes the picture
    appearance : of the person, the light and the sensor
    rng : gives this picture's sensor noise, nothing else

    Returns
    -------
    (camera.height, camera.width, 3) uint8
        RGB
    """
    moments = [
        _scene(model, mesh, np.asarray(pose, np.float64), camera, appearance)
        for mesh, pose in zip(meshes, poses, strict=True)
    ]
    return _expose(np.mean(moments, 0, dtype=np.float32), appearance, rng)


def _scene(
    model: MorphableModel,
    mesh: NDArray[np.floating],
    pose: NDArray[np.float64],
    camera: Camera,
    appearance: Appearance,
) -> Float32:
    """The light that falls into the camera: (height, width, 3) float32 linear."""
    scene = np.array(backdrop(appearance, camera.width, camera.height))
    _draw_head(scene, model, np.asarray(mesh, np.float32), pose, camera, appearance)
    if "face-cloth" in appearance.added:
        add_face_cloth(scene, appearance, camera, pose)
    if "cloth" not in appearance.without:
        add_shoulders(scene, appearance, camera, pose, float(model.mean[:, 1].min()))
    return scene


@lru_cache(maxsize=8)
def painted(model: MorphableModel, appearance: Appearance) -> Painted:
    """Paint a model for an appearance.

    That takes a few tenths of a second; the result is kept for the next picture.

    Parameters
    ----------
    model : the embedded model
    appearance : of the person and the light

    Returns
    -------
    Painted
    """
    paint = surface_paint(model)
    n = len(model.mean)
    attributes = np.zeros((n, shading.ATTRIBUTES), np.float32)
    attributes[:, shading.U], attributes[:, shading.V] = paint.texture_coordinates.T
    attributes[:, shading.LIPS], attributes[:, shading.BARE] = paint.lips, paint.bare
    attributes[:, shading.SKY_VISIBILITY] = paint.sky_visibility
    attributes[:, shading.EYE_X : shading.EYE_Z + 1] = paint.eye
    if "lips" in appearance.without:
        attributes[:, shading.LIPS] = 0.0
    if "shadows" in appearance.without:
        attributes[:, shading.SKY_VISIBILITY] = 1.0
    # In the mouth it grows dark from the lips (z = 1.14 dm) to the throat (0.72 dm).
    attributes[:, shading.INSIDE] = np.clip((model.mean[:, 2] - 0.72) / 0.42, 0.02, 1.0) ** 1.5
    colours = (appearance.skin, appearance.lip, appearance.iris, SCLERA, TEETH, TONGUE, MOUTH)
    light = appearance.light
    lamps = np.array(
        [
            _unit(light.key),
            light.key_colour,
            _unit(light.fill),
            light.fill_colour,
            light.sky_colour,
            light.ground_colour,
            (0.0, 0.96, 0.28),
        ],
        np.float32,
    )
    # Hair covers skin above the hair line, and lifts the surface along its normals.
    place = model.mean.astype(np.float64)
    angle = np.arctan2(place[:, 0], place[:, 2] - FACE_AXIS)
    hair = hair_amount(angle, place[:, 1] - 0.06, appearance) * (1.0 - paint.bare)
    skin = np.zeros(n, bool)
    skin[model.part_triangles("skin")] = True
    hair[~skin] = 0.0
    cap = (appearance.hair_volume * hair)[:, None] * (paint.normals + HAIR_RISE)
    return Painted(
        attributes,
        _skin_of(model, _skin_appearance(appearance)),
        # A gamma of 2 stands for that of sRGB, here and wherever colours become linear.
        (np.asarray(colours, np.float32) / 255.0) ** 2,
        lamps,
        cap.astype(np.float32),
    )


@lru_cache(maxsize=4)
def _skin_of(model: MorphableModel, person: Appearance) -> NDArray[np.uint8]:
    """The skin's texture, most of the time; the same in every light."""
    return skin_texture(model, person)


def _skin_appearance(appearance: Appearance) -> Appearance:
    """An appearance without what the skin's texture does not depend on, to find it again by."""
    return replace(
        appearance, light=Light(), lashes=0.0, background="", defocus=0, noise=0, exposure=1
    )


def _draw_head(
    scene: Float32,
    model: MorphableModel,
    mesh: Float32,
    pose: NDArray[np.float64],
    camera: Camera,
    appearance: Appearance,
) -> None:
    """The shaded head over the scene, supersampled inside its bounding box."""
    person = painted(model, appearance)
    vertices = to_camera(mesh + person.cap, pose).astype(np.float32)
    screen = screen_points(vertices, camera.focal, camera.centre)
    box = _box(screen, camera)
    if box is None:
        return
    left, top, right, bottom = box
    # Pixel (x, y) of the scene is the mean of its SUPERSAMPLING x SUPERSAMPLING samples.
    size = ((bottom - top) * SUPERSAMPLING, (right - left) * SUPERSAMPLING)
    focal = camera.focal * SUPERSAMPLING
    centre = (
        (camera.centre[0] - left + 0.5) * SUPERSAMPLING - 0.5,
        (camera.centre[1] - top + 0.5) * SUPERSAMPLING - 0.5,
    )
    fine = screen_points(vertices, focal, centre)
    triangles, parts = _drawn_triangles(model, appearance.without)
    raster = rasterise(fine, triangles, Raster.empty(*size))
    normals = vertex_normals(vertices, model.triangles)
    shadow, axes = _shadow_map(vertices, model, person)
    if "shadows" in appearance.without:
        shadow = np.zeros_like(shadow)
    image = np.empty((*size, 4), np.float32)
    shading.shade(
        raster.triangle,
        raster.weights,
        triangles,
        parts,
        vertices,
        normals,
        _with_lids(model, mesh, person, appearance),
        person.texture,
        person.materials,
        person.lamps,
        shadow,
        axes,
        image,
    )
    if "lashes" not in appearance.without:
        draw_lashes(image, raster.inverse_depth, model, vertices, (focal, centre), appearance)
    small = cv2.resize(image, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    # Premultiplied "over" (Porter and Duff 1984): the mean of the samples holds coverage times
    # colour.
    behind = scene[top:bottom, left:right]
    behind *= 1.0 - small[..., 3:]
    behind += small[..., :3]


@lru_cache(maxsize=4)
def _drawn_triangles(
    model: MorphableModel, without: frozenset[str]
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Triangles and their parts, all but teeth and tongue where these are left out."""
    left_out = [number for name, number in (("teeth", 4), ("tongue", 5)) if name in without]
    if not left_out:
        return model.triangles, model.parts
    kept = ~np.isin(model.parts, left_out)
    return model.triangles[kept], model.parts[kept]


def _box(screen: Float32, camera: Camera) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of the head in the picture; None where it is outside."""
    inside = screen[screen[:, 2] > 0.0]
    if not len(inside) or not np.isfinite(inside).all():
        return None
    low, high = inside[:, :2].min(0), inside[:, :2].max(0)
    left, top = max(int(low[0]) - 1, 0), max(int(low[1]) - 1, 0)
    right = min(int(high[0]) + 2, camera.width)
    bottom = min(int(high[1]) + 2, camera.height)
    return (left, top, right, bottom) if right > left and bottom > top else None


def _shadow_map(
    vertices: Float32, model: MorphableModel, person: Painted
) -> tuple[Float32, Float32]:
    """Nearness to the key lamp, and the way there from camera coordinates."""
    axes = parallel_axes(vertices, person.lamps[shading.KEY].astype(np.float64), SHADOW_SIZE)
    screen = vertices @ axes[:, :3].T + axes[:, 3]
    raster = rasterise(screen, model.triangles, Raster.empty(SHADOW_SIZE, SHADOW_SIZE))
    # Without the slack a surface would shade itself where texel and pixel differ.
    axes[2, 3] += SHADOW_SLACK
    return raster.inverse_depth, axes


def _with_lids(
    model: MorphableModel, mesh: Float32, person: Painted, appearance: Appearance
) -> Float32:
    """The vertex attributes with the visible sky of lids as far closed as the mesh has them."""
    if not appearance.without.isdisjoint(("lids", "shadows")):
        return person.attributes
    paint = surface_paint(model)
    attributes = person.attributes.copy()
    for side, half in (("left", model.mean[:, 0] > 0), ("right", model.mean[:, 0] <= 0)):
        # Linear in the gap of the rims between the mean face and closed lids.
        closed = 1.0 - lid_gap(model, mesh, side) / lid_gap(model, model.mean, side)
        change = paint.sky_visibility_closed - paint.sky_visibility
        attributes[:, shading.SKY_VISIBILITY] += (
            np.float32(np.clip(closed, 0.0, 1.0)) * change * half
        )
    return attributes


def _expose(scene: Float32, appearance: Appearance, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What the camera makes of the scene: defocus, tone curve, noise, 8 bits."""
    if appearance.defocus > 0.0:
        cv2.GaussianBlur(scene, (0, 0), appearance.defocus, dst=scene)
    scene *= appearance.exposure
    # The square root stands for the camera's gamma; the shoulder keeps highlights from clipping.
    bright = np.sqrt(scene / (1.0 + 0.25 * scene * scene))
    bright *= 255.0
    if appearance.noise > 0.0:
        height, width = scene.shape[:2]
        pattern = _sensor_noise(height, width)
        y, x = rng.integers(0, NOISE_MARGIN, 2)
        bright += appearance.noise * pattern[y : y + height, x : x + width]
    np.clip(bright, 0.0, 255.0, out=bright)
    return np.rint(bright).astype(np.uint8)


@lru_cache(maxsize=2)
def _sensor_noise(height: int, width: int) -> Float32:
    """Sensor noise of unit variance; a picture takes a random window, which is far faster."""
    size = (height + NOISE_MARGIN, width + NOISE_MARGIN, 3)
    return np.random.default_rng(0).standard_normal(size, dtype=np.float32)


def _unit(vector: tuple[float, float, float]) -> tuple[float, float, float]:
    length = float(np.linalg.norm(vector))
    x, y, z = (float(c) / length for c in vector)
    return x, y, z
