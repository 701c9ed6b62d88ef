"""The frames that GLEE-Net learns from: read from shards, labels as occurrence, crops at hand.

`load_frames` is the door; `make_batch` cuts batches of frames. What a dataset's own module says
about evaluation (folds, AUs that papers report, threshold) is read here too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ...fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from ...pipeline.datasets import DATASETS, dataset_module
from ...pipeline.shards.content import check_place
from ...pipeline.shards.crop_blocks import BLOCK_FRAMES, CropBlocks
from ...pipeline.shards.shard import Shard, list_shards, read_shard
from .augmentation import EpochDraw, mirrored_expressions, resized_face
from .decoded_crops import DecodedCrops
from .provenance import Provenance, shard_provenance

# Decoded crops up to this many bytes are kept in memory; beyond it each is decoded when used.
MEMORY_LIMIT = 2 << 30

# Gives other coefficients than a shard's own: shard path -> (n, e) float32, n the shard's frames.
FExpSource = Callable[[Path], npt.NDArray[np.float32]]

# An intensity of at least this counts as occurrence where the dataset says nothing else (§4.1).
OCCURRENCE_INTENSITY = 2


@dataclass(frozen=True, eq=False)
class AUFrames:
    """All valid frames of a work folder; n frames, a AUs, e expression coefficients.

    Attributes
    ----------
    au_names : (a,) tuple of str
        ("AU1", ...).
    dataset : str
        Name.
    shards : tuple of Shard
        Those read.
    names : tuple of str
        Their paths below the folder.
    shard_index, row : (n,) int64
        The shard of each frame, and its row there.
    subject : (n,) str
        Name of each frame's subject.
    frame_id : (n,) int64
        The dataset's own number of each frame.
    labels : (n, a) int8
        1 present, 0 absent, -1 unknown.
    f_exp : (n, e) float32
        NaN where not fitted.
    expression_names : (e,) tuple of str
        Of the coefficients.
    size : int
        Side of the stored crop, pixels.
    decoded : (n, size, size, 3) uint8 or None
        All crops, RGB, where they fit in memory.
    kept : DecodedCrops or None
        Where a training keeps them, once decoded.
    identity : (n, 2, d) float16 or None
        V_id of the centre crop and of its mirror image as `glee embed` keeps them.
    identity_weights : str
        Digest of the model that gave them.
    """

    au_names: tuple[str, ...]
    dataset: str
    shards: tuple[Shard, ...]
    names: tuple[str, ...]
    shard_index: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    subject: npt.NDArray[np.str_]
    frame_id: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int8]
    f_exp: npt.NDArray[np.float32]
    expression_names: tuple[str, ...]
    size: int
    decoded: npt.NDArray[np.uint8] | None
    kept: DecodedCrops | None = None
    identity: npt.NDArray[np.float16] | None = None
    identity_weights: str = ""

    def __len__(self) -> int:
        return len(self.row)

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Subjects with valid frames, sorted."""
        return tuple(sorted({str(name) for name in self.subject}))

    @cached_property
    def mirrored(self) -> npt.NDArray[np.int64] | None:
        """(e,) int64, the coefficient that a mirrored face shows; None where nobody
        knows.
        """
        return mirrored_expressions(self.expression_names)

    @cached_property
    def provenance(self) -> Provenance:
        """How these frames were made."""
        fitted = (shard for shard in self.shards if shard.fit is not None)
        return shard_provenance(next(fitted, self.shards[0]))

    @cached_property
    def fit_model(self) -> str:
        """Name of the morphable model that f_exp belongs to; "" where nothing was fitted."""
        return next((shard.fit.model for shard in self.shards if shard.fit is not None), "")

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, over which frames these are, their labels, f_exp and crops."""
        total = hashlib.sha256("\n".join((*self.names, *self.au_names)).encode())
        for array in (self.shard_index, self.row, self.labels, self.f_exp):
            total.update(np.ascontiguousarray(array).tobytes())
        for shard in self.shards:
            total.update(shard.crop_offset.tobytes())
        return total.hexdigest()

    @cached_property
    def block(self) -> npt.NDArray[np.int64]:
        """(n,) int64, ascending: which block of crops, read at once, holds each frame's."""
        most = max(len(shard) for shard in self.shards) // BLOCK_FRAMES + 1
        return self.shard_index * most + self.row // BLOCK_FRAMES

    def of_subjects(self, subjects: Iterable[str]) -> npt.NDArray[np.int64]:
        """Find the frames of these `subjects`: (k,) int64 indices, ascending."""
        return np.flatnonzero(np.isin(self.subject, sorted(subjects)))

    def frame_name(self, index: int) -> str:
        """Say where the frame `index` is, for messages: "SN001/clip/000000.h5 frame 17"."""
        return f"{self.names[self.shard_index[index]]} frame {self.frame_id[index]}"

    def crop(self, index: int) -> npt.NDArray[np.uint8]:
        """Give the aligned face of the frame `index`: (size, size, 3) uint8, RGB."""
        return self.decode(index) if self.kept is None else self.kept.crop(index, self.decode)

    def decode(self, index: int) -> npt.NDArray[np.uint8]:
        """Give it as its shard holds it, however a training keeps it."""
        if self.decoded is not None:
            return np.asarray(self.decoded[index], np.uint8)
        image = self._reader.crop(int(self.shard_index[index]), int(self.row[index]))
        return resized_face(image, self.size)

    @cached_property
    def _reader(self) -> CropBlocks:
        return CropBlocks(self.shards)


