"""A synthetic FEC: photographs of many people, triplets with votes, and all that is wrong in FEC.

The face that most annotators find least like the others is the one outside the closest pair of
f_exp. On purpose there are ties, malformed rows, and URLs without a file or with an empty one;
`truth/fec.json` counts them, `truth/fec.h5` holds f_exp of every photograph.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ...fitting.render.appearance import ALL_PARTS, RenderParts
from ...whole_files import write_whole
from ..datasets import disfa
from ..datasets.fec import IMAGE_FOLDER, SPLITS, TABLE, TRIPLET_TYPES
from ..shards.hdf5 import STRINGS, new_file
from ..summary import Progress, progress_bar
from .clips import synthetic_clip
from .layouts import encode_jpeg

TRUTH_TABLE, TRUTH_COUNTS = "truth/fec.h5", "truth/fec.json"
ANNOTATORS = 6
AGREEMENT = 0.8  # chance that an annotator votes as the distances tell
TIES, MALFORMED, DEAD = 0.06, 0.05, 0.06  # shares of rows, rows, photographs
TRIPLETS_PER_PHOTOGRAPH = 3
SPREAD = 7  # frames between two photographs of a person
BOX_MARGIN = 0.15  # of the landmarks' extent, on each side
ONE_CLASS, TWO_CLASS = 0.8, 0.5  # closest over widest distance from, up to which


@dataclass(frozen=True, eq=False)
class Photographs:
    """The n photographs of one split.

    Attributes
    ----------
    url : addresses
    box : (n, 4) float64, left, right, top, bottom, shares of the picture's sides
    f_exp : (n, 51) float32
    person : (n,) int64, number in the split
    file : name below the image folder, "" for a dead URL
    empty : whether the file has no bytes
    """

    url: list[str]
    box: NDArray[np.float64]
    f_exp: NDArray[np.float32]
    person: NDArray[np.int64]
    file: list[str]
    empty: list[bool]


def write_fec(
    root: Path,
    people: tuple[str, ...],
    *,
    photographs: int,
    size: tuple[int, int],
    seed: int,
    parts: RenderParts = ALL_PARTS,
    progress: bool = False,
) -> list[Path]:
    """Write both tables, the images and the truth.

    Parameters
    ----------
    root : the dataset's folder
    people : names, a fifth of them (one at least) in the test split
    photographs : of each person
    size : (width, height) about which those of the pictures lie, pixels
    seed : of the dataset
    parts : parts of the pictures to leave out or to add
    progress : whether a bar is shown

    Returns
    -------
    The tables.

    Raises
    ------
    UsageError
        The photographs are too few for a triplet.
    """
    held_out = max(len(people) // 5, 1)
    if held_out * photographs < 3:
        raise UsageError(
            f"the test split has {held_out} people with {photographs} photographs each: "
            "a triplet takes three; give more"
        )
    people_of = {"train": people[:-held_out], "test": people[-held_out:]}
    tables, counts, truth = [], {}, {}
    total = photographs * len(people)
    with progress_bar("synth", total, "photograph", shown=progress) as bar:
        for split in SPLITS:
            rng = np.random.default_rng([seed, *f"fec {split}".encode()])
            taken = _take(root, split, people_of[split], photographs, size, seed, rng, parts, bar)
            rows, count = _rows(taken, rng)
            path = root / TABLE.format(split=split)
            write_whole(path, ("\n".join(rows) + "\n").encode())
            tables.append(path)
            counts[split], truth[split] = count, taken
    write_whole(root / TRUTH_COUNTS, json.dumps(counts, indent=1).encode())
    write_whole(root / TRUTH_TABLE, _encoded(truth))
    return tables


def _take(
    root: Path,
    split: str,
    people: tuple[str, ...],
    count: int,
    size: tuple[int, int],
    seed: int,
    rng: np.random.Generator,
    parts: RenderParts,
    bar: Progress,
) -> Photographs:
    urls, boxes, f_exp, person, files, empty = [], [], [], [], [], []
    for number, name in enumerate(people):
        frames = SPREAD * (count - 1) + 1
        sizes = tuple(int(side * rng.uniform(0.8, 1.2)) // 2 * 2 for side in size)
        truth, pictures = synthetic_clip(
            f"fec {name}",
            disfa.AUS,
            frames=frames,
            size=(sizes[0], sizes[1]),
            seed=seed,
            fps=20.0,
            every=SPREAD,
            parts=parts,
        )
        for index, picture in zip(range(0, frames, SPREAD), pictures, strict=True):
            url = f"https://photos.example/{split}/{name}/{index}_{rng.integers(1 << 32):08x}.jpg"
            fate = rng.random()
            file = "" if fate < DEAD / 2 else _name_of(url, rng)
            if file:
                content = b"" if fate < DEAD else encode_jpeg(picture, parts)
                write_whole(root / IMAGE_FOLDER / file, content)
            urls.append(url)
            boxes.append(_box(truth.landmarks["anatomical"][index], sizes))
            f_exp.append(truth.f_exp[index])
            person.append(number)
            files.append(file)
            empty.append(fate < DEAD)
            bar.update(1)
    return Photographs(
        urls, np.array(boxes), np.array(f_exp, np.float32), np.array(person), files, empty
    )


def _name_of(url: str, rng: np.random.Generator) -> str:
    """As downloaders name files: the last part of the URL, or its hash, in folders or not."""
    if rng.random() < 0.5:
        return url.rsplit("/", 1)[1]
    digest = hashlib.sha256(url.encode()).hexdigest()
    return f"{digest[:2]}/{digest}.jpg"


def _box(points: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float64]:
    low, high = points.min(0).astype(float), points.max(0).astype(float)
    margin = BOX_MARGIN * (high - low)
    low, high = (low - margin) / size, (high + margin) / size
    return np.asarray(np.clip([low[0], high[0], low[1], high[1]], 0.0, 1.0))


def _rows(taken: Photographs, rng: np.random.Generator) -> tuple[list[str], dict[str, int]]:
    """The rows of a table and how many are malformed, tied, with a dead image, whole."""
    names = ("rows", "malformed rows", "ties", "triplets with a dead image", "triplets")
    count = dict.fromkeys(names, 0)
    dead = [not file or empty for file, empty in zip(taken.file, taken.empty, strict=True)]
    rows: list[str] = []
    used: set[int] = set()
    for _ in range(TRIPLETS_PER_PHOTOGRAPH * len(taken.url)):
        chosen = rng.choice(len(taken.url), 3, replace=False)
        odd, kind = odd_one(taken.f_exp[chosen])
        tied = rng.random() < TIES
        row = _row(taken, chosen, kind, _votes(odd, tied, rng))
        broken = rng.random() < MALFORMED
        if broken:
            row = _broken(row, rng)
        rows.append(",".join(row))
        lost = any(dead[index] for index in chosen)
        outcome = 1 if broken else 2 if tied else 3 if lost else 4
        count["rows"] += 1
        count[names[outcome]] += 1
        if outcome > 2:
            used.update(int(index) for index in chosen)
    count["images"] = len(used)
    count["dead images"] = sum(dead[index] for index in used)
    return rows, count


def odd_one(f_exp: NDArray[np.float32]) -> tuple[int, int]:
    """Of three expressions the one outside the closest pair, and the triplet's type.

    Parameters
    ----------
    f_exp : (3, 51) float32

    Returns
    -------
    The odd one, 0 to 2, and an index into TRIPLET_TYPES.
    """
    # Distance i is that of the pair without face i.
    distance = np.array([np.linalg.norm(f_exp[(i + 1) % 3] - f_exp[(i + 2) % 3]) for i in range(3)])
    share = float(distance.min() / max(distance.max(), 1e-9))
    name = (
        "TWO_CLASS_TRIPLET"
        if share < TWO_CLASS
        else "ONE_CLASS_TRIPLET"
        if share > ONE_CLASS
        else "THREE_CLASS_TRIPLET"
    )
    return int(distance.argmin()), TRIPLET_TYPES.index(name)


def _votes(odd: int, tied: bool, rng: np.random.Generator) -> list[int]:
    """Votes 1 to 3 of the annotators: mostly `odd` + 1, or as many for two of them."""
    if tied:
        half = ANNOTATORS // 2
        return [1 + odd] * half + [1 + (odd + 1) % 3] * half
    others = [1 + (odd + 1) % 3, 1 + (odd + 2) % 3]
    sure = 1 + ANNOTATORS // 2
    doubtful = [
        1 + odd if rng.random() < AGREEMENT else int(rng.choice(others))
        for _ in range(ANNOTATORS - sure)
    ]
    votes = [1 + odd] * sure + doubtful
    return [int(vote) for vote in rng.permutation(votes)]


def _row(taken: Photographs, chosen: NDArray[np.int64], kind: int, votes: list[int]) -> list[str]:
    columns: list[str] = []
    for index in chosen:
        columns += [taken.url[index], *(f"{edge:.6f}" for edge in taken.box[index])]
    columns.append(TRIPLET_TYPES[kind])
    for annotator, vote in enumerate(votes):
        columns += [f"annotator_{annotator}", str(vote)]
    return columns


def _broken(row: list[str], rng: np.random.Generator) -> list[str]:
    """The row, malformed in one of the ways that occur."""
    way = int(rng.integers(5))
    if way == 0:
        return row[:14]
    if way == 1:
        return [*row[:1], "", *row[2:]]
    if way == 2:
        return [*row[:15], "NO_TRIPLET", *row[16:]]
    if way == 3:
        return [*row[:-1], "4"]
    return [*row[:2], row[1], *row[3:]]


def _encoded(truth: dict[str, Photographs]) -> bytes:
    with new_file() as file:
        for split, taken in sorted(truth.items()):
            group: h5py.Group = file.create_group(split)
            group.create_dataset("url", data=taken.url, dtype=STRINGS)
            group.create_dataset("file", data=taken.file, dtype=STRINGS)
            group.create_dataset("f_exp", data=taken.f_exp)
            group.create_dataset("box", data=taken.box)
            group.create_dataset("person", data=taken.person)
        file.flush()
        return bytes(file.id.get_file_image())
