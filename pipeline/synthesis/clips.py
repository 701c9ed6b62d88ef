"""A synthetic dataset in DISFA's own layout, and beside it the truth of every frame.

`synthesise` writes it, a subject a task; `synthetic_clip` makes a clip of any layout: its truth and
its pictures; at the end stand the truth's file and how it is read.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, OutputError, UsageError
from ...fitting.array_files import check_heaps
from ...fitting.camera import Camera
from ...fitting.morphable_model.model_file import load_model
from ...fitting.morphable_model.morphable_model import MorphableModel
from ...fitting.render.appearance import ALL_PARTS, RenderParts, render_parts
from ...fitting.render.renderer import random_appearance
from ...fitting.solver.problem import landmark_places
from ...whole_files import remove_temporaries, write_whole
from ..cluster.cluster import open_cluster
from ..datasets.disfa import AUS, FOLDS, FRAMES_PER_SECOND
from ..summary import progress_bar
from .motion import Motion, random_motion
from .pictures import draw_pictures, quality

TRUTH_FORMAT = "glee-synthetic-truth"
TRUTH_VERSION = 1
VIDEO = "Videos_LeftCamera/LeftVideo{subject}_comp.avi"
LABELS = "ActionUnit_Labels/{subject}/{subject}_au{au}.txt"
TRUTH = "truth/{subject}.h5"
PARTIAL_VIDEO = ".partial.avi"  # OpenCV writes only what ends so

SMALLEST, LARGEST = 64, 4096  # sides of a picture, pixels
FACE_HEIGHT = 1.9  # decimetres from hair line to chin
FACE_SHARE = 0.5  # of the picture's height
EYE_HEIGHT = 0.12  # decimetres of the model's origin over the picture's middle
IDENTITY_LIMIT = 2.0  # standard deviations
QUALITY = 92  # of Motion JPEG

Clip = TypeVar("Clip", bound=Hashable)


@dataclass(frozen=True, eq=False)
class Truth:
    """What a synthetic clip of n frames was made of.

    Attributes
    ----------
    f_exp : (n, 51) float32, expression coefficients
    f_shape : (60,) float32, identity coefficients, standard deviations
    pose : (n, 6) float64, rotation vector and translation, see camera.py
    landmarks : for each set of the model (n, 68, 2) float32, pixels
    intensity : (n, k) int8, 0-5, columns as `aus`
    aus : numbers of the labelled Action Units
    camera : that took the pictures
    seed : of the dataset
    parts : of the pictures that were left out or added
    skin_tone : on the Monk scale, 1 light to 10 dark; NaN in files of earlier versions
    """

    f_exp: NDArray[np.float32]
    f_shape: NDArray[np.float32]
    pose: NDArray[np.float64]
    landmarks: dict[str, NDArray[np.float32]]
    intensity: NDArray[np.int8]
    aus: tuple[int, ...]
    camera: Camera
    seed: int
    parts: RenderParts = ALL_PARTS
    skin_tone: float = math.nan


def synthesise(
    root: Path,
    *,
    subjects: int | Sequence[str] = 9,
    frames: int = 120,
    size: tuple[int, int] = (640, 480),
    seed: int = 0,
    fps: float = FRAMES_PER_SECOND,
    workers: int = 1,
    parts: RenderParts = ALL_PARTS,
    progress: bool = False,
) -> list[Path]:
    """Write a dataset: videos and label files in DISFA's layout, and ``truth/SN001.h5``.

    Parameters
    ----------
    root : the dataset's folder
    subjects : how many, taken from DISFA's three folds in turn; or their names
    frames : of each video
    size : (width, height), pixels
    seed : with its own name, all that a subject depends on
    fps : frames per second
    workers : processes; the result does not depend on them
    parts : parts of the pictures to leave out or to add; the truth does not depend on them
    progress : whether a bar is shown

    Returns
    -------
    The videos.

    Raises
    ------
    UsageError
        An argument makes no sense.
    OutputError
        Something cannot be written.
    """
    names = subject_names(subjects)
    check_clip(frames, size, seed, fps, workers)
    write = partial(
        synthesise_subject,
        Path(root),
        frames=frames,
        size=(size[0], size[1]),
        seed=seed,
        fps=fps,
        parts=parts,
    )
    return write_clips(Path(root), write, names, workers, progress=progress)


def subject_names(
    subjects: int | Sequence[str], folds: tuple[tuple[str, ...], ...] = FOLDS
) -> tuple[str, ...]:
    """Names of the subjects: so many of a dataset's, its folds in turn, or the names given.

    Parameters
    ----------
    subjects : how many, or their names
    folds : the dataset's, each with its subjects' names

    Raises
    ------
    UsageError
        There are not as many, or a name is unknown, given twice or missing.
    """
    in_turn = [name for group in zip_longest(*folds) for name in group if name is not None]
    if isinstance(subjects, int):
        if not 1 <= subjects <= len(in_turn):
            raise UsageError(f"{subjects} subjects: give 1 to {len(in_turn)}, there are no more")
        return tuple(in_turn[:subjects])
    for name in subjects:
        if name not in in_turn:
            raise UsageError(f"subject {name!r}: give names such as {in_turn[0]}")
    if not subjects or len(set(subjects)) != len(subjects):
        raise UsageError("subjects: give at least one name and none twice")
    return tuple(subjects)


def check_clip(frames: int, size: tuple[int, int], seed: int, fps: float, workers: int) -> None:
    """Refuse arguments of a synthetic dataset that make no sense.

    Parameters
    ----------
    frames : of each clip
    size : (width, height), pixels
    seed : 0 or more
    fps : frames per second
    workers : processes

    Raises
    ------
    UsageError
        Names the value and what to give instead.
    """
    if frames < 1:
        raise UsageError(f"{frames} frames: give 1 or more")
    if len(size) != 2 or not all(SMALLEST <= side <= LARGEST and side % 2 == 0 for side in size):
        shown = "x".join(map(str, size))
        raise UsageError(f"size {shown}: give two even sides from {SMALLEST} to {LARGEST} pixels")
    if seed < 0:
        raise UsageError(f"seed {seed}: give 0 or more")
    if not (np.isfinite(fps) and fps > 0):
        raise UsageError(f"{fps} frames per second: give a positive number")
    if workers < 1:
        raise UsageError(f"{workers} workers: give 1 or more")


def write_clips(
    root: Path,
    write: Callable[[Clip], Path],
    clips: Sequence[Clip],
    workers: int,
    *,
    progress: bool = False,
) -> list[Path]:
    """Write clips in processes of this machine; where one fails, or Ctrl-C comes, none goes on.

    Parameters
    ----------
    root : the dataset's folder, in which no half file is left
    write : writes one clip and returns its path
    clips : what tells `write` the clip, none twice
    workers : processes at most
    progress : whether a bar is shown

    Returns
    -------
    The paths, in the order of the clips.

    Raises
    ------
    GleeError
        As `write` raised it; another error becomes a RuntimeError with its text.
    """
    written: dict[Clip, Path | None] = {}
    try:
        with (
            open_cluster("local", min(workers, len(clips))) as cluster,
            progress_bar("synth", len(clips), "clip", shown=progress) as bar,
        ):
            for outcome in cluster.run(write, clips):
                bar.update(1)
                if outcome.error is not None:
                    raise outcome.error
                written[outcome.task] = outcome.result
    finally:
        # Of workers that were ended; now none is at work.
        remove_temporaries(root)
        for video in root.rglob(f".*{PARTIAL_VIDEO}"):
            video.unlink(missing_ok=True)
    return [path for path in (written[clip] for clip in clips) if path is not None]


def synthesise_subject(
    root: Path,
    subject: str,
    *,
    frames: int,
    size: tuple[int, int],
    seed: int,
    fps: float,
    parts: RenderParts = ALL_PARTS,
) -> Path:
    """Write one subject's video, labels and truth, the truth last.

    Parameters
    ----------
    root : the dataset's folder
    subject : name
    frames : of the video
    size : (width, height), pixels
    seed : of the dataset
    fps : frames per second
    parts : parts of the pictures to leave out or to add

    Returns
    -------
    The video's path.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    truth, pictures = synthetic_clip(
        subject, AUS, frames=frames, size=size, seed=seed, fps=fps, parts=parts
    )
    video = root / VIDEO.format(subject=subject)
    _write_video(video, pictures, size, fps, quality(QUALITY, parts))
    for column, au in enumerate(AUS):
        levels = enumerate(truth.intensity[:, column], start=1)
        text = "".join(f"{frame},{level}\n" for frame, level in levels)
        write_whole(root / LABELS.format(subject=subject, au=au), text.encode())
    write_whole(root / TRUTH.format(subject=subject), encode_truth(truth))
    return video


