"""glee calibrate: a model file whose landmarks lie where a detector marks them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glee.errors import DataError, UsageError
from glee.fitting.dense_points import load_dense_points
from glee.fitting.morphable_model.model_file import load_model, write_model
from glee.fitting.morphable_model.morphable_model import MorphableModel
from glee.pipeline.calibration import LEAST_FACES, calibrate


@pytest.fixture(scope="module")
def eyeless() -> MorphableModel:
    """The embedded model's skin and lips, not calibrated to anything."""
    model = load_model()
    kept = np.isin(model.parts, [model.part_names.index(n) for n in ("skin", "lips")])
    names = ("skin", "lips")
    return replace(
        model,
        triangles=model.triangles[kept],
        parts=np.array([names.index(model.part_names[p]) for p in model.parts[kept]], np.uint8),
        part_names=names,
        landmarks={"anatomical": model.landmarks["anatomical"]},
        noise={},
    )


@pytest.mark.slow
def test_renders_calibrate_the_embedded_model(tmp_path: Path) -> None:
    out = tmp_path / "calibrated.h5"
    report = calibrate("mesh", out, renders=LEAST_FACES + 8, seed=3, dense=True)
    assert report.way == "renders"
    assert report.faces >= LEAST_FACES
    assert report.nme_after < 0.7 * report.nme_before
    before, after = load_model(), load_model(out)
    assert set(after.landmarks) == set(before.landmarks)
    assert after.noise["mesh"].covariance.shape == (136, 136)
    assert after.noise["mesh"].by_yaw.covariance.shape == (3, 136, 136)
    # 48 faces give about what 360 of another seed gave.
    apart = after.landmarks["mesh"].on(after.mean) - before.landmarks["mesh"].on(before.mean)
    assert np.median(np.linalg.norm(apart[17:], axis=1)) < 0.03
    assert np.array_equal(after.landmarks["dlib"].vertices, before.landmarks["dlib"].vertices)
    dense, kept = load_dense_points(after, out), load_dense_points(before)
    apart = dense.places.on(after.mean) - kept.places.on(before.mean)
    assert np.median(np.linalg.norm(apart, axis=1)) < 0.03
    assert np.corrcoef(dense.deviation, kept.deviation)[0, 1] > 0.9


def test_a_model_without_eyes_gets_the_embedded_calibration(
    eyeless: MorphableModel, tmp_path: Path
) -> None:
    source, out = tmp_path / "eyeless.h5", tmp_path / "calibrated.h5"
    write_model(source, eyeless)
    with pytest.raises(DataError, match="leave out --dense"):
        calibrate("mesh", out, model=source, dense=True)
    report = calibrate("mesh", out, model=source)
    assert report.way == "carried"
    embedded, after = load_model(), load_model(out)
    apart = after.landmarks["mesh"].on(after.mean) - embedded.landmarks["mesh"].on(embedded.mean)
    assert np.linalg.norm(apart, axis=1).max() < 0.03
    assert np.array_equal(after.noise["mesh"].bias, embedded.noise["mesh"].bias)


def test_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"model\.npz: a model file ends in \.h5"):
        calibrate("mesh", tmp_path / "model.npz")
    with pytest.raises(UsageError, match="3 renders: give 40 or more"):
        calibrate("mesh", tmp_path / "model.h5", renders=3)
    with pytest.raises(DataError, match=r"nowhere\.h5"):
        calibrate("mesh", tmp_path / "model.h5", model=tmp_path / "nowhere.h5")
    assert not list(tmp_path.iterdir())
