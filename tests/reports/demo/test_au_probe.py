import numpy as np
import pytest

from glee.reports.demo.stage_losses import probe_f1

SUBJECTS = np.repeat(["A", "B", "C"], 80)
FOLDS = (("A",), ("B",), ("C",))


def test_what_the_features_say_is_found_on_unseen_subjects():
    rng = np.random.default_rng(0)
    features = rng.random((240, 6))
    labels = np.stack([features[:, 0] > 0.6, features[:, 1] + features[:, 2] > 1.3], axis=1)
    f1 = probe_f1(features, labels.astype(np.int8), SUBJECTS, FOLDS)
    assert (f1 > 0.9).all()


def test_what_holds_for_single_subjects_only_is_not_found():
    """The label follows one feature in A and B, its opposite in C: C cannot be predicted."""
    rng = np.random.default_rng(1)
    features = rng.random((240, 3))
    labels = features[:, 0] > 0.5
    labels[SUBJECTS == "C"] ^= True
    f1 = probe_f1(features, labels[:, None].astype(np.int8), SUBJECTS, (("C",),))
    assert f1[0] < 0.2


def test_unknown_labels_are_left_out():
    rng = np.random.default_rng(2)
    features = rng.random((240, 3))
    labels = (features[:, 0] > 0.5).astype(np.int8)[:, None]
    hidden = labels.copy()
    hidden[::3] = -1
    wrong = labels.copy()
    wrong[::3] = 1 - labels[::3]
    known = probe_f1(features, hidden, SUBJECTS, FOLDS)
    assert known[0] > 0.9
    assert probe_f1(features, wrong, SUBJECTS, FOLDS)[0] < known[0]


def test_an_action_unit_that_never_occurs_has_no_f1():
    features = np.random.default_rng(3).random((240, 3))
    f1 = probe_f1(features, np.zeros((240, 1), np.int8), SUBJECTS, FOLDS)
    assert np.isnan(f1[0])


def test_rare_and_frequent_frames_weigh_the_same():
    """Half of what stands out is present: balanced, all of it counts as present."""
    features = np.zeros((240, 1))
    features[::6] = 1.0
    labels = np.zeros((240, 1), np.int8)
    labels[::12] = 1
    f1 = probe_f1(features, labels, SUBJECTS, FOLDS)
    assert f1[0] == pytest.approx(2 * 20 / (20 + 40))
