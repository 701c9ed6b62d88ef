"""Fuzzes every parser in turn: python -m tests.fuzz [--seconds N] [--out DIR] [NAME ...].

Prints a line a target: inputs tried, paths of the parser that were new, and findings; what made a
finding is kept in DIR/NAME. Exit status 1 where there is one.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# Beyond these a single input is a finding: seconds, and megabytes of the whole process.
SECONDS_AN_INPUT, MEGABYTES = 20, 2000


@dataclass(frozen=True)
class Tally:
    """What a run over one target came to. finding: what it said, None if there is none."""

    runs: int
    features: int
    peak_mb: int
    finding: str | None


def fuzz(name: str, seconds: int, out: Path) -> Tally:
    """Run one target in a process of its own."""
    corpus, findings = out / "corpus" / name, out / "findings" / name
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz.one_target", name, str(corpus)]
    command += [f"-max_total_time={seconds}", f"-timeout={SECONDS_AN_INPUT}"]
    command += [
        f"-rss_limit_mb={MEGABYTES}",
        f"-artifact_prefix={findings}/",
        "-print_final_stats=1",
    ]
    # By a shell: a process that this one starts itself inherits its peak of memory (Linux).
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@"; exit $?', "sh", *command],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    runs = re.findall(r"number_of_executed_units:\s*(\d+)|^#(\d+)\s", said, re.MULTILINE)
    features = re.findall(r"\bft: (\d+)", said)
    peak = re.findall(r"peak_rss_mb:\s*(\d+)", said)
    lines = [line for line in said.splitlines() if re.search(r"Error|Exception|ERROR", line)]
    return Tally(
        runs=max((int(total or number) for total, number in runs), default=0),
        features=int(features[-1]) if features else 0,
        peak_mb=int(peak[-1]) if peak else 0,
        finding=None if done.returncode == 0 else " | ".join(lines[:3]) or said[-500:],
    )


def main() -> None:
    """Command line."""
    from .targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", choices=[[], *TARGETS], metavar="NAME")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"))
    arguments = parser.parse_args()
    found = False
    sys.stdout.write(f"{'target':16} {'inputs':>9} {'features':>9} {'peak MB':>8}  finding\n")
    for name in arguments.names or TARGETS:
        tally = fuzz(name, arguments.seconds, arguments.out.resolve())
        found = found or tally.finding is not None
        row = f"{name:16} {tally.runs:9} {tally.features:9} {tally.peak_mb:8}"
        sys.stdout.write(f"{row}  {tally.finding or '-'}\n")
        sys.stdout.flush()
    sys.exit(found)


if __name__ == "__main__":
    main()
