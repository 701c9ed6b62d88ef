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
GRAIN_MARGIN = 256  # pixels
HAIR_RISE = np.array([0.0, 0.25, 0.0], np.float32)  # hair stands up a little
SCLERA, TEETH, TONGUE, MOUTH = (226, 220, 214), (214, 204, 184), (160, 84, 84), (104, 38, 36)


@dataclass(frozen=True, eq=False)
class Painted:
    """A model painted for one appearance.

    attributes: (n, 9) float32 in the columns of shading.py. texture: (h, w, 4) uint8.
    materials, lamps: (7, 3) float32, the rows of shading.py. cap: (n, 3) float32 decimetres,
    displacement of the skin by hair.
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
    look: Appearance,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """A picture of a face.

    model: the embedded model (texture coordinates, masks and curves are needed).
    mesh: (n, 3) of `model.shape`, decimetres. pose: (6,), see camera.py.
    rng: gives this picture's sensor noise, nothing else.
    Returns (camera.height, camera.width, 3) uint8 RGB.
    """
    place: NDArray[np.float64] = np.asarray(pose, np.float64)
    return _exposed(_scene(model, mesh, place, camera, look), look, rng)


def render_moving(
    model: MorphableModel,
    meshes: Sequence[NDArray[np.floating]],
    poses: Sequence[NDArray[np.floating]],
    camera: Camera,
    look: Appearance,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """As `render`, of a face that moves while the shutter is open: the mean of its moments."""
    moments = [
        _scene(model, mesh, np.asarray(pose, np.float64), camera, look)
        for mesh, pose in zip(meshes, poses, strict=True)
    ]
    return _exposed(np.mean(moments, 0, dtype=np.float32), look, rng)


def _scene(
    model: MorphableModel,
    mesh: NDArray[np.floating],
    pose: NDArray[np.float64],
    camera: Camera,
    look: Appearance,
) -> Float32:
    """The light that falls into the camera: (height, width, 3) float32 linear."""
    scene = np.array(backdrop(look, camera.width, camera.height))
    _draw_head(scene, model, np.asarray(mesh, np.float32), pose, camera, look)
    if "face-cloth" in look.added:
        add_face_cloth(scene, look, camera, pose)
    if "cloth" not in look.without:
        add_shoulders(scene, look, camera, pose, float(model.mean[:, 1].min()))
    return scene


@lru_cache(maxsize=8)
def painted(model: MorphableModel, look: Appearance) -> Painted:
    """The model painted for an appearance; takes a few tenths of a second, kept for the next."""
    paint = surface_paint(model)
    n = len(model.mean)
    attributes = np.zeros((n, shading.ATTRIBUTES), np.float32)
    attributes[:, shading.U], attributes[:, shading.V] = paint.texture_place.T
    attributes[:, shading.LIPS], attributes[:, shading.BARE] = paint.lips, paint.bare
    attributes[:, shading.OPENNESS] = paint.openness
    attributes[:, shading.EYE_X : shading.EYE_Z + 1] = paint.eye
    if "lips" in look.without:
        attributes[:, shading.LIPS] = 0.0
    if "shadows" in look.without:
        attributes[:, shading.OPENNESS] = 1.0
    attributes[:, shading.INSIDE] = np.clip((model.mean[:, 2] - 0.72) / 0.42, 0.02, 1.0) ** 1.5
    colours = (look.skin, look.lip, look.iris, SCLERA, TEETH, TONGUE, MOUTH)
    light = look.light
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
    place = model.mean.astype(np.float64)
    angle = np.arctan2(place[:, 0], place[:, 2] - FACE_AXIS)
    hair = hair_amount(angle, place[:, 1] - 0.06, look) * (1.0 - paint.bare)
    skin = np.zeros(n, bool)
    skin[model.part_triangles("skin")] = True
    hair[~skin] = 0.0
    cap = (look.hair_volume * hair)[:, None] * (paint.normals + HAIR_RISE)
    return Painted(
        attributes,
        _skin_of(model, _bare(look)),
        (np.asarray(colours, np.float32) / 255.0) ** 2,
        lamps,
        cap.astype(np.float32),
    )


@lru_cache(maxsize=4)
def _skin_of(model: MorphableModel, person: Appearance) -> NDArray[np.uint8]:
    """The skin's texture, most of the time; the same in every light."""
    return skin_texture(model, person)


