"""A work folder: the options that each stage states once, its plan, the mark of renders.

`glee.toml` states the options of every stage that ran; `plan.json` says which shards `preprocess`
will have made when it is done. A folder made from `glee synth`
data says so for good: figures on rendered faces must never pass for figures on a dataset whose
layout they imitate.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomli_w

from ..errors import OptionsError, ShardError
from ..whole_files import write_whole
from .clips import Clip
from .cluster.options import CLUSTER_TABLE, OPTIONS_FILE
from .images.frames import FrameIndex

_FORMAT = 1

PLAN_FILE = "plan.json"

MARK_FILE = "SYNTHETIC"
_TRUTH_FOLDER = "truth"
_TEXT = b"These shards show rendered people, written by `glee synth`, not the dataset's.\n"


def read_options(work: Path) -> dict[str, dict[str, Any]]:
    """Read the options of each stage that ran in a work folder.

    Parameters
    ----------
    work : Path
        The work folder.

    Returns
    -------
    dict
        Stage -> option -> value; {} where none ran.

    Raises
    ------
    OptionsError
        Where `glee.toml` cannot be read or is of a newer format.
    """
    path = Path(work) / OPTIONS_FILE
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise OptionsError(f"{path}: cannot be read ({reason}); mend it or remove it") from None
    cluster = content.pop(CLUSTER_TABLE, None)
    if cluster is not None and not content:
        return {}
    version = content.pop("format", None)
    if version != _FORMAT or not all(isinstance(part, dict) for part in content.values()):
        raise OptionsError(
            f"{path}: format {version}, this glee reads {_FORMAT}; use another folder"
        )
    return content


def state_options(work: Path, stage: str, options: dict[str, Any], *, overwrite: bool) -> None:
    """Write a stage's options into `glee.toml`, or check that they are the ones it states.

    Parameters
    ----------
    work : Path
        The work folder.
    stage : str
        Its name.
    options : dict
        Option -> a TOML value; None is left out.
    overwrite : bool
        State the new ones instead of stopping.

    Raises
    ------
    OptionsError
        Saying what differs.
    OutputError
        Where the file cannot be written.
    """
    stated = read_options(work)
    new = {key: value for key, value in options.items() if value is not None}
    old = stated.get(stage)
    if old == new:
        return
    if old is not None and not overwrite:
        differences = "; ".join(
            f"{key} is {old.get(key, 'not set')!r} there, {new.get(key, 'not set')!r} now"
            for key in sorted({*old, *new})
            if old.get(key) != new.get(key)
        )
        raise OptionsError(
            f"{Path(work) / OPTIONS_FILE}: {stage} ran here with other options: {differences}; "
            "give the same options, another folder, or --overwrite"
        )
    content = {"format": _FORMAT, **{**stated, stage: new}, **_cluster_table(Path(work))}
    write_whole(Path(work) / OPTIONS_FILE, tomli_w.dumps(content).encode())


def _cluster_table(work: Path) -> dict[str, Any]:
    """The user's table [cluster], which is kept as it is."""
    path = work / OPTIONS_FILE
    content = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: table for name, table in content.items() if name == CLUSTER_TABLE}


@dataclass(frozen=True)
class PlannedClip:
    """A clip with its frames and the shards that they fill.

    Attributes
    ----------
    subject, clip : str
        As the shards name them.
    frames, shards : int
        How many.
    """

    subject: str
    clip: str
    frames: int
    shards: int


@dataclass(frozen=True)
class Plan:
    """All clips of a dataset whose frames could be located.

    Attributes
    ----------
    dataset : str
        Its name.
    clips : tuple of PlannedClip
        In the dataset's order.
    """

    dataset: str
    clips: tuple[PlannedClip, ...]


def write_plan(
    work: Path, dataset: str, chunk_frames: int, indices: Iterable[tuple[Clip, FrameIndex]]
) -> None:
    """Write `plan.json` whole.

    Parameters
    ----------
    work : Path
        The work folder.
    dataset : str
        Its name.
    chunk_frames : int
        Frames of a shard, at most.
    indices : iterable of (Clip, FrameIndex)
        The clips with their frames located.

    Raises
    ------
    OutputError
        Where the file cannot be written.
    """
    clips = [
        asdict(PlannedClip(clip.subject, clip.name, index.count, -(-index.count // chunk_frames)))
        for clip, index in indices
    ]
    content = {"format": _FORMAT, "dataset": dataset, "clips": clips}
    write_whole(Path(work) / PLAN_FILE, (json.dumps(content, indent=1) + "\n").encode())


def read_plan(work: Path) -> Plan | None:
    """Read `plan.json`.

    Parameters
    ----------
    work : Path
        The work folder.

    Returns
    -------
    Plan or None
        None where none has been written.

    Raises
    ------
    ShardError
        Where it cannot be read or is of another format.
    """
    path = Path(work) / PLAN_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise ValueError(f"format {content['format']}, this glee reads {_FORMAT}")
        clips = tuple(
            PlannedClip(str(c["subject"]), str(c["clip"]), int(c["frames"]), int(c["shards"]))
            for c in content["clips"]
        )
        return Plan(str(content["dataset"]), clips)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise ShardError(
            f"{path}: cannot be read ({reason}); remove it, `glee preprocess` writes it again"
        ) from None


def carry_mark(root: Path, work: Path) -> None:
    """Mark a work folder where its dataset has the truth beside it that only `glee synth` writes.

    Parameters
    ----------
    root : Path
        The dataset's folder.
    work : Path
        The work folder.

    Raises
    ------
    OutputError
        Where the mark cannot be written.
    """
    if any((Path(root) / _TRUTH_FOLDER).glob("*.h5")) and not is_synthetic(work):
        write_whole(Path(work) / MARK_FILE, _TEXT)


def is_synthetic(work: Path) -> bool:
    """Tell whether a work folder carries the mark.

    Parameters
    ----------
    work : Path
        The work folder.

    Returns
    -------
    bool
        True where its shards show rendered people.
    """
    return (Path(work) / MARK_FILE).exists()
