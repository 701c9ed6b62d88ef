"""How well the fit recovers f_exp, identity and pose: known truth, noise, other models, a detector.

python benchmarks/recovery.py --json recovery.json [--seed 1] [--quick]
    [--ict PATH to FaceXModel or its archive]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from machine import Target, write_results
from numpy.typing import NDArray
from recovery_detector import through_the_detector
from synthetic_landmarks import SIZE, Subject, random_subject, slid, with_noise

from glee.fitting.camera import Camera, rotation_matrix
from glee.fitting.fit import Fit, FitOptions, fit
from glee.fitting.importers.import_model import import_model
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.morphable_model.morphable_model import MorphableModel

SUBJECTS, FRAMES = 12, 40
SHARED_ICT = Path(__file__).resolve().parents[2] / "shared/models/ict-facekit-60id.tar.xz"
CAMERA = Camera.for_image(*SIZE)
POINTS, CURVES = FitOptions(curves=False), FitOptions()


def subjects_of(model: MorphableModel, seed: int, count: int) -> list[Subject]:
    """Random people of a model, each with its own random expressions and poses."""
    return [
        random_subject(model, FRAMES, np.random.default_rng([seed, index]))
        for index in range(count)
    ]


def correlations(found: NDArray[np.float32], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson r of each coefficient over all frames; 0 where the fit never moves it."""
    with np.errstate(invalid="ignore", divide="ignore"):
        r = [np.corrcoef(found[:, k], truth[:, k])[0, 1] for k in range(truth.shape[1])]
    return np.nan_to_num(np.array(r))


def pose_errors(result: Fit, pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angle between fitted and true rotation, degrees."""
    apart = rotation_matrix(result.pose[:, :3]) @ np.swapaxes(rotation_matrix(pose[:, :3]), 1, 2)
    cosine = (np.trace(apart, axis1=1, axis2=2) - 1) / 2
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def measure(
    model: MorphableModel,
    subjects: list[Subject],
    landmarks: NDArray[np.float64],
    identity: str,
    options: FitOptions,
) -> dict[str, float]:
    """One row: fit all subjects and compare with the truth."""
    names = np.repeat(np.arange(len(subjects)), FRAMES)
    result = fit(landmarks, model, camera=CAMERA, identity=identity, subject=names, options=options)
    r = correlations(result.f_exp, np.concatenate([s.f_exp for s in subjects]))
    shapes = [
        np.corrcoef(np.nanmean(result.f_shape[names == i], axis=0), s.f_shape)[0, 1]
        for i, s in enumerate(subjects)
    ]
    error = pose_errors(result, np.concatenate([s.pose for s in subjects]))
    return {
        "r_median": float(np.median(r)),
        "r_worst": float(r.min()),
        "r_identity": float(np.median(shapes)),
        "pose_deg": float(np.nanmedian(error)),
        "rmse_percent": 100 * float(np.nanmedian(result.rmse_iod)),
        "converged": float(result.converged.mean()),
    }


def noise_table(model: MorphableModel, seed: int, count: int) -> dict[str, dict[str, float]]:
    """All kinds of noise by identity and by distance."""
    subjects = subjects_of(model, seed, count)
    exact = np.concatenate([s.landmarks for s in subjects])
    random = np.random.default_rng([seed, 1000])
    kinds = {
        "no noise": exact,
        "1 %": with_noise(exact, 0.01, random),
        "2 %": with_noise(exact, 0.02, random),
        "sliding 5 %": slid(exact, 0.05, random),
        "sliding 5 %, 0.5 %": with_noise(slid(exact, 0.05, random), 0.005, random),
    }
    rows = {}
    for noise, landmarks in kinds.items():
        for identity in ("frame", "subject"):
            for distance, options in (("points", POINTS), ("curves", CURVES)):
                name = f"{noise}, {identity}, {distance}"
                rows[name] = measure(model, subjects, landmarks, identity, options)
                show(name, rows[name])
    return rows


def across_models(
    ours: MorphableModel, ict: MorphableModel, seed: int, count: int
) -> dict[str, dict[str, float]]:
    """The same protocol on ICT's faces, and each model fitted to the other's faces."""
    rows = {}
    people = {"ours": subjects_of(ours, seed + 1, count), "ict": subjects_of(ict, seed + 2, count)}
    for made, subjects in people.items():
        landmarks = np.concatenate([s.landmarks for s in subjects])
        for fitted, model in (("ours", ours), ("ict", ict)):
            name = f"faces of {made}, fitted with {fitted}"
            if made == fitted:
                rows[name] = measure(model, subjects, landmarks, "subject", POINTS)
            else:
                rows[name] = crossed(model, subjects, landmarks)
            show(name, rows[name])
    return rows


def crossed(
    model: MorphableModel, subjects: list[Subject], landmarks: NDArray[np.float64]
) -> dict[str, float]:
    """The other model's faces: only f_exp (the same names) and pose can be compared."""
    names = np.repeat(np.arange(len(subjects)), FRAMES)
    result = fit(landmarks, model, camera=CAMERA, subject=names)
    r = correlations(result.f_exp, np.concatenate([s.f_exp for s in subjects]))
    error = pose_errors(result, np.concatenate([s.pose for s in subjects]))
    return {
        "r_median": float(np.median(r)),
        "r_worst": float(r.min()),
        "pose_deg": float(np.nanmedian(error)),
        "rmse_percent": 100 * float(np.nanmedian(result.rmse_iod)),
        "converged": float(result.converged.mean()),
    }


def show(name: str, row: dict[str, float]) -> None:
    """One line of the table."""
    print(f"{name:38s}" + "".join(f"  {key} {value:.3f}" for key, value in row.items()), flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="fewer people, no renders")
    parser.add_argument("--ict", type=Path, default=SHARED_ICT)
    arguments = parser.parse_args()
    count = 4 if arguments.quick else SUBJECTS
    ours = load_model()
    content: dict[str, Any] = {"seed": arguments.seed, "quick": arguments.quick}
    content["noise"] = noise = noise_table(ours, arguments.seed, count)
    across: dict[str, dict[str, float]] = {}
    if arguments.ict.exists():
        ict = import_model("ict-facekit", arguments.ict)
        across = across_models(ours, ict, arguments.seed, count)
    else:
        print(f"{arguments.ict}: no ICT-FaceKit there; its rows are left out (--ict PATH)")
    content["across_models"] = across
    if not arguments.quick:
        with tempfile.TemporaryDirectory() as folder:
            content["detector"] = through_the_detector(Path(folder), arguments.seed)
    ict_row = across.get("faces of ict, fitted with ict", {})
    write_results(
        arguments.json,
        content,
        [
            Target("r_joint_0", noise["no noise, subject, points"]["r_median"], 0.98, "higher"),
            Target("r_joint_1pct", noise["1 %, subject, points"]["r_median"], 0.75, "higher"),
            Target("r_frame_0", noise["no noise, frame, points"]["r_median"], 0.88, "higher"),
            Target("pose_error_deg", noise["no noise, subject, points"]["pose_deg"], 0.5, "lower"),
            Target("r_ict_joint_0", ict_row.get("r_median"), 0.95, "higher"),
        ],
    )


if __name__ == "__main__":
    main()
