"""Labels counted by AU and code, over the clips of a dataset or the shards of a work folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from .published_ratios import scaled_to
from .verification.report import AUCount, Problem

# A ratio more than this many times another, or less than its inverse, is not the same dataset's;
# and where only a part of the subjects is there, who differ by more.
RATIO_FACTOR = 1.5
PART_FACTOR = 3.0
# A smaller part says nothing.
LEAST_PART = 1 / 3


class LabelCounts:
    """Counts of codes by AU while clips come in, and of frames on which two AUs differ."""

    def __init__(self) -> None:
        self._codes: dict[str, Counter[int]] = {}
        self._differ: Counter[tuple[str, str]] = Counter()
        self._kind = "none"

    def add(self, au_names: tuple[str, ...], kind: str, values: npt.NDArray[np.int8]) -> None:
        """Labels of one clip or shard. values: (n, a) int8, -1 unknown."""
        self._kind = kind
        for column, name in enumerate(au_names):
            codes, times = np.unique(values[:, column], return_counts=True)
            counter = self._codes.setdefault(name, Counter())
            counter.update(dict(zip(codes.tolist(), times.tolist(), strict=True)))
            for other in range(column):
                pair = (au_names[other], name)
                self._differ[pair] += int((values[:, other] != values[:, column]).sum())

    def table(self, threshold: int, relative: Mapping[int, float] | None) -> tuple[AUCount, ...]:
        """One row an AU, by number. threshold: intensity from which an AU counts as present.

        relative: published ratios in proportion to each other, see `published_ratios`.
        """
        least = threshold if self._kind == "intensity" else 1
        rows = []
        for name in sorted(self._codes, key=lambda name: int(name.removeprefix("AU"))):
            counter = self._codes[name]
            known = sum(times for code, times in counter.items() if code >= 0)
            present = sum(times for code, times in counter.items() if code >= least)
            rows.append(
                AUCount(
                    name=name,
                    known=known,
                    unknown=counter[-1],
                    levels={code: counter[code] for code in sorted(counter) if code >= 0},
                    present=present / known if known else None,
                )
            )
        shares = {_number(row): row.present for row in rows if row.present is not None}
        published = scaled_to(relative or {}, shares)
        return tuple(replace(row, published=published.get(_number(row))) for row in rows)

    def problems(self, table: tuple[AUCount, ...], *, part: float) -> list[Problem]:
        """AUs that are never coded, never vary, equal another, or are as rare as no dataset's.

        part: of the dataset's subjects; 1 where it is complete, so that its ratios should be the
        published ones.
        """
        limit = RATIO_FACTOR if part == 1 else PART_FACTOR
        problems = []
        varied = set()
        for row in table:
            if not row.known:
                problems.append(Problem("labels", f"{row.name} is coded in no frame", wrong=False))
            elif len(row.levels) == 1:
                level = next(iter(row.levels))
                problems.append(
                    Problem("labels", f"{row.name} is {level} in every frame", wrong=False)
                )
            else:
                varied.add(row.name)
            if row.published and row.present is not None and part >= LEAST_PART:
                factor = row.present / row.published
                if not 1 / limit <= factor <= limit:
                    problems.append(
                        Problem(
                            "ratio",
                            f"{row.name} is present in {100 * row.present:.1f} % of the frames, "
                            f"published are {100 * row.published:.1f} %; are columns swapped?",
                            wrong=part == 1,
                        )
                    )
        for (one, other), frames in sorted(self._differ.items()):
            if frames == 0 and {one, other} <= varied:
                problems.append(
                    Problem("labels", f"{one} and {other} are equal in every frame; one is a copy")
                )
        return problems


def _number(row: AUCount) -> int:
    return int(row.name.removeprefix("AU"))
