"""The shape of the code: how large files and folders are, and what stands behind a module.

    python benchmarks/house.py [CHECKOUT] [--behind [LABEL=]MODULE ...] [--before FILE] [--json OUT]

    python benchmarks/house.py --behind fit=fitting.fit --behind train=model.training

Modules are named below the package, so that both sides of a refactor can be measured; a label keeps
their names apart from where they lie. --before puts the figures of an earlier JSON beside.

Source files are those outside `tests/`, `benchmarks/` and `docs/`. Nothing is imported: imports are
read from the syntax trees. An import counts where it runs, at the top of a file or inside a
function, but not under `if TYPE_CHECKING`. A name that a folder's `__init__.py` takes from a module
counts as an import of that module: what else the folder offers does not stand behind its user.

Behind a module stand the files that it imports, directly or through others. The first figure has
those of its floor (`fitting/`, `pipeline/`, `model/` with the folders below) and the module itself,
as the aims have it; then come those of all floors, and of all floors by imports at the top alone.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import statistics
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from machine import Target, write_results

PACKAGE = "glee"
NOT_SOURCE = {"tests", "benchmarks", "docs", "build", "dist"}
SHORT, LONG = 60, 500  # lines
# What a redesign of the folders aimed at; of --behind, by label.
AIMS = {"files": 245, "folder_files": 14, "circles": 0, "lines": 36_000}
BEHIND_AIMS = {"levenberg_marquardt": 11, "fit": 22, "train": 23, "open_cluster": 5}
START, CALL, TYPES = "start", "call", "types"
Graph = Mapping[str, set[str]]


@dataclass(frozen=True)
class Import:
    """One imported name.

    Attributes
    ----------
    module : str
        The module that is named, from the package on: "fitting.camera"; "" is the package itself.
    name : str
        What is taken from it; "" where the module itself is.
    bound : str
        What it is called here.
    when : str
        When it runs: START, as its module is imported; CALL, as a function is called; TYPES never.
    """

    module: str
    name: str
    bound: str
    when: str


class Source:
    """The source files of a checkout, by module.

    Attributes
    ----------
    files : dict
        Module -> its file. `fitting/__init__.py` is "fitting".
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, Path] = {}
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).parts
            hidden = any(part.startswith((".", "__pycache__")) for part in parts)
            if parts[0] not in NOT_SOURCE and not hidden:
                name = ".".join(parts)[: -len(".py")]
                self.files["" if name == "__init__" else name.removesuffix(".__init__")] = path

    @cached_property
    def lines(self) -> dict[str, int]:
        """Module -> lines of its file."""
        return {name: len(path.read_bytes().splitlines()) for name, path in self.files.items()}

    @cached_property
    def imports(self) -> dict[str, list[Import]]:
        """Module -> what it imports of the package."""
        found = {}
        for name, path in self.files.items():
            folder = name if path.name == "__init__.py" else name.rpartition(".")[0]
            found[name] = list(_imports(ast.parse(path.read_bytes()).body, folder, START))
        return found

    def graph(self, *when: str) -> Graph:
        """Module -> modules that it imports at the given times."""
        edges = {}
        for name, imports in self.imports.items():
            targets = {self._target(x) for x in imports if x.when in when}
            edges[name] = {target for target in targets if target is not None} - {name}
        return edges

    def _target(self, imported: Import, depth: int = 0) -> str | None:
        """The module whose file an import leads to, None where it is none of these files."""
        below = f"{imported.module}.{imported.name}".strip(".")
        if imported.name and below in self.files:
            return below
        if imported.module not in self.files:
            return None
        if self.files[imported.module].name == "__init__.py" and imported.name and depth < 9:
            for handed_on in self.imports[imported.module]:
                if handed_on.bound == imported.name:
                    return self._target(handed_on, depth + 1)
        return imported.module


def _imports(body: Iterable[ast.AST], folder: str, when: str) -> Iterator[Import]:
    """Every import of the package in some statements and in all that they hold.

    Parameters
    ----------
    folder : str
        The folder in which relative imports begin, as a module.
    when : str
        When the statements run.
    """
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top, _, rest = alias.name.partition(".")
                if top == PACKAGE:
                    yield Import(rest, "", alias.asname or top, when)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, folder)
            if module is not None:
                for alias in node.names:
                    yield Import(module, alias.name, alias.asname or alias.name, when)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from _imports(node.body, folder, TYPES)
            yield from _imports(node.orelse, folder, when)
        else:
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            inside = CALL if function and when == START else when
            yield from _imports(ast.iter_child_nodes(node), folder, inside)


def _absolute(node: ast.ImportFrom, folder: str) -> str | None:
    """The module that `from ... import` names, from the package on; None for other packages."""
    named = node.module or ""
    if node.level == 0:
        top, _, rest = named.partition(".")
        return rest if top == PACKAGE else None
    parts = folder.split(".") if folder else []
    parts = parts[: len(parts) - (node.level - 1)]
    return ".".join([*parts, *named.split(".")]).strip(".")


