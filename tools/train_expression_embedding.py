"""Trains the expression embedding that glee ships, by the paper's idea, on rendered people.

    python tools/train_expression_embedding.py WORK [--out FILE] [--own] [--parts]

WORK takes renders (`expression_renders.py`) of the embedded face model, without --own also of ICT-
FaceKit, and what the training goes on from. No AU label is looked at. The face model, then with
--parts the local branch over it, learn Eq. 4: of three faces the two whose true f_exp are nearest
are to be nearest in E_exp. No recogniser of people comes with glee, so V_id of Eq. 1 is 0 here.
Before and beside Eq. 4, linear layers that are thrown away afterwards regress f_exp from E_exp and
from the branch: short tries with Eq. 4 from random weights led nowhere. What is shipped saw people
of both models and has no trained local branch; with --own one is trained that the other model can
judge. A run that was stopped goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import copy
import logging
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from expression_renders import BLOCK, STORED, read_renders, render_expressions
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from glee.fitting.importers.import_model import import_model
from glee.fitting.morphable_model.model_file import load_model
from glee.model.data.augmentation import mirrored_expressions
from glee.model.expression_embedding import EMBEDDING_PATH, write_embedding
from glee.model.network.build_glee_net import build_glee_net
from glee.model.network.config import preset_config
from glee.model.network.glee_net import GLEENet
from glee.model.training.losses import triplet_loss

logger = logging.getLogger("embedding")

SEED = 5
PRESET = "compact"
ICT = Path(__file__).resolve().parents[2] / "shared" / "models" / "ict-facekit-60id.tar.xz"
# Folders of renders, with seed and number of blocks; two of one model, to render side by side.
OWN, OTHER = {"own": (5, 16), "own2": (7, 16)}, {"ict": (6, 12)}
# Shares of the embedded model and of the other in a batch; steps.
SHARES = {"own": (1.0,), "both": (0.65, 0.35)}
STEPS = {"face": 15000, "parts": 400}
BATCH, TRIPLETS, MARGIN = 64, 1500, 0.2
SHIFT = 2  # pixels
RATE, DECAY, WARMUP, CLIP, EMA = 3e-3, 1e-2, 0.012, 5.0, 0.995
# Weights of Eq. 4 and of the regressions of f_exp from E_exp and from a branch.
OF_TRIPLETS, OF_EMBEDDING, OF_BRANCH = 0.5, 0.3, 1.0
REGRESSED = 0.5  # share of the face model's steps before Eq. 4: from nothing, it leads nowhere
GAIN = 0.5  # of the self-attention at the start: at 0 it stays there
SAVED, SHOWN = 100, 25  # steps
HELD_OUT = 1  # blocks of each model that are never trained on


def main() -> int:
    """Render, train and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("work", type=Path)
    parser.add_argument("--out", type=Path, default=EMBEDDING_PATH)
    parser.add_argument("--own", action="store_true", help="without ICT-FaceKit's people")
    parser.add_argument("--parts", action="store_true", help="train the local branch too")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    models = {"own": (load_model(), OWN)}
    if not given.own:
        models["ict"] = (import_model("ict-facekit", ICT), OTHER)
    for model, folders in models.values():
        for name, (seed, blocks) in folders.items():
            render_expressions(given.work / name, model, seed=seed, blocks=blocks)
    pictures = [
        Pictures(name, tuple(given.work / folder for folder in folders))
        for name, (_, folders) in models.items()
    ]
    stages = ("face", "parts") if given.parts else ("face",)
    network = trained(given.work, pictures, stages)
    said = "renders of the embedded model" + ("" if given.own else " and of ICT-FaceKit")
    write_embedding(given.out, network, f"tools/train_expression_embedding.py, {said}")
    return 0


def trained(work: Path, pictures: list[Pictures], stages: tuple[str, ...]) -> GLEENet:
    """The network after the stages."""
    network, student = untrained(pictures)
    size, whose = preset_config(PRESET, ()).image_size, "both" if len(pictures) > 1 else "own"
    for stage in stages:
        path, parts = work / f"{whose}-{stage}.pt", stage == "parts"
        average = train_expression(
            student, pictures, SHARES[whose], size, STEPS[stage], path, parts=parts
        )
        student.load_state_dict(average.state_dict())
    take_in_standardisation(student)
    return network


