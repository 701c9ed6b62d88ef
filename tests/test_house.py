"""The house of docs/architecture.md: floors, circles, folders, files, public names."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# From the bottom up. Files and folders of one floor do not import each other.
FLOORS = (
    ("errors", "cache_folder", "public_names"),
    ("whole_files",),
    ("fitting",),
    ("pipeline",),
    ("model",),
    ("reports",),
    ("commands",),
    ("cli",),
)
FACE = ""  # glee/__init__.py hands on what a notebook needs; all may take the version from it
MOST_FILES, MOST_LINES = 14, 500
A_FILE_A_COMMAND = "commands"


def benchmark(name):
    """A module of benchmarks/, which is no package and is not installed."""
    folder = ROOT / "benchmarks"
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module


house = benchmark("house")


@pytest.fixture(scope="module")
def source():
    return house.Source(ROOT)


@pytest.fixture(scope="module")
def package(source):
    """Module -> file, of what is installed."""
    return {name: path for name, path in source.files.items() if not is_tool(name)}


def is_tool(module):
    return module.partition(".")[0] == "tools"


def floor_of(module):
    top = module.partition(".")[0]
    return next(number for number, floor in enumerate(FLOORS) if top in floor)


def test_imports_only_go_down(source, package):
    graph = source.graph(house.START, house.CALL)
    up = [
        f"{module} imports {other}"
        for module in package
        for other in graph[module]
        if module != FACE and other != FACE and not is_tool(other)
        if module.partition(".")[0] != other.partition(".")[0]
        if floor_of(module) <= floor_of(other)
    ]
    assert up == []


def test_the_face_costs_nothing_to_import(source):
    """All import the face for the version, so at its top it may import the lowest floor alone."""
    at_the_top = source.graph(house.START)[FACE]
    assert {module for module in at_the_top if floor_of(module) > 0} == set()


def test_no_modules_import_each_other_in_a_circle(source):
    assert house.circles(source.graph(house.START, house.CALL)) == []


def test_no_folder_holds_too_many_files(package):
    sizes = Counter(path.parent.relative_to(ROOT).as_posix() for path in package.values())
    del sizes[A_FILE_A_COMMAND]
    assert {name: count for name, count in sizes.items() if count > MOST_FILES} == {}


def test_no_file_is_too_long(source):
    assert {name: count for name, count in source.lines.items() if count > MOST_LINES} == {}


def folders(package):
    return {name: path for name, path in package.items() if path.name == "__init__.py"}


def test_every_folder_states_its_sentence_and_its_public_names(package):
    silent = []
    for name, path in folders(package).items():
        tree = ast.parse(path.read_bytes())
        if not (ast.get_docstring(tree) or "").partition("\n")[0].endswith((".", "?")):
            silent.append(f"{name or 'glee'}: its first line is no sentence")
        targets = [
            target
            for node in tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        ]
        if not any(isinstance(one, ast.Name) and one.id == "__all__" for one in targets):
            silent.append(f"{name or 'glee'}: no __all__")
    assert silent == []


def test_every_folder_has_its_public_names(package):
    missing = []
    for name in folders(package):
        folder = import_module(f"glee.{name}".rstrip("."))
        public = getattr(folder, "__all__", [])
        assert sorted(set(public)) == sorted(public), name
        missing += [f"{name}.{one}" for one in public if not hasattr(folder, one)]
    assert missing == []


def test_nothing_of_the_package_imports_the_tools(source, package):
    """Neither as glee.tools nor, as the tests do, with tools/ on the path."""
    tools = {path.stem for path in (ROOT / "tools").glob("*.py")} | {"tools"}
    found = []
    for name, path in package.items():
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                tops = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                tops = {(node.module or "").partition(".")[0]}
            else:
                continue
            found += [f"{name} imports {top}" for top in tops & tools]
        found += [
            f"{name} imports {one.module}" for one in source.imports[name] if is_tool(one.module)
        ]
    assert found == []
