"""Dense points beside the 68 landmarks, against synthetic truth and finite differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glee.errors import DataError, UsageError
from glee.fitting.camera import Camera, rotation_matrix
from glee.fitting.dense_points import (
    DenseObservations,
    DensePoints,
    load_dense_points,
    surface_digest,
    write_dense_points,
)
from glee.fitting.fit import fit
from glee.fitting.initial_pose import Poses, normalise
from glee.fitting.morphable_model.landmark_scheme import inter_ocular_distance
from glee.fitting.options import FitOptions, priors_of
from glee.fitting.solver import problem
from glee.fitting.solver import residuals as residuals
from glee.fitting.solver.fitter import Stop, new_fitter
from glee.fitting.solver.levenberg_marquardt import turned_by
from glee.fitting.solver.normal_equations import chord_gradient, full_gradient
from glee.fitting.solver.problem import point_model

CAMERA = Camera.for_image(640, 480)
NOISE = 0.01
COVARIANCE = 0.0001 * (np.eye(136) + 0.3 * np.ones((136, 136)))


@pytest.fixture(scope="module")
def points(model) -> DensePoints:
    """The calibrated places, that err by NOISE each."""
    laid = load_dense_points(model)
    return replace(laid, deviation=np.full(len(laid), NOISE, np.float32))


def dense_of(model, subject, points, seed=3):
    """The dense points (n, d, 2) of a subject's frames with NOISE, pixels."""
    camera, random = CAMERA, np.random.default_rng(seed)
    exact = np.stack(
        [
            camera.project(points.places.on(model.shape(subject.f_shape, f_exp)), pose)
            for f_exp, pose in zip(subject.f_exp, subject.pose, strict=True)
        ]
    )
    unit = inter_ocular_distance(subject.landmarks)[:, None, None]
    return exact + NOISE * unit * random.normal(size=exact.shape)


def median_r(found, truth):
    return np.median([np.corrcoef(found[:, k], truth[:, k])[0, 1] for k in range(truth.shape[1])])


def test_dense_points_tell_more_than_68(model, make_subject, points):
    subject = make_subject(61, frames=30, noise=NOISE)
    dense = dense_of(model, subject, points)
    rows = {
        "68": {},
        "both": {"dense": DenseObservations(dense, points)},
        "dense": {"dense": DenseObservations(dense, points, only=True)},
        "without irises": {"dense": DenseObservations(dense[:, :468], points)},
    }
    r = {}
    for name, given in rows.items():
        found = fit(subject.landmarks, model, camera=CAMERA, **given)
        assert found.converged.all()
        r[name] = median_r(found.f_exp, subject.f_exp)
    assert r["both"] > r["68"] + 0.1
    assert r["dense"] > r["68"] + 0.09
    assert r["without irises"] > r["68"] + 0.1


def test_missing_dense_points_and_frames(model, make_subject, points):
    subject = make_subject(62, frames=8, noise=NOISE)
    dense = dense_of(model, subject, points)
    whole = fit(subject.landmarks, model, camera=CAMERA, dense=DenseObservations(dense, points))
    holed = dense.copy()
    holed[:, 100:140] = np.nan
    holed[5] = np.nan
    found = fit(subject.landmarks, model, camera=CAMERA, dense=DenseObservations(holed, points))
    assert found.converged.all()
    others = np.arange(8) != 5
    np.testing.assert_allclose(found.f_exp[others], whole.f_exp[others], atol=0.35)


def test_refused_dense_points(model, make_subject, points, tmp_path):
    subject = make_subject(63, frames=2)
    for wrong in (np.zeros((2, 479, 2)), np.zeros((3, 478, 2)), np.zeros((2, 478, 3))):
        with pytest.raises(UsageError, match="dense: shape"):
            fit(subject.landmarks, model, camera=CAMERA, dense=DenseObservations(wrong, points))
    other = replace(model, name="other", mean=model.mean + np.float32(0.1))
    with pytest.raises(DataError, match="of another model than other"):
        load_dense_points(other)
    with pytest.raises(DataError, match="glee calibrate mesh --dense"):
        load_dense_points(other, tmp_path / "other.h5")
    write_dense_points(
        tmp_path / "other.dense.npz", replace(points, model_sha256=surface_digest(other))
    )
    again = load_dense_points(other, tmp_path / "other.h5")
    np.testing.assert_array_equal(again.places.vertices, points.places.vertices)
    np.testing.assert_array_equal(again.deviation, points.deviation)


@pytest.fixture(scope="module")
def situation(model, make_subject, points):
    """A frame of 68 landmarks and 12 dense points, one missing; unknowns some way off."""
    subject = make_subject(5, frames=1, noise=0.02)
    few = points[:12]
    made = point_model(model, dtype=np.float64, dense=few.places)
    camera = CAMERA
    seen = np.concatenate([subject.landmarks, dense_of(model, subject, few)], axis=1)
    weights = np.random.default_rng(1).uniform(0.3, 1.0, (1, 80))
    weights[0, [40, 71]] = 0.0
    normalised = normalise(seen, weights, camera, made.mean)
    poses = Poses(rotation_matrix(subject.pose[:, :3]), subject.pose[:, 3:]).turned(
        -normalised.roll
    )
    frame = problem.Frame(
        normalised.target[0], np.sqrt(normalised.weight[0]), camera.focal / normalised.unit[0], 0
    )
    x = np.concatenate([0.8 * subject.f_shape, 0.5 * subject.f_exp[0] + 0.1])
    return made, frame, problem.State(x, poses.rotation[0], poses.translation[0])


@pytest.mark.parametrize(
    "covariance", [np.empty((0, 0, 0)), COVARIANCE[None]], ids=["plain", "whitened"]
)
def test_derivatives_with_dense_points(situation, covariance):
    made, frame, state = situation
    loss = problem.plain_loss()._replace(covariance=covariance, unit=0.01)
    scheme = problem.new_scheme(curves=False, dense=12)
    prior, _ = priors_of(FitOptions(), 60, 51)
    fitter = new_fitter(made, scheme, loss, prior, Stop(10, 1e-4))
    work, count = fitter.work, len(state.x) + 6

    def value_at(step):
        turn = np.empty((3, 3))
        turned_by(np.ascontiguousarray(step[-6:-3]), state.rotation, turn)
        at = problem.State(state.x + step[:-6], turn, state.translation + step[-3:])
        residuals.begin_frame(made, frame, scheme, at, work)
        energy = residuals.evaluate(made, frame, scheme, loss, at, work)
        assert energy == pytest.approx((work.value**2).sum())
        return work.value.copy()

    value_at(np.zeros(count))
    residuals.linearise(made, frame, loss, state, work)
    assert scheme.rows == 160
    analytic = work.jacobian[: scheme.rows, work.layout.places(len(state.x))]
    steps = 1e-6 * np.eye(count)
    numeric = np.stack([(value_at(s) - value_at(-s)) / 2e-6 for s in steps], axis=1)
    np.testing.assert_allclose(analytic, numeric, atol=2e-5)
    value_at(np.zeros(count))
    gradient = fitter.solver.gradient
    chord_gradient(made, frame, loss, prior, state, work, gradient)
    without = gradient.copy()
    residuals.linearise(made, frame, loss, state, work)
    full_gradient(work.value, work.jacobian, prior, state.x, fitter.solver)
    np.testing.assert_allclose(without, gradient, atol=1e-12)
