"""F1 of the demo, by what its networks are given.

python benchmarks/demo.py --json benchmarks/results/demo.json [--folder FOLDER] [--seed 0] [--quick]

The demo stays in --folder, where a killed one goes on, and where one that `glee demo -o FOLDER` has
made is read.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from machine import Target, write_results

from glee.reports.demo.demo import demo

KEPT = ("frames", "valid_fraction", "landmark_nme", "f1", "f1_of", "images_add")


def main() -> None:
    """Everything, written to --json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--folder", type=Path, help="Of the demo; kept. [default: a new one]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="demo-")) / "demo"
    small = {"subjects": 3, "frames": 24, "size": (320, 240), "epochs": 1} if given.quick else {}
    results = demo(folder, seed=given.seed, progress=False, **small)
    content = {"synthetic": True, "quick": given.quick, "seed": given.seed}
    content |= {name: results[name] for name in KEPT}
    f1 = None if given.quick else results["f1"]["mean"]
    floor = results["f1_of"]["always_positive"]["f1"]
    write_results(given.json, content, [Target("demo_f1", f1, floor, "higher")])


if __name__ == "__main__":
    main()