def behind(graph: Graph, module: str) -> set[str]:
    """All modules that one imports, directly or through others, without itself."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        new = graph[waiting.pop()] - seen
        seen |= new
        waiting += new
    return seen - {module}


def circles(graph: Graph) -> list[list[str]]:
    """Groups of modules each of which imports all others of its group, largest first."""
    reach = {module: behind(graph, module) for module in graph}
    groups = {
        frozenset({module, *(other for other in reach[module] if module in reach[other])})
        for module in graph
    }
    return sorted((sorted(group) for group in groups if len(group) > 1), key=len, reverse=True)


def measure(source: Source, modules: Mapping[str, str]) -> dict[str, Any]:
    """All figures. modules: label -> module whose files behind it are counted."""
    lines = source.lines
    folders = Counter(
        path.parent.relative_to(source.root).as_posix() for path in source.files.values()
    )
    graph, at_start = source.graph(START, CALL), source.graph(START)
    short = [
        name
        for name, count in lines.items()
        if count < SHORT and source.files[name].name != "__init__.py"
    ]
    importers = Counter(target for targets in graph.values() for target in targets)
    return {
        "files": len(lines),
        "lines": sum(lines.values()),
        "median_lines": statistics.median(lines.values()),
        "mean_lines": round(statistics.mean(lines.values()), 1),
        "short_files": len(short),
        "long_files": sum(count > LONG for count in lines.values()),
        "one_importer": sum(count == 1 for count in importers.values()),
        "folders": dict(folders.most_common()),
        "circles": circles(graph),
        "circles_at_start": circles(at_start),
        "behind": {label: _behind(graph, at_start, module) for label, module in modules.items()},
    }


def _behind(graph: Graph, at_start: Graph, module: str) -> dict[str, Any]:
    if module not in graph:
        sys.exit(f"{module}: no such module; name it from the package on, as fitting.camera")
    found = behind(graph, module)
    top = module.partition(".")[0]
    return {
        "module": module,
        "floor": 1 + sum(name.partition(".")[0] == top for name in found),
        "all_floors": len(found),
        "all_floors_at_start": len(behind(at_start, module)),
        "modules": sorted(found),
    }


def rows(figures: dict[str, Any]) -> dict[str, str]:
    """The figures in words, in the order of the table."""
    largest = [(name, n) for name, n in figures["folders"].items() if name != "commands"]
    found = {
        "source files": f"{figures['files']}",
        "lines in all": f"{figures['lines']}",
        "median lines a file (mean)": f"{figures['median_lines']:g} ({figures['mean_lines']:g})",
        f"files under {SHORT} lines, not __init__.py": f"{figures['short_files']}",
        f"files over {LONG} lines": f"{figures['long_files']}",
        "files with one importer": f"{figures['one_importer']}",
        "most files in a folder": ", ".join(f"{n} {name}" for name, n in largest[:3]),
    }
    for key, label in (
        ("circles", "circles (their files)"),
        ("circles_at_start", "circles of imports at the top (their files)"),
    ):
        found[label] = f"{len(figures[key])} ({sum(map(len, figures[key]))})"
    for label, row in figures["behind"].items():
        counts = f"{row['floor']} ({row['all_floors']}, {row['all_floors_at_start']})"
        found[f"behind {label} (all, at the top)"] = counts
    return found


def show(figures: dict[str, Any], before: dict[str, Any] | None) -> None:
    """The table, with a column of earlier figures where there are any, and the circles."""
    old = rows(before) if before is not None else {}
    head = f"{'before':44s} now" if old else "now"
    print(f"{'measure':44s} {head}")
    for name, text in rows(figures).items():
        print(f"{name:44s} {old.get(name, ''):44s} {text}" if old else f"{name:44s} {text}")
    for circle in figures["circles"]:
        print(f"circle: {', '.join(circle)}")


def targets(figures: dict[str, Any]) -> list[Target]:
    """What was aimed at."""
    most = max(n for name, n in figures["folders"].items() if name != "commands")
    found = {**figures, "folder_files": most, "circles": len(figures["circles"])}
    aims = [Target(name, found[name], aim, "lower") for name, aim in AIMS.items()]
    for label, aim in BEHIND_AIMS.items():
        row = figures["behind"].get(label)
        aims.append(Target(f"behind_{label}", row and row["floor"], aim, "lower"))
    return aims


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    here = Path(__file__).resolve().parents[1]
    parser.add_argument("checkout", type=Path, nargs="?", default=here)
    parser.add_argument("--behind", action="append", default=[], metavar="[LABEL=]MODULE")
    parser.add_argument("--before", type=Path, help="JSON of an earlier measurement")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="the same; it takes seconds")
    given = parser.parse_args()
    if not (given.checkout / "cli.py").is_file():
        sys.exit(f"{os.fspath(given.checkout)}: is no checkout of glee")
    named = [text.rpartition("=") for text in given.behind]
    modules = {label or module: module for label, _, module in named}
    figures = measure(Source(given.checkout.resolve()), modules)
    show(figures, None if given.before is None else json.loads(given.before.read_text()))
    write_results(given.json, figures, targets(figures))


if __name__ == "__main__":
    main()
