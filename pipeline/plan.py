"""The plan of a work folder: which shards `preprocess` will have made when it is done."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import ShardError
from ..whole_files import write_whole
from .clips import Clip
from .images.frames import FrameIndex

PLAN_FILE = "plan.json"
_FORMAT = 1


@dataclass(frozen=True)
class PlannedClip:
    """A clip with its frames and the shards that they fill."""

    subject: str
    clip: str
    frames: int
    shards: int


@dataclass(frozen=True)
class Plan:
    """All clips of a dataset whose frames could be located."""

    dataset: str
    clips: tuple[PlannedClip, ...]


def write_plan(
    work: Path, dataset: str, chunk_frames: int, indices: Iterable[tuple[Clip, FrameIndex]]
) -> None:
    """Write `plan.json` whole. Raises OutputError."""
    clips = [
        asdict(PlannedClip(clip.subject, clip.name, index.count, -(-index.count // chunk_frames)))
        for clip, index in indices
    ]
    content = {"format": _FORMAT, "dataset": dataset, "clips": clips}
    write_whole(Path(work) / PLAN_FILE, (json.dumps(content, indent=1) + "\n").encode())


def read_plan(work: Path) -> Plan | None:
    """The plan; None where none has been written.

    Raises ShardError where it cannot be read or is of another format.
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
