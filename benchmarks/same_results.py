"""Did a refactor change anything that a user gets? Two checkouts of glee, compared bit by bit.

    python benchmarks/same_results.py BEFORE AFTER [--video FILE] [--json OUT] [--quick]
    python benchmarks/same_results.py BEFORE --save before.json     # measure one, keep it
    python benchmarks/same_results.py before.json AFTER

BEFORE and AFTER are folders that hold a checkout, or files that --save wrote. Each checkout runs
`glee demo` and `glee analyze` in every format in processes of its own, with kernels compiled from
nothing. Nothing of glee is imported here, since this script must outlive the modules that move.

What is compared: every dataset and attribute of the demo's shards, its `results.json` but for
times and the version of glee, the predictions of its runs, and every column and byte of the tables.
The exit status is 1 where anything differs. --quick leaves out training: one rendered person
through `synth`, `preprocess` and `fit3d`, and one table. A checkout takes about seven minutes of
processor time, or one and a half with --quick, most of which is compiling.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from machine import Target, write_results
from user_results import (
    KINDS,
    Results,
    read_predictions,
    read_results,
    read_shards,
    read_tables,
    run_glee,
)

VIDEO = Path(__file__).resolve().parents[2] / "shared/real/single_face.mp4"
SHOWN = 12  # differences of a file; the JSON has all of them
QUICK_STEPS = (
    "synth data --subjects SN001 --frames 24 --workers 1",
    "preprocess --dataset disfa --root data -o work --workers 1",
    "fit3d work --workers 1",
)


@dataclass(frozen=True)
class Difference:
    """One part that differs.

    Attributes
    ----------
    kind, file, part : str
        As in `Results`: "shards", a path below the work folder, a dataset's name.
    before, after : str or None
        What is compared, a value or a digest; None where that side lacks the part.
    maximum : float or None
        Largest absolute difference; infinite where one side has NaN and the other has not, None
        where the part is no array of numbers or its shape differs.
    elements, of : int
        How many numbers differ, of how many; 0 where `maximum` is None.
    """

    kind: str
    file: str
    part: str
    before: str | None
    after: str | None
    maximum: float | None
    elements: int
    of: int

    def line(self) -> str:
        """The part and how it differs, without its file."""
        if self.before is None or self.after is None:
            return f"{self.part}: only {'after' if self.before is None else 'before'}"
        if self.maximum is not None and not self.elements:
            return f"{self.part}: equal numbers of another type, or zeros of another sign"
        if self.of > 1 and self.maximum is not None:
            return (
                f"{self.part}: {self.elements} of {self.of} numbers differ, "
                f"by {self.maximum:.3g} at most"
            )
        return f"{self.part}: {self.before} -> {self.after}"


def measure(checkout: Path, video: Path | None, *, quick: bool) -> Results:
    """Run one checkout in a temporary folder and read what a user gets.

    Parameters
    ----------
    checkout : Path
        Folder that holds glee's `cli.py`.
    video : Path or None
        What `glee analyze` reads; None to leave tables out.
    quick : bool
        No training, one rendered person, one table.
    """
    with tempfile.TemporaryDirectory(prefix="same-results-") as name:
        folder = Path(name)
        (folder / "package").mkdir()
        (folder / "package/glee").symlink_to(checkout.resolve(), target_is_directory=True)
        results = Results(checkout, quick=quick)
        if quick:
            for step in QUICK_STEPS:
                run_glee(folder, step.split())
            demo = folder
        else:
            run_glee(folder, ["demo", "-o", "demo"])
            demo = folder / "demo"
            read_results(results, demo / "results.json")
            read_predictions(results, demo)
        read_shards(results, demo / "work")
        if not results.parts["shards"]:
            sys.exit(f"{checkout}: the demo left no shards in work/; nothing can be compared")
        if video is not None:
            results.video = video.name
            analyze(results, folder, video)
    return results


def analyze(results: Results, folder: Path, video: Path) -> None:
    """Read the tables that `glee analyze` writes of a video, with and without the demo's run."""
    choices = [("glee", False), ("openface", False), ("arkit", False)]
    if results.quick:
        choices = choices[:1]
    else:
        choices += [("glee", True), ("openface", True)]
    for form, with_run in choices:
        name = f"{form}{' with a run' if with_run else ''}"
        run = ["--run", "demo/run"] if with_run else []
        words = ["analyze", str(video.resolve()), "-o", f"tables/{name}", "--format", form, *run]
        run_glee(folder, words)
        read_tables(results, folder / "tables" / name, name)


