"""What a stage did: frames by outcome, clip by clip, and its failures; and its progress bar.

Failures are raised when the stage is at its end. The bar goes to stderr with rate and remaining
time; there is none where stderr is no terminal.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from tqdm import tqdm

from ..errors import GleeError

logger = logging.getLogger(__name__)

# What to try where a clip shows a face and none was found.
NO_FACE_ADVICE = (
    "no usable face in any frame; if one is there, see that the picture is upright and the face 20 "
    "pixels high or more, or try another --detector (`glee doctor` names them)"
)
# Of a frame that was read.
_NO_FACE = ("no_face", "low_confidence", "implausible", "lost_track")


@dataclass(frozen=True)
class ClipSummary:
    """Frames of one clip.

    Attributes
    ----------
    subject, clip : str
        As the shards name them.
    frames, valid : int
        All of them, and those with a result.
    invalid : mapping
        Reason -> frames.
    source : str
        Codec and container of a video, and what is unusual in it; or "".
    """

    subject: str
    clip: str
    frames: int
    valid: int
    invalid: Mapping[str, int]
    source: str = ""


@dataclass(frozen=True)
class Summary:
    """What a stage did.

    Attributes
    ----------
    stage : str
        Its name.
    clips : tuple of ClipSummary
        Sorted by subject and clip.
    made, kept : int
        Shards written, and left as they were.
    seconds : float
        Wall clock.
    steps : mapping
        Step of the work -> seconds, summed over workers.
    """

    stage: str
    clips: tuple[ClipSummary, ...]
    made: int
    kept: int
    seconds: float
    steps: Mapping[str, float] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """All frames."""
        return sum(clip.frames for clip in self.clips)

    @property
    def valid(self) -> int:
        """Frames with a result."""
        return sum(clip.valid for clip in self.clips)

    @property
    def invalid(self) -> dict[str, int]:
        """Frames without a result by reason, most frequent first."""
        total: Counter[str] = Counter()
        for clip in self.clips:
            total.update(clip.invalid)
        return dict(total.most_common())

    def lines(self) -> list[str]:
        """Say it as text.

        Returns
        -------
        list of str
            A line a clip and one for all.
        """
        width = max((len(f"{c.subject}/{c.clip}") for c in self.clips), default=0)
        lines = [
            f"{c.subject + '/' + c.clip:{width}}  {_outcome(c.frames, c.valid, c.invalid)}"
            + (f"; {c.source}" if c.source else "")
            for c in self.clips
        ]
        total = _outcome(self.frames, self.valid, self.invalid)
        shards = f"{self.made} shards written, {self.kept} kept"
        return [*lines, f"{self.stage}: {total}; {shards}; {self.seconds:.1f} s"]

    def notes(self) -> list[str]:
        """Say what to try for clips without a usable face.

        Returns
        -------
        list of str
            A line, or none.
        """
        empty = [f"{c.subject}/{c.clip}" for c in self.clips if faceless(c.valid, c.invalid)]
        if not empty:
            return []
        more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
        return [f"note: {empty[0]}{more}: {NO_FACE_ADVICE}"]


def faceless(valid: int, invalid: Mapping[str, int]) -> bool:
    """Whether no face that can be used was found in any frame, though some could be read.

    Parameters
    ----------
    valid : int
        Frames with a result.
    invalid : mapping
        Reason -> frames without one.

    Returns
    -------
    bool
        Not where nothing could be read.
    """
    return not valid and any(reason in invalid for reason in _NO_FACE)


def _outcome(frames: int, valid: int, invalid: Mapping[str, int]) -> str:
    text = f"{frames} frames, {valid} valid"
    reasons = ", ".join(f"{count} {reason}" for reason, count in invalid.items())
    return f"{text}, {frames - valid} invalid ({reasons})" if invalid else text


class Tally:
    """Counts a stage's outcomes while they come in, whatever their order.

    Parameters
    ----------
    stage : str
        Its name.
    """

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._frames: dict[tuple[str, str], Counter[str]] = {}
        self._steps: dict[str, float] = {}
        self._made = 0
        self._kept = 0
        self._errors: list[tuple[str, Exception]] = []
        self._sources: dict[tuple[str, str], str] = {}

    def add(
        self, subject: str, clip: str, reasons: Mapping[str, int], *, kept: bool = False
    ) -> None:
        """Count one shard's frames.

        Parameters
        ----------
        subject, clip : str
            As the shard names them.
        reasons : mapping
            Reason -> frames, "ok" for the valid ones.
        kept : bool
            The shard was there already.
        """
        self._frames.setdefault((subject, clip), Counter()).update(reasons)
        self._made += not kept
        self._kept += kept

    def describe(self, subject: str, clip: str, source: str) -> None:
        """What a clip's source is: codec and container, and its oddities."""
        self._sources[subject, clip] = source

    def add_steps(self, steps: Mapping[str, float]) -> None:
        """Add seconds spent in steps of the work.

        Parameters
        ----------
        steps : mapping
            Step -> seconds.
        """
        for name, spent in steps.items():
            self._steps[name] = self._steps.get(name, 0.0) + spent

    def fail(self, what: str, error: Exception) -> None:
        """Count a task that raised.

        Parameters
        ----------
        what : str
            The task, for the log.
        error : Exception
            What it raised.
        """
        logger.error("%s: %s", what, _first_line(error))
        self._errors.append((what, error))

    def finish(self, seconds: float) -> Summary:
        """Close the count.

        Parameters
        ----------
        seconds : float
            Wall clock.

        Returns
        -------
        Summary
            What the stage did.

        Raises
        ------
        GleeError
            The first failure by name, where there was one, of its own kind.
        """
        clips = tuple(
            ClipSummary(
                subject,
                clip,
                sum(reasons.values()),
                reasons["ok"],
                {name: n for name, n in sorted(reasons.items()) if name != "ok" and n},
                self._sources.get((subject, clip), ""),
            )
            for (subject, clip), reasons in sorted(self._frames.items())
        )
        summary = Summary(self._stage, clips, self._made, self._kept, seconds, dict(self._steps))
        if self._errors:
            logger.warning("%s; %d failed", summary.lines()[-1], len(self._errors))
            raise self._failure()
        return summary

    def _failure(self) -> GleeError:
        self._errors.sort(key=lambda item: item[0])
        _, first = self._errors[0]
        kind = type(first) if isinstance(first, GleeError) else GleeError
        more = len(self._errors) - 1
        others = f" (and {more} more failed; the rest is done)" if more else ""
        error = kind(_first_line(first) + others)
        error.__cause__ = first
        return error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class Progress(Protocol):
    """Something that counts what is done."""

    def update(self, n: float = 1) -> object:
        """Count what is done.

        Parameters
        ----------
        n : float
            So many more.

        Returns
        -------
        object
            Of no meaning.
        """


@contextmanager
def progress_bar(label: str, total: int, unit: str, *, shown: bool = True) -> Iterator[Progress]:
    """Show a bar while the block lasts.

    Parameters
    ----------
    label : str
        What is done.
    total : int
        Units of it.
    unit : str
        Their name.
    shown : bool
        False switches the bar off on a terminal too.

    Yields
    ------
    Progress
        To be told what is done.
    """
    disable = None if shown else True
    with tqdm(total=total, desc=label, unit=unit, disable=disable, smoothing=0.1) as bar:
        yield bar
