"""f_exp relative to the person: bias of a person vanishes, few frames change little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glee.model.data.au_dataset import load_frames
from glee.model.data.person_specific import PRIOR_FRAMES, common_reference, relative_to_person


@pytest.fixture
def frames(work):
    """Six persons of 23 frames, each with a bias of its own, who move in every fourth frame."""
    frames = load_frames(work, size=100)
    bias = {subject: index + 1.0 for index, subject in enumerate(frames.subjects)}
    f_exp = np.array([bias[str(name)] for name in frames.subject], np.float32)[:, None]
    moved = 0.5 * (np.arange(len(frames)) % 4 == 0)[:, None]
    return replace(frames, f_exp=np.tile(f_exp + moved, 51).astype(np.float32))


def test_reference_is_the_mean_of_the_persons_medians(frames):
    assert common_reference(frames, np.arange(len(frames))) == pytest.approx(np.full(51, 3.5))
    two = frames.of_subjects(frames.subjects[:2])
    assert common_reference(frames, two) == pytest.approx(np.full(51, 1.5))


def test_bias_shrinks_by_the_share_of_the_persons_frames(frames):
    relative = relative_to_person(frames, np.full(51, 3.5, np.float32))
    first = frames.of_subjects(frames.subjects[:1])
    left = 1 - 23 / (23 + PRIOR_FRAMES)
    assert np.median(relative.f_exp[first], 0) == pytest.approx(np.full(51, left * (1 - 3.5)))
    moved = frames.f_exp[first] - 1
    assert relative.f_exp[first] - np.median(relative.f_exp[first], 0) == pytest.approx(
        moved, abs=1e-5
    )


def test_frames_without_a_fit_stay_unknown(frames):
    f_exp = frames.f_exp.copy()
    f_exp[:23] = np.nan
    f_exp[30] = np.nan
    broken = replace(frames, f_exp=f_exp)
    relative = relative_to_person(broken, common_reference(broken, np.arange(len(broken))))
    assert np.isnan(relative.f_exp[:23]).all()
    assert np.isfinite(np.delete(relative.f_exp[23:], 7, 0)).all()
    nothing = replace(frames, f_exp=np.full_like(f_exp, np.nan))
    assert (common_reference(nothing, np.arange(9)) == 0).all()
