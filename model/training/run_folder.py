"""What a training run's folder states of its data, and its removal where the run is refused.

split.json holds the folds, data.json the number of frames and a hash of them, shards.json a digest
of each shard, by which it is seen later that the figures are of other shards than those of now. A
run that is refused before its first step leaves no folder that looks like a run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import GleeError, OptionsError, ShardError
from ...pipeline.shards.shard import SHARD_FOLDER, Shard, list_shards, read_shard
from ...whole_files import write_whole
from ..data.au_dataset import AUFrames
from ..data.folds import Split

SPLIT_FILE = "split.json"
DATA_FILE = "data.json"
SHARDS_FILE = "shards.json"
# So many shards are named, at most, where they changed.
_NAMED = 3


def write_data(run: Path, frames: AUFrames, split: Split, *, work: Path, own_f_exp: bool) -> None:
    """Write what a run learns from once, or check that a run to go on with has the same.

    Parameters
    ----------
    run : Path
        The run's folder.
    frames : AUFrames
        All frames of the work folder.
    split : Split
        Fold name -> its test subjects.
    work : Path
        The work folder.
    own_f_exp : bool
        Whether the network looks at the coefficients that the shards hold.

    Raises
    ------
    OptionsError
        Where the folder was trained on other frames or folds.
    OutputError
        Where it cannot be written.
    """
    data = {"frames": len(frames), "sha256": frames.fingerprint}
    for file, content in ((SPLIT_FILE, split), (DATA_FILE, data)):
        text = json.dumps(content, indent=1).encode()
        path = run / file
        if path.exists() and path.read_bytes() != text:
            raise OptionsError(
                f"{run}: was trained on other frames, labels, f_exp or folds ({file} differs); "
                "choose another folder"
            )
        write_whole(path, text)
    digests = {
        name: _shown_digest(shard, own_f_exp)
        for name, shard in zip(frames.names, frames.shards, strict=True)
    }
    if (run / SHARDS_FILE).exists() and _stated(run / SHARDS_FILE)["sha256"] != digests:
        raise OptionsError(
            f"{run}: was trained on shards that were made otherwise ({SHARDS_FILE} differs); "
            "choose another folder"
        )
    stated = {
        "work": os.path.relpath(work.resolve(), run.resolve()),
        "own_f_exp": own_f_exp,
        "sha256": digests,
    }
    write_whole(run / SHARDS_FILE, json.dumps(stated, indent=1).encode())


def changed_shards(run: Path) -> str:
    """Say in a line what has become of the shards that a run was trained and measured on.

    What does not change its figures does not count: `glee embed`, a new fit where the network has
    no 3D branch, shards made again with the same content.

    Parameters
    ----------
    run : Path
        The run's folder.

    Returns
    -------
    str
        "" where they are as they were, or where neither the folder nor the run says what they were.

    Raises
    ------
    OptionsError
        Where what the run states of its shards cannot be read.
    """
    path = Path(run) / SHARDS_FILE
    if not path.exists():
        return ""
    stated = _stated(path)
    work = Path(os.path.normpath(path.parent.resolve() / stated["work"]))
    own_f_exp, trained = stated["own_f_exp"], stated["sha256"]
    shards = work / SHARD_FOLDER
    if not shards.is_dir():
        return ""
    now = {path.relative_to(shards).as_posix(): path for path in shards.glob("*/*/*.h5")}
    kinds = {
        "changed": [
            name
            for name in sorted(trained.keys() & now.keys())
            if _digest_of(now[name], own_f_exp) != trained[name]
        ],
        "gone": sorted(trained.keys() - now.keys()),
        "new": sorted(now.keys() - trained.keys()),
    }
    counts = [f"{len(names)} {kind}" for kind, names in kinds.items() if names]
    if not counts:
        return ""
    names = [name for names in kinds.values() for name in names]
    more = ", ..." if len(names) > _NAMED else ""
    return (
        f"{run}: these figures are of the shards as they were in training; of {len(trained)} in "
        f"{work} since then {', '.join(counts)} ({', '.join(names[:_NAMED])}{more}); train again, "
        "into another folder, for figures of today's"
    )


def _stated(path: Path) -> dict[str, Any]:
    """What a run states of its shards."""
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        return {
            "work": str(Path(stated["work"])),
            "own_f_exp": bool(stated["own_f_exp"]),
            "sha256": dict(stated["sha256"]),
        }
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise OptionsError(f"{path}: cannot be read ({reason}); remove it") from None


def shown_digests(work: Path) -> dict[str, str]:
    """Digest what a network is shown of each shard of a work folder.

    Parameters
    ----------
    work : Path
        The work folder.

    Returns
    -------
    dict of str to str
        Path below the shards -> SHA-256, in hexadecimal.

    Raises
    ------
    ShardError
        Where there are none, or one is damaged.
    """
    return {
        path.relative_to(work / SHARD_FOLDER).as_posix(): _shown_digest(
            read_shard(path, verify=False), own_f_exp=True
        )
        for path in list_shards(work)
    }


def _digest_of(path: Path, own_f_exp: bool) -> str:
    try:
        return _shown_digest(read_shard(path, verify=False), own_f_exp)
    except ShardError:
        return ""


def _shown_digest(shard: Shard, own_f_exp: bool) -> str:
    """SHA-256 over what a network is shown of a shard; for the crops, over what they are cut by."""
    header, frames = shard.header, shard.frames
    source = (header.subject, header.source_hash, header.detector, *header.au_names)
    total = hashlib.sha256("\n".join(source).encode())
    arrays = [frames.valid, frames.frame_id, frames.transform, shard.labels, shard.crop_offset]
    if own_f_exp and shard.fit is not None:
        arrays.append(shard.fit.f_exp)
    for array in arrays:
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


@contextmanager
def remove_if_refused(run: Path, stated: tuple[str, ...], *, leads: bool) -> Iterator[None]:
    """Remove what a run states of itself where it ends in a GleeError and trained nothing.

    Parameters
    ----------
    run : Path
        Its folder.
    stated : tuple of str
        Names of the files that are written before training; those that were there already stay.
    leads : bool
        Whether this process writes the files.
    """
    existed = run.exists()
    new = [run / name for name in stated if not (run / name).exists()]
    try:
        yield
    except GleeError:
        files = [path for path in run.rglob("*") if path.is_file()]
        if leads and new and set(files) <= set(new):
            for path in files:
                path.unlink()
            folders = [path for path in run.rglob("*") if path.is_dir()]
            for folder in sorted(folders, reverse=True):
                folder.rmdir()
            if not existed and run.exists():
                run.rmdir()
        raise
