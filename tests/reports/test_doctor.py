"""`glee doctor`: what it finds here, and what it says where something is missing."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from glee.cli import run
from glee.errors import UsageError, WeightsError
from glee.pipeline.landmarks import dlib_backend
from glee.pipeline.landmarks.mesh import weights
from glee.pipeline.synthesis.clips import synthesise
from glee.reports import doctor


def by_name(findings):
    return {finding.name: finding for finding in findings}


def test_this_machine_is_well(tmp_path):
    found = by_name(doctor.examine(tmp_path))
    needed = {name: item.text for name, item in found.items() if item.needed and not item.ok}
    assert not needed
    assert found["embedded model"].text.startswith("makehuman")
    assert "dlib, mesh" in found["embedded model"].text
    assert found["folder"].ok
    assert not list(tmp_path.iterdir())


def test_lines_and_json(tmp_path, capsys):
    assert run(["doctor", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line[:4] in ("ok  ", "note") for line in lines)
    assert run(["doctor", str(tmp_path), "--json"]) == 0
    assert {"python", "room"} <= {item["name"] for item in json.loads(capsys.readouterr().out)}


def test_missing_weights_of_the_default_make_it_fail(tmp_path, monkeypatch, capsys):
    def missing(path):
        raise WeightsError("mesh_weights.npz is missing; install glee again")

    monkeypatch.setattr(weights, "read_weights", missing)
    assert run(["doctor", str(tmp_path)]) == 1
    assert "FIX   detector mesh: mesh_weights.npz is missing; install" in capsys.readouterr().out


def test_a_backend_that_is_not_installed_is_a_note(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "dlib", None)
    assert run(["doctor", str(tmp_path)]) == 0
    (line,) = [x for x in capsys.readouterr().out.splitlines() if "detector dlib" in x]
    assert line.startswith("note  detector dlib: ")
    assert "pip install '.[dlib]'" in line


@pytest.mark.dlib
def test_dlib_is_found_with_its_weights(tmp_path):
    found = by_name(doctor.examine(tmp_path))["detector dlib"]
    assert found.ok
    assert dlib_backend.MODEL_FILE in found.text


def test_room_for_a_planned_run(tmp_path, monkeypatch):
    synthesise(tmp_path / "data", subjects=1, frames=4, size=(64, 64), seed=0)
    planned = {"dataset": "disfa", "root": tmp_path / "data"}
    found = by_name(doctor.examine(tmp_path / "work", **planned))
    assert "1 subjects, 4 frames" in found["dataset"].text
    assert found["room"].ok
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 0))
    room = by_name(doctor.examine(tmp_path / "work", **planned))["room"]
    assert not room.ok
    assert "free space" in room.remedy
    with pytest.raises(UsageError, match="both"):
        doctor.examine(tmp_path, dataset="disfa")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    assert not by_name(doctor.examine(tmp_path))["folder"].ok


def test_queue_systems(tmp_path, monkeypatch):
    """A stand-in for sinfo on the PATH: it answers, fails, or is not there."""
    program = tmp_path / "bin" / "sinfo"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    for script, ok in (("echo 'cpu* up 4'", True), ("exit 1", False)):
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        finding = by_name(doctor.examine(tmp_path, cluster="slurm"))["slurm"]
        assert finding.ok == ok
        assert finding.needed
    assert Path(program).exists()
    program.write_text("#!/bin/sh\necho 'cpu* up 4'\necho 'gpu up 2'\n")
    for queue, ok in (("gpu", True), ("cpu,gpu", True), ("cpus", False)):
        found = doctor.examine(tmp_path, cluster="slurm", queue=queue)
        findings = [finding for finding in found if finding.name == "queue"]
        assert all(finding.ok for finding in findings) == ok
    assert findings[0].remedy == "did you mean cpu? known are: cpu, gpu; mend [cluster]"
    program.write_text("#!/bin/sh\necho 'sinfo: error: no controller' >&2\nexit 1\n")
    assert "no controller" in by_name(doctor.examine(tmp_path))["slurm"].text
    local = by_name(doctor.examine(tmp_path))["slurm"]
    assert not local.needed
