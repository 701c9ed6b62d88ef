"""What an installation of glee takes on the disk: a table, one package a line, the largest first.

ENV/bin/python tools/installed_sizes.py [--at-least MB]

Run it by the Python of the environment to be measured, where glee is installed. The table of
docs/install.md was printed by it.
"""

from __future__ import annotations

import argparse
import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OWN = "glee-net"


def size_of(package: Distribution) -> int:
    """Bytes of all files that a package's record names, compiled Python among them."""
    paths = (Path(str(package.locate_file(file))) for file in package.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file())


def needed(name: str, extras: frozenset[str] = frozenset()) -> dict[str, frozenset[str]]:
    """Canonical names of a package and of all that it needs here, with the extras asked of each."""
    found: dict[str, frozenset[str]] = {}
    waiting = [(canonicalize_name(name), extras)]
    while waiting:
        one, asked = waiting.pop()
        if one in found and asked <= found[one]:
            continue
        found[one] = found.get(one, frozenset()) | asked
        try:
            requirements = [Requirement(line) for line in distribution(one).requires or ()]
        except PackageNotFoundError:
            del found[one]
            continue
        for requirement in requirements:
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": e}) for e in ("", *found[one])):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found


def wanted_by() -> dict[str, str]:
    """For each package: "glee", or the extras that bring it, or "" where nothing here does."""
    always = needed(OWN)
    whose = dict.fromkeys(always, "glee")
    lines = distribution(OWN).requires or ()
    extras = sorted(
        {match[1] for x in lines if (match := re.search(r"extra == ['\"](.+?)['\"]", x))}
    )
    for extra in extras:
        for name in needed(OWN, frozenset([extra])).keys() - always.keys():
            whose[name] = f"{whose[name]}, {extra}" if name in whose else extra
    return whose


def table(least_mb: float) -> list[str]:
    """The rows of Markdown; what is smaller than `least_mb` is one row, by who wants it."""
    whose = wanted_by()
    sizes = {canonicalize_name(x.metadata["Name"]): size_of(x) / 1e6 for x in distributions()}
    rows = ["| package | MB | who needs it |", "|---|---|---|"]
    small: dict[str, list[float]] = {"glee": [], "extras": []}
    for name, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        who = whose.get(name, "pip")
        if size >= least_mb:
            rows.append(f"| {name} | {size:.0f} | {who} |")
        else:
            small["glee" if who == "glee" else "extras"].append(size)
    for who, rest in small.items():
        rows.append(f"| {len(rest)} smaller ones | {sum(rest):.0f} | {who} |")
    core = sum(size for name, size in sizes.items() if whose.get(name) == "glee")
    rows.append(f"| **all that glee needs** | **{core:.0f}** | glee |")
    rows.append(f"| **all** | **{sum(sizes.values()):.0f}** | |")
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at-least", type=float, default=10.0, help="MB of a row of its own")
    print("\n".join(table(parser.parse_args().at_least)))


if __name__ == "__main__":
    main()