def _write_video(
    path: Path,
    pictures: Iterable[NDArray[np.uint8]],
    size: tuple[int, int],
    fps: float,
    jpeg_quality: int,
) -> None:
    """A Motion JPEG AVI, whole or absent."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{PARTIAL_VIDEO}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        code = cv2.VideoWriter.fourcc(*"MJPG")
        options = [cv2.VIDEOWRITER_PROP_QUALITY, jpeg_quality]
        writer = cv2.VideoWriter(str(temporary), cv2.CAP_OPENCV_MJPEG, code, fps, size, options)
        if not writer.isOpened():
            raise OutputError(f"cannot write {path}; free space or choose another folder")
        for picture in pictures:
            writer.write(np.ascontiguousarray(picture[..., ::-1]))
        writer.release()
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; "
            "free space or choose a folder that can be written"
        ) from error
    finally:
        if temporary.is_file():
            temporary.unlink()


def synthetic_clip(
    name: str,
    aus: tuple[int, ...],
    *,
    frames: int,
    size: tuple[int, int],
    seed: int,
    fps: float,
    person: str | None = None,
    every: int = 1,
    parts: RenderParts = ALL_PARTS,
) -> tuple[Truth, Iterator[NDArray[np.uint8]]]:
    """A person who moves these AUs, as truth and as pictures.

    Parameters
    ----------
    name : with the seed, all that the motion depends on
    aus : numbers of the Action Units that are labelled
    frames : of the clip
    size : (width, height), pixels
    seed : of the dataset
    fps : frames per second
    person : with the seed, all that face and looks depend on; None for `name`
    every : draw the first frame of so many
    parts : parts of the pictures to leave out or to add

    Returns
    -------
    The truth of all frames, and the pictures, (h, w, 3) uint8 RGB, one by one.
    """
    model = load_model()
    camera = Camera.for_image(*size)
    rng = np.random.default_rng([seed, *name.encode()])
    of_person = rng if person is None else np.random.default_rng([seed, *person.encode()])
    appearance = random_appearance(of_person)
    f_shape = np.clip(
        of_person.standard_normal(len(model.identity)), -IDENTITY_LIMIT, IDENTITY_LIMIT
    )
    motion = random_motion(aus, model.expression_names, frames, fps, rng)
    pose = np.concatenate([motion.turn, motion.shift + _place(camera, rng)], 1)
    truth = _truth(model, f_shape.astype(np.float32), motion, pose, aus, camera, seed)
    pictures = draw_pictures(
        model, truth.f_shape, truth.f_exp, pose, camera, appearance, parts, rng, every=every
    )
    tone = math.nan if appearance.tone is None else appearance.tone
    return replace(truth, parts=parts, skin_tone=tone), pictures


def _place(camera: Camera, rng: np.random.Generator) -> NDArray[np.float64]:
    """Where the head is on average: so far that the face takes its share of the picture."""
    face = FACE_SHARE * min(camera.height, 0.9 * camera.width) * rng.uniform(0.85, 1.1)
    return np.array([0.0, EYE_HEIGHT, -camera.focal * FACE_HEIGHT / face])


def _truth(
    model: MorphableModel,
    f_shape: NDArray[np.float32],
    motion: Motion,
    pose: NDArray[np.float64],
    aus: tuple[int, ...],
    camera: Camera,
    seed: int,
) -> Truth:
    f_exp = motion.f_exp.astype(np.float32)
    landmarks = {
        name: np.empty((len(f_exp), 68, 2), np.float32) for name in sorted(model.landmarks)
    }
    for frame, row in enumerate(f_exp):
        mesh = model.shape(f_shape, row)
        for name, place in landmarks.items():
            points = landmark_places(model, mesh, pose[frame], name)
            place[frame] = camera.project(points, pose[frame])
    return Truth(f_exp, f_shape, pose, landmarks, motion.intensity, aus, camera, seed)


def encode_truth(truth: Truth) -> bytes:
    """The truth as a file.

    Parameters
    ----------
    truth : of a clip

    Returns
    -------
    The bytes of an HDF5 file.
    """
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["format"] = TRUTH_FORMAT
        file.attrs["version"] = TRUTH_VERSION
        file.attrs["focal"] = truth.camera.focal
        file.attrs["width"], file.attrs["height"] = truth.camera.width, truth.camera.height
        file.attrs["au_names"] = [f"AU{au}" for au in truth.aus]
        file.attrs["seed"] = truth.seed
        if math.isfinite(truth.skin_tone):
            file.attrs["skin_tone"] = truth.skin_tone
        if truth.parts != ALL_PARTS:
            file.attrs["without"] = sorted(truth.parts.without)
            file.attrs["with"] = sorted(truth.parts.added)
        for name in ("f_exp", "f_shape", "pose", "intensity"):
            file.create_dataset(name, data=getattr(truth, name))
        for name, points in truth.landmarks.items():
            file.create_dataset(f"landmarks/{name}", data=points)
    return buffer.getvalue()


def read_truth(path: Path) -> Truth:
    """Read a truth file of `synthesise`.

    Parameters
    ----------
    path : such as ``truth/SN001.h5``

    Raises
    ------
    DataError
        The file is missing, cut or no such file.
    """
    try:
        check_heaps(path)
        with h5py.File(path, "r") as file:
            kind, version = file.attrs["format"], int(file.attrs["version"])
            if kind != TRUTH_FORMAT or version != TRUTH_VERSION:
                raise ValueError(f"{kind} version {version}, expected {TRUTH_VERSION}")
            attributes = file.attrs
            return Truth(
                f_exp=file["f_exp"][:],
                f_shape=file["f_shape"][:],
                pose=file["pose"][:],
                landmarks={name: data[:] for name, data in file["landmarks"].items()},
                intensity=file["intensity"][:],
                aus=tuple(int(name.removeprefix("AU")) for name in attributes["au_names"]),
                camera=Camera(
                    int(attributes["width"]), int(attributes["height"]), float(attributes["focal"])
                ),
                seed=int(attributes["seed"]),
                parts=render_parts(attributes.get("without", ()), attributes.get("with", ())),
                skin_tone=float(attributes.get("skin_tone", math.nan)),
            )
    except (OSError, KeyError, ValueError, UsageError) as error:
        raise DataError(
            f"{path}: cannot be read as the truth of a synthetic clip ({error}); "
            "write it again with glee synth"
        ) from None
