"""What is said where something else was given for a shard, or for a folder that holds shards."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ...errors import ShardError, in_shell, nearest
from .content import SHARD_FOLDER

SHARD_SUFFIX = ".h5"
_HDF5_BEGINS = b"\x89HDF\r\n\x1a\n"


def refuse_other_files(path: Path) -> None:
    """Refuse a file that was never a shard, a video say, which nobody must be told to remove.

    Parameters
    ----------
    path : Path
        As a command was given it. What is called as a shard may be a damaged one and passes.

    Raises
    ------
    ShardError
        Where neither name nor content is a shard's.
    """
    if path.suffix.lower() == SHARD_SUFFIX or not path.is_file():
        return
    with suppress(OSError), path.open("rb") as file:
        if file.read(len(_HDF5_BEGINS)) == _HDF5_BEGINS:
            return
    raise ShardError(
        f"{path}: is no shard; `glee preprocess` makes them, as WORK/shards/SUBJECT/CLIP/000000.h5;"
        f" of a video itself, `glee analyze {in_shell(path)} -o OUT` makes tables, and with "
        "`--format gltf` an animated head"
    )


def no_shards(work: Path, lacks: str = "holds no shards") -> str:
    """Say in one line that a folder is no work folder with shards, and which one may be meant.

    Parameters
    ----------
    work : Path
        The folder, which need not be there.
    lacks : str
        What is wrong with it where it is there.

    Returns
    -------
    str
        The message of an error.
    """
    work = Path(work)
    if not work.is_dir():
        near = nearest(work.name, _work_folders(work.parent))
        meant = f"did you mean {work.parent / near}?" if near else "give the --out of one"
        return f"{work}: no such folder; `glee preprocess` makes work folders; {meant}"
    if below := _work_folders(work):
        return f"{work}: {lacks}; its folder {work / below[0]} is one; give that"
    return (
        f"{work}: {lacks}; run `glee preprocess --out {in_shell(work)}` first, or, if it is a "
        "dataset's own folder, give it by --dataset and --root"
    )


def _work_folders(folder: Path) -> list[str]:
    """Names of the work folders in a folder."""
    try:
        return sorted(path.name for path in folder.iterdir() if (path / SHARD_FOLDER).is_dir())
    except OSError:
        return []
