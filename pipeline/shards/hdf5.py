"""The HDF5 file under a shard: opened with its layout checked, sealed with a checksum, copied."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ...errors import ShardError
from ...fitting.array_files import check_heaps, check_heaps_in
from .layout import AGAIN, GROUPS, check_format, check_layout
from .mistaken import refuse_other_files

# Attribute of the root and of the fit: the kind of processor, which is no content.
PROCESSOR = "processor"
STRINGS = h5py.string_dtype()
_CHECKSUM = "content_sha256"
# What is not content (unused bytes of the HDF5 file) is covered by a SHA-256 of the file's bytes,
# which follows them; this attribute says so.
_FOLLOWED = "followed_by"
_FOLLOWED_BY = "sha256 of all bytes before it"
_DIGEST_BYTES = 32
# The first group in sorted order, with nearly all bytes of the file.
_FIRST = "crops"


@dataclass(frozen=True, eq=False)
class BegunDigest:
    """The digest of a content as far as the crops; they are not digested again in a copy.

    Attributes
    ----------
    root : bytes
        What of the root's attributes was digested.
    total : hashlib's SHA-256
        Of these and the crops.
    """

    root: bytes
    total: Any


@dataclass(frozen=True, eq=False)
class SealedFile:
    """A shard's file as it was read once, layout and checksums checked.

    Attributes
    ----------
    content : bytes
        Of the whole file.
    state : (int, int, int)
        Inode, bytes and time of change of the file that was read.
    begun : BegunDigest
        Of its content.
    """

    content: bytes
    state: tuple[int, int, int]
    begun: BegunDigest

    def open(self) -> h5py.File:
        """Open it in memory.

        Returns
        -------
        h5py.File
            For reading.
        """
        return h5py.File(io.BytesIO(self.content), "r")


@contextmanager
def open_shard(path: Path, content: bytes | None = None) -> Iterator[h5py.File]:
    """Open a shard for reading, its layout checked.

    Nothing in the file is followed out of it: links other than hard ones, external storage,
    virtual and filtered datasets are refused, and no dataset is larger than the file.

    Parameters
    ----------
    path : Path
        The shard.
    content : bytes or None
        Of the file, where it was read already.

    Yields
    ------
    h5py.File
        Open while the block lasts.

    Raises
    ------
    ShardError
        For any trouble with the file.
    """
    refuse_other_files(Path(path))
    try:
        # Files are only ever replaced whole, so locks (which NFS may lack) are not needed.
        if content is None:
            check_heaps(path)
        else:
            check_heaps_in(content)
        source = path if content is None else io.BytesIO(content)
        with h5py.File(source, "r", locking=False) as file:
            check_format(file, path)
            check_layout(file, Path(path).stat().st_size if content is None else len(content))
            yield file
    except FileNotFoundError as error:
        raise ShardError(f"{path}: no such shard") from error
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ShardError(f"{path}: cut or damaged shard ({reason}); {AGAIN}") from error


@contextmanager
def open_sealed(path: Path) -> Iterator[tuple[h5py.File, SealedFile]]:
    """Read a shard's file into memory, and check its layout and checksums.

    Parameters
    ----------
    path : Path
        The shard.

    Yields
    ------
    (h5py.File, SealedFile)
        Open while the block lasts; and what was read.

    Raises
    ------
    ShardError
        For any trouble with the file, and where it was altered.
    """
    path = Path(path)
    refuse_other_files(path)
    try:
        state = file_state(path)
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ShardError(f"{path}: no such shard") from error
    except OSError as error:
        raise ShardError(f"{path}: cannot be read ({error.strerror}); {AGAIN}") from error
    with open_shard(path, content) as file:
        begun = _begin(file)
        if not _is_sealed(file, content, begun):
            raise ShardError(f"{path}: content does not match its checksum; {AGAIN}")
        yield file, SealedFile(content, state, begun)


def sealed_file(path: Path, known: SealedFile | None = None) -> SealedFile:
    """Read a shard's file into memory, checked, unless it is there and was not replaced since.

    Parameters
    ----------
    path : Path
        The shard.
    known : SealedFile or None
        The same as it was read before.

    Returns
    -------
    SealedFile
        What lies there now.

    Raises
    ------
    ShardError
        As `open_sealed`.
    """
    with suppress(OSError):
        if known is not None and file_state(Path(path)) == known.state:
            return known
    with open_sealed(path) as (_, sealed):
        return sealed


def file_state(path: Path) -> tuple[int, int, int]:
    """Tell a file from one that replaced it.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    (int, int, int)
        Inode, bytes and time of change, nanoseconds.

    Raises
    ------
    OSError
        Where it is not there.
    """
    found = path.stat()
    return found.st_ino, found.st_size, found.st_ctime_ns


@contextmanager
def new_file() -> Iterator[h5py.File]:
    """Make an HDF5 file in memory; fixed format bounds and no times, so bytes repeat.

    Yields
    ------
    h5py.File
        Open while the block lasts.
    """
    options: dict[str, Any] = {"driver": "core", "backing_store": False, "libver": ("v110", "v110")}
    with h5py.File("shard", "w", **options) as file:
        yield file


def seal(file: h5py.File, begun: BegunDigest | None = None) -> tuple[bytes, bytes]:
    """Write the checksums.

    Parameters
    ----------
    file : h5py.File
        In memory; it must not have any yet.
    begun : BegunDigest or None
        Of the file from which its crops were copied.

    Returns
    -------
    (bytes, bytes)
        The file's, and the checksum of them all that follows them.
    """
    file.attrs.create(_FOLLOWED, _FOLLOWED_BY, dtype=STRINGS)
    file.attrs.create(_CHECKSUM, digest(file, begun=begun), dtype=STRINGS)
    file.flush()
    image = bytes(file.id.get_file_image())
    return image, hashlib.sha256(image).digest()


def _is_sealed(file: h5py.File, content: bytes, begun: BegunDigest) -> bool:
    """Whether a shard agrees with its checksum, and every byte of its file with the file's."""
    if digest(file, begun=begun) != file.attrs.get(_CHECKSUM):
        return False
    if _FOLLOWED not in file.attrs:
        return True  # written before there was one
    whole = hashlib.sha256(memoryview(content)[:-_DIGEST_BYTES]).digest()
    return whole == content[-_DIGEST_BYTES:]


