"""Hidden parts of a face in the fit: truth from a known face whose mouth is drawn wrongly."""

from __future__ import annotations

import numpy as np
import pytest

from glee.errors import UsageError
from glee.fitting import fit
from glee.fitting.camera import Camera
from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.options import FitOptions, expression_prior
from glee.fitting.solver.problem import landmark_places
from glee.fitting.visibility import PARTS, REGIONS, by_region, landmark_weights, seen_share
from glee.fitting.witness import OUTPUTS, Witness

MOUTH = [i for i, name in enumerate(ARKIT_NAMES) if name.startswith(("mouth", "jaw"))]
OTHERS = [i for i in range(51) if i not in MOUTH]
PART = list(PARTS)
CAMERA = Camera.for_image(640, 480)
POSE = np.array([0.05, 0.1, 0.02, 0.0, 0.0, -9.0])


@pytest.fixture(scope="module")
def model():
    return load_model()


@pytest.fixture(scope="module")
def options(model):
    return FitOptions(prior=expression_prior(model.expression_names))


@pytest.fixture(scope="module")
def faces(model):
    """A face with raised brows: as it is, and with a mouth that somebody else drew."""
    f_exp = np.zeros(51)
    f_exp[[ARKIT_NAMES.index(n) for n in ("browInnerUp", "browOuterUpLeft")]] = 0.6, 0.5
    mesh = model.shape(np.zeros(len(model.identity)), f_exp)
    true = CAMERA.project(landmark_places(model, mesh, POSE, "anatomical"), POSE)
    wrong = true.copy()
    middle = true[48:].mean(0)
    wrong[48:] = middle + (true[48:] - middle) * (1.3, 2.5) + (0.0, 6.0)
    return np.stack([true, wrong])


def visibility(**parts):
    seen = np.ones((2, len(PARTS)))
    for part, value in parts.items():
        seen[:, PART.index(part)] = value
    return seen


def fitted(model, faces, options, **more):
    shape = np.zeros(len(model.identity))
    return fit(faces, model, camera=CAMERA, f_shape=shape, options=options, **more)


def prior_std(options):
    return np.sqrt(np.diagonal(options.prior.covariance))


def test_a_hidden_mouth_returns_to_the_priors_mean(model, faces, options):
    seen = fitted(model, faces, options, visibility=visibility())
    hidden = fitted(model, faces, options, visibility=visibility(mouth=0.0))
    mean, std = options.prior.mean[MOUTH], prior_std(options)[MOUTH]
    assert np.abs(seen.f_exp[1, MOUTH] - mean).max() > 0.2
    np.testing.assert_allclose(hidden.f_exp[:, MOUTH], np.clip([mean, mean], 0, 1), atol=1e-5)
    np.testing.assert_allclose(hidden.f_exp_std[:, MOUTH], [std, std], rtol=1e-3)


def test_the_rest_is_as_if_the_mouth_were_right(model, faces, options):
    hidden = fitted(model, faces, options, visibility=visibility(mouth=0.0))
    plain = fitted(model, faces, options)
    right, spoilt = plain.f_exp[0, OTHERS], plain.f_exp[1, OTHERS]
    assert np.abs(hidden.f_exp[1, OTHERS] - right).max() < 0.5 * np.abs(spoilt - right).max()
    np.testing.assert_allclose(hidden.pose[1], plain.pose[0], atol=0.05)


def test_what_is_plainly_seen_stays_bit_for_bit(model, faces, options):
    plain = fitted(model, faces, options)
    for known in (visibility(mouth=0.9), np.full((2, 7), np.nan)):
        seen = fitted(model, faces, options, visibility=known)
        np.testing.assert_array_equal(seen.f_exp, plain.f_exp)
        np.testing.assert_array_equal(seen.f_exp_std, plain.f_exp_std)


def test_a_witness_of_what_is_hidden_is_not_heard(model, faces, options):
    outputs = np.zeros((2, len(OUTPUTS)))
    outputs[1, [OUTPUTS.index(n) for n in ("mouthPucker", "browInnerUp")]] = 0.9
    witness = Witness.of(outputs, usual=np.zeros(len(OUTPUTS)))
    found = {
        value: fitted(model, faces, options, witness=witness, visibility=visibility(mouth=value))
        for value in (0.0, 1.0)
    }
    pucker, brow = ARKIT_NAMES.index("mouthPucker"), ARKIT_NAMES.index("browInnerUp")
    assert found[1.0].f_exp[1, pucker] > 0.4
    assert found[0.0].f_exp[1, pucker] == pytest.approx(options.prior.mean[pucker], abs=1e-5)
    assert found[0.0].f_exp[1, brow] > 0.4


def test_half_hidden_lies_between(model, faces, options):
    found = {
        value: fitted(model, faces, options, visibility=visibility(mouth=value))
        for value in (0.0, 0.65, 1.0)
    }
    away = {
        v: np.abs(f.f_exp[1, MOUTH] - options.prior.mean[MOUTH]).sum() for v, f in found.items()
    }
    assert away[0.0] < away[0.65] < away[1.0]


def test_one_eye_speaks_for_what_moves_both(model, faces, options):
    hidden = fitted(model, faces, options, visibility=visibility(left_brow=0.0))
    plain = fitted(model, faces, options)
    inner, outer = (ARKIT_NAMES.index(n) for n in ("browInnerUp", "browOuterUpLeft"))
    assert hidden.f_exp[0, inner] == pytest.approx(plain.f_exp[0, inner], abs=0.15)
    assert hidden.f_exp[0, outer] == pytest.approx(options.prior.mean[outer], abs=1e-5)


def test_a_face_of_which_nothing_is_seen_has_a_pose_and_no_expression(model, faces, options):
    hidden = fitted(model, faces, options, visibility=np.zeros((2, len(PARTS))))
    plain = fitted(model, faces, options)
    assert hidden.converged.all()
    np.testing.assert_allclose(hidden.pose, plain.pose, atol=0.1)
    mean = np.clip(options.prior.mean, 0, 1)
    np.testing.assert_allclose(hidden.f_exp, [mean, mean], atol=1e-5)


def test_brows_alone_do_not_lay_the_pose(model, faces, options):
    seen = np.zeros((2, len(PARTS)))
    seen[:, :2] = 0.7
    found = fitted(model, faces, options, visibility=seen)
    assert found.converged.all()
    np.testing.assert_allclose(found.pose[0], fitted(model, faces, options).pose[0], atol=0.1)


def test_weights_shares_and_regions():
    seen = visibility(mouth=0.0, left_lids=0.5, right_lids=1.0)
    weights = landmark_weights(seen)
    assert (weights[:, 42:] <= 1e-3).all()
    assert (weights[:, :42] == 1).all()
    nothing = np.zeros((2, len(PARTS)))
    assert (landmark_weights(nothing) == 24 / 68).all()
    share = seen_share(visibility(mouth=0.0))[0]
    assert share == pytest.approx(1 - len([*MOUTH, ARKIT_NAMES.index("cheekPuff")]) / 51)
    regions = dict(zip(REGIONS, by_region(seen)[0], strict=True))
    assert regions == {"lids": 0.5, "brows": 1.0, "nose": 1.0, "mouth": 0.0, "jaw": 1.0}


@pytest.mark.parametrize("wrong", [np.ones((2, 5)), np.ones(7), np.full((2, 7), 1.5)])
def test_other_shapes_and_values_are_refused(model, faces, options, wrong):
    with pytest.raises(UsageError, match="visibility"):
        fitted(model, faces, options, visibility=wrong)
