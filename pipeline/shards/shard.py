"""The shard: one chunk of a clip as an HDF5 file that is whole or absent, and checked when read.

Layout: `frames/{frame_id, valid, reason, confidence, landmarks, transform}`, with dense points
`frames/landmarks_dense`, with a blendshape network's outputs `frames/blendshapes`, with how far
parts of the face are seen `frames/visibility`,
`crops/{data, offset}` (encoded images in one byte pool), `labels/{AU1, ...}` (int8, -1 unknown),
after `fit3d` `fit/{f_exp, f_exp_std, f_shape, pose, energy, rmse, iterations, converged}`, and
after `embed` `embed/{identity, identity_mirrored}`.
The header stands in the root's attributes together with the format's name and version and a
SHA-256 of the content. The same content gives the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from ...errors import ShardError
from ...whole_files import write_whole
from ..images import CROP_SIZE, ENCODINGS
from ..images.crops import decode_crop
from .content import (
    REASONS,
    SHARD_FOLDER,
    EmbedArrays,
    FitArrays,
    FrameArrays,
    ShardHeader,
    embed_datasets,
    fit_datasets,
    frame_datasets,
)
from .hdf5 import (
    PROCESSOR,
    STRINGS,
    SealedFile,
    arrays_of,
    content_digest,
    copy_content,
    new_file,
    open_sealed,
    open_shard,
    seal,
    sealed_file,
)
from .layout import FORMAT_NAME, FORMAT_VERSION
from .mistaken import no_shards

__all__ = [
    "FORMAT_NAME",
    "FORMAT_VERSION",
    "REASONS",
    "SHARD_FOLDER",
    "EmbedArrays",
    "FitArrays",
    "FrameArrays",
    "SealedFile",
    "Shard",
    "ShardHeader",
    "add_embed",
    "add_fit",
    "content_digest",
    "list_shards",
    "read_sealed",
    "read_shard",
    "shard_path",
    "write_shard",
]


@dataclass(frozen=True, eq=False)
class Shard:
    """One chunk read back: arrays in memory, crops decoded when asked for.

    Attributes
    ----------
    path : Path
        The file.
    header : ShardHeader
        Where its frames come from.
    frames : FrameArrays
        Results of `preprocess`.
    labels : (n, a) int8
        Columns as `header.au_names`, -1 unknown.
    fit : FitArrays or None
        Results of `fit3d`; None before it.
    embed : EmbedArrays or None
        Results of `embed`; None before it.
    encoding : str
        Of the crops, one of `pipeline.images.ENCODINGS`.
    crop_size : int
        Side of a crop, pixels.
    crop_offset : (n + 1,) int64
        Where each crop begins among the encoded ones, bytes.
    crop_begin : int
        Where the encoded crops begin in the file, bytes.
    """

    path: Path
    header: ShardHeader
    frames: FrameArrays
    labels: npt.NDArray[np.int8]
    fit: FitArrays | None
    embed: EmbedArrays | None
    encoding: str
    crop_size: int
    crop_offset: npt.NDArray[np.int64]
    crop_begin: int

    def __len__(self) -> int:
        return len(self.frames.frame_id)

    @cached_property
    def _pool(self) -> npt.NDArray[np.uint8]:
        with open_shard(self.path) as file:
            return np.asarray(file["crops/data"][()], dtype=np.uint8)

    def crop(self, index: int) -> npt.NDArray[np.uint8]:
        """Decode the aligned crop of one frame.

        Parameters
        ----------
        index : int
            The frame in the shard.

        Returns
        -------
        (size, size, 3) uint8
            RGB; plain grey where the frame is not valid.

        Raises
        ------
        ShardError
            Where the image cannot be decoded.
        """
        begin, end = self.crop_offset[index], self.crop_offset[index + 1]
        image = decode_crop(self._pool[begin:end], self.encoding, self.crop_size)
        if image is None:
            raise ShardError(f"{self.path}: crop {index} cannot be decoded; make the shard again")
        return image

    def crops(self) -> npt.NDArray[np.uint8]:
        """Decode all aligned crops.

        Returns
        -------
        (n, size, size, 3) uint8
            RGB.
        """
        out = np.empty((len(self), self.crop_size, self.crop_size, 3), np.uint8)
        for index in range(len(self)):
            out[index] = self.crop(index)
        return out


def shard_path(work: Path, subject: str, clip: str, chunk_index: int) -> Path:
    """Say where the shard of one chunk lies in a work folder.

    Parameters
    ----------
    work : Path
        The work folder.
    subject, clip : str
        Names.
    chunk_index : int
        The chunk in its clip, from 0.

    Returns
    -------
    Path
        Of the shard.
    """
    return Path(work) / SHARD_FOLDER / subject / clip / f"{chunk_index:06d}.h5"


def list_shards(work: Path) -> list[Path]:
    """List all shards of a work folder.

    Parameters
    ----------
    work : Path
        The work folder.

    Returns
    -------
    list of Path
        Sorted by subject, clip and chunk.

    Raises
    ------
    ShardError
        Where there are none.
    """
    found = sorted((Path(work) / SHARD_FOLDER).glob("*/*/*.h5"))
    if not found:
        raise ShardError(no_shards(work))
    return found


def write_shard(
    path: Path,
    header: ShardHeader,
    frames: FrameArrays,
    crops: list[bytes],
    labels: npt.NDArray[np.int8],
    *,
    encoding: str = "jpeg",
    crop_size: int = CROP_SIZE,
) -> None:
    """Write one chunk as a whole file.

    Parameters
    ----------
    path : Path
        The shard.
    header : ShardHeader
        Where its frames come from.
    frames : FrameArrays
        Results of `preprocess`.
    crops : list of bytes
        One encoded image a frame, as `images.crops.encode_crop` makes them.
    labels : (n, a) int8
        Columns as `header.au_names`, -1 unknown; a may be 0.
    encoding : str
        Of the crops, one of `pipeline.images.ENCODINGS`.
    crop_size : int
        Side of a crop, pixels.

    Raises
    ------
    ValueError
        Where lengths, shapes or the encoding do not fit together.
    OutputError
        Where the file cannot be written.
    """
    count = header.stop - header.start
    if len(crops) != count or labels.shape != (count, len(header.au_names)):
        raise ValueError(f"{len(crops)} crops, labels {labels.shape} for a chunk of {count} frames")
    if encoding not in ENCODINGS:
        raise ValueError(f"crop encoding {encoding!r} is not one of {ENCODINGS}")
    with new_file() as file:
        _write_header(file, header)
        dense = frames.landmarks_dense
        layout = frame_datasets(
            None if dense is None else np.shape(dense)[1],
            blendshapes=frames.blendshapes is not None,
            visibility=frames.visibility is not None,
        )
        _write_arrays(file.create_group("frames"), frames, layout, count)
        file["frames/reason"].attrs.create("names", list(REASONS), dtype=STRINGS)
        _write_crops(file.create_group("crops"), crops, encoding, crop_size)
        group = file.create_group("labels")
        group.attrs.create("au_names", list(header.au_names), dtype=STRINGS)
        group.attrs["kind"] = header.label_kind
        for column, name in enumerate(header.au_names):
            group.create_dataset(name, data=np.ascontiguousarray(labels[:, column], np.int8))
        write_whole(path, *seal(file))


def read_shard(path: Path, *, verify: bool = True) -> Shard:
    """Read one shard; the crops stay on disk until asked for.

    Parameters
    ----------
    path : Path
        The shard.
    verify : bool
        Compare the content with its checksum (reads the whole file once).

    Returns
    -------
    Shard
        Its arrays in memory.

    Raises
    ------
    ShardError
        Where the file is missing, cut, of another kind or version, or altered.
    """
    if verify:
        return read_sealed(path)[0]
    with open_shard(path) as file:
        return _read(file, Path(path))


def read_sealed(path: Path) -> tuple[Shard, SealedFile]:
    """Read one shard, checked, and keep its file in memory for `add_fit`.

    Parameters
    ----------
    path : Path
        The shard.

    Returns
    -------
    (Shard, SealedFile)
        Its arrays in memory; and the file.

    Raises
    ------
    ShardError
        As `read_shard`.
    """
    with open_sealed(path) as (file, sealed):
        return _read(file, Path(path)), sealed


def _read(file: h5py.File, path: Path) -> Shard:
    header = _read_header(file)
    frames = FrameArrays(**arrays_of(file["frames"]))
    labels = np.empty((len(frames.valid), len(header.au_names)), np.int8)
    columns = arrays_of(file["labels"])
    for column, name in enumerate(header.au_names):
        labels[:, column] = columns[name]
    return Shard(
        path=path,
        header=header,
        frames=frames,
        labels=labels,
        fit=_read_fit(file["fit"]) if "fit" in file else None,
        embed=_read_embed(file["embed"]) if "embed" in file else None,
        encoding=str(file["crops"].attrs["encoding"]),
        crop_size=int(file["crops"].attrs["size"]),
        crop_offset=file["crops/offset"][()],
        crop_begin=int(file["crops/data"].id.get_offset() or 0),
    )


def add_fit(path: Path, fit: FitArrays, sealed: SealedFile | None = None) -> None:
    """Give a shard the results of the 3D fit: a new file with the old datasets replaces it.

    Parameters
    ----------
    path : Path
        The shard.
    fit : FitArrays
        Of its frames.
    sealed : SealedFile or None
        The shard's file by `read_sealed`, which is not read again unless it was replaced since.

    Raises
    ------
    ShardError
        Where the shard cannot be read.
    ValueError
        Where the lengths differ.
    OutputError
        Where the new file cannot be written.
    """
    layout = fit_datasets(len(fit.expression_names), fit.f_shape.shape[-1])
    sealed = sealed_file(path, sealed)
    with sealed.open() as old, new_file() as new:
        count = len(old["frames/valid"])
        _check_arrays("fit", fit, layout, count)
        copy_content(old, new, leave_out="fit")
        group = new.create_group("fit")
        _write_arrays(group, fit, layout, count)
        group.attrs["options"] = json.dumps(fit.options, sort_keys=True)
        group.attrs["model"] = fit.model
        group.attrs["model_sha256"] = fit.model_sha256
        group.attrs.create("expression_names", list(fit.expression_names), dtype=STRINGS)
        group.attrs["shape_modes"] = fit.f_shape.shape[-1]
        group.attrs["image_size"] = np.asarray(fit.image_size, np.int64)
        group.attrs["focal"] = float(fit.focal)
        if fit.processor:
            group.attrs[PROCESSOR] = fit.processor
        parts = seal(new, sealed.begun)
    write_whole(path, *parts)


def add_embed(path: Path, embed: EmbedArrays) -> None:
    """Give a shard the identity model's output: a new file with the old datasets replaces it.

    Parameters
    ----------
    path : Path
        The shard.
    embed : EmbedArrays
        Of its frames.

    Raises
    ------
    ShardError, ValueError, OutputError
        As `add_fit`.
    """
    width = embed.identity.shape[-1]
    sealed = sealed_file(path)
    with sealed.open() as old, new_file() as new:
        count = len(old["frames/valid"])
        _check_arrays("embed", embed, embed_datasets(width), count)
        copy_content(old, new, leave_out="embed")
        group = new.create_group("embed")
        _write_arrays(group, embed, embed_datasets(width), count)
        group.attrs["width"] = width
        group.attrs["weights"] = embed.weights
        parts = seal(new, sealed.begun)
    write_whole(path, *parts)


def _write_header(file: h5py.File, header: ShardHeader) -> None:
    file.attrs["format"] = FORMAT_NAME
    file.attrs["format_version"] = FORMAT_VERSION
    for item in fields(header):
        value = getattr(header, item.name)
        if item.name == "options":
            value = json.dumps(value, sort_keys=True)
        if item.name == "frame_size":
            value = np.asarray(value, np.int64)
        unknown = item.name == PROCESSOR and not value
        if item.name not in ("au_names", "label_kind") and not unknown:
            file.attrs[item.name] = value


def _read_header(file: h5py.File) -> ShardHeader:
    root, labels = file.attrs, file["labels"].attrs
    width, height = root["frame_size"]
    return ShardHeader(
        dataset=str(root["dataset"]),
        subject=str(root["subject"]),
        clip=str(root["clip"]),
        start=int(root["start"]),
        stop=int(root["stop"]),
        source=str(root["source"]),
        source_size=int(root["source_size"]),
        source_hash=str(root["source_hash"]),
        fps=float(root["fps"]),
        frame_size=(int(width), int(height)),
        detector=str(root["detector"]),
        options=json.loads(root["options"]),
        glee_version=str(root["glee_version"]),
        au_names=tuple(str(name) for name in labels["au_names"]),
        label_kind=str(labels["kind"]),
        landmark_definition=str(root["landmark_definition"]),
        processor=str(root.get(PROCESSOR, "")),
    )


def _read_fit(group: h5py.Group) -> FitArrays:
    width, height = group.attrs["image_size"]
    return FitArrays(
        **arrays_of(group),
        options=json.loads(group.attrs["options"]),
        model=str(group.attrs["model"]),
        model_sha256=str(group.attrs.get("model_sha256", "")),
        expression_names=tuple(str(name) for name in group.attrs["expression_names"]),
        image_size=(int(width), int(height)),
        focal=float(group.attrs["focal"]),
        processor=str(group.attrs.get(PROCESSOR, "")),
    )


def _read_embed(group: h5py.Group) -> EmbedArrays:
    return EmbedArrays(**arrays_of(group), weights=str(group.attrs["weights"]))


def _write_arrays(
    group: h5py.Group,
    arrays: FrameArrays | FitArrays | EmbedArrays,
    layout: dict[str, tuple[type, tuple[int, ...]]],
    count: int,
) -> None:
    _check_arrays(group.name, arrays, layout, count)
    for name, (dtype, _) in layout.items():
        group.create_dataset(name, data=np.ascontiguousarray(getattr(arrays, name), dtype))


def _check_arrays(
    group: str,
    arrays: FrameArrays | FitArrays | EmbedArrays,
    layout: dict[str, tuple[type, tuple[int, ...]]],
    count: int,
) -> None:
    for name, (_, shape) in layout.items():
        found = np.shape(getattr(arrays, name))
        if found != (count, *shape):
            raise ValueError(f"{group}/{name}: shape {found}, not {(count, *shape)}")


def _write_crops(group: h5py.Group, crops: list[bytes], encoding: str, size: int) -> None:
    offset = np.zeros(len(crops) + 1, np.int64)
    np.cumsum([len(crop) for crop in crops], out=offset[1:])
    group.create_dataset("data", data=np.frombuffer(b"".join(crops), np.uint8))
    group.create_dataset("offset", data=offset)
    group.attrs["encoding"] = encoding
    group.attrs["size"] = size