def compare(before: Results, after: Results) -> list[Difference]:
    """Every part that differs or that one side lacks, in the order of kinds, files and parts."""
    found = []
    for kind in KINDS:
        one, other = before.parts[kind], after.parts[kind]
        for file in sorted(one.keys() | other.keys()):
            old, new = one.get(file, {}), other.get(file, {})
            for part in sorted(old.keys() | new.keys()):
                if old.get(part) != new.get(part):
                    key = (kind, file, part)
                    numbers = _distance(before.numbers.get(key), after.numbers.get(key))
                    found.append(Difference(*key, old.get(part), new.get(part), *numbers))
    return found


def _distance(before: Any, after: Any) -> tuple[float | None, int, int]:
    """Largest absolute difference of two arrays, how many elements differ, of how many."""
    if before is None or after is None or before.shape != after.shape:
        return None, 0, 0
    one, other = (np.asarray(x, np.float64) for x in (before, after))
    both_lack = np.isnan(one) & np.isnan(other)
    unlike = (one != other) & ~both_lack
    if not unlike.any():
        # The type differs, or the sign of a zero.
        return 0.0, 0, one.size
    gaps = np.abs(one[unlike] - other[unlike])
    return float(np.where(np.isnan(gaps), np.inf, gaps).max()), int(unlike.sum()), one.size


def shares(
    before: Results, after: Results, differences: list[Difference]
) -> dict[str, dict[str, Any]]:
    """Of each kind, how many files and parts there are and how many are equal.

    Returns
    -------
    dict
        By kind: `files`, `files_equal`, `parts`, `parts_equal`, and `share` of what the kind counts
        in: figures of `results`, else files. None where neither side has any.
    """
    rows = {}
    for kind in KINDS:
        sides = (before.parts[kind], after.parts[kind])
        files = set().union(*sides)
        parts = {(file, part) for side in sides for file in side for part in side[file]}
        wrong = {(d.file, d.part) for d in differences if d.kind == kind}
        row: dict[str, Any] = {
            "files": len(files),
            "files_equal": len(files - {file for file, _ in wrong}),
            "parts": len(parts),
            "parts_equal": len(parts - wrong),
        }
        counted = "parts" if kind == "results" else "files"
        row["share"] = row[f"{counted}_equal"] / row[counted] if row[counted] else None
        rows[kind] = row
    return rows


def show(rows: dict[str, dict[str, Any]], differences: list[Difference]) -> None:
    """The table and the differences."""
    print(f"{'compared':12s} {'files':>8s} {'equal':>8s} {'parts':>8s} {'equal':>8s}")
    for kind, row in rows.items():
        print(
            f"{kind:12s} {row['files']:8d} {row['files_equal']:8d} "
            f"{row['parts']:8d} {row['parts_equal']:8d}"
        )
    print("\nNothing differs." if not differences else f"\n{len(differences)} parts differ:")
    for (kind, file), group in groupby(differences, key=lambda found: (found.kind, found.file)):
        parts = list(group)
        print(f"  {kind}: {file}")
        for difference in parts[:SHOWN]:
            print(f"    {difference.line()}")
        if len(parts) > SHOWN:
            print(f"    and {len(parts) - SHOWN} more parts; --json OUT writes all of them")


def side(source: Path, video: Path | None, quick: bool) -> Results:
    """The results of a checkout, measured, or of a file, read."""
    if source.is_file():
        return Results.load(source)
    if not (source / "cli.py").is_file():
        sys.exit(f"{source}: is neither a checkout of glee nor a file of saved results")
    print(f"running {source} ...", flush=True)
    return measure(source, video, quick=quick)


def main() -> int:
    """Command line; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("before", type=Path, help="a checkout, or a file of saved results")
    parser.add_argument("after", type=Path, nargs="?", help="the same; not needed with --save")
    parser.add_argument("--video", type=Path, default=VIDEO, help="what is analysed")
    parser.add_argument("--json", type=Path, help="figures and all differences")
    parser.add_argument("--save", type=Path, help="keep the results of the last checkout")
    parser.add_argument("--quick", action="store_true", help="no training, one person, one table")
    given = parser.parse_args()
    if given.after is None and given.save is None:
        parser.error("give two checkouts, or one and --save FILE")
    video = given.video if given.video.is_file() else None
    if video is None:
        print(f"{os.path.relpath(given.video)} is absent; tables are left out (--video FILE)")
    before = side(given.before, video, given.quick)
    after = None if given.after is None else side(given.after, video, given.quick)
    if given.save is not None:
        (after or before).save(given.save)
    if after is None:
        return 0
    if (before.quick, before.video) != (after.quick, after.video):
        sys.exit("one side was measured with --quick or of another video; measure both alike")
    differences = compare(before, after)
    rows = shares(before, after, differences)
    show(rows, differences)
    content = {
        "before": before.commit,
        "after": after.commit,
        "quick": before.quick,
        "video": before.video,
        "compared": rows,
        "differences": [vars(difference) for difference in differences],
    }
    targets = [Target(f"{kind}_equal", rows[kind]["share"], 1.0, "higher") for kind in KINDS]
    write_results(given.json, content, targets)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
