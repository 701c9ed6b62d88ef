"""A synthetic dataset in any layout that a reader knows: DISFA, DISFA+, BP4D, BP4D+ or FEC."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import OutputError, UsageError, did_you_mean
from ...fitting.render.appearance import ALL_PARTS, RenderParts
from ...whole_files import write_whole
from ..datasets import bp4d, bp4d_plus
from ..datasets.disfa import FRAMES_PER_SECOND
from .clips import VIDEO, check_clip, subject_names, synthesise, write_clips
from .layouts import clips_of, write_clip
from .triplets import write_fec

LAYOUTS = ("bp4d", "bp4d-plus", "disfa", "disfa-plus", "fec")
# Of Motion JPEG as it is written here, at 640x480; smaller pictures take up to 0.3.
_BYTES_A_PIXEL = 0.2
# What a dataset was made with, in its folder.
STATEMENT = ".glee-synth.json"


def synthesise_dataset(
    root: Path,
    *,
    layout: str = "disfa",
    subjects: int | Sequence[str] = 9,
    frames: int = 120,
    size: tuple[int, int] = (640, 480),
    seed: int = 0,
    fps: float = FRAMES_PER_SECOND,
    workers: int = 1,
    parts: RenderParts = ALL_PARTS,
    progress: bool = False,
) -> list[Path]:
    """Write a dataset in a layout, and beside it the truth.

    Parameters
    ----------
    root : the dataset's folder
    layout : one of LAYOUTS
    subjects : how many, from the layout's folds in turn, or their names
    frames : labelled ones of each clip; for FEC photographs of each person
    size : (width, height), pixels
    seed : with its own name, all that a subject depends on
    fps : frames per second
    workers : processes; FEC is written in this one
    parts : parts of the pictures to leave out or to add
    progress : whether a bar is shown

    Returns
    -------
    The videos, image folders or tables.

    Raises
    ------
    UsageError
        An argument makes no sense.
    OutputError
        Something cannot be written, or the folder holds another synthetic dataset.
    """
    clips = dataset_clips(layout, subjects)
    root = Path(root)
    check_clip(frames, size, seed, fps, workers)
    stated = {
        "layout": layout,
        "subjects": sorted({subject for subject, _ in clips}),
        "frames": frames,
        "size": list(size),
        "seed": seed,
        "fps": fps,
        "without": sorted(parts.without),
        "with": sorted(parts.added),
    }
    with _stated_once(root, stated):
        if layout == "disfa":
            return synthesise(
                root,
                subjects=subjects,
                frames=frames,
                size=size,
                seed=seed,
                fps=fps,
                workers=workers,
                parts=parts,
                progress=progress,
            )
        if layout == "fec":
            people = tuple(person for person, _ in clips)
            return write_fec(
                root,
                people,
                photographs=frames,
                size=size,
                seed=seed,
                parts=parts,
                progress=progress,
            )
        write = partial(
            _write_clip,
            root,
            layout,
            frames=frames,
            size=(size[0], size[1]),
            seed=seed,
            fps=fps,
            parts=parts,
        )
        return write_clips(root, write, clips, workers, progress=progress)


@contextmanager
def _stated_once(root: Path, options: dict[str, Any]) -> Iterator[None]:
    """Write what a dataset is made with; refuse a folder that holds one made otherwise.

    The clips of both would lie there as if they were of one dataset. Where nothing comes to be
    made, nothing is left.
    """
    _state_once(root, options)
    try:
        yield
    except BaseException:
        if not any(root.glob("truth/*")):
            (root / STATEMENT).unlink(missing_ok=True)
            with suppress(OSError):  # it holds what is another's
                root.rmdir()
        raise


def _state_once(root: Path, options: dict[str, Any]) -> None:
    path = root / STATEMENT
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if any(root.glob("truth/*.h5")):
            raise OutputError(
                f"{root}: holds rendered people, and not what they were made with; choose "
                "another folder, or remove it"
            ) from None
        write_whole(path, json.dumps(options).encode())
        return
    except ValueError as error:
        raise OutputError(f"{path}: cannot be read ({error}); choose another folder") from None
    changed = [name for name in options if stated.get(name) != options[name]]
    if changed:
        raise OutputError(
            f"{root}: holds another synthetic dataset ({', '.join(changed)} differ); choose "
            "another folder, or remove it"
        )


def dataset_clips(layout: str, subjects: int | Sequence[str]) -> list[tuple[str, str]]:
    """What a dataset consists of.

    Parameters
    ----------
    layout : one of LAYOUTS
    subjects : how many, or their names

    Returns
    -------
    Subject and clip of each; for FEC its people, each with "".

    Raises
    ------
    UsageError
        The layout is unknown, or it has no subject of a name.
    """
    if layout not in LAYOUTS:
        near = did_you_mean(layout, LAYOUTS)
        raise UsageError(f"layout {layout!r} is unknown; {near}known are: {', '.join(LAYOUTS)}")
    if layout == "fec":
        return [(person, "") for person in _people(subjects)]
    folds = {"bp4d": bp4d.FOLDS, "bp4d-plus": bp4d_plus.FOLDS}.get(layout)
    names = subject_names(subjects) if folds is None else subject_names(subjects, folds)
    if layout == "disfa":
        return [(name, VIDEO.format(subject=name)) for name in names]
    return clips_of(layout, names)


def synthesis_dry_run(
    root: Path,
    *,
    layout: str = "disfa",
    subjects: int | Sequence[str] = 9,
    frames: int = 120,
    size: tuple[int, int] = (640, 480),
    seed: int = 0,
    fps: float = FRAMES_PER_SECOND,
    workers: int = 1,
) -> list[str]:
    """What `synthesise_dataset` with the same arguments would do; nothing is written.

    Parameters
    ----------
    root, layout, subjects, frames, size, seed, fps, workers : as of `synthesise_dataset`

    Returns
    -------
    Lines for a reader.

    Raises
    ------
    UsageError
        An argument makes no sense.
    """
    check_clip(frames, size, seed, fps, workers)
    clips = dataset_clips(layout, subjects)
    people = len({subject for subject, _ in clips})
    count = frames * len(clips)
    megabytes = count * size[0] * size[1] * _BYTES_A_PIXEL / 1e6
    return [
        f"{layout}: {people} subjects, {len(clips)} clips, {count} labelled frames of "
        f"{size[0]}x{size[1]}, seed {seed}; about {megabytes:.1f} MB in {root}",
        f"on this machine: {1 if layout == 'fec' else min(workers, len(clips))} workers",
    ]


def _write_clip(
    root: Path,
    layout: str,
    clip: tuple[str, str],
    *,
    frames: int,
    size: tuple[int, int],
    seed: int,
    fps: float,
    parts: RenderParts,
) -> Path:
    return write_clip(
        root, layout, *clip, frames=frames, size=size, seed=seed, fps=fps, parts=parts
    )


def _people(subjects: int | Sequence[str]) -> tuple[str, ...]:
    """Names of FEC's people, of whom two at least are needed: one for each split."""
    names = (
        tuple(f"person{number:04d}" for number in range(subjects))
        if isinstance(subjects, int)
        else tuple(subjects)
    )
    if len(names) < 2 or len(set(names)) != len(names):
        raise UsageError(f"{len(names)} people: give two or more, none twice")
    return names
