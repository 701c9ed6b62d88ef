"""One file of decoded crops: looked into through a map, written so that a full disk is an error.

Layout: a JSON header of one page, for each frame a mark (uint64: 0, or 1 + CRC-32 of its crop),
then the crops from a whole page on. Crops are written by `pwrite`: through the map, a full disk
would end the process. A crop's mark follows the crop. A file that shall outlast its run has a name
that says it is unfinished, until it is synchronised, marked whole and renamed. It is taken only
where that mark, size, owner and the digest of the shards agree, and each crop is held against its
checksum when it is first read.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import shutil
import socket
import stat
import tempfile
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

RGB, I420 = "rgb", "i420"
FORMS = (RGB, I420)
FORMAT = "glee-decoded-crops-1"

_PREFIX, _UNFINISHED = "glee-crops-", ".partial"
_PAGE = 4096
# Of the header's page: the last byte says that the disk was full.
_FULL_AT = _PAGE - 1
# Space that is left to others: so many bytes, or this share of a small disk.
_LEFT_BYTES, _LEFT_SHARE = 1 << 30, 0.05
# An unfinished file may be without its run's lock for so many seconds.
_FRESH_SECONDS = 60


@dataclass(frozen=True)
class CropLayout:
    """What is where in a file of decoded crops.

    Attributes
    ----------
    count : int
        Frames.
    size : int
        Side of a crop, pixels.
    form : str
        "rgb" or "i420".
    key : str
        Digest of the shards' crops, see `crops_digest`.
    """

    count: int
    size: int
    form: str
    key: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a kept crop."""
        if self.form == RGB:
            return (self.size, self.size, 3)
        return (self.size * 3 // 2, self.size)

    @property
    def crop_bytes(self) -> int:
        """Of one kept crop."""
        return int(np.prod(self.shape))

    @property
    def begin(self) -> int:
        """First byte of the crops."""
        return _PAGE + -(-8 * self.count // _PAGE) * _PAGE

    @property
    def total(self) -> int:
        """Bytes of the file."""
        return self.begin + self.count * self.crop_bytes

    @property
    def name(self) -> str:
        """Of a kept file."""
        return f"{_PREFIX}{self.key[:32]}.{self.form}"

    def header(self, *, whole: bool) -> bytes:
        """The first page but for its last byte."""
        stated = {
            "format": FORMAT,
            "count": self.count,
            "size": self.size,
            "form": self.form,
            "key": self.key,
            "whole": whole,
        }
        return json.dumps(stated).encode().ljust(_FULL_AT, b" ")


class CropFile:
    """An open file of decoded crops.

    It may be inherited by a fork, and is handed on to a process that is spawned.

    Parameters
    ----------
    handle : int
        Of the open file, which this object closes.
    layout : CropLayout
        What is where in it.
    whole : bool
        Made by an earlier run: crops are held against their checksums, and none is written.
    """

    def __init__(self, handle: int, layout: CropLayout, *, whole: bool = False) -> None:
        self._handle, self._layout, self._whole = handle, layout, whole
        view = mmap.mmap(handle, layout.total, access=mmap.ACCESS_READ)
        self._bytes = np.frombuffer(view, np.uint8)
        self._marks = np.frombuffer(view, np.uint64, layout.count, _PAGE)
        self._checked = np.zeros(layout.count if whole else 0, bool)
        self._writing, self._damaged = not whole, False
        self._shape, self._crop_bytes = layout.shape, layout.crop_bytes
        self._begin = layout.begin

    def __getstate__(self) -> dict[str, Any]:
        from multiprocessing.reduction import DupFd  # Windows has none

        return {"handle": DupFd(self._handle), "layout": self._layout, "whole": self._whole}

    def __setstate__(self, state: dict[str, Any]) -> None:
        handle = state["handle"].detach()
        CropFile.__init__(self, handle, state["layout"], whole=state["whole"])

    def close(self) -> None:
        """Close the handle; the map lives as long as somebody looks at it."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle, self._writing = -1, False

    def get(self, index: int) -> npt.NDArray[np.uint8] | None:
        """Look at the kept crop of the frame `index`; None where it is not there."""
        mark = int(self._marks[index])
        if not mark:
            return None
        begin = self._begin + index * self._crop_bytes
        kept = self._bytes[begin : begin + self._crop_bytes]
        if self._whole and not self._checked[index]:
            if zlib.crc32(kept.data) + 1 != mark:
                self._say_damaged(index)
                return None
            self._checked[index] = True
        return kept.reshape(self._shape)

    def put(self, index: int, kept: npt.NDArray[np.uint8]) -> None:
        """Keep the crop of the frame `index`, unless the disk is full."""
        if not self._writing:
            return
        if self._bytes[_FULL_AT]:
            self._writing = False
            return
        content = np.ascontiguousarray(kept).reshape(-1)
        mark = np.uint64(zlib.crc32(content.data) + 1)
        try:
            _write_at(self._handle, content.data, self._begin + index * content.size)
            _write_at(self._handle, mark.tobytes(), _PAGE + 8 * index)
        except OSError as error:
            self._writing = False
            self._say_full(error)

    def _say_full(self, error: OSError) -> None:
        """Tell the other processes, and the user once."""
        if self._bytes[_FULL_AT]:
            return
        _write_at(self._handle, b"\1", _FULL_AT)
        logger.warning(
            "decoded crops: %s after %d of %d; the others are decoded each time",
            error.strerror or error,
            np.count_nonzero(self._marks),
            self._layout.count,
        )

    def _say_damaged(self, index: int) -> None:
        if not self._damaged:
            logger.warning(
                "decoded crops: frame %d of the kept file %s differs from its checksum; what does "
                "is decoded each time (remove the file to have it made again)",
                *(index, self._layout.name),
            )
        self._damaged = True

    @property
    def missing(self) -> npt.NDArray[np.int64]:
        """(m,) int64, frames whose crops are not there."""
        return np.flatnonzero(self._marks == 0)

    @property
    def gave_up(self) -> bool:
        """Whether the disk was full."""
        return bool(self._bytes[_FULL_AT])

    def finish(self, temporary: Path, path: Path) -> None:
        """Mark the file whole and give it its name, once all of it is on the disk."""
        os.fsync(self._handle)
        _write_at(self._handle, self._layout.header(whole=True), 0)
        os.fsync(self._handle)
        temporary.replace(path)


def new_crop_file(layout: CropLayout, folder: Path) -> tuple[Path, CropFile]:
    """Make an unfinished file.

    Parameters
    ----------
    layout : CropLayout
        What is where in it.
    folder : Path
        For it.

    Returns
    -------
    path : Path
        Of the file, locked for as long as it is open.
    file : CropFile
        Open.

    Raises
    ------
    OSError
        Where it cannot be made.
    """
    handle, name = tempfile.mkstemp(_UNFINISHED, _unfinished_here(), folder)
    try:
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        _write_at(handle, layout.header(whole=False) + b"\0", 0)
        # The marks take their space now, so that a full disk never meets the map.
        for begin in range(_PAGE, layout.begin, _PAGE):
            _write_at(handle, bytes(_PAGE), begin)
        os.ftruncate(handle, layout.total)
        return Path(name), CropFile(handle, layout)
    except BaseException:
        os.close(handle)
        Path(name).unlink(missing_ok=True)
        raise


def opened_again(layout: CropLayout, path: Path) -> CropFile | None:
    """Open the unfinished file that another process of this machine made.

    Parameters
    ----------
    layout : CropLayout
        What is where in it.
    path : Path
        Of the file.

    Returns
    -------
    CropFile or None
        None where it cannot be opened here.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return None
    if os.fstat(handle).st_size == layout.total:
        return CropFile(handle, layout)
    os.close(handle)
    return None


def opened_whole(layout: CropLayout, path: Path) -> CropFile | None:
    """Open a file that an earlier run kept.

    Parameters
    ----------
    layout : CropLayout
        What it must hold.
    path : Path
        Of the file.

    Returns
    -------
    CropFile or None
        None where there is none, or it is another user's, not whole, or of other crops.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    about = os.fstat(handle)
    own = about.st_uid == os.getuid()
    right_size = stat.S_ISREG(about.st_mode) and about.st_size == layout.total
    if own and right_size and os.pread(handle, _FULL_AT, 0) == layout.header(whole=True):
        return CropFile(handle, layout, whole=True)
    os.close(handle)
    logger.warning("%s: is no whole file of these decoded crops, and is not used", path)
    return None


def _unfinished_here() -> str:
    """How the name of an unfinished file of this machine begins."""
    return f".{_PREFIX}{socket.gethostname()}-"


def free_space(folder: Path) -> int:
    """Say how many bytes of decoded crops a folder has room for, less what is left to others.

    Parameters
    ----------
    folder : Path
        That is there; one in memory (tmpfs) takes half of the memory that is free, at most.

    Returns
    -------
    int
        0 where nobody may write there.
    """
    try:
        disk = shutil.disk_usage(folder)
    except OSError:
        return 0
    if not os.access(folder, os.W_OK | os.X_OK):
        return 0
    room = disk.free - min(_LEFT_BYTES, int(_LEFT_SHARE * disk.total))
    if _file_system(folder) in ("tmpfs", "ramfs"):
        room = min(room, _free_memory() // 2)
    return max(room, 0)


def _file_system(folder: Path) -> str:
    """Kind of the file system that a folder lies on; "" where the system does not say (Linux)."""
    best, kind = -1, ""
    with suppress(OSError, ValueError):
        place = str(folder.resolve())
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, at, this, *_ = line.split()
            at = at.replace("\\040", " ")
            if (place == at or place.startswith(at.rstrip("/") + "/")) and len(at) >= best:
                best, kind = len(at), this
    return kind


def _free_memory() -> int:
    with suppress(OSError, ValueError, IndexError):
        text = Path("/proc/meminfo").read_text()
        return 1024 * int(text.partition("MemAvailable:")[2].split()[0])
    return 0


def remove_leftovers(folder: Path) -> None:
    """Remove this user's unfinished files of this machine that no run has open any more.

    Parameters
    ----------
    folder : Path
        Where they are looked for.
    """
    if fcntl is None:
        return
    for path in folder.glob(f"{_unfinished_here()}*{_UNFINISHED}"):
        with suppress(OSError):
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                about = os.fstat(handle)
                if time.time() - about.st_mtime > _FRESH_SECONDS and about.st_uid == os.getuid():
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
            finally:
                os.close(handle)


def _write_at(handle: int, content: bytes | memoryview, begin: int) -> None:
    """Write all of it; raises OSError where the disk is full."""
    content, done = memoryview(content).cast("B"), 0
    while done < len(content):
        done += os.pwrite(handle, content[done:], begin + done)
