"""Runs every benchmark's `--quick`, to see that each still works: `make bench-quick`.

python benchmarks/run_quick.py [--limit SECONDS] [NAME ...]

A benchmark is a script here with a command line. Each gets its own process and a limit; one line
says how it ended, and the exit status is 1 where one failed or hung. Figures of --quick are not for
the pages. A script without --quick is no benchmark of its own where it writes a page or another
script runs it; any other is counted as failed.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Why a script is not run, where that cannot be seen in the scripts themselves.
LEFT_OUT = {
    "identity_axes": "writes identity_axes.json from a package's wheel",
    "same_results": "compares two checkouts of glee; give it two",
}
# What a script needs beside --quick to work on any machine.
MORE_WORDS = {"gpu": ("--device", "cpu")}
SHOWN_LINES = 15


@dataclass(frozen=True)
class Outcome:
    """How a script ended. status: "passed", "failed", "hung" or "left out"; why: in words."""

    name: str
    status: str
    why: str = ""
    seconds: float = 0.0


def scripts(folder: Path) -> dict[str, str]:
    """Name -> source of every file that has a command line, but for this one."""
    found = {path.stem: path.read_text() for path in sorted(folder.glob("*.py"))}
    return {
        name: source
        for name, source in found.items()
        if 'if __name__ == "__main__"' in source and name != Path(__file__).stem
    }


def reason_to_leave_out(name: str, folder: Path) -> str | None:
    """Why a script is not run; "" where nothing says so and it has no --quick; None: it is run."""
    if name in LEFT_OUT:
        return LEFT_OUT[name]
    if re.search(r'add_argument\(\s*"--quick"', (folder / f"{name}.py").read_text()):
        return None
    if name.startswith("write_"):
        return "writes a page"
    named = re.compile(rf"{name}\.py|\b(?:import|from) {name}\b")
    users = [
        path.stem
        for path in sorted(folder.glob("*.py"))
        if path.stem not in (name, Path(__file__).stem) and named.search(path.read_text())
    ]
    return f"run by {', '.join(users)}" if users else ""


def run(name: str, folder: Path, limit: float) -> Outcome:
    """Run a script's --quick; past the limit it and all that it started are killed."""
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, folder / f"{name}.py", "--quick", *MORE_WORDS.get(name, ())],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = "passed" if process.wait(limit) == 0 else "failed"
        except subprocess.TimeoutExpired:
            status = "hung"
        finally:
            # Its children too, also where it has ended or this is interrupted.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        said.seek(0)
        tail = "\n".join(said.read().splitlines()[-SHOWN_LINES:])
    seconds = time.perf_counter() - begin
    why = {
        "passed": "",
        "failed": f"exit status {code}\n{tail}",
        "hung": f"not done after {limit:.0f} s\n{tail}",
    }
    return Outcome(name, status, why[status], seconds)


def outcome(name: str, folder: Path, limit: float) -> Outcome:
    """What becomes of one script."""
    reason = reason_to_leave_out(name, folder)
    if reason is None:
        return run(name, folder, limit)
    if reason:
        return Outcome(name, "left out", reason)
    return Outcome(name, "failed", "has no --quick, writes no page, and no script runs it")


def main() -> int:
    """Run all, or those that are named; a line each, and a tally."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of scripts [default: all]")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for each script")
    parser.add_argument("--folder", type=Path, default=HERE, help="where the scripts lie")
    given = parser.parse_args()
    there = scripts(given.folder)
    unknown = [name for name in given.names if name not in there]
    if unknown:
        parser.error(f"no script {', '.join(unknown)}; there are: {', '.join(there)}")
    counts = dict.fromkeys(("passed", "failed", "hung", "left out"), 0)
    for name in given.names or there:
        one = outcome(name, given.folder, given.limit)
        counts[one.status] += 1
        after = f", {one.seconds:.0f} s" if one.seconds else ""
        print(f"{one.status:8} {one.name}{after}{': ' if one.why else ''}{one.why}", flush=True)
    print(", ".join(f"{number} {status}" for status, number in counts.items()))
    return 1 if counts["failed"] or counts["hung"] else 0


if __name__ == "__main__":
    sys.exit(main())
