"""Trains the head that tells which landmarks are seen, on renders with things before the face.

    python tools/train_visibility.py WORK

No photograph is looked at. Renders of two face models (the embedded one; ICT-FaceKit where it is at
hand) get hands, masks, hair and other things before the face from `face_occluders.py`, and light,
camera and codec of another kind. The mesh network, which is not changed, looks at them; at each of
its landmarks the head learns whether the thing or the face is there. WORK keeps the renders and
what the network sees of them, so that a run that was stopped goes on. Half an hour on two cores.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from face_occluders import Scene, adorn, occlude
from torch.nn import functional

from glee.fitting.importers.import_model import import_model
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.render.renderer import render
from glee.fitting.solver.problem import landmark_places
from glee.fitting.visibility import PARTS
from glee.pipeline.landmarks.mesh.architecture import CROP_SIDE
from glee.pipeline.landmarks.mesh.backend import MeshDetector
from glee.pipeline.landmarks.mesh.detection import crop_of, crop_transform
from glee.pipeline.landmarks.mesh.networks import FaceMesh, load_into
from glee.pipeline.landmarks.mesh.visibility import SeeingMesh, VisibilityHead
from glee.pipeline.landmarks.mesh.weights import (
    VISIBILITY_PATH,
    WEIGHTS_PATH,
    read_weights,
    write_weights,
)
from glee.pipeline.landmarks.refiner.renders import (
    random_person,
    random_picture,
    random_shape,
    random_view,
)

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating]

ICT = Path(__file__).resolve().parents[2] / "shared" / "models" / "ict-facekit-60id.tar.xz"
SEED = 1
# People, pictures of each, and how often each picture is looked at with other things before it.
PEOPLE, PER_PERSON, ROUNDS = 140, 10, 5
OF_ICT = 3  # one person in so many
COVERED, TWICE, CUT, MIRRORED, DEGRADED = 0.72, 0.2, 0.15, 0.5, 0.85  # shares of the pictures
BATCH = 16
EPOCHS, EXAMPLES, RATE, DECAY = 25, 64, 2e-3, 1e-3
DROPOUT, JITTER, SOFTNESS = 0.1, 0.05, 0.02
# Taken from the odds of being seen, by part. Drawn hands differ more from faces than hands do:
# without it half of the hidden mouths of photographs would be taken for seen ones. As large as
# photographs with nothing before the face allow: less than 1 % of their parts are called hidden.
# Brows and chins, which hair and shadow hide a little everywhere, allow less.
SHIFT = {"brow": 1.0, "lids": 1.25, "nose": 1.75, "mouth": 1.75, "jaw": 1.25}


def main() -> int:
    """Render, look, train and write the weights."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    work = Path(sys.argv[1])
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "renders.npz").exists():
        write_renders(work / "renders.npz")
    if not (work / "features.npz").exists():
        write_features(work / "renders.npz", work / "features.npz")
    with np.load(work / "features.npz") as kept:
        head = trained(kept["features"], kept["covered"])
    parameters = {f"visibility.{k}": v.numpy() for k, v in head.state_dict().items()}
    halved = {name: value.astype(np.float16) for name, value in parameters.items()}
    write_weights(VISIBILITY_PATH, halved, source="tools/train_visibility.py, renders only")
    return 0


def write_renders(path: Path) -> None:
    """Pictures with the true landmarks of their faces, in the manner of the refiner's training."""
    own = load_model()
    other = import_model("ict-facekit", ICT) if ICT.is_file() else own
    jpegs, truth = [], []
    for person in range(PEOPLE):
        rng = np.random.default_rng([SEED, 77, person])
        model = own if person % OF_ICT else other
        skin = random_person(rng)
        for _ in range(PER_PERSON):
            look, mesh = random_picture(skin, rng), random_shape(model, rng)
            camera, pose = random_view(rng)
            picture = render(model, mesh, pose, camera, look, rng)
            jpegs.append(cv2.imencode(".jpg", picture[..., ::-1], [1, 95])[1])
            truth.append(camera.project(landmark_places(model, mesh, pose, "anatomical"), pose))
    offset = np.cumsum([0, *map(len, jpegs)])
    np.savez(path, pool=np.concatenate(jpegs), offset=offset, truth=np.array(truth))


