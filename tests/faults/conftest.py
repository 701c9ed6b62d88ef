"""What every fault starts from: a small dataset, an undisturbed run of it, and a tally."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from glee.pipeline.fit3d import fit3d
from glee.pipeline.landmarks.backends import ENTRY_POINT_GROUP
from glee.pipeline.options import PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import content_digest, list_shards
from glee.pipeline.synthesis.clips import synthesise

# By its path: tests are no package.
_spec = importlib.util.spec_from_file_location(
    "far_cluster", Path(__file__).with_name("far_cluster.py")
)
far = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(far)

CAMPAIGNS = {"short": {"kills": 6, "flips": 60}, "long": {"kills": 200, "flips": 3000}}
TALLY = pytest.StashKey()
PROGRAM = Path(__file__).with_name("run_stage.py")
OPTIONS = PreprocessOptions(chunk_frames=4, detector="steady")
ENTRY_POINT = f"[{ENTRY_POINT_GROUP}]\nsteady = steady_backend:SteadyDetector\n"


def pytest_addoption(parser):
    parser.addoption("--campaign", choices=sorted(CAMPAIGNS), default="short")
    parser.addoption("--fault-seed", type=int, default=6)


def pytest_terminal_summary(terminalreporter, config):
    tally = config.stash.get(TALLY, None)
    if tally:
        terminalreporter.section("faults survived")
        for what, count in sorted(tally.items()):
            terminalreporter.write_line(f"{count:6d}  {what}")


@pytest.fixture(scope="session")
def campaign(request):
    """How much of each fault: "kills", "flips"; and the "seed"."""
    name = request.config.getoption("campaign", "short")
    return {**CAMPAIGNS[name], "seed": request.config.getoption("fault_seed", 6)}


@pytest.fixture
def tally(request):
    """Counts the faults that were survived; printed at the end."""
    return request.config.stash.setdefault(TALLY, Counter())


@pytest.fixture(scope="session", autouse=True)
def backend(tmp_path_factory):
    """The campaign's landmark backend, installed for this process and those that it starts."""
    folder = tmp_path_factory.mktemp("backend")
    for name in ("steady_backend.py", "steady_face.json"):
        shutil.copy(Path(__file__).with_name(name), folder)
    (folder / "steady-1.dist-info").mkdir()
    (folder / "steady-1.dist-info" / "METADATA").write_text("Name: steady\nVersion: 1\n")
    (folder / "steady-1.dist-info" / "entry_points.txt").write_text(ENTRY_POINT)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), before)))
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(scope="session")
def dataset(tmp_path_factory, backend):
    """Two subjects of 16 frames in DISFA's layout; never written to."""
    root = tmp_path_factory.mktemp("disfa")
    synthesise(root, subjects=2, frames=16, size=(320, 240), seed=3)
    return root


@pytest.fixture
def disfa(dataset, tmp_path):
    """A copy of the dataset that a test may damage."""
    return Path(shutil.copytree(dataset, tmp_path / "DISFA"))


@pytest.fixture(scope="session")
def undisturbed(dataset, tmp_path_factory):
    """Work folders of runs that nothing disturbed: after "preprocess", and after "fit3d" too."""
    folder = tmp_path_factory.mktemp("undisturbed")
    preprocess("disfa", dataset, folder / "preprocess", options=OPTIONS, workers=1, progress=False)
    shutil.copytree(folder / "preprocess", folder / "fit3d")
    fit3d(folder / "fit3d", workers=1, progress=False)
    return {stage: folder / stage for stage in ("preprocess", "fit3d")}


class Stages:
    """Runs stages as processes of their own on the small dataset."""

    def __init__(self, root, undisturbed):
        self.root = root
        self.expected = {stage: digests(work) for stage, work in undisturbed.items()}
        self.undisturbed = undisturbed
        # Inodes of the shards that a folder had before fit3d.
        self.unfitted = {}

    def fresh(self, stage, work):
        """A folder in which the stage has not run yet."""
        if stage == "fit3d":
            shutil.copytree(self.undisturbed["preprocess"], work)
            self.unfitted = {path: path.stat().st_ino for path in list_shards(work)}
        return work

    def command(self, stage, work, *arguments):
        root = ("--root", str(self.root)) if stage == "preprocess" else ()
        return [sys.executable, str(PROGRAM), stage, str(work), *root, *map(str, arguments)]

    def start(self, stage, work, *arguments, nap=0.0):
        command = self.command(stage, work, *arguments)
        environment = {**os.environ, "STEADY_NAP": str(nap)}
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)

    def run(self, stage, work, *arguments, timeout=120):
        """(exit code, what it said)."""
        command = self.command(stage, work, *arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        return done.returncode, done.stderr

    def refused(self, stage, work, *arguments):
        """The one line of an error that glee reports."""
        code, said = self.run(stage, work, *arguments)
        assert code == 1, said
        lines = said.strip().splitlines()
        assert len(lines) == 1, said
        return lines[0]

    def finish(self, stage, work, *arguments):
        """Run the stage to its end and compare with the undisturbed run, shard by shard."""
        code, said = self.run(stage, work, *arguments)
        assert code == 0, said
        self.compare(stage, work)

    def compare(self, stage, work):
        assert digests(work) == self.expected[stage]
        assert not list(work.rglob(".*.partial"))


@pytest.fixture(scope="session")
def stages(dataset, undisturbed):
    return Stages(dataset, undisturbed)


@pytest.fixture
def far_cluster(tmp_path):
    cluster = far.FarCluster(tmp_path)
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def wait_until():
    return until


@pytest.fixture(scope="session")
def digests_of():
    return digests


@pytest.fixture(scope="session")
def run_preprocess():
    """`preprocess` in this process, with the campaign's options."""

    def run(root, work):
        return preprocess("disfa", root, work, options=OPTIONS, workers=1, progress=False)

    return run


def digests(work):
    return {path.relative_to(work).as_posix(): content_digest(path) for path in list_shards(work)}


def until(condition, seconds):
    """Whether the condition held within that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False
