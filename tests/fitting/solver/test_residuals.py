"""Residuals and their Jacobian against finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from glee.fitting.camera import Camera, rotation_matrix
from glee.fitting.initial_pose import Poses, normalise
from glee.fitting.options import FitOptions, priors_of
from glee.fitting.solver import problem
from glee.fitting.solver import residuals as residuals
from glee.fitting.solver.fitter import Stop, new_fitter
from glee.fitting.solver.levenberg_marquardt import turned_by
from glee.fitting.solver.normal_equations import chord_gradient, full_gradient
from glee.fitting.solver.problem import point_model

# Of two ranges of yaw; the frame is of the second.
NOISE = 0.0001 * np.stack([np.eye(136), np.eye(136) + 0.3 * np.ones((136, 136))])
LOSSES = {
    "plain": problem.plain_loss(),
    "huber": problem.Loss(problem.HUBER, 0.01, np.empty((0, 0, 0)), 1.0),
    "geman-mcclure": problem.Loss(problem.GEMAN_MCCLURE, 0.05, np.empty((0, 0, 0)), 1.0),
    "absolute": problem.Loss(problem.ABSOLUTE, 0.001, np.empty((0, 0, 0)), 1.0),
    "whitened": problem.Loss(problem.PLAIN, 1.0, NOISE, 0.01),
}


@pytest.fixture(scope="module")
def situation(model, make_subject):
    """A frame, and unknowns some way off its truth."""
    subject = make_subject(5, frames=1, noise=0.02)
    points = point_model(model, dtype=np.float64)
    camera = Camera.for_image(640, 480)
    weights = np.random.default_rng(1).uniform(0.3, 1.0, (1, 68))
    weights[0, [3, 40]] = 0.0
    normalised = normalise(subject.landmarks, weights, camera, points.mean)
    poses = Poses(rotation_matrix(subject.pose[:, :3]), subject.pose[:, 3:]).turned(
        -normalised.roll
    )
    frame = problem.Frame(
        normalised.target[0], np.sqrt(normalised.weight[0]), camera.focal / normalised.unit[0], 1
    )
    x = np.concatenate([0.8 * subject.f_shape, 0.5 * subject.f_exp[0] + 0.1])
    return points, frame, problem.State(x, poses.rotation[0], poses.translation[0])


def evaluate(points, frame, scheme, loss, state, work):
    residuals.begin_frame(points, frame, scheme, state, work)
    return residuals.evaluate(points, frame, scheme, loss, state, work)


def moved(state, step):
    turn = np.empty((3, 3))
    turned_by(np.ascontiguousarray(step[-6:-3]), state.rotation, turn)
    return problem.State(state.x + step[:-6], turn, state.translation + step[-3:])


@pytest.mark.parametrize("curves", [True, False])
@pytest.mark.parametrize("kind", ["plain", "whitened"])
def test_jacobian_against_finite_differences(situation, kind, curves):
    points, frame, state = situation
    scheme, loss = problem.new_scheme(curves=curves), LOSSES[kind]
    work = problem.new_workspace(points, scheme, loss)
    evaluate(points, frame, scheme, loss, state, work)
    residuals.linearise(points, frame, loss, state, work)
    analytic = work.jacobian[: scheme.rows, work.layout.places(len(state.x))]
    numeric = np.empty_like(analytic)
    for k in range(len(state.x) + 6):
        step = np.zeros(len(state.x) + 6)
        values = []
        for h in (1e-6, -1e-6):
            step[k] = h
            evaluate(points, frame, scheme, loss, moved(state, step), work)
            values.append(work.value.copy())
        numeric[:, k] = (values[0] - values[1]) / 2e-6
    if kind == "whitened" and curves:
        # The whitening follows the curve's normals, which the Jacobian holds fixed; compared is
        # what moves no point across a node.
        close = np.isclose(analytic, numeric, atol=2e-2).mean()
        assert close > 0.97
    else:
        np.testing.assert_allclose(analytic, numeric, atol=2e-5)


@pytest.mark.parametrize("kind", ["plain", "huber", "geman-mcclure", "absolute"])
def test_gradient_of_the_energy_against_finite_differences(situation, kind):
    points, frame, state = situation
    scheme, loss = problem.new_scheme(), LOSSES[kind]
    work = problem.new_workspace(points, scheme, loss)
    evaluate(points, frame, scheme, loss, state, work)
    residuals.linearise(points, frame, loss, state, work)
    jacobian = work.jacobian[: scheme.rows, work.layout.places(len(state.x))]
    gradient = 2 * jacobian.T @ work.value
    random = np.random.default_rng(2)
    for _ in range(10):
        direction = random.normal(size=len(state.x) + 6)
        step = 1e-7
        energy = [
            evaluate(points, frame, scheme, loss, moved(state, s * direction), work)
            for s in (step, -step)
        ]
        slope = (energy[0] - energy[1]) / (2 * step)
        assert slope == pytest.approx(gradient @ direction, rel=1e-4, abs=1e-6)


def test_missing_landmarks_take_no_part(situation):
    points, frame, state = situation
    scheme = problem.new_scheme(curves=False)
    work = problem.new_workspace(points, scheme, problem.plain_loss())
    target = frame.target.copy()
    before = evaluate(points, frame, scheme, problem.plain_loss(), state, work)
    target[[3, 40]] = 1e6
    after = evaluate(
        points,
        frame._replace(target=target),
        scheme,
        problem.plain_loss(),
        state,
        work,
    )
    assert before == after


def test_a_face_behind_the_camera_has_infinite_energy(situation):
    points, frame, state = situation
    scheme = problem.new_scheme()
    work = problem.new_workspace(points, scheme, problem.plain_loss())
    behind = state._replace(translation=np.array([0.0, 0.0, 5.0]))
    assert np.isinf(evaluate(points, frame, scheme, problem.plain_loss(), behind, work))


def test_scheme_counts_its_rows():
    assert problem.new_scheme().rows == 2 * 22 + 46
    assert problem.new_scheme(curves=False).rows == 136


@pytest.mark.parametrize("kind", ["plain", "huber", "geman-mcclure", "absolute", "whitened"])
def test_gradient_without_the_jacobian(situation, kind):
    points, frame, state = situation
    prior, _ = priors_of(FitOptions(), 60, 51)
    scheme, loss = problem.new_scheme(), LOSSES[kind]
    fitter = new_fitter(points, scheme, loss, prior, Stop(10, 1e-4))
    evaluate(points, frame, scheme, loss, state, fitter.work)
    gradient = fitter.solver.gradient
    chord_gradient(points, frame, loss, prior, state, fitter.work, gradient)
    without = gradient.copy()
    residuals.linearise(points, frame, loss, state, fitter.work)
    full_gradient(fitter.work.value, fitter.work.jacobian, prior, state.x, fitter.solver)
    np.testing.assert_allclose(without, gradient, atol=1e-12)