def untrained(pictures: list[Pictures]) -> tuple[GLEENet, Student]:
    """A network from random weights, and its branches as what is trained."""
    torch.manual_seed(SEED)
    network = build_glee_net(preset_config(PRESET, ("AU0",), coefficients=False))
    assert network.global_branch is not None
    assert network.local_branch is not None
    for extractor in network.local_branch.extractors.values():
        nn.init.constant_(extractor.attention.gain, GAIN)
    # L_exp is 0 until the local branch is trained.
    nn.init.zeros_(network.local_branch.mlp[2].weight)
    nn.init.zeros_(network.local_branch.mlp[2].bias)
    # No recogniser of people comes with glee: V_id is 0, and E_exp has to do without.
    nn.init.zeros_(network.global_branch.identity_model.last_bn.weight)
    nn.init.zeros_(network.global_branch.identity_model.last_bn.bias)
    return network, Student(network, pictures[0].parts[0].f_exp.shape[1])


@dataclass(eq=False)
class Pictures:
    """Renders of one face model.

    Attributes
    ----------
    name : "own" or "ict"
    folders : of its renders
    """

    name: str
    folders: tuple[Path, ...]

    def __post_init__(self) -> None:
        self.refresh()

    def refresh(self) -> None:
        """Take the blocks that were rendered since."""
        there = [one for one in self.folders if (one / "blocks.json").exists()]
        self.parts = [read_renders(one) for one in there]
        self.begin = np.cumsum([0, *(len(one) for one in self.parts)])

    def __len__(self) -> int:
        return int(self.begin[-1]) if len(self.begin) else 0

    def take(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Crops (n, STORED, STORED, 3) and f_exp (n, 51) of some rows."""
        part = np.searchsorted(self.begin, rows, side="right") - 1
        own = [(self.parts[p], r - self.begin[p]) for p, r in zip(part, rows, strict=True)]
        return (
            np.stack([one.crops[r] for one, r in own]),
            np.stack([one.f_exp[r] for one, r in own]),
        )


@dataclass(frozen=True, eq=False)
class Faces:
    """A batch. image: (b, 3, s, s). f_exp: (b, e)."""

    image: Tensor
    f_exp: Tensor


def drawn(
    pictures: list[Pictures], shares: tuple[float, ...], size: int, rng: np.random.Generator
) -> Faces:
    """A batch of faces of the models, so many of each, shifted, mirrored, in other light."""
    crops, f_exp = [], []
    left = BATCH
    for number, (one, share) in enumerate(zip(pictures, shares, strict=True)):
        count = left if number == len(pictures) - 1 else round(share * BATCH)
        left -= count
        if not count:
            continue
        rows = np.sort(rng.integers(HELD_OUT * BLOCK, len(one), count))
        for values, part in zip((crops, f_exp), one.take(rows), strict=True):
            values.append(part)
    expression = np.concatenate(f_exp)
    flipped = rng.random(len(expression)) < 0.5
    expression[flipped] = expression[flipped][:, mirror()]
    cut = np.stack([_cut(one, size, rng) for one in np.concatenate(crops)])
    cut[flipped] = cut[flipped, :, ::-1]
    image = (torch.from_numpy(cut).permute(0, 3, 1, 2).float() - 127.5) / 128
    return Faces(image, torch.from_numpy(expression))


def _cut(crop: NDArray[np.uint8], size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The middle of a crop, a little shifted; renders have other light and cameras already."""
    top, left = (STORED - size) // 2 + rng.integers(-SHIFT, SHIFT + 1, 2)
    return crop[top : top + size, left : left + size]


@lru_cache(maxsize=1)
def mirror() -> NDArray[np.int64]:
    """For each coefficient that of the mirrored face."""
    order = mirrored_expressions(load_model().expression_names)
    assert order is not None
    return order


class Student(nn.Module):
    """The embedding, and what is not of it: linear layers, and a standardisation of E_exp."""

    def __init__(self, network: GLEENet, coefficients: int) -> None:
        super().__init__()
        branch, local = network.global_branch, network.local_branch
        assert branch is not None
        assert local is not None
        self.global_branch = branch.to(memory_format=torch.channels_last)
        self.local_branch = local
        wide, hidden = branch.reduction.in_features, local.mlp[0].out_features
        # Eq. 4 is flat where all faces lie on one point, and that point is near for random weights.
        self.standard = nn.BatchNorm1d(branch.reduction.out_features, affine=False, momentum=0.05)
        self.of_face = nn.Linear(wide, coefficients)
        self.of_parts = nn.Linear(hidden, coefficients)
        self.of_embedding = nn.Linear(network.global_branch.reduction.out_features, coefficients)
        for head in (self.of_face, self.of_parts, self.of_embedding):
            nn.init.zeros_(head.weight)

    def forward(self, image: Tensor, *, parts: bool) -> tuple[Tensor, list[Tensor]]:
        """E_exp (b, width), and f_exp as regressed from it and from the branch that is trained.

        parts: the local branch is trained, over a global branch that stays; else it is left out.
        """
        # On a CPU this takes half of the time that float32 does.
        with torch.set_grad_enabled(not parts), torch.autocast("cpu", torch.bfloat16):
            deviation = self.global_branch.face_model(image.to(memory_format=torch.channels_last))
        deviation = deviation.float()  # V_id is 0
        embedding = self.global_branch.reduction(deviation)
        regressed = self.of_face(deviation)
        if parts:
            cut = self.local_branch.parts(image)
            features = [self.local_branch.extractors[name](part) for name, part in cut.items()]
            hidden = self.local_branch.mlp[:2](torch.cat(features, 1))
            embedding = embedding + self.local_branch.mlp[2](hidden)
            regressed = self.of_parts(hidden)
        embedding = self.standard(embedding)
        return embedding, [self.of_embedding(embedding), regressed]


def take_in_standardisation(student: Student) -> None:
    """Write the standardisation of E_exp into the last layers of both branches: same E_exp."""
    mean, spread = student.standard.running_mean, student.standard.running_var
    assert mean is not None
    assert spread is not None
    scale = (spread + student.standard.eps).rsqrt()
    with torch.no_grad():
        for layer in (student.global_branch.reduction, student.local_branch.mlp[2]):
            layer.weight *= scale[:, None]
            layer.bias *= scale
        student.global_branch.reduction.bias -= mean * scale


def nearest_triplets(f_exp: Tensor, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Triplets (count, 3) of a batch's faces, the two nearest first; share (count,) of distances.

    The share is that of the closest over the second distance of the three, 0 to 1.
    """
    rows = torch.from_numpy(rng.integers(0, len(f_exp), (count, 3)))
    rows = rows[
        (rows[:, 0] != rows[:, 1]) & (rows[:, 1] != rows[:, 2]) & (rows[:, 0] != rows[:, 2])
    ]
    apart = torch.cdist(f_exp, f_exp)
    # Distance i is that of the pair without face i.
    distance = torch.stack([apart[rows[:, (i + 1) % 3], rows[:, (i + 2) % 3]] for i in range(3)], 1)
    ordered, odd = distance.sort(1)
    odd = odd[:, :1]
    rows = rows.gather(1, torch.cat([(odd + 1) % 3, (odd + 2) % 3, odd], 1))
    return rows, ordered[:, 0] / ordered[:, 1].clamp(min=1e-6)


def loss_of(
    student: Student,
    faces: Faces,
    scale: Tensor,
    rng: np.random.Generator,
    *,
    parts: bool,
    triplets: float,
) -> tuple[Tensor, dict[str, float]]:
    """Eq. 4 and the regressions, and what to show."""
    embedding, regressed = student(faces.image, parts=parts)
    embedding = embedding.float()
    rows, share = nearest_triplets(faces.f_exp, TRIPLETS, rng)
    anchor, positive, negative = embedding[rows].unbind(1)
    # As far as the three differ: nobody could say which of three equal pairs is the closest.
    margin = MARGIN * 2 * (1 - share)
    eq4 = triplet_loss(anchor, positive, negative, margin).mean()
    errors = [functional.mse_loss(one.float() / scale, faces.f_exp / scale) for one in regressed]
    total = triplets * eq4 + OF_EMBEDDING * errors[0] + OF_BRANCH * errors[1]
    right = triplets_right(embedding.detach(), rows)
    shown = {"eq4": eq4.item(), "right": right}
    return total, {**shown, **{f"r{i}": one.item() for i, one in enumerate(errors)}}


def triplets_right(embedding: Tensor, rows: Tensor) -> float:
    """Share of triplets whose first two are nearest to each other, as unit vectors."""
    anchor, positive, negative = functional.normalize(embedding, dim=1)[rows].unbind(1)
    alike = (anchor - positive).norm(dim=1)
    apart = torch.minimum((anchor - negative).norm(dim=1), (positive - negative).norm(dim=1))
    return float((alike < apart).double().mean())


def held_out_right(student: Student, pictures: Pictures, size: int, *, parts: bool) -> float:
    """Of triplets of the model's held-out faces."""
    rng = np.random.default_rng(0)
    crops, f_exp = pictures.take(np.arange(min(HELD_OUT * BLOCK, len(pictures))))
    edge = (STORED - size) // 2
    faces = torch.from_numpy(crops[:, edge : edge + size, edge : edge + size].copy())
    student.eval()
    with torch.no_grad():
        image = (faces.permute(0, 3, 1, 2).float() - 127.5) / 128
        embedding = torch.cat([student(one, parts=parts)[0] for one in image.split(BATCH)])
    student.train()
    rows, _ = nearest_triplets(torch.from_numpy(f_exp), 3000, rng)
    return triplets_right(embedding.float(), rows)


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine."""
    warmup = WARMUP * steps
    if step < warmup:
        return RATE * (step + 1) / (warmup + 1)
    return RATE * 0.5 * (1 + float(np.cos(np.pi * (step - warmup) / (steps - warmup))))


def train_expression(
    student: Student,
    pictures: list[Pictures],
    shares: tuple[float, ...],
    size: int,
    steps: int,
    path: Path,
    *,
    parts: bool,
) -> Student:
    """Eq. 4 and the regressions; the averaged weights."""
    branch = student.global_branch
    student.train()
    if parts:
        branch.requires_grad_(False)
        branch.face_model.eval()
    trained = [one for one in student.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(trained, RATE, weight_decay=DECAY)
    average, begin = copy.deepcopy(student), 0
    if path.exists():
        kept = torch.load(path, weights_only=True)
        begin = kept["step"]
        student.load_state_dict(kept["student"])
        average.load_state_dict(kept["average"])
        optimizer.load_state_dict(kept["optimizer"])
    scale = torch.from_numpy(np.concatenate([p.parts[0].f_exp for p in pictures]).std(0) + 0.05)
    since, sums = time.perf_counter(), {}
    for step in range(begin, steps):
        if step % SAVED == 0:
            for one in pictures:
                one.refresh()
        rng = np.random.default_rng([SEED, 2, step])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        faces = drawn(pictures, shares, size, rng)
        share = OF_TRIPLETS if parts or step >= REGRESSED * steps else 0.0
        total, shown = loss_of(student, faces, scale, rng, parts=parts, triplets=share)
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(trained, CLIP)
        optimizer.step()
        follow(average, student, min(EMA, (1 + step) / (10 + step)))
        sums = {name: sums.get(name, 0.0) + value / SHOWN for name, value in shown.items()}
        if (step + 1) % SHOWN == 0:
            pace = SHOWN * BATCH / (time.perf_counter() - since)
            text = " ".join(f"{name} {value:.3f}" for name, value in sums.items())
            logger.info("%d: %s  %.0f faces/s", step + 1, text, pace)
            since, sums = time.perf_counter(), {}
        if (step + 1) % SAVED == 0 or step + 1 == steps:
            content = {"step": step + 1, "optimizer": optimizer.state_dict()}
            content |= {"student": student.state_dict(), "average": average.state_dict()}
            torch.save(content, path.with_suffix(".new"))
            path.with_suffix(".new").replace(path)
            right = {one.name: held_out_right(average, one, size, parts=parts) for one in pictures}
            there = sum(len(one) for one in pictures)
            logger.info("%d: held out %s, of %d faces", step + 1, right, there)
    return average


def follow(average: Student, student: Student, decay: float) -> None:
    """Move averaged weights towards the student's."""
    with torch.no_grad():
        for mean, weight in zip(average.parameters(), student.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)
        for own, buffer in zip(average.buffers(), student.buffers(), strict=True):
            own.copy_(buffer)


if __name__ == "__main__":
    raise SystemExit(main())
