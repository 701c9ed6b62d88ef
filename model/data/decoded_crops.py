"""The crops that a training sees: decoded once, kept in a file while the first epoch reads them.

Decoding a JPEG face costs about 200 us, a look into the file's map about 10. The file is shared by
the processes that load batches and by all ranks of a machine; each writes what it decodes. Pixels
stay as decoded ("rgb"), or have colours at half the resolution, for half the space ("i420"): what a
network sees depends on that choice alone, never on whether there is a file.

The file of a run is unlinked as soon as all processes have opened it, so of a killed run nothing is
left. One that shall be kept has its name in the end, when it is whole (`crop_file.py`).
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.context import get_spawning_popen
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from ...errors import OptionsError
from ...pipeline.shards.hdf5 import stated_digest
from ..distributed import World
from ..options import OPTIONS_FILE, TrainOptions, read_options
from .crop_file import (
    FORMAT,
    FORMS,
    I420,
    RGB,
    CropFile,
    CropLayout,
    free_space,
    new_crop_file,
    opened_again,
    opened_whole,
    remove_leftovers,
)

if TYPE_CHECKING:
    from .au_dataset import AUFrames

logger = logging.getLogger(__name__)

# Frame -> its crop, decoded.
Decode = Callable[[int], npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class CropFileOptions:
    """Where a training keeps decoded crops; nothing here changes a weight.

    Attributes
    ----------
    used : bool
        Keep them in a file at all.
    folder : Path or None
        For the file, such as a node's own disk; None for the system's temporary folder.
    keep : bool
        Leave the file there in the end, for other trainings on the same shards.
    """

    used: bool = True
    folder: Path | None = None
    keep: bool = False

    @property
    def place(self) -> Path:
        """The folder."""
        return Path(tempfile.gettempdir()) if self.folder is None else Path(self.folder)


def in_form(crop: npt.NDArray[np.uint8], form: str) -> npt.NDArray[np.uint8]:
    """Bring a decoded crop into the form in which it is kept.

    Parameters
    ----------
    crop : (s, s, 3) uint8
        RGB, s even for "i420".
    form : str
        "rgb" or "i420".

    Returns
    -------
    (s, s, 3) or (3 s / 2, s) uint8
        The kept bytes.
    """
    if form == RGB:
        return crop
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2YUV_I420), np.uint8)


def seen(kept: npt.NDArray[np.uint8], form: str) -> npt.NDArray[np.uint8]:
    """Give the pixels that a kept crop shows.

    Parameters
    ----------
    kept : (s, s, 3) or (3 s / 2, s) uint8
        As `in_form` gives it.
    form : str
        "rgb" or "i420".

    Returns
    -------
    (s, s, 3) uint8
        RGB.
    """
    if form == RGB:
        return kept
    return np.asarray(cv2.cvtColor(kept, cv2.COLOR_YUV2RGB_I420), np.uint8)


class DecodedCrops:
    """The crops of frames as a training sees them.

    Parameters
    ----------
    form : str
        "rgb" or "i420".
    file : CropFile, optional
        Where they are kept; without one, each is decoded when it is asked for.
    """

    def __init__(self, form: str, file: CropFile | None) -> None:
        self.form, self.file = form, file

    def __getstate__(self) -> dict[str, Any]:
        # Only a process that is being spawned can be given an open file.
        return {"form": self.form, "file": None if get_spawning_popen() is None else self.file}

    def crop(self, index: int, decode: Decode) -> npt.NDArray[np.uint8]:
        """Give a crop, from the file where it is there.

        Parameters
        ----------
        index : int
            The frame.
        decode : callable
            Frame -> (s, s, 3) uint8, RGB.

        Returns
        -------
        (s, s, 3) uint8
            RGB.
        """
        kept = None if self.file is None else self.file.get(index)
        if kept is None:
            kept = in_form(decode(index), self.form)
            if self.file is not None:
                self.file.put(index, kept)
        return seen(kept, self.form)


def crops_digest(frames: AUFrames) -> str:
    """Digest what the crops of frames follow from: their shards' content, which frames, the size.

    Parameters
    ----------
    frames : AUFrames
        The frames.

    Returns
    -------
    str
        SHA-256, in hexadecimal.
    """
    total = hashlib.sha256(f"{FORMAT} {frames.size} {cv2.__version__}".encode())
    for name, shard in zip(frames.names, frames.shards, strict=True):
        total.update(f"\n{name} {stated_digest(shard.path)}".encode())
    for array in (frames.shard_index, frames.row):
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def with_form(
    options: TrainOptions, run: Path, frames: AUFrames, crop_file: CropFileOptions, world: World
) -> TrainOptions:
    """Settle in which form a run's crops are kept, where that is left open ("auto").

    Parameters
    ----------
    options : TrainOptions
        Of the run.
    run : Path
        Its folder; one that was begun keeps its form.
    frames : AUFrames
        All frames.
    crop_file : CropFileOptions
        Where they are kept.
    world : World
        All processes, which agree on the form.

    Returns
    -------
    TrainOptions
        With "rgb" or "i420": "i420" where only that fits, "rgb" where neither does.

    Raises
    ------
    OptionsError
        Where crops of an odd side are to be kept as "i420".
    """
    form = options.crops
    if form == "auto" and (run / OPTIONS_FILE).exists():
        form = read_options(run).crops
    elif form == "auto":
        form = _form_that_fits(frames, crop_file)
    if form == I420 and frames.size % 2:
        raise OptionsError(f"option crops = {form!r}: needs crops of an even side")
    return replace(options, crops=world.gathered(form)[0])


def _form_that_fits(frames: AUFrames, crop_file: CropFileOptions) -> str:
    place, rgb, i420 = crop_file.place, *_sizes(frames)
    room = free_space(place)
    if not crop_file.used or rgb <= room or i420 > room or frames.size % 2:
        return RGB
    logger.warning(
        "decoded crops: %.3g GB of RGB do not fit into %s, which has %.3g GB free for them, but "
        "%.3g GB of I420 do: colours have half the resolution (--crops rgb has all of it, "
        "--crops-folder names another disk)",
        *(rgb / 1e9, place, room / 1e9, i420 / 1e9),
    )
    return I420


def _sizes(frames: AUFrames) -> list[int]:
    return [CropLayout(len(frames), frames.size, form, "").total for form in FORMS]


def exact_crops(frames: AUFrames) -> AUFrames:
    """Give the same frames with crops as the shards hold them, to test on.

    Parameters
    ----------
    frames : AUFrames
        Of a training.

    Returns
    -------
    AUFrames
        Without their file where that changes pixels.
    """
    if frames.kept is None or frames.kept.form == RGB:
        return frames
    return replace(frames, kept=None)


@contextmanager
def with_decoded_crops(
    frames: AUFrames, form: str, options: CropFileOptions, world: World
) -> Iterator[AUFrames]:
    """Keep the crops of frames in a file for as long as the context lasts.

    Parameters
    ----------
    frames : AUFrames
        All frames, the same in all processes.
    form : str
        "rgb" or "i420".
    options : CropFileOptions
        Where they are kept.
    world : World
        All processes; those of one machine share its file.

    Yields
    ------
    AUFrames
        The same, `kept` set; each crop is decoded when used where no file is wanted, or none can be
        had, which one line says.
    """
    if not options.used or not hasattr(os, "pwrite"):
        yield replace(frames, kept=DecodedCrops(form, None))
        return
    layout = CropLayout(len(frames), frames.size, form, crops_digest(frames))
    kept = options.place / layout.name
    first = world.first_of_machine()
    path, file = _made(layout, kept, options.place) if first else (None, None)
    shared = world.of_first_on_machine("" if path is None else str(path))
    if not first and shared:
        open_file = opened_whole if Path(shared) == kept else opened_again
        file = open_file(layout, Path(shared))
        if file is None:
            logger.warning("decoded crops: %s cannot be shared; each is decoded when used", shared)
    world.wait()
    try:
        if path is not None and path != kept and not options.keep:
            _remove(path)
        yield replace(frames, kept=DecodedCrops(form, file))
        if options.keep:
            world.wait()
            if file is not None and path is not None and path != kept:
                _finish(file, frames, form, path, kept)
    finally:
        if file is not None:
            file.close()
        if path is not None and path != kept:
            _remove(path)


def _made(layout: CropLayout, kept: Path, place: Path) -> tuple[Path | None, CropFile | None]:
    """A file that was kept, or a new one; None where there can be none, which is said here."""
    remove_leftovers(place)
    file = opened_whole(layout, kept)
    if file is not None:
        logger.info("decoded crops: taken from %s", kept)
        return kept, file
    room, instead = free_space(place), "each is decoded when used, which is slower"
    if layout.total > room:
        logger.warning(
            "decoded crops: %.3g GB do not fit into %s, which has %.3g GB free for them; %s "
            "(--crops-folder names another disk)",
            *(layout.total / 1e9, place, room / 1e9, instead),
        )
        return None, None
    try:
        path, file = new_crop_file(layout, place)
    except OSError as error:
        logger.warning("decoded crops: %s: %s; %s", place, error.strerror or error, instead)
        return None, None
    logger.info("decoded crops: up to %.3g GB of %s in %s", layout.total / 1e9, layout.form, place)
    return path, file


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _finish(file: CropFile, frames: AUFrames, form: str, temporary: Path, path: Path) -> None:
    """Make the crops that nobody asked for, and keep the file; what fails costs no training."""
    for index in file.missing.tolist():
        if not file.gave_up:
            file.put(index, in_form(frames.decode(index), form))
    if file.gave_up:
        logger.warning("%s: the disk was full, so the decoded crops are not kept", path)
        return
    try:
        file.finish(temporary, path)
    except OSError as error:
        logger.warning("%s: the decoded crops are not kept: %s", path, error.strerror or error)
        return
    logger.info("decoded crops: kept in %s", path)
