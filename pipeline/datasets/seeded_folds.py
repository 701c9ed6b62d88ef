"""Subject-exclusive folds from a seed, for datasets without a split that papers agree on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def seeded_folds(
    subjects: Sequence[str], *, seed: int, count: int = 3
) -> tuple[tuple[str, ...], ...]:
    """Subjects dealt to `count` folds of nearly equal size, women and men alike; each fold sorted.

    subjects: names that begin with a letter for the sex, such as F001. The order is that of a
    SHA-256 of seed and name, which no version of a library changes.
    """
    letters = sorted({name[0] for name in subjects})
    dealt = [
        name
        for letter in letters
        for name in sorted(
            (name for name in subjects if name[0] == letter),
            key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest(),
        )
    ]
    return tuple(tuple(sorted(dealt[number::count])) for number in range(count))
