"""The container's definition: its commands, run with a pip that takes note, against the lock.

Neither Apptainer nor a network is asked for, so that the image itself stays unbuilt here.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def section(name):
    text = (ROOT / "docs/glee.def").read_text()
    return re.search(rf"^%{name}[^\n]*\n(.*?)(?=^%|\Z)", text, re.M | re.S)[1]


def locked():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return {Requirement(line).name for line in lines if line and not line.startswith("#")}


@pytest.fixture
def installed(tmp_path):
    """What %post asks pip for, in order, and how the script ended, under /bin/sh as there."""
    noted = tmp_path / "noted"
    env = tmp_path / "env"
    for name, program in {
        "pip": f'echo "$@" >> {noted}',
        "python": "exit 0",
        "glee": f'exec "{sys.executable}" -m glee.cli "$@"',
    }.items():
        (env / "bin").mkdir(parents=True, exist_ok=True)
        (env / "bin" / name).write_text(f"#!/bin/sh\n{program}\n")
        (env / "bin" / name).chmod(0o755)
    script = section("post").replace("/opt/env", str(env)).replace("/opt/glee", str(ROOT))
    script = script.replace("python -m venv", "true")
    ran = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True)
    return noted.read_text().splitlines(), ran


def test_the_commands_install_the_cpu_build_and_the_lock(installed):
    lines, ran = installed
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("glee, version")
    torch, own = lines
    (pinned,) = [
        line for line in (ROOT / "requirements.lock").read_text().split() if line[:7] == "torch=="
    ]
    assert torch == f"install --no-deps --index-url {CPU_INDEX} {pinned}"
    # After it, so that the lock's torch is there already; nothing brings CUDA's libraries along.
    assert own == "install -c requirements.lock .[cluster]"


def test_nothing_of_cuda_is_locked():
    assert not [name for name in locked() if name.startswith(("nvidia", "cuda", "triton"))]


def test_a_command_that_fails_ends_the_build(installed):
    script = section("post")
    assert script.split()[:2] == ["set", "-e"]
    assert "torch.version.cuda is None" in script


def test_the_environment_is_that_of_the_commands():
    assert "/opt/env/bin" in section("environment")
    assert "NUMBA_CACHE_DIR" in section("environment")
    assert section("test").split() == ["/opt/env/bin/glee", "model", "info"]