def write_features(renders: Path, path: Path) -> None:
    """What the mesh network sees at its landmarks, and whether they are covered."""
    network = FaceMesh()
    load_into(network, read_weights(WEIGHTS_PATH), "mesh")
    seeing = SeeingMesh(network.eval(), VisibilityHead()).requires_grad_(False)
    features, covered = [], []
    for crops, covers in _batches(renders):
        batch = torch.from_numpy(crops).permute(0, 3, 1, 2).float().mul_(1 / 255)
        with torch.inference_mode():
            places, seen = seeing.looked_at(batch)
        features.append(seen.half().numpy())
        covered.append(_covered(places.numpy(), covers))
    np.savez(path, features=np.concatenate(features), covered=np.concatenate(covered))


def _covered(places: Floats, covers: Floats) -> npt.NDArray[np.float16]:
    """How far each place (n, 68, 2) of crops is covered, -1 where it lies outside of its crop."""
    x, y = np.moveaxis(np.clip(np.rint(places), 0, CROP_SIDE - 1).astype(int), -1, 0)
    there = covers[np.arange(len(covers))[:, None], y, x]
    outside = ((places < 0) | (places > CROP_SIDE - 1)).any(-1)
    return np.where(outside, -1, there).astype(np.float16)


def _batches(renders: Path) -> Iterator[tuple[Image, Floats]]:
    """Crops (n, 256, 256, 3) and what is covered in them (n, 256, 256)."""
    with np.load(renders) as kept:
        pool, offset, truth = kept["pool"], kept["offset"], kept["truth"]
    detector, rng = MeshDetector(), np.random.default_rng(SEED)

    def picture(index: int) -> Image:
        encoded = pool[offset[index] : offset[index + 1]]
        return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1].copy(), np.uint8)

    waiting = []
    for _ in range(ROUNDS):
        for index in rng.permutation(len(truth)):
            other = picture(int(rng.integers(len(truth))))
            scene = Scene(picture(index), truth[index].astype(float), other, rng)
            waiting.append(_example(scene, detector))
            if len(waiting) == BATCH:
                crops, covers = zip(*waiting, strict=True)
                yield np.stack(crops), np.stack(covers)
                waiting = []


def _example(scene: Scene, detector: MeshDetector) -> tuple[Image, Floats]:
    """A crop with something before its face, or nothing, and what is covered in it."""
    rng, points, unit = scene.rng, scene.landmarks, scene.unit
    picture = adorn(scene)
    cover = np.zeros(picture.shape[:2], np.float32)
    if rng.random() < COVERED:
        picture, cover = occlude(Scene(picture, points, scene.other, rng))
        if rng.random() < TWICE:
            picture, more = occlude(Scene(picture, points, scene.other, rng))
            cover = np.maximum(cover, more)
    # A tracker's box comes from landmarks of the frame before.
    near = points + rng.normal(0, 0.06 * unit, 2) + rng.normal(0, 0.02 * unit, (68, 2))
    near = (near - near.mean(0)) * np.exp(rng.normal(0, 0.06)) + near.mean(0)
    transform = crop_transform(detector.box_of(near.astype(np.float32)))
    if rng.random() < CUT:
        picture = _cut(picture, rng)
    crop = crop_of(picture, transform)
    size = (CROP_SIDE, CROP_SIDE)
    covered = cv2.warpAffine(cover, transform, size, borderMode=cv2.BORDER_REPLICATE)
    if rng.random() < MIRRORED:
        crop, covered = np.ascontiguousarray(crop[:, ::-1]), covered[:, ::-1]
    if rng.random() < DEGRADED:
        crop = _degraded(crop, rng)
    return crop, np.asarray(covered, np.float32)


def _cut(picture: Image, rng: np.random.Generator) -> Image:
    """The picture as if it ended somewhere at the face: crops let its border go on there."""
    end, turn = int(rng.uniform(0.0, 0.25) * len(picture)), int(rng.integers(4))
    turned = np.rot90(picture, turn).copy()
    turned[: end + 1] = turned[end]
    return np.asarray(np.rot90(turned, -turn), np.uint8)