@dataclass(frozen=True, eq=False)
class Batch:
    """b frames side by side, s pixels wide.

    Attributes
    ----------
    index : (b,) int64
        The frames, as indices into AUFrames.
    image : (b, s, s, 3) uint8
        Crops, RGB.
    f_exp : (b, e) float32
        NaN where not fitted.
    labels : (b, a) int8
        1 present, 0 absent, -1 unknown.
    gain, offset : (b, 3) and (b, 1) float32
        Change of colours in [-1, 1].
    identity : (b, d) float16
        V_id where it is known already, else d is 0.
    """

    index: npt.NDArray[np.int64]
    image: npt.NDArray[np.uint8]
    f_exp: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int8]
    gain: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]
    identity: npt.NDArray[np.float16]


def load_frames(
    work: Path,
    *,
    size: int,
    aus: Iterable[int] | None = None,
    with_fit: bool = True,
    f_exp_source: FExpSource | None = None,
    labelled: bool = True,
    with_identity: bool = False,
    memory_limit: int = MEMORY_LIMIT,
) -> AUFrames:
    """Read the valid frames of a work folder.

    Parameters
    ----------
    work : Path
        The work folder.
    size : int
        Side at which crops are stored, pixels.
    aus : iterable of int, optional
        AU numbers; None takes those that papers report for this dataset, else all that the shards
        label.
    with_fit : bool
        f_exp is needed.
    f_exp_source : FExpSource, optional
        Takes the place of the shards' own f_exp.
    labelled : bool
        The AUs must have labels.
    with_identity : bool
        The output of the identity model is needed.
    memory_limit : int
        Decoded crops of up to so many bytes are kept in memory.

    Returns
    -------
    AUFrames
        In the order of the shards.

    Raises
    ------
    ShardError
        Where a shard is damaged.
    DataError
        Where there are no valid frames, no labels, no 3D fit or identity features though they are
        needed, or f_exp_source does not fit.
    """
    paths = list_shards(work)
    shards = tuple(read_shard(path) for path in paths)
    for shard in shards:
        check_place(shard.header, shard.path)
    wanted = tuple(aus or dataset_facts(shards[0].header.dataset).aus)
    au_names = _au_names(shards, wanted, work, labelled)
    names = _expression_names(shards)
    rows = [np.flatnonzero(shard.frames.valid) for shard in shards]
    index = np.repeat(np.arange(len(shards)), [len(row) for row in rows])
    if not len(index):
        raise DataError(f"{work}: no valid frame in {len(shards)} shards; look at `glee inspect`")
    frames = AUFrames(
        au_names=au_names,
        dataset=shards[0].header.dataset,
        shards=shards,
        names=tuple(path.relative_to(work / "shards").as_posix() for path in paths),
        shard_index=index,
        row=np.concatenate(rows),
        subject=np.array([shards[i].header.subject for i in index]),
        frame_id=_joined([shard.frames.frame_id for shard in shards], rows),
        labels=_joined([occurrence(shard, au_names) for shard in shards], rows),
        f_exp=_joined([_f_exp(shard, names, with_fit, f_exp_source) for shard in shards], rows),
        expression_names=names,
        size=size,
        decoded=None,
        identity=_joined(identity_features(shards), rows) if with_identity else None,
        identity_weights=shards[0].embed.weights if with_identity and shards[0].embed else "",
    )
    if len(frames) * size * size * 3 > memory_limit:
        return frames
    return _in_memory(frames)


