"""One clip and its truth file.

A synthetic dataset in DISFA's own layout, and beside it the truth of every frame.

The pictures of a synthetic clip, one by one: as ever, or with parts left out or added.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, OutputError, UsageError
from ...fitting.array_files import check_heaps
from ...fitting.camera import Camera
from ...fitting.morphable_model.model_file import load_model
from ...fitting.morphable_model.morphable_model import MorphableModel
from ...fitting.render.appearance import AS_EVER, Levers, levers_of, pulled
from ...fitting.render.renderer import Appearance, random_appearance, render, render_moving
from ...fitting.solver.problem import landmark_places
from ...whole_files import write_whole
from ..cluster.interruptible_pool import map_in_processes
from ..datasets.disfa import AUS, FOLDS, FRAMES_PER_SECOND
from .motion import Motion, random_motion

TRUTH_FORMAT = "glee-synthetic-truth"
TRUTH_VERSION = 1
VIDEO = "Videos_LeftCamera/LeftVideo{subject}_comp.avi"
LABELS = "ActionUnit_Labels/{subject}/{subject}_au{au}.txt"
TRUTH = "truth/{subject}.h5"

SMALLEST, LARGEST = 64, 4096  # sides of a picture, pixels
FACE_HEIGHT = 1.9  # decimetres from hair line to chin
FACE_SHARE = 0.5  # of the picture's height
EYE_HEIGHT = 0.12  # decimetres of the model's origin over the picture's middle
IDENTITY_LIMIT = 2.0  # standard deviations
QUALITY = 92  # of Motion JPEG


@dataclass(frozen=True, eq=False)
class Truth:
    """What a synthetic clip was made of; n frames.

    f_exp: (n, 51) float32. f_shape: (60,) float32. pose: (n, 6) float64, see camera.py.
    landmarks: for each set of the model (n, 68, 2) float32, pixels.
    intensity: (n, k) int8, 0-5, columns as `aus`. levers: what the pictures lack or have more.
    skin_tone: on the Monk scale, 1 light to 10 dark; NaN in files of earlier versions.
    """

    f_exp: NDArray[np.float32]
    f_shape: NDArray[np.float32]
    pose: NDArray[np.float64]
    landmarks: dict[str, NDArray[np.float32]]
    intensity: NDArray[np.int8]
    aus: tuple[int, ...]
    camera: Camera
    seed: int
    levers: Levers = AS_EVER
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
    levers: Levers = AS_EVER,
) -> list[Path]:
    """Write a dataset: videos and label files in DISFA's layout, and ``truth/SN001.h5``.

    subjects: how many, taken from DISFA's three folds in turn; or their names. frames: of each
    video. size: (width, height), pixels. workers: processes; the result does not depend on it,
    and a subject depends on the seed and its own name alone. levers: parts of the pictures to leave
    out or to add; the truth does not depend on them.
    Returns the videos. Raises UsageError for bad arguments, OutputError where nothing can be
    written.
    """
    names = subject_names(subjects)
    check_clip(frames, size, seed, fps, workers)
    job = partial(
        synthesise_subject,
        Path(root),
        frames=frames,
        size=(size[0], size[1]),
        seed=seed,
        fps=fps,
        levers=levers,
    )
    if workers == 1 or len(names) == 1:
        return [job(name) for name in names]
    return map_in_processes(job, names, workers)


def subject_names(
    subjects: int | Sequence[str], folds: tuple[tuple[str, ...], ...] = FOLDS
) -> tuple[str, ...]:
    """Names of the subjects: so many of a dataset's, its folds in turn, or the names given."""
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
    """Raises UsageError where an argument of a synthetic dataset makes no sense."""
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


