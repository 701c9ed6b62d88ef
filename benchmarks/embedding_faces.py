"""Faces on which the expression embedding is judged: people of both face models, and real clips.

People who move by the rules of `glee synth`, on either model, are for triplets as FEC has them;
those of `foreign_people.py` and the real clips are read as `glee analyze` reads them, for AUs. What
was read is kept in a folder, since reading takes most of the time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from au_heads import READINGS, over_rest
from au_people import ReadPerson, by_au, read_clip, read_people, written
from foreign_faces import in_order
from foreign_people import FPS, SEEDS_BEFORE, SIZE, ict_model, rendered
from numpy.typing import NDArray

from glee.fitting.morphable_model.model_file import load_model
from glee.pipeline.analysis.inputs import find_sources
from glee.pipeline.datasets.disfa import AUS
from glee.pipeline.images.frames import index_frames, read_frames
from glee.pipeline.options import PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import list_shards, read_shard
from glee.pipeline.synthesis.motion import random_motion

Floats = NDArray[np.float64]
Kept = TypeVar("Kept")

EVERY = 12  # frames of a real clip, beside those that were coded
SPREAD = 7  # frames between two photographs of a person, as in a synthetic FEC


@dataclass(frozen=True, eq=False)
class Photographs:
    """n aligned faces. crops: (n, 200, 200, 3) uint8. f_exp: (n, 51), true. person: (n,)."""

    crops: NDArray[np.uint8]
    f_exp: Floats
    person: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ReadFaces:
    """n frames of one or several clips, each of one person.

    crops: (n, 200, 200, 3) uint8, black without a face. f_exp: (n, 51) over the person's rest, 0
    without a face. truth: (n, a), 0 to 5, of AUs; NaN where nobody knows.
    """

    crops: NDArray[np.uint8]
    f_exp: Floats
    truth: Floats


def photographs(whose: str, seed: int, people: int, each: int, folder: Path) -> Photographs:
    """So many photographs of each of so many people; whose: "own" or "ict", the face model."""
    return _kept(
        folder / f"photographs-{whose}-{seed}-{people}-{each}.npz",
        Photographs,
        lambda: _photographs(whose, seed, people, each),
    )


def faces_of_kind(kind: str, seed: int, people: int, frames: int, folder: Path) -> ReadFaces:
    """People of a kind of `foreign_people.KINDS`, read, one after the other."""
    return _kept(
        folder / f"{kind}-{seed}-{people}-{frames}.npz",
        ReadFaces,
        lambda: _joined(list(read_people(kind, seed, people, frames, crops=True))),
    )


def faces_of_clip(clip: Path, wanted: Sequence[int], folder: Path) -> ReadFaces:
    """The wanted frames of a real clip, read among every EVERYth, by which rest is known."""
    return _kept(folder / f"clip-{clip.stem}.npz", ReadFaces, lambda: _of_clip(clip, wanted))


def _of_clip(clip: Path, wanted: Sequence[int]) -> ReadFaces:
    """In the order of `wanted`; frames are read as pictures, each found anew."""
    (source,), _ = find_sources([clip])
    index = index_frames(source.clip, identify=False)
    frames = sorted({*wanted, *range(0, index.count, EVERY)})
    with tempfile.TemporaryDirectory() as name:
        own = Path(name) / clip.stem
        own.mkdir()
        for frame, picture in enumerate(read_frames(source.clip, index, 0, frames[-1] + 1)):
            if frame in frames and picture is not None:
                cv2.imwrite(str(own / f"{frame:06d}.bmp"), picture[..., ::-1])
        read = _joined([read_clip(own, crops=True)])
    rows = [frames.index(frame) for frame in wanted]
    return ReadFaces(read.crops[rows], read.f_exp[rows], read.truth[rows])


def _photographs(whose: str, seed: int, people: int, each: int) -> Photographs:
    model = load_model() if whose == "own" else ict_model()
    crops, f_exp, person = [], [], []
    with tempfile.TemporaryDirectory() as name:
        root, work = Path(name) / "pictures", Path(name) / "work"
        root.mkdir()
        truth = {}
        for number in range(people):
            rng = np.random.default_rng([SEEDS_BEFORE + seed, *f"fec {whose}".encode(), number])
            frames = SPREAD * (each - 1) + 1
            motion = random_motion(AUS, model.expression_names, frames, FPS, rng)
            own = rendered(f"p{number:04d}", model, motion.f_exp[::SPREAD], SIZE, rng)
            written(own, root)
            truth[own.name] = in_order(own.f_exp, own.names, load_model().expression_names)
        options = PreprocessOptions(detector="auto")
        preprocess("folder", root, work, options=options, workers=1, progress=False)
        for path in list_shards(work):
            shard = read_shard(path)
            rows = np.flatnonzero(shard.frames.valid)
            crops += [shard.crop(int(row)) for row in rows]
            f_exp.append(truth[shard.header.subject][shard.header.start + rows])
            person += [sorted(truth).index(shard.header.subject)] * len(rows)
    return Photographs(np.stack(crops), np.concatenate(f_exp), np.array(person))


def _joined(people: list[ReadPerson]) -> ReadFaces:
    crops = [one.crops for one in people if one.crops is not None]
    return ReadFaces(
        np.concatenate(crops),
        np.concatenate([over_rest(one, one.f_exp) for one in people]),
        np.concatenate([by_au(one.truth, READINGS) for one in people]),
    )


def _kept(path: Path, kind: type[Kept], make: Callable[[], Kept]) -> Kept:
    names = [one.name for one in fields(kind)]  # type: ignore[arg-type]
    if path.exists():
        with np.load(path, allow_pickle=False) as file:
            return kind(**{name: file[name] for name in names})
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez(part, allow_pickle=False, **{name: getattr(made, name) for name in names})
    part.replace(path)
    return made