def occurrence(shard: Shard, au_names: tuple[str, ...]) -> npt.NDArray[np.int8]:
    """Give the labels of a shard as occurrence.

    Parameters
    ----------
    shard : Shard
        n frames; intensities are compared with the dataset's threshold.
    au_names : tuple of str
        The a AUs wanted.

    Returns
    -------
    (n, a) int8
        1 present, 0 absent, -1 unknown or not labelled.
    """
    out = np.full((len(shard), len(au_names)), -1, np.int8)
    intensity = shard.header.label_kind == "intensity"
    threshold = dataset_facts(shard.header.dataset).threshold if intensity else 1
    for column, name in enumerate(au_names):
        if name in shard.header.au_names:
            label = shard.labels[:, shard.header.au_names.index(name)]
            out[:, column] = np.where(label < 0, -1, label >= threshold)
    return out


def make_batch(
    frames: AUFrames,
    index: npt.NDArray[np.int64],
    size: int,
    draw: EpochDraw | None = None,
    where: npt.NDArray[np.int64] | None = None,
) -> Batch:
    """Cut a batch: random crops of one epoch, or centre crops without `draw`.

    Parameters
    ----------
    frames : AUFrames
        All frames.
    index : (b,) int64
        Frames of the batch.
    size : int
        Of the crop, pixels.
    draw : EpochDraw, optional
        The epoch's choices.
    where : (b,) int64, optional
        Positions of these frames in `draw`.

    Returns
    -------
    Batch
        The frames.
    """
    count, middle = len(index), (frames.size - size) // 2
    image = np.empty((count, size, size, 3), np.uint8)
    f_exp, identity = frames.f_exp[index], np.empty((count, 0), np.float16)
    top = left = np.full(count, middle)
    mirror = np.zeros(count, bool)
    light = np.ones((count, 3), np.float32), np.zeros((count, 1), np.float32)
    if draw is not None and where is not None:
        top, left, mirror = draw.top[where], draw.left[where], draw.mirror[where]
        light = draw.gain[where], draw.offset[where]
        if frames.mirrored is not None:
            f_exp = np.where(mirror[:, None], f_exp[:, frames.mirrored], f_exp)
        if frames.identity is not None:
            identity = frames.identity[index, mirror.astype(np.int64)]
    for item, frame in enumerate(index.tolist()):
        y, x = top[item], left[item]
        cut = frames.crop(frame)[y : y + size, x : x + size]
        if mirror[item]:
            cv2.flip(cut, 1, image[item])
        else:
            image[item] = cut
    return Batch(index, image, f_exp, frames.labels[index], *light, identity)


def _au_names(
    shards: tuple[Shard, ...], aus: tuple[int, ...], work: Path, labelled: bool
) -> tuple[str, ...]:
    """Names of the chosen AUs, or of all that have labels; those must have them if `labelled`."""
    known = {name for shard in shards for name in shard.header.au_names}
    names = tuple(f"AU{number}" for number in aus)
    if labelled and not known:
        raise DataError(f"{work}: its shards hold no labels; preprocess a labelled dataset")
    for name in names:
        if labelled and name not in known:
            raise DataError(f"{work}: its shards hold no labels of {name}; choose other AUs")
    return names or tuple(sorted(known, key=lambda name: int(name.removeprefix("AU"))))


def _expression_names(shards: tuple[Shard, ...]) -> tuple[str, ...]:
    """What f_exp stands for, the same in all shards; the blendshapes' where nothing is fitted."""
    fits = [(shard.path, shard.fit) for shard in shards if shard.fit is not None]
    for path, fit in fits[1:]:
        if any(
            getattr(fit, name) != getattr(fits[0][1], name)
            for name in ("expression_names", "model", "model_sha256")
        ):
            raise DataError(
                f"{path}: was fitted with another morphable model than {fits[0][0]}; "
                "run `glee fit3d` with --overwrite"
            )
    return fits[0][1].expression_names if fits else ARKIT_NAMES


