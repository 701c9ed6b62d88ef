"""Synthetic datasets in the layouts of DISFA+, BP4D and BP4D+: images, label files, truth.

They are as awkward as the real ones: images before and after the coded frames, numbers with and
without leading zeros, codes of 9 for what was not coded. `truth/F001_T1.h5` is the truth of all
images of a clip in order, `truth/F001_T1.json` tells their numbers and which are coded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
from numpy.typing import NDArray

from ...fitting.render.appearance import ALL_PARTS, RenderParts
from ...whole_files import write_whole
from ..datasets import bp4d, bp4d_plus, disfa_plus
from ..datasets.bp4d import CODING_FOLDER, intensity_path, occurrence_path
from ..datasets.label_files import NOT_CODED
from .clips import Truth, encode_truth, synthetic_clip
from .motion import OCCURRENCE
from .pictures import quality

JPEG_QUALITY = 95
UNCODED_BEFORE, UNCODED_AFTER = 3, 2  # images without a row in the label files
ROW_NOT_CODED, CELL_NOT_CODED = 0.04, 0.02  # shares of rows and of codes that are 9
TRIALS = ("A1_AU1_TrialNo_1", "Y_SmileTrialNo_1")


def clips_of(layout: str, subjects: tuple[str, ...]) -> list[tuple[str, str]]:
    """What is written: two tasks or trials a subject.

    Parameters
    ----------
    layout : "bp4d", "bp4d-plus" or "disfa-plus"
    subjects : names

    Returns
    -------
    (subject, task or trial) of each clip.
    """
    trials = {"bp4d": bp4d.TASKS[:2], "bp4d-plus": bp4d_plus.TASKS[:2], "disfa-plus": TRIALS}
    return [(subject, trial) for subject in subjects for trial in trials[layout]]


def write_clip(
    root: Path,
    layout: str,
    subject: str,
    part: str,
    *,
    frames: int,
    size: tuple[int, int],
    seed: int,
    fps: float,
    parts: RenderParts = ALL_PARTS,
) -> Path:
    """Write one clip: images, labels, truth.

    Parameters
    ----------
    root : the dataset's folder
    layout : "bp4d", "bp4d-plus" or "disfa-plus"
    subject : name
    part : task or trial
    frames : labelled ones
    size : (width, height), pixels
    seed : of the dataset
    fps : frames per second
    parts : parts of the pictures to leave out or to add

    Returns
    -------
    The clip's image folder.
    """
    write = _write_trial if layout == "disfa-plus" else _write_task
    return write(
        root, layout, subject, part, frames=frames, size=size, seed=seed, fps=fps, parts=parts
    )


def _write_task(
    root: Path,
    layout: str,
    subject: str,
    task: str,
    *,
    frames: int,
    size: tuple[int, int],
    seed: int,
    fps: float,
    parts: RenderParts,
) -> Path:
    module: ModuleType = {"bp4d": bp4d, "bp4d-plus": bp4d_plus}[layout]
    rng = np.random.default_rng([seed, *f"{subject}/{task} codes".encode()])
    count = UNCODED_BEFORE + frames + UNCODED_AFTER
    truth, pictures = synthetic_clip(
        f"{subject}/{task}",
        module.AUS,
        frames=count,
        size=size,
        seed=seed,
        fps=fps,
        person=subject,
        parts=parts,
    )
    first = int(rng.integers(990, 2990))
    numbers = np.arange(first, first + count)
    folder = root / subject / task
    padded = bool(rng.integers(2))
    _write_images(folder, [f"{n:04d}" if padded else str(n) for n in numbers], pictures, parts)
    rows = slice(UNCODED_BEFORE, UNCODED_BEFORE + frames)
    levels = truth.intensity[rows].astype(np.int64)
    coded = rng.random(frames) >= ROW_NOT_CODED
    coded[:1] = True
    coding = root / CODING_FOLDER
    present = _with_unknown((levels >= OCCURRENCE).astype(np.int64), coded, rng)
    _write_occurrence(occurrence_path(coding, subject, task), module.AUS, numbers[rows], present)
    for au in module.INTENSITY_AUS:
        column = _with_unknown(levels[:, [module.AUS.index(au)]], coded, rng)[:, 0]
        text = "".join(f"{n},{v}\n" for n, v in zip(numbers[rows], column, strict=True))
        write_whole(intensity_path(coding, subject, task, au), text.encode())
    known = (present != NOT_CODED).any(1)
    _write_truth(root, f"{subject}_{task}", truth, numbers, numbers[rows][known])
    return folder


def _write_trial(
    root: Path,
    layout: str,
    subject: str,
    trial: str,
    *,
    frames: int,
    size: tuple[int, int],
    seed: int,
    fps: float,
    parts: RenderParts,
) -> Path:
    truth, pictures = synthetic_clip(
        f"{subject}/{trial}",
        disfa_plus.AUS,
        frames=frames,
        size=size,
        seed=seed,
        fps=fps,
        person=subject,
        parts=parts,
    )
    folder = root / disfa_plus.IMAGE_FOLDER / subject / trial
    names = [f"{number:03d}" for number in range(frames)]
    _write_images(folder, names, pictures, parts)
    for column, au in enumerate(disfa_plus.AUS):
        rows = zip(names, truth.intensity[:, column], strict=True)
        text = "".join(f"{name}.jpg {level}\n" for name, level in rows)
        write_whole(disfa_plus.label_path(root, subject, trial, au), text.encode())
    _write_truth(root, f"{subject}_{trial}", truth, np.arange(frames), np.arange(frames))
    return folder


def _with_unknown(
    values: NDArray[np.int64], coded: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.int64]:
    """The codes with 9 in rows that are not coded and here and there."""
    lost = (rng.random(values.shape) < CELL_NOT_CODED) | ~coded[:, None]
    lost[0] = False
    return np.where(lost, NOT_CODED, values)


def _write_occurrence(
    path: Path, aus: tuple[int, ...], numbers: NDArray[np.int64], codes: NDArray[np.int64]
) -> None:
    """The file with a column for each AU number up to the last, 9 in those not among `aus`."""
    header = list(range(1, max(aus) + 1))
    table = np.full((len(numbers), len(header)), NOT_CODED)
    table[:, [au - 1 for au in aus]] = codes
    lines = [",".join(map(str, [0, *header]))]
    lines += [",".join(map(str, [n, *row])) for n, row in zip(numbers, table, strict=True)]
    write_whole(path, ("\n".join(lines) + "\n").encode())


def _write_truth(
    root: Path, name: str, truth: Truth, numbers: NDArray[np.int64], coded: NDArray[np.int64]
) -> None:
    write_whole(root / "truth" / f"{name}.h5", encode_truth(truth))
    listed = {"numbers": numbers.tolist(), "coded": coded.tolist()}
    write_whole(root / "truth" / f"{name}.json", json.dumps(listed).encode())


def _write_images(
    folder: Path, names: list[str], pictures: Iterator[NDArray[np.uint8]], parts: RenderParts
) -> None:
    for name, picture in zip(names, pictures, strict=True):
        write_whole(folder / f"{name}.jpg", encode_jpeg(picture, parts))


def encode_jpeg(picture: NDArray[np.uint8], parts: RenderParts = ALL_PARTS) -> bytes:
    """A picture as a JPEG file.

    Parameters
    ----------
    picture : (h, w, 3) uint8 RGB
    parts : "codec" left out gives the best quality

    Returns
    -------
    The file's bytes.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality(JPEG_QUALITY, parts)]
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), options)
    return bytes(data.tobytes())