def _degraded(crop: Image, rng: np.random.Generator) -> Image:
    """The crop in another light, by another camera and codec."""
    lit = _lit(crop.astype(np.float32), rng)
    saturation = 0.0 if rng.random() < 0.15 else rng.uniform(0.3, 1.5)
    grey = lit.mean(2, keepdims=True)
    gain = np.exp(rng.normal(0, 0.22) + rng.normal(0, 0.07, 3)) / 255.0
    tone = np.clip((grey + saturation * (lit - grey)) * gain, 0.0, 1.3)
    curve = tone ** np.exp(rng.normal(0, 0.25)) + rng.normal(0, 0.04)
    out = np.clip(255.0 * curve, 0, 255).astype(np.uint8)
    kind = rng.random()
    if kind < 0.3:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, 3.0)), np.uint8)
    elif kind < 0.55:
        few = int(rng.integers(60, 200))
        small = cv2.resize(out, (few, few), interpolation=cv2.INTER_AREA)
        out = np.asarray(cv2.resize(small, crop.shape[:2]), np.uint8)
    if rng.random() < 0.6:
        noise = rng.normal(0, 1, (*crop.shape[:2], 3 if rng.random() < 0.5 else 1))
        if rng.random() < 0.5:
            noise = 2.0 * cv2.GaussianBlur(noise, (0, 0), 1.0).reshape(noise.shape)
        out = np.clip(out + rng.uniform(0.5, 9.0) * noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        encoded = cv2.imencode(".jpg", out, [1, int(rng.integers(15, 80))])[1]
        out = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    return out


def _lit(crop: Floats, rng: np.random.Generator) -> Floats:
    """Soft light and shade, the edge of a shadow, and skin that is not so smooth."""
    side = len(crop)
    if rng.random() < 0.5:
        coarse = rng.normal(0, rng.uniform(0.1, 0.45), (4, 4)).astype(np.float32)
        light = np.exp(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC))
        crop = crop * light[..., None]
    if rng.random() < 0.2:
        angle, along = rng.uniform(0, 2 * np.pi), np.arange(side) - side * rng.uniform(0.3, 0.7)
        across = along * np.cos(angle) + along[:, None] * np.sin(angle)
        across = np.clip(across / rng.uniform(1.5, 14.0), -20.0, 20.0)
        shade = 1.0 - rng.uniform(0.2, 0.65) / (1.0 + np.exp(-across))
        crop = crop * shade[..., None]
    if rng.random() < 0.4:
        cells = int(rng.integers(10, 100))
        skin = rng.normal(1.0, rng.uniform(0.01, 0.06), (cells, cells)).astype(np.float32)
        crop = crop * cv2.resize(skin, (side, side))[..., None]
    return crop


def trained(features: npt.NDArray[np.float16], covered: npt.NDArray[np.float16]) -> VisibilityHead:
    """The head, from features (n, 68, f) and how far each landmark is covered (n, 68)."""
    some = features[::20].astype(np.float32).reshape(-1, features.shape[2])
    mean, spread = torch.tensor(some.mean(0)), torch.tensor(some.std(0) + 1e-3)
    head, rng, count = VisibilityHead(), np.random.default_rng(SEED), len(features)
    optimiser = torch.optim.AdamW(head.parameters(), RATE, weight_decay=DECAY)
    steps = EPOCHS * (count // EXAMPLES)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps + 1)
    for _ in range(EPOCHS):
        for chosen in np.array_split(rng.permutation(count), count // EXAMPLES):
            seen = (torch.tensor(features[chosen].astype(np.float32)) - mean) / spread
            seen = functional.dropout(seen + JITTER * torch.randn_like(seen), DROPOUT)
            truth = torch.tensor(covered[chosen].astype(np.float32))
            target = (truth <= 0.5).float() * (1 - 2 * SOFTNESS) + SOFTNESS
            loss = functional.binary_cross_entropy_with_logits(
                head(seen), target, weight=(truth >= 0).float()
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    with torch.no_grad():
        # The features' mean and spread go into the first layer.
        head.places -= head.features.weight @ (mean / spread)
        head.features.weight /= spread
        for part, landmarks in PARTS.items():
            head.usual[list(landmarks)] -= SHIFT[part.rpartition("_")[2]]
    return head.requires_grad_(False)


if __name__ == "__main__":
    raise SystemExit(main())
