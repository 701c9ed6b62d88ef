"""The second witness: what it adds, where it says nothing, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from glee.errors import DataError, UsageError
from glee.fitting import Camera, Witness, fit, load_model
from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.fitting.options import UNIT_ERROR, FitOptions, expression_prior, priors_of
from glee.fitting.solver.problem import landmark_places
from glee.fitting.witness import (
    OUTPUTS,
    Readings,
    combine,
    fuse,
    rules_share,
    usual_outputs,
    witness_figures,
)
from glee.pipeline.landmarks.mesh.blendshapes import BLENDSHAPES

FRAMES, SIZE = 6, (640, 480)
PUCKER, BLINK = ARKIT_NAMES.index("mouthPucker"), ARKIT_NAMES.index("eyeBlinkLeft")
LOOK = ARKIT_NAMES.index("eyeLookOutLeft")


@pytest.fixture(scope="module")
def model():
    return load_model()


@pytest.fixture(scope="module")
def landmarks(model):
    camera, rng = Camera.for_image(*SIZE), np.random.default_rng(5)
    f_exp = np.zeros((FRAMES, 51))
    f_exp[:, ARKIT_NAMES.index("jawOpen")] = np.linspace(0.0, 0.8, FRAMES)
    pose = np.array([0.0, 0.1, 0.0, 0.0, 0.0, -9.0])
    places = [
        landmark_places(model, model.shape(np.zeros(60), row), pose, "anatomical") for row in f_exp
    ]
    return np.stack([camera.project(one, pose) for one in places]) + rng.normal(
        0, 0.3, (FRAMES, 68, 2)
    )


@pytest.fixture(scope="module")
def how(model):
    return FitOptions(prior=expression_prior(model.expression_names))


def fitted(landmarks, model, how, witness=None, **settings):
    return fit(
        landmarks, model, camera=Camera.for_image(*SIZE), options=how, witness=witness, **settings
    )


def outputs_with(**values):
    outputs = np.full((FRAMES, 52), 0.01)
    for name, value in values.items():
        outputs[:, OUTPUTS.index(name)] = value
    return outputs


def test_outputs_are_those_of_the_network():
    assert OUTPUTS == BLENDSHAPES


def test_a_silent_witness_of_a_person_by_the_rules_changes_nothing(landmarks, model, how):
    alone = fitted(landmarks, model, how)
    silent = Witness(Witness.silent(FRAMES).evidence, rules_share=1.0)
    heard = fitted(landmarks, model, how, silent)
    np.testing.assert_array_equal(heard.f_exp, alone.f_exp)
    np.testing.assert_array_equal(heard.pose, alone.pose)
    np.testing.assert_array_equal(heard.energy, alone.energy)
    assert np.isnan(alone.rules_share).all()
    np.testing.assert_array_equal(heard.rules_share, 1.0)


def test_the_reading_without_rules_is_the_minimum_of_its_energy():
    """Against scipy, on the energy written out: landmarks' squares, exponential and Gaussian."""
    rng, figures = np.random.default_rng(2), witness_figures()
    options = FitOptions(prior=expression_prior(ARKIT_NAMES))
    prior = priors_of(options, 60, 51)[1]
    x = np.clip(rng.normal(0.1, 0.2, (3, 51)), 0.0, 1.0)
    rows = 0.05 * rng.normal(size=(3, 90, 51))
    target = 0.05 * rng.normal(size=(3, 90))
    data = np.einsum("nki,nkj->nij", rows, rows)
    slope = np.einsum("nki,nk->ni", rows, np.einsum("nki,ni->nk", rows, x) - target)
    hessian = np.tril(data + prior.precision + np.diag(prior.weight))
    gradient = slope + (x - prior.mean) @ prior.precision + prior.weight * x
    silent = Witness(Witness.silent(3).evidence, rules_share=0.0)
    found = fuse(x, np.zeros_like(x), hessian, gradient, prior, UNIT_ERROR, silent).expression

    def energy(y, t):
        left = (rows[t] @ y - target[t]) / UNIT_ERROR
        ridge = prior.weight / UNIT_ERROR**2
        value = (
            left @ left + (ridge * y) @ y + 2 * figures.rate * y.sum() + y @ y / figures.spread**2
        )
        slope = 2 * (
            rows[t].T @ left / UNIT_ERROR + ridge * y + figures.rate + y / figures.spread**2
        )
        return value, slope

    for t in range(3):
        wanted = minimize(
            energy,
            x[t],
            (t,),
            "L-BFGS-B",
            True,
            bounds=[(0, 1)] * 51,
            options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 20_000, "maxfun": 100_000},
        )
        np.testing.assert_allclose(found[t], wanted.x, atol=1e-4)