def stated_digest(path: Path) -> str:
    """Read the digest of its content that a shard states, without a look at the content.

    Parameters
    ----------
    path : Path
        The shard.

    Returns
    -------
    str
        SHA-256, in hexadecimal.

    Raises
    ------
    ShardError
        Where the file cannot be read.
    """
    with open_shard(path) as file:
        return str(file.attrs.get(_CHECKSUM, ""))


def arrays_of(group: h5py.Group) -> dict[str, npt.NDArray[Any]]:
    """Read all datasets of a group whose layout was checked.

    By HDF5's own calls: h5py's objects around small datasets take longer than reading them.

    Parameters
    ----------
    group : h5py.Group
        Of a shard.

    Returns
    -------
    dict
        Name -> array.
    """
    found = {}
    for name in group:
        data = h5py.h5d.open(group.id, name.encode())
        found[name] = np.empty(data.shape, data.dtype)
        if found[name].size:
            data.read(h5py.h5s.ALL, h5py.h5s.ALL, found[name])
    return found


def content_digest(path: Path) -> str:
    """Digest all datasets and attributes of a shard, but for the processor that it was made on.

    Parameters
    ----------
    path : Path
        The shard.

    Returns
    -------
    str
        SHA-256, in hexadecimal.

    Raises
    ------
    ShardError
        Where the file cannot be read.
    """
    with open_shard(path) as file:
        return digest(file, leave_out=(PROCESSOR,))


def copy_content(old: h5py.File, new: h5py.File, leave_out: str) -> None:
    """Write everything of a checked shard but one group and the checksum into a new file.

    Parameters
    ----------
    old, new : h5py.File
        From and to.
    leave_out : str
        The group.
    """
    _copy_attributes(old, new)
    for name in GROUPS:
        if name in old and name != leave_out:
            group = new.create_group(name)
            _copy_attributes(old[name], group)
            for child, array in sorted(arrays_of(old[name]).items()):
                dataset = group.create_dataset(child, data=array)
                _copy_attributes(old[name][child], dataset)


def _copy_attributes(old: h5py.Group | h5py.Dataset, new: h5py.Group | h5py.Dataset) -> None:
    # Not the checksums: h5py overwrites an attribute under a random temporary name, which would
    # stay in the file's bytes.
    for name, value in _attributes(old):
        if name not in (_CHECKSUM, _FOLLOWED):
            new.attrs.create(name, value, dtype=old.attrs.get_id(name).dtype)


def digest(
    file: h5py.File, leave_out: Collection[str] = (), begun: BegunDigest | None = None
) -> str:
    """Digest names, attributes, types, shapes and bytes of everything, in sorted order.

    Parameters
    ----------
    file : h5py.File
        A shard.
    leave_out : collection of str
        Attributes that do not count, beside the checksum.
    begun : BegunDigest or None
        Of a file with the same crops, and nothing left out.

    Returns
    -------
    str
        SHA-256, in hexadecimal.
    """
    root = _described("", file, leave_out)
    if begun is None or begun.root != root:
        begun = _begin(file, leave_out)
    total = begun.total.copy()
    for child in sorted(set(file) - {_FIRST}):
        _add(total, f"/{child}", file[child], leave_out)
    return str(total.hexdigest())


def _begin(file: h5py.File, leave_out: Collection[str] = ()) -> BegunDigest:
    root = _described("", file, leave_out)
    total = hashlib.sha256(root)
    if _FIRST in file:
        _add(total, f"/{_FIRST}", file[_FIRST], leave_out)
    return BegunDigest(root, total)


def _add(
    total: Any, name: str, node: h5py.Group | h5py.Dataset, leave_out: Collection[str]
) -> None:
    total.update(_described(name, node, leave_out))
    if isinstance(node, h5py.Dataset):
        value = np.ascontiguousarray(node[()])
        total.update(f"\n{value.dtype.str}{value.shape}\n".encode())
        total.update(value)
    else:
        for child in sorted(node):
            _add(total, f"{name}/{child}", node[child], leave_out)


def _described(name: str, node: h5py.Group | h5py.Dataset, leave_out: Collection[str]) -> bytes:
    """A node's name and attributes as they are digested."""
    lines = [
        f"\n@{key}={np.asarray(value).tolist()!r}"
        for key, value in _attributes(node)
        if key != _CHECKSUM and key not in leave_out
    ]
    return f"\n{name}{''.join(lines)}".encode()


def _attributes(node: h5py.Group | h5py.Dataset) -> list[tuple[str, Any]]:
    """A node's attributes, sorted. Most have none, which HDF5 itself says sooner than h5py."""
    return sorted(node.attrs.items()) if h5py.h5a.get_num_attrs(node.id) else []
