"""Measures where iBUG's 68 landmarks lie on the face mesh, and keeps the figures.

python tools/measure_landmark_definition.py FACES [--splits N]

FACES is a folder of photographs with iBUG's annotations (`.pts`) beside them. First the definition
is fitted to random halves and judged on the others, which is printed; then it is fitted to all
photographs and written beside the `mesh` backend. Figures alone are kept, nothing of a picture.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glee.errors import GleeError
from glee.pipeline.landmarks.mesh.definition import fitted_definition
from glee.pipeline.landmarks.mesh.points import DEFINITION_PATH, write_definition

# Photographs are read and judged as the benchmark does it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from face_measures import (  # noqa: E402
    SETS,
    cross_fitted,
    face_errors,
    halves,
    mean_bias,
    openings,
    slope_and_r,
)
from photographs import read_photographs  # noqa: E402
from real_faces import MESH, look  # noqa: E402

SPLITS = 4

Floats = NDArray[np.float64]


def main() -> int:
    """Command line: judge by halves, then fit to all and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--splits", type=int, default=SPLITS, help="into halves, for the table")
    arguments = parser.parse_args()
    try:
        photographs, bad = read_photographs(arguments.faces)
        for error in bad:
            print(f"{error}; it is left out", file=sys.stderr)
        found = look(MESH, photographs)
    except GleeError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    assert found.dense is not None
    truth = np.stack([one.landmarks for one in photographs])[found.there]
    dense = found.dense[found.there]
    print(f"{len(truth)} of {len(photographs)} faces are found")
    show(dense, truth, arguments.splits)
    write_definition(DEFINITION_PATH, *fitted_definition(dense, truth))
    print(f"{DEFINITION_PATH}: written")
    return 0


def show(dense: Floats, truth: Floats, splits: int) -> None:
    """Print how definitions fitted to one half do on the other, in the mean over the splits.

    Parameters
    ----------
    dense : (n, 478, 2) float64, pixels, mesh points
    truth : (n, 68, 2) float64, pixels, human landmarks
    splits : so many, of seeds from 0
    """
    judged = [cross_fitted(dense, truth, halves(len(truth), seed)) for seed in range(splits)]
    print(f"cross-fitted, mean of {splits} splits; % of the outer eye corners' distance")
    print(f"{'region':12s} {'NME':>6s} {'bias':>6s}")
    for name, points in SETS.items():
        error = np.mean([100 * face_errors(one, truth, points).mean() for one in judged])
        bias = np.mean([100 * mean_bias(one, truth, points) for one in judged])
        print(f"{name:12s} {error:6.3f} {bias:6.3f}")
    known = openings(truth)
    for name, true in known.items():
        r = np.mean([slope_and_r(openings(one)[name], true)["r"] for one in judged])
        print(f"{name:14s} r {r:.3f}")


if __name__ == "__main__":
    sys.exit(main())
