"""`make bench-quick`: every benchmark is run or left out for a reason; failing and hanging show."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

RUNNER = Path(__file__).resolve().parents[1] / "benchmarks" / "run_quick.py"
MAIN = 'if __name__ == "__main__":\n    main()\n'
QUICK = """import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--quick", action="store_true")
assert parser.parse_args().quick
"""
SCRIPTS = {
    "good": f'"""Uses peer.py."""\n{QUICK}def main():\n    print("fine")\n',
    "bad": f"{QUICK}def main():\n    raise SystemExit('it broke')\n",
    "hanging": f"""{QUICK}import subprocess, sys, time
def main():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    print("child", child.pid, flush=True)
    time.sleep(300)
""",
    "peer": "def main():\n    raise SystemExit(1)\n",
    "write_page": "def main():\n    raise SystemExit(1)\n",
    "unfinished": "def main():\n    pass\n",
}


@pytest.fixture
def folder(tmp_path):
    for name, source in SCRIPTS.items():
        (tmp_path / f"{name}.py").write_text(source + MAIN)
    (tmp_path / "module.py").write_text("raise SystemExit(1)\n")
    return tmp_path


def run(folder, *words):
    command = [sys.executable, RUNNER, "--folder", folder, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_each_ends_in_a_line_and_all_in_a_tally(folder):
    done = run(folder, "--limit", "5")
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert re.match(r"passed   good, \d+ s$", next(x for x in lines if "good" in x))
    assert any(re.match(r"failed   bad, \d+ s: exit status 1$", line) for line in lines)
    assert "it broke" in lines
    assert any(re.match(r"hung     hanging, \d+ s: not done after 5 s$", line) for line in lines)
    assert "left out peer: run by good" in lines
    assert "left out write_page: writes a page" in lines
    assert any(line.startswith("failed   unfinished: has no --quick") for line in lines)
    assert not any("module" in line for line in lines)
    assert lines[-1] == "1 passed, 2 failed, 1 hung, 2 left out"
    child = int(next(line for line in lines if line.startswith("child ")).split()[1])
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie"


def test_only_those_that_are_named_and_only_those_that_are_there(folder):
    done = run(folder, "good")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "1 passed, 0 failed, 0 hung, 0 left out"
    assert "no script goood" in run(folder, "goood").stderr


def test_each_of_ours_has_a_quick_look_or_a_reason(tmp_path):
    code = (
        "import run_quick as r\n"
        "for name in r.scripts(r.HERE): print(name, r.reason_to_leave_out(name, r.HERE), sep=':')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=RUNNER.parent, capture_output=True, text=True, check=True
    )
    reasons = dict(line.split(":", 1) for line in done.stdout.splitlines())
    assert "" not in reasons.values(), reasons
    assert reasons["fit"] == "None"
    assert reasons["preprocess_path"] == "run by preprocess"
