"""`benchmarks/gpu.py` where there is no GPU, and where one of its parts hangs or breaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
# Stand for the parts: one that is done, one that breaks, one that hangs, each after a figure.
FAKE_PARTS = """import time
from gpu import say

def fine(given):
    say(rows=[{"one": 1}])
    say(rows=[{"one": 2}], device=given.device)

def breaks(given):
    say(rows=[{"one": 1}])
    raise SystemExit("out of memory")

def hangs(given):
    say(rows=[{"one": 1}])
    time.sleep(300)

PARTS = {"peak": fine, "training": breaks, "networks": hangs}
"""


def gpu(script, *words, **variables):
    command = [sys.executable, str(script), *words]
    environment = {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


def test_without_cuda_it_is_one_line(tmp_path):
    done = gpu(BENCHMARKS / "gpu.py", "--json", str(tmp_path / "a.json"), CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 2
    assert done.stdout.startswith("no CUDA here")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert not list(tmp_path.iterdir())


@pytest.fixture
def script(tmp_path):
    """The script over other parts, with a second for the one that hangs."""
    source = (BENCHMARKS / "gpu.py").read_text()
    assert '"networks": 90' in source
    path = tmp_path / "gpu.py"
    path.write_text(source.replace('"networks": 90', '"networks": 8'))
    (tmp_path / "gpu_parts.py").write_text(FAKE_PARTS)
    return path


def test_a_part_that_breaks_or_hangs_costs_itself_alone(script, tmp_path):
    words = ["--device", "cpu", "--json", str(tmp_path / "out.json")]
    done = gpu(script, *words, "--only", "networks", "training", "peak")
    assert done.returncode == 1
    parts = json.loads((tmp_path / "out.json").read_text())["parts"]
    assert parts["networks"]["rows"] == parts["training"]["rows"] == [{"one": 1}]
    assert parts["networks"]["failed"] == "not done after 8 s"
    assert "out of memory" in parts["training"]["failed"]
    assert parts["peak"]["rows"] == [{"one": 1}, {"one": 2}]
    assert parts["peak"]["device"] == "cpu"
    text = (tmp_path / "out.txt").read_text()
    assert "the figures mean nothing" in text
    assert "not done after 8 s" in text


def test_its_parts_fit_into_eight_minutes():
    code = "import gpu; print(sum(gpu.PARTS.values()), gpu.LIMIT)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=BENCHMARKS, capture_output=True, text=True, check=True
    )
    parts, limit = map(int, done.stdout.split())
    assert parts <= limit <= 8 * 60
