"""Labels held against the movements of coefficients: swapped columns and shifts are found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.pipeline.datasets import disfa as disfa_facts
from glee.pipeline.verification.labels import LabelledClip, label_agreement

FPS = 20.0


def test_labels_in_order_agree(motions):
    found = label_agreement(motions, disfa_facts.AUS, ARKIT_NAMES)
    assert found.aus == disfa_facts.AUS
    assert np.diag(found.r).min() > 0.4
    assert found.moved == {}
    assert abs(found.lag) < 0.2


@pytest.mark.parametrize("threshold", [None, 2])
def test_swapped_columns(motions, threshold):
    """As intensities and as occurrence; by directory order au1 au12 au15 au17 au2 ..."""
    in_folder_order = sorted(range(12), key=lambda column: f"au{disfa_facts.AUS[column]}.txt")
    clips = [replace(clip, labels=clip.labels[:, in_folder_order]) for clip in motions]
    if threshold:
        clips = [replace(clip, labels=np.int8(clip.labels >= threshold)) for clip in clips]
    found = label_agreement(clips, disfa_facts.AUS, ARKIT_NAMES)
    expected = {
        au: disfa_facts.AUS[column]
        for au, column in zip(disfa_facts.AUS, in_folder_order, strict=True)
        if au != disfa_facts.AUS[column]
    }
    assert found.moved.items() <= expected.items()
    assert len(found.moved) >= 8


@pytest.mark.parametrize("shift", [-2, -1, 1, 3])
def test_labels_some_frames_off(motions, shift):
    clips = [replace(clip, labels=np.roll(clip.labels, shift, axis=0)) for clip in motions]
    found = label_agreement(clips, disfa_facts.AUS, ARKIT_NAMES)
    assert found.lag == pytest.approx(shift, abs=0.3)
    assert found.moved == {}


def test_unknown_labels_and_frames_without_fit_do_not_count(motions):
    rng = np.random.default_rng(3)
    clips = []
    for clip in motions:
        labels, f_exp = clip.labels.copy(), clip.f_exp.copy()
        labels[rng.random(labels.shape) < 0.2] = -1
        f_exp[rng.random(len(f_exp)) < 0.2] = np.nan
        clips.append(replace(clip, labels=labels, f_exp=f_exp))
    found = label_agreement(clips, disfa_facts.AUS, ARKIT_NAMES)
    whole = label_agreement(motions, disfa_facts.AUS, ARKIT_NAMES)
    np.testing.assert_allclose(np.diag(found.r), np.diag(whole.r), atol=0.1)
    assert abs(found.lag) < 0.3


def test_nothing_that_moves_is_nothing_to_compare():
    still = LabelledClip(
        np.arange(100), np.zeros((100, 12), np.int8), np.zeros((100, 51), np.float32)
    )
    found = label_agreement([still], disfa_facts.AUS, ARKIT_NAMES)
    assert (found.aus, found.moved, found.lag) == ((), {}, None)
