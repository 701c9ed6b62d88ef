"""What a verification found: problems, counts and ratios, as a table for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

# Lines of one kind of problem that the table shows; JSON has all.
SHOWN = 20


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it should be.

    Attributes
    ----------
    kind : str
        A word, such as "missing".
    text : str
        One line.
    wrong : bool
        False for what is worth knowing but can be worked with.
    """

    kind: str
    text: str
    wrong: bool = True


@dataclass(frozen=True)
class AUCount:
    """Labels of one AU.

    Attributes
    ----------
    name : str
        "AU1" ...
    known, unknown : int
        Frames.
    levels : mapping
        Code -> frames.
    present : float or None
        Share of the known frames that show it; None where there are none.
    published : float or None
        The same as published, on the scale of these labels (the dataset's RELATIVE_RATIOS); None
        where it is not known here.
    """

    name: str
    known: int
    unknown: int
    levels: Mapping[int, int]
    present: float | None
    published: float | None = None


@dataclass(frozen=True)
class SubjectCount:
    """Frames of one subject.

    Attributes
    ----------
    subject : str
        As the dataset names it.
    clips, frames, labelled : int
        How many.
    valid : int or None
        Frames with a face; None before preprocessing.
    invalid : mapping
        Reason -> frames; {} before preprocessing.
    """

    subject: str
    clips: int
    frames: int
    labelled: int
    valid: int | None = None
    invalid: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Verification:
    """What `verify_dataset` and `verify_shards` found.

    Attributes
    ----------
    what : str
        What was looked at.
    problems : tuple of Problem
        In the order in which they were found.
    subjects : tuple of SubjectCount
        Sorted.
    aus : tuple of AUCount
        By number.
    counts : mapping
        What was counted besides.
    notes : tuple of str
        Lines of general interest.
    agreement : mapping or None
        Of labels with fitted coefficients; None where they cannot be compared.
    """

    what: str
    problems: tuple[Problem, ...]
    subjects: tuple[SubjectCount, ...] = ()
    aus: tuple[AUCount, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    agreement: Mapping[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not any(problem.wrong for problem in self.problems)

    def as_json(self) -> dict[str, Any]:
        """Give everything as plain data.

        Returns
        -------
        dict
            Of types that JSON has.
        """
        return {"ok": self.ok, **asdict(self)}

    def lines(self) -> list[str]:
        """Say it as text.

        Returns
        -------
        list of str
            Tables, then problems, then the outcome.
        """
        lines = [*_subject_table(self.subjects), *_au_table(self.aus)]
        lines += [f"{name}: {count}" for name, count in self.counts.items()]
        lines += _agreement_lines(self.agreement)
        lines += self.notes
        # What is wrong comes last, where a terminal shows it.
        lines += _problem_lines("note, ", [p for p in self.problems if not p.wrong])
        lines += _problem_lines("", [p for p in self.problems if p.wrong])
        return [*lines, f"{self.what}: {_outcome(self.problems)}"]


def _problem_lines(mark: str, problems: Sequence[Problem]) -> list[str]:
    """Kind after kind, of each the first ones."""
    lines = []
    for kind in dict.fromkeys(problem.kind for problem in problems):
        of_kind = [problem for problem in problems if problem.kind == kind]
        lines += [f"{mark}{kind}: {problem.text}" for problem in of_kind[:SHOWN]]
        if len(of_kind) > SHOWN:
            lines.append(f"{mark}{kind}: {len(of_kind) - SHOWN} more")
    return lines


def _outcome(problems: Sequence[Problem]) -> str:
    wrong = sum(problem.wrong for problem in problems)
    if wrong == 0:
        return "nothing is wrong"
    return "1 thing is wrong" if wrong == 1 else f"{wrong} things are wrong"


def _subject_table(subjects: Iterable[SubjectCount]) -> list[str]:
    rows = []
    for count in subjects:
        row = [count.subject, str(count.clips), str(count.frames), str(count.labelled)]
        if count.valid is not None:
            reasons = ", ".join(f"{n} {reason}" for reason, n in count.invalid.items())
            row += [str(count.valid), reasons or "-"]
        rows.append(row)
    if not rows:
        return []
    header = ["subject", "clips", "frames", "labelled", "valid", "invalid"][: len(rows[0])]
    return _table(header, rows)


def _au_table(aus: Sequence[AUCount]) -> list[str]:
    rows = [
        [
            count.name,
            str(count.known),
            str(count.unknown),
            _percent(count.present),
            _percent(count.published),
            ", ".join(f"{level}: {frames}" for level, frames in sorted(count.levels.items())),
        ]
        for count in aus
    ]
    if not rows:
        return []
    lines = _table(["AU", "known", "unknown", "present", "published", "codes"], rows)
    if all(count.published is None for count in aus):
        lines.append("published ratios of these AUs are not known here")
    else:
        lines.append("published ratios are known in proportion only: scaled to the labels' median")
    return lines


def _agreement_lines(agreement: Mapping[str, Any] | None) -> list[str]:
    if agreement is None:
        return []
    own = ", ".join(f"{name} {value:.2f}" for name, value in agreement["own"].items())
    lag = agreement["lag"]
    shift = "not measurable" if lag is None else f"{lag:+.2f} frames"
    return [
        f"labels against fitted coefficients, r: {own}",
        f"labels behind the images by: {shift}",
    ]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
