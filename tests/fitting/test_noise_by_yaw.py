"""A detector that errs otherwise on turned faces: its noise by yaw, found and used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glee.errors import UsageError
from glee.fitting.calibration.calibration import FACES_OF_ALL, residual_noise
from glee.fitting.calibration.calibration import LIMITS as RANGES
from glee.fitting.camera import Camera, rotation_matrix
from glee.fitting.fit import fit
from glee.fitting.initial_pose import normalise, yaw_of
from glee.fitting.morphable_model.landmark_noise import LandmarkNoise, YawNoise
from glee.fitting.morphable_model.landmark_scheme import MIRROR, inter_ocular_distance
from glee.fitting.options import FitOptions

CAMERA = Camera.for_image(640, 480)
LIMITS = np.radians([-15.0, 15.0])
FRAMES = 90


def true_yaw(pose):
    forward = rotation_matrix(pose[:, :3])[:, :, 2]
    return np.arctan2(forward[:, 0], forward[:, 2])


def mirrored(values):
    return values[..., MIRROR, :]


def deviations():
    """(3, 68, 2): ahead the lips are hardly seen, turned the side that is away from the camera."""
    ahead = np.full((68, 2), 0.002)
    ahead[48:] = 0.04
    left = np.full((68, 2), 0.002)
    away = [*range(9, 17), *range(22, 27), *range(42, 48), *range(51, 56), *range(62, 66)]
    left[away] = 0.05
    return np.stack([mirrored(left), ahead, left])


def biases():
    """(3, 68, 2): turned faces are found shifted to the side, and their brows low."""
    left = np.zeros((68, 2))
    left[:, 0] = 0.03
    left[17:27, 1] = 0.03
    return np.stack([mirrored(left) * (-1.0, 1.0), np.zeros((68, 2)), left])


def noise_of(of, deviation):
    covariance = np.stack([np.diag(one.ravel() ** 2) for one in deviation])
    return YawNoise(LIMITS.astype(np.float32), of, covariance)


def disturbed(landmarks, roll, ranges, rng):
    """Landmarks with the biases and deviations of their ranges, turned as each face is."""
    unit = inter_ocular_distance(landmarks)[:, None, None]
    error = biases()[ranges] + deviations()[ranges] * rng.normal(size=landmarks.shape)
    cos, sin = np.cos(-roll), np.sin(-roll)
    turn = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    return landmarks + unit * np.einsum("nab,nib->nia", turn, error)


@pytest.fixture(scope="module")
def seen(make_subject):
    """A subject who turns far, in frames clear of the limits, and what such a detector sees."""
    subject = make_subject(41, frames=2 * FRAMES, yaw=0.4)
    yaw = true_yaw(subject.pose)
    clear = np.flatnonzero(np.abs(np.abs(yaw) - LIMITS[1]) > np.radians(7.0))[:FRAMES]
    subject = replace(
        subject,
        f_exp=subject.f_exp[clear],
        pose=subject.pose[clear],
        landmarks=subject.landmarks[clear],
    )
    rng = np.random.default_rng(7)
    ranges = np.searchsorted(LIMITS, yaw[clear])
    assert np.bincount(ranges, minlength=3).min() > 15
    return subject, disturbed(subject.landmarks, subject.pose[:, 2], ranges, rng), ranges


def pooled(ranges):
    """What one bias and covariance for all poses make of the same noise."""
    share = np.bincount(ranges, minlength=3) / len(ranges)
    mean = np.einsum("b,bik->ik", share, biases())
    apart = (biases() - mean).reshape(3, -1)
    covariance = np.diag(np.einsum("b,bik->ik", share, deviations() ** 2).ravel())
    return LandmarkNoise(mean, covariance + np.einsum("b,bi,bj->ij", share, apart, apart))


def test_whitening_by_yaw_is_nearer_to_the_truth(model, seen):
    subject, landmarks, ranges = seen
    one = pooled(ranges)
    noise = {"pooled": one, "by yaw": replace(one, by_yaw=noise_of(biases(), deviations()))}
    error = {
        name: np.sqrt(
            np.mean(
                (
                    fit(landmarks, model, camera=CAMERA, noise=each, curves=False).f_exp
                    - subject.f_exp
                )
                ** 2
            )
        )
        for name, each in noise.items()
    }
    assert error["by yaw"] < 0.9 * error["pooled"]


def test_equal_noise_in_all_ranges_is_one_for_all(model, seen):
    _, landmarks, ranges = seen
    one = pooled(ranges)
    ranged = YawNoise(
        LIMITS.astype(np.float32), np.stack([one.bias] * 3), np.stack([one.covariance] * 3)
    )
    results = [
        fit(landmarks[:20], model, camera=CAMERA, noise=noise)
        for noise in (one, replace(one, by_yaw=ranged))
    ]
    np.testing.assert_array_equal(results[0].f_exp, results[1].f_exp)
    np.testing.assert_array_equal(results[0].pose, results[1].pose)


def test_a_frame_is_fitted_alike_wherever_a_clip_is_cut(model, seen):
    subject, landmarks, ranges = seen
    noise = replace(pooled(ranges), by_yaw=noise_of(biases(), deviations()))
    options = FitOptions(noise=noise, regularisation=(1e-4, 1e-4))
    whole, part = (
        fit(some, model, camera=CAMERA, f_shape=subject.f_shape, options=options).f_exp
        for some in (landmarks[:40], landmarks[10:25])
    )
    np.testing.assert_array_equal(whole[10:25], part)


def test_yaw_is_that_of_the_pose(model, make_subject):
    subject = make_subject(42, frames=60, yaw=0.4)
    mean = model.landmarks["anatomical"].on(model.mean)
    camera = CAMERA
    found = yaw_of(normalise(subject.landmarks, np.ones((60, 68)), camera, mean), mean)
    # Without perspective, and of the mean face.
    assert np.median(np.abs(found - true_yaw(subject.pose))) < np.radians(5.0)
    assert np.corrcoef(found, true_yaw(subject.pose))[0, 1] > 0.95


def test_calibration_finds_the_noise_of_each_range(make_subject):
    base = make_subject(43, frames=300, yaw=0.4)
    yaw = np.tile(true_yaw(base.pose), 20)
    truth = np.tile(base.landmarks, (20, 1, 1))
    axis = truth[:, 45] - truth[:, 36]
    roll = np.arctan2(axis[:, 1], axis[:, 0])
    ranges = np.searchsorted(RANGES, yaw)
    detected = disturbed(truth, -roll, ranges, np.random.default_rng(11))
    found = residual_noise(detected, truth, yaw).by_yaw
    count = np.bincount(np.searchsorted(RANGES, np.concatenate([yaw, -yaw])))
    assert count[0] == count[2]
    assert count.min() > 20 * FACES_OF_ALL
    np.testing.assert_allclose(found.limits, RANGES, rtol=1e-6)
    np.testing.assert_allclose(found.bias, biases(), atol=0.005)
    variance = np.stack([np.diag(one).reshape(68, 2) for one in found.covariance])
    for wide in (0.002, 0.04, 0.05):
        where = deviations() == wide
        # Shrinking leaves a little of the other ranges' noise in each.
        np.testing.assert_allclose(np.sqrt(variance[where]), wide, atol=0.1 * wide + 0.009)
    turned = mirrored(variance[2])
    np.testing.assert_allclose(variance[0], turned, rtol=1e-5)


def test_a_range_with_few_faces_leans_to_all(make_subject):
    base = make_subject(44, frames=200, yaw=0.03)
    yaw = true_yaw(base.pose)
    assert np.abs(yaw).max() < RANGES[1]
    rng = np.random.default_rng(3)
    detected = base.landmarks + rng.normal(size=base.landmarks.shape)
    noise = residual_noise(detected, base.landmarks, yaw)
    for end in (0, 2):
        np.testing.assert_array_equal(noise.by_yaw.bias[end], noise.bias)
        np.testing.assert_array_equal(noise.by_yaw.covariance[end], noise.covariance)
    yaw[:4] = 0.5
    detected[:4] += 8.0
    few = residual_noise(detected, base.landmarks, yaw)
    lean = np.abs(few.by_yaw.bias[2] - few.bias).max()
    assert 0 < lean < 0.05 * 8.0 / inter_ocular_distance(base.landmarks).min()


@pytest.mark.parametrize(
    "change",
    [
        {"bias": np.zeros((3, 5, 2))},
        {"covariance": np.stack([np.eye(136)] * 2)},
        {"limits": np.zeros(4)},
    ],
)
def test_arrays_of_other_shapes_are_refused(model, seen, change):
    _, landmarks, ranges = seen
    ranged = replace(noise_of(biases(), deviations()), **change)
    with pytest.raises(UsageError, match="noise: limits, bias and covariance of shapes"):
        fit(landmarks[:3], model, noise=replace(pooled(ranges), by_yaw=ranged))
