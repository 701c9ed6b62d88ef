"""The paper's Tables 1-5: every compared method, per AU, kept as data with their source."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources

TABLES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class PublishedMethod:
    """A row. f1: percent, one for each AU. mean: as printed. reference: of a compared method.

    recomputed: mean of the printed row where it is not the printed one within rounding, else None.
    """

    name: str
    f1: tuple[float, ...]
    mean: float
    reference: str
    recomputed: float | None


@dataclass(frozen=True)
class PublishedTable:
    """A table of the paper. dataset: on which it is measured. protocol: how, in words."""

    number: int
    dataset: str
    protocol: str
    source: str
    aus: tuple[int, ...]
    methods: tuple[PublishedMethod, ...]

    @property
    def au_names(self) -> tuple[str, ...]:
        """("AU1", ...), one for each column."""
        return tuple(f"AU{number}" for number in self.aus)

    def method(self, name: str) -> PublishedMethod | None:
        """The row of this name; None where the table has none."""
        return next((method for method in self.methods if method.name == name), None)


def published_table(number: int) -> PublishedTable:
    """A table by its number in the paper."""
    file = resources.files(__package__) / "published" / f"table{number}.toml"
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    return PublishedTable(
        number=content["table"],
        dataset=content["dataset"],
        protocol=content["protocol"],
        source=content["source"],
        aus=tuple(content["aus"]),
        methods=tuple(
            PublishedMethod(
                name=row["name"],
                f1=tuple(row["f1"]),
                mean=row["mean"],
                reference=row.get("reference", ""),
                recomputed=row.get("recomputed"),
            )
            for row in content["methods"]
        ),
    )