def synthesise_subject(
    root: Path,
    subject: str,
    *,
    frames: int,
    size: tuple[int, int],
    seed: int,
    fps: float,
    levers: Levers = AS_EVER,
) -> Path:
    """Write one subject's video, labels and truth; returns the video's path."""
    truth, pictures = synthetic_clip(
        subject, AUS, frames=frames, size=size, seed=seed, fps=fps, levers=levers
    )
    video = root / VIDEO.format(subject=subject)
    _write_video(video, pictures, size, fps, quality(QUALITY, levers))
    for column, au in enumerate(AUS):
        levels = enumerate(truth.intensity[:, column], start=1)
        text = "".join(f"{frame},{level}\n" for frame, level in levels)
        write_whole(root / LABELS.format(subject=subject, au=au), text.encode())
    write_whole(root / TRUTH.format(subject=subject), encode_truth(truth))
    return video


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
    levers: Levers = AS_EVER,
) -> tuple[Truth, Iterator[NDArray[np.uint8]]]:
    """A person who moves these AUs: the truth, and the pictures, (h, w, 3) uint8 RGB, one by one.

    name: with the seed, all that the motion depends on; person: the same for the looks, `name`
    where it is None. size: (width, height), pixels. every: draw the first frame of so many.
    """
    model = load_model()
    camera = Camera.for_image(*size)
    rng = np.random.default_rng([seed, *name.encode()])
    of_person = rng if person is None else np.random.default_rng([seed, *person.encode()])
    look = random_appearance(of_person)
    f_shape = np.clip(
        of_person.standard_normal(len(model.identity)), -IDENTITY_LIMIT, IDENTITY_LIMIT
    )
    motion = random_motion(aus, model.expression_names, frames, fps, rng)
    pose = np.concatenate([motion.turn, motion.shift + _place(camera, rng)], 1)
    truth = _truth(model, f_shape.astype(np.float32), motion, pose, aus, camera, seed)
    pictures = draw_pictures(
        model, truth.f_shape, truth.f_exp, pose, camera, look, levers, rng, every=every
    )
    tone = math.nan if look.tone is None else look.tone
    return replace(truth, levers=levers, skin_tone=tone), pictures


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


def _write_video(
    path: Path,
    pictures: Iterable[NDArray[np.uint8]],
    size: tuple[int, int],
    fps: float,
    jpeg_quality: int,
) -> None:
    """A Motion JPEG AVI, whole or absent."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial.avi")
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


def encode_truth(truth: Truth) -> bytes:
    """The truth as an HDF5 file's bytes."""
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
        if truth.levers != AS_EVER:
            file.attrs["without"] = sorted(truth.levers.without)
            file.attrs["with"] = sorted(truth.levers.added)
        for name in ("f_exp", "f_shape", "pose", "intensity"):
            file.create_dataset(name, data=getattr(truth, name))
        for name, points in truth.landmarks.items():
            file.create_dataset(f"landmarks/{name}", data=points)
    return buffer.getvalue()


def read_truth(path: Path) -> Truth:
    """Read a truth file of `synthesise`.

    Raises DataError where it is missing, cut or no such file.
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
                levers=levers_of(attributes.get("without", ()), attributes.get("with", ())),
                skin_tone=float(attributes.get("skin_tone", math.nan)),
            )
    except (OSError, KeyError, ValueError, UsageError) as error:
        raise DataError(
            f"{path}: cannot be read as the truth of a synthetic clip ({error}); "
            "write it again with glee synth"
        ) from None


BEST_QUALITY = 100  # of JPEG
COMPRESSED_QUALITY = 18
# Moments of an open shutter, in frames from its middle.
MOMENTS = np.linspace(-0.25, 0.25, 5)

Picture = NDArray[np.uint8]


def draw_pictures(
    model: MorphableModel,
    f_shape: NDArray[np.floating],
    f_exp: NDArray[np.floating],
    pose: NDArray[np.floating],
    camera: Camera,
    look: Appearance,
    levers: Levers,
    rng: np.random.Generator,
    *,
    every: int = 1,
) -> Iterator[Picture]:
    """Pictures (h, w, 3) uint8 RGB of the first of each `every` frames.

    f_shape: (s,). f_exp: (n, e). pose: (n, 6). rng: of the noise.
    """
    look = pulled(look, levers)
    for frame in range(0, len(f_exp), every):
        if "motion-blur" in levers.added:
            meshes = [model.shape(f_shape, row) for row in _between(f_exp, frame)]
            poses = _between(pose, frame)
            picture = render_moving(model, meshes, list(poses), camera, look, rng)
        else:
            mesh = model.shape(f_shape, f_exp[frame])
            picture = render(model, mesh, pose[frame], camera, look, rng)
        yield compressed(picture) if "compression" in levers.added else picture


def _between(course: NDArray[np.floating], frame: int) -> NDArray[np.floating]:
    """A course (n, k) at the moments of a frame's open shutter: (5, k), linear between frames."""
    at = np.clip(frame + MOMENTS, 0, len(course) - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(course) - 1)
    share = (at - low)[:, None]
    return np.asarray((1 - share) * course[low] + share * course[high], course.dtype)


def quality(usual: int, levers: Levers) -> int:
    """The JPEG quality of a file that usually has `usual`."""
    return BEST_QUALITY if "codec" in levers.without else usual


def compressed(picture: Picture, at: int = COMPRESSED_QUALITY) -> Picture:
    """A picture (h, w, 3) as JPEG of quality `at` leaves it."""
    options = [cv2.IMWRITE_JPEG_QUALITY, at]
    data = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), options)[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