def _bare(look: Appearance) -> Appearance:
    """A look without what leaves the skin's texture as it is."""
    return replace(look, light=Light(), lashes=0.0, background="", defocus=0, noise=0, exposure=1)


def _draw_head(
    scene: Float32,
    model: MorphableModel,
    mesh: Float32,
    pose: NDArray[np.float64],
    camera: Camera,
    look: Appearance,
) -> None:
    """The shaded head over the scene, supersampled inside its bounding box."""
    person = painted(model, look)
    seen = to_camera(mesh + person.cap, pose).astype(np.float32)
    screen = screen_points(seen, camera.focal, camera.centre)
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
    fine = screen_points(seen, focal, centre)
    triangles, parts = _drawn(model, look.without)
    raster = rasterise(fine, triangles, Raster.empty(*size))
    normals = vertex_normals(seen, model.triangles)
    shadow, axes = _shadow_map(seen, model, person)
    if "shadows" in look.without:
        shadow = np.zeros_like(shadow)
    image = np.empty((*size, 4), np.float32)
    shading.shade(
        raster.triangle,
        raster.weights,
        triangles,
        parts,
        seen,
        normals,
        _with_lids(model, mesh, person, look),
        person.texture,
        person.materials,
        person.lamps,
        shadow,
        axes,
        image,
    )
    if "lashes" not in look.without:
        draw_lashes(image, raster.nearness, model, seen, (focal, centre), look)
    small = cv2.resize(image, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    part = scene[top:bottom, left:right]
    part *= 1.0 - small[..., 3:]
    part += small[..., :3]


@lru_cache(maxsize=4)
def _drawn(
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


def _shadow_map(seen: Float32, model: MorphableModel, person: Painted) -> tuple[Float32, Float32]:
    """Nearness to the key lamp, and the way there from camera coordinates."""
    axes = parallel_axes(seen, person.lamps[shading.KEY].astype(np.float64), SHADOW_SIZE)
    screen = seen @ axes[:, :3].T + axes[:, 3]
    raster = rasterise(screen, model.triangles, Raster.empty(SHADOW_SIZE, SHADOW_SIZE))
    axes[2, 3] += SHADOW_SLACK
    return raster.nearness, axes


def _with_lids(model: MorphableModel, mesh: Float32, person: Painted, look: Appearance) -> Float32:
    """The vertex attributes with the openness of lids as far closed as the mesh has them."""
    if not look.without.isdisjoint(("lids", "shadows")):
        return person.attributes
    paint = surface_paint(model)
    attributes = person.attributes.copy()
    for side, half in (("left", model.mean[:, 0] > 0), ("right", model.mean[:, 0] <= 0)):
        closed = 1.0 - lid_gap(model, mesh, side) / lid_gap(model, model.mean, side)
        change = paint.openness_closed - paint.openness
        attributes[:, shading.OPENNESS] += np.float32(np.clip(closed, 0.0, 1.0)) * change * half
    return attributes


def _exposed(scene: Float32, look: Appearance, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What the camera makes of the scene: defocus, tone curve, noise, 8 bits."""
    if look.defocus > 0.0:
        cv2.GaussianBlur(scene, (0, 0), look.defocus, dst=scene)
    scene *= look.exposure
    # The square root stands for the camera's gamma; the shoulder keeps highlights from clipping.
    bright = np.sqrt(scene / (1.0 + 0.25 * scene * scene))
    bright *= 255.0
    if look.noise > 0.0:
        height, width = scene.shape[:2]
        grain = _grain(height, width)
        y, x = rng.integers(0, GRAIN_MARGIN, 2)
        bright += look.noise * grain[y : y + height, x : x + width]
    np.clip(bright, 0.0, 255.0, out=bright)
    return np.rint(bright).astype(np.uint8)


@lru_cache(maxsize=2)
def _grain(height: int, width: int) -> Float32:
    """Sensor noise of unit variance; a picture takes a random window, which is far faster."""
    size = (height + GRAIN_MARGIN, width + GRAIN_MARGIN, 3)
    return np.random.default_rng(0).standard_normal(size, dtype=np.float32)


def _unit(vector: tuple[float, float, float]) -> tuple[float, float, float]:
    length = float(np.linalg.norm(vector))
    x, y, z = (float(c) / length for c in vector)
    return x, y, z