def test_the_network_speaks_where_landmarks_know_little(landmarks, model, how):
    alone = fitted(landmarks, model, how)
    witness = Witness.of(outputs_with(mouthPucker=0.9), np.zeros(52))
    heard = fitted(landmarks, model, how, witness)
    assert (heard.f_exp[:, PUCKER] > alone.f_exp[:, PUCKER] + 0.2).all()
    assert (heard.f_exp >= 0.0).all()
    assert (heard.f_exp <= 1.0).all()
    assert (heard.f_exp_std > 0.0).all()


def test_lids_are_the_mean_of_both_and_looks_the_network_s_own():
    reading = np.full((1, 51), 0.4)
    both = Readings(reading, reading, reading * 0.1, reading * 0.1, np.zeros(1))
    outputs = np.full((1, 52), 0.0)
    outputs[0, [1 + BLINK, 1 + LOOK]] = 0.8, 0.3
    found = combine(both, Witness.of(outputs, np.zeros(52), 1.0), witness_figures()).expression[0]
    assert found[BLINK] == pytest.approx(0.6)
    assert found[LOOK] == pytest.approx(0.3)
    assert found[PUCKER] == pytest.approx(0.4)


def test_frames_without_outputs_or_landmarks(landmarks, model, how):
    outputs = outputs_with(mouthPucker=0.9)
    outputs[2] = np.nan
    missing = landmarks.copy()
    missing[4] = np.nan
    heard = fitted(missing, model, how, Witness.of(outputs, np.zeros(52), 1.0))
    alone = fitted(missing, model, how)
    np.testing.assert_array_equal(heard.f_exp[2], alone.f_exp[2])
    assert np.isnan(heard.f_exp[4]).all()
    assert np.isnan(heard.f_exp_std[4]).all()
    assert np.isfinite(heard.f_exp[[0, 1, 3, 5]]).all()


def test_what_is_usual_for_a_person_is_taken_off():
    outputs = np.tile(np.linspace(0.1, 0.9, 9)[:, None], (1, 52))
    outputs = np.concatenate([outputs, np.full((1, 52), np.nan)])
    np.testing.assert_allclose(usual_outputs(outputs), np.percentile(outputs[:9, 0], 20.0))
    evidence = Witness.of(outputs).evidence
    assert np.isnan(evidence[9]).all()
    assert (evidence[8] > 0.1).all()
    assert (evidence[0] < 0.0).all()
    np.testing.assert_array_equal(usual_outputs(np.full((3, 52), np.nan)), 0.0)


def test_the_share_of_the_rules_follows_the_readings_energies():
    figures = witness_figures()
    assert rules_share(np.full(5, -figures.even), figures) == pytest.approx(0.5)
    assert rules_share(np.full(5, -figures.even - 50.0), figures) > 0.99
    assert rules_share(np.full(5, 50.0), figures) < 0.01
    assert rules_share(np.full(5, np.nan), figures) == 1.0


def test_refused(landmarks, model, how, tmp_path):
    with pytest.raises(UsageError, match=r"outputs: shape \(6, 51\), expected \(n, 52\)"):
        Witness.of(np.zeros((6, 51)))
    with pytest.raises(UsageError, match=r"evidence \(5, 51\), expected \(6, 51\)"):
        fitted(landmarks, model, how, Witness.silent(5))
    with pytest.raises(UsageError, match="needs identity 'subject'"):
        fitted(landmarks, model, how, Witness.silent(6), identity="frame")
    with pytest.raises(DataError, match=r"x\.toml: no figures of the second witness"):
        witness_figures(tmp_path / "x.toml")
    (tmp_path / "y.toml").write_text("[rules]\nrate = 1\n")
    with pytest.raises(DataError, match="estimate_witness"):
        witness_figures(tmp_path / "y.toml")
