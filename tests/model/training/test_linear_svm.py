import numpy as np
import pytest

from glee.errors import DataError
from glee.model.data.au_dataset import load_frames
from glee.model.data.folds import choose_split
from glee.model.prediction.evaluation import evaluate
from glee.model.training.linear_svm import (
    coefficient_features,
    landmark_features,
    person_specific_coefficients,
    run_linear_svm,
    svm_predictions,
)


@pytest.fixture(scope="module")
def frames(work):
    return load_frames(work, size=50)


def test_landmarks_are_in_crop_sizes(frames):
    """The transform of the fixture is 0: every landmark lies in the crop's corner."""
    features = landmark_features(frames, np.arange(len(frames)))
    assert features.shape == (len(frames), 136)
    assert not features.any()


def test_finds_aus_in_f_exp_of_people_it_has_not_seen(frames, tmp_path):
    split = choose_split(frames.subjects, frames.dataset)
    run_linear_svm(frames, coefficient_features, split, tmp_path, seed=0)
    results = evaluate(tmp_path).results
    assert results["f1"]["mean"] > 0.9
    assert set(results["subjects"]) == set(frames.subjects)


def test_goes_on_where_it_stopped(frames, tmp_path):
    split = choose_split(frames.subjects, frames.dataset)
    run_linear_svm(frames, person_specific_coefficients, split, tmp_path, seed=0, folds=("2",))
    assert [path.name for path in tmp_path.iterdir()] == ["fold2"]
    before = (tmp_path / "fold2/predictions.npz").stat().st_mtime_ns
    run_linear_svm(frames, person_specific_coefficients, split, tmp_path, seed=0)
    assert (tmp_path / "fold2/predictions.npz").stat().st_mtime_ns == before
    assert len(list(tmp_path.iterdir())) == 3


def test_features_that_are_missing_everywhere(frames):
    features = np.full((len(frames), 3), np.nan, np.float32)
    index = np.arange(len(frames))
    with pytest.raises(DataError, match="run `glee fit3d` first"):
        svm_predictions(frames, features, index[:20], index[20:], seed=0)
