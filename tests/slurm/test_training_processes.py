"""What a real srun and a real job's script say to a training about its processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

# Every process writes a file of its own: outputs of two in one may mix.
SCRIPT = """
import os, sys
from pathlib import Path
from glee.model.distributed import joined_world
with joined_world("cpu") as world:
    mean = world.mean(world.rank + 1.0)
Path(sys.argv[1], f"{os.getpid()}").write_text(f"{world.rank} of {world.size}: {mean}")
"""


def said(folder):
    return sorted(path.read_text() for path in folder.iterdir())


def test_processes_of_srun_meet_without_any_variable_set(slurm, tmp_path):
    done = subprocess.run(
        ["srun", "-n", "2", sys.executable, "-c", SCRIPT, str(tmp_path)],
        env=slurm.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert said(tmp_path) == ["0 of 2: 1.5", "1 of 2: 1.5"]


def test_a_jobs_script_is_one_process(slurm, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(SCRIPT)
    out = tmp_path / "out"
    out.mkdir()
    command = f"{sys.executable} {program} {out}"
    done = subprocess.run(
        ["sbatch", "--wait", "-n", "2", "-o", str(tmp_path / "log"), "--wrap", command],
        env=slurm.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    log = tmp_path / "log"
    assert done.returncode == 0, done.stderr + (log.read_text() if log.exists() else "")
    assert said(out) == ["0 of 1: 1.0"]
