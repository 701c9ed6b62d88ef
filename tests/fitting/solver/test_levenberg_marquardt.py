"""The solver against scipy's least squares on the same residuals, with and without bounds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from glee.fitting.camera import Camera
from glee.fitting.initial_pose import normalise, weak_perspective
from glee.fitting.options import FitOptions, priors_of
from glee.fitting.solver import problem
from glee.fitting.solver import residuals as residuals
from glee.fitting.solver.fitter import Stop, new_fitter
from glee.fitting.solver.levenberg_marquardt import CONVERGED, fit_frames, turned_by
from glee.fitting.solver.problem import point_model


def setting(model, subject, *, bounds, dtype=np.float64, contour=False, curves=True):
    points = point_model(model, contour=contour, dtype=dtype)
    camera = Camera.for_image(640, 480)
    count = len(subject.landmarks)
    normalised = normalise(subject.landmarks, np.ones((count, 68)), camera, points.mean)
    focal = camera.focal / normalised.unit
    poses = weak_perspective(normalised, focal, points.mean)
    prior, _ = priors_of(FitOptions(bounds=bounds), 60, 51)
    scheme, loss = problem.new_scheme(curves=curves), problem.plain_loss()
    fitter = new_fitter(points, scheme, loss, prior, Stop(100, 1e-7))
    frames = [problem.Frame(normalised.target[i], np.ones(68), focal[i], 0) for i in range(count)]
    starts = [
        problem.State(np.zeros(111, dtype), poses.rotation[i].copy(), poses.translation[i].copy())
        for i in range(count)
    ]
    return fitter, frames, starts


def fitted(fitter, frame, state):
    """Energy, iterations and status; the state is overwritten."""
    frames = problem.Frames(*(np.asarray(field)[None] for field in frame))
    found = fit_frames(fitter, frames, problem.State(*(field[None] for field in state)))
    return found.energy[0], found.iterations[0], found.status[0]


def solved_by_scipy(fitter, frame, first):
    points, scheme, loss, prior = fitter.points, fitter.scheme, fitter.loss, fitter.prior
    work = problem.new_workspace(points, scheme, loss)
    root = np.sqrt(prior.weight)

    def state_at(z):
        turn = np.empty((3, 3))
        turned_by(np.ascontiguousarray(z[-6:-3]), first.rotation, turn)
        return problem.State(z[:-6], turn, first.translation + z[-3:])

    residuals.begin_frame(points, frame, scheme, first, work)

    def values(z):
        residuals.evaluate(points, frame, scheme, loss, state_at(z), work)
        return np.concatenate([work.value, root * (z[:-6] - prior.mean)])

    wide = np.full(6, np.inf)
    bounds = np.append(prior.lower, -wide), np.append(prior.upper, wide)
    start = np.zeros(117)
    start[:-6] = np.clip(start[:-6], prior.lower + 1e-9, prior.upper - 1e-9)
    found = least_squares(values, start, bounds=bounds, ftol=1e-12, xtol=1e-12, gtol=1e-12)
    return 2 * found.cost


@pytest.mark.parametrize("bounds", [False, True])
@pytest.mark.parametrize("curves", [False, True])
def test_energy_is_as_low_as_that_of_scipy(model, make_subject, bounds, curves):
    subject = make_subject(11, frames=3, noise=0.01)
    fitter, frames, starts = setting(model, subject, bounds=bounds, curves=curves)
    # Curves have kinks, and with them minima close to each other.
    slack = 0.05 if curves else 0.0005
    for frame, state in zip(frames, starts, strict=True):
        expected = solved_by_scipy(fitter, frame, state)
        energy, _, status = fitted(fitter, frame, state)
        assert status == CONVERGED
        assert energy <= expected * (1 + slack)
        assert (state.x >= fitter.prior.lower).all()
        assert (state.x <= fitter.prior.upper).all()


def test_float32_agrees_with_float64(model, make_subject):
    subject = make_subject(12, frames=10, noise=0.01)
    found = []
    for dtype in (np.float32, np.float64):
        fitter, frames, states = setting(model, subject, bounds=True, dtype=dtype, contour=True)
        fitter = fitter._replace(stop=Stop(50, 1e-6))
        for frame, state in zip(frames, states, strict=True):
            fitted(fitter, frame, state)
        found.append(np.stack([state.x for state in states]))
    assert np.median(np.abs(found[0] - found[1]).max(1)) < 1e-3


def test_a_hopeless_start_is_reported_as_diverged(model, make_subject):
    fitter, frames, _ = setting(model, make_subject(13, frames=1), bounds=True)
    behind = problem.State(np.zeros(111), np.eye(3), np.array([0.0, 0.0, 3.0]))
    energy, iterations, status = fitted(fitter, frames[0], behind)
    assert not np.isfinite(energy)
    assert iterations == 0
    assert status != CONVERGED