def _f_exp(
    shard: Shard, names: tuple[str, ...], with_fit: bool, f_exp_source: FExpSource | None
) -> npt.NDArray[np.float32]:
    shape = (len(shard), len(names))
    if f_exp_source is not None:
        given = np.asarray(f_exp_source(shard.path), np.float32)
        if given.shape != shape:
            raise DataError(f"{shard.path}: was given f_exp of shape {given.shape}, not {shape}")
        return given
    if shard.fit is not None:
        return shard.fit.f_exp
    if with_fit:
        raise DataError(
            f"{shard.path}: holds no 3D fit; run `glee fit3d` on this work folder first, or train "
            "without the 3D branch by --ablation no-3dgb"
        )
    return np.full(shape, np.nan, np.float32)


def _joined(arrays: list[npt.NDArray], rows: list[npt.NDArray[np.int64]]) -> npt.NDArray:  # type: ignore[type-arg]
    return np.concatenate([array[row] for array, row in zip(arrays, rows, strict=True)])


def _in_memory(frames: AUFrames) -> AUFrames:
    """The same frames with every crop decoded; the encoded ones are let go shard by shard."""
    decoded = np.empty((len(frames), frames.size, frames.size, 3), np.uint8)
    for number, shard in enumerate(frames.shards):
        source = read_shard(shard.path, verify=False)
        for index in np.flatnonzero(frames.shard_index == number):
            decoded[index] = resized_face(source.crop(int(frames.row[index])), frames.size)
    return replace(frames, decoded=decoded)


def identity_features(shards: Sequence[Shard]) -> list[npt.NDArray[np.float16]]:
    """Collect the V_id that shards keep.

    Parameters
    ----------
    shards : sequence of Shard
        All of one work folder.

    Returns
    -------
    list of (n, 2, d) float16
        Of each shard, of the plain and of the mirrored face.

    Raises
    ------
    DataError
        Where a shard has none, or others of other weights than the first.
    """
    found = []
    for shard in shards:
        if shard.embed is None:
            raise DataError(
                f"{shard.path}: holds no identity features; run `glee embed`, or train with "
                "--identity-branch live"
            )
        if shards[0].embed is not None and shard.embed.weights != shards[0].embed.weights:
            raise DataError(
                f"{shard.path}: its identity features are of other weights than those of "
                f"{shards[0].path}; run `glee embed --overwrite`"
            )
        found.append(np.stack([shard.embed.identity, shard.embed.identity_mirrored], 1))
    return found


@dataclass(frozen=True)
class DatasetFacts:
    """What a dataset's module says about evaluation.

    Attributes
    ----------
    folds : tuple of tuple of str
        Test subjects of each published fold, () where there are none.
    aus : tuple of int
        Numbers of the AUs that papers report, () for all that are labelled.
    threshold : int
        Intensity that is an occurrence.
    """

    folds: tuple[tuple[str, ...], ...] = ()
    aus: tuple[int, ...] = ()
    threshold: int = OCCURRENCE_INTENSITY


def dataset_facts(dataset: str) -> DatasetFacts:
    """Read FOLDS, AUS_USED and OCCURRENCE_THRESHOLD of a dataset's module, if it has them.

    Parameters
    ----------
    dataset : str
        Name, as in a shard's header.

    Returns
    -------
    DatasetFacts
        Defaults where the dataset or the constant is not known.
    """
    if dataset not in DATASETS:
        return DatasetFacts()
    module = dataset_module(dataset)
    return DatasetFacts(
        folds=tuple(tuple(fold) for fold in getattr(module, "FOLDS", ())),
        aus=tuple(getattr(module, "AUS_USED", ())),
        threshold=int(getattr(module, "OCCURRENCE_THRESHOLD", OCCURRENCE_INTENSITY)),
    )


def same_people(one: str, other: str) -> bool:
    """Say whether a subject's name means the same person in both datasets, as in DISFA and DISFA+.

    Such datasets share their folds.

    Parameters
    ----------
    one, other : str
        Names of datasets.

    Returns
    -------
    bool
        True where they are one dataset or have the same published folds.
    """
    folds = dataset_facts(one).folds
    return one == other or (bool(folds) and folds == dataset_facts(other).folds)
