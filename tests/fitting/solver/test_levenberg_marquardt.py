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
from glee.fitting.solver.levenberg_marquardt import CONVERGED, fit_frame, turned_by
from glee.fitting.solver.normal_equations import Stop, new_fitter
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
    return fitter, frames, poses


def solved_by_scipy(fitter, frame, rotation, translation):
    points, scheme, loss, prior = fitter.points, fitter.scheme, fitter.loss, fitter.prior
    work = problem.new_work(points, scheme, loss)
    root = np.sqrt(prior.weight)

    def pose(z):
        turn = np.empty((3, 3))
        turned_by(np.ascontiguousarray(z[-6:-3]), rotation, turn)
        return turn, translation + z[-3:]

    residuals.begin_frame(points, frame, scheme, np.zeros(111), rotation, translation, work)

    def values(z):
        residuals.evaluate(points, frame, scheme, loss, z[:-6], *pose(z), work)
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
    fitter, frames, poses = setting(model, subject, bounds=bounds, curves=curves)
    # Curves have kinks, and with them minima close to each other.
    slack = 0.05 if curves else 0.0005
    for i, frame in enumerate(frames):
        expected = solved_by_scipy(fitter, frame, poses.rotation[i], poses.translation[i])
        x = np.zeros(111)
        energy, iterations, status = fit_frame(
            fitter, frame, x, poses.rotation[i].copy(), poses.translation[i].copy()
        )
        assert status == CONVERGED
        assert energy <= expected * (1 + slack)
        assert (x >= fitter.prior.lower).all()
        assert (x <= fitter.prior.upper).all()


def test_float32_agrees_with_float64(model, make_subject):
    subject = make_subject(12, frames=10, noise=0.01)
    found = []
    for dtype in (np.float32, np.float64):
        fitter, frames, poses = setting(model, subject, bounds=True, dtype=dtype, contour=True)
        fitter = fitter._replace(stop=Stop(50, 1e-6))
        every = []
        for i, frame in enumerate(frames):
            x = np.zeros(111, dtype)
            fit_frame(fitter, frame, x, poses.rotation[i].copy(), poses.translation[i].copy())
            every.append(x)
        found.append(np.stack(every))
    assert np.median(np.abs(found[0] - found[1]).max(1)) < 1e-3


def test_a_hopeless_start_is_reported_as_diverged(model, make_subject):
    fitter, frames, _ = setting(model, make_subject(13, frames=1), bounds=True)
    behind = np.array([0.0, 0.0, 3.0])
    energy, iterations, status = fit_frame(fitter, frames[0], np.zeros(111), np.eye(3), behind)
    assert not np.isfinite(energy)
    assert iterations == 0
    assert status != CONVERGED
