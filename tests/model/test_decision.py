from dataclasses import replace

import numpy as np
import pytest
import torch

from glee.errors import DataError, OptionsError
from glee.model.checkpoint import load_checkpoint
from glee.model.data.au_dataset import load_frames
from glee.model.data.person_specific import relative_to_person
from glee.model.decision import Decision, learn_decision
from glee.model.options import train_options
from glee.model.prediction.evaluation import confusion, f1_score
from glee.model.prediction.predict import predict
from glee.model.prediction.predictions import Predictions, load_predictions, predict_frames
from glee.model.temporal_head import TemporalHead
from glee.model.training.losses import occurrence_ratio
from glee.model.training.training import train
from glee.model.validation_subjects import hold_back


def predictions(probability, labels, clip="SN001/clip"):
    count = len(probability)
    return Predictions(
        au_names=np.array([f"AU{i + 1}" for i in range(probability.shape[1])]),
        shard=np.array([f"{clip}/000000.h5"] * count),
        row=np.arange(count),
        subject=np.array(["SN001"] * count),
        frame_id=np.arange(count),
        labels=labels,
        probability=probability.astype(np.float32),
    )


def made_up(seed):
    random = np.random.default_rng(seed)
    labels = (random.random((120, 2)) < 0.3).astype(np.int8)
    return predictions(0.25 * labels + 0.3 * random.random((120, 2)), labels)


def mean_f1(found):
    columns = range(found.labels.shape[1])
    return np.mean(
        [f1_score(confusion(found.probability[:, i] > 0.5, found.labels[:, i])) for i in columns]
    )


def test_calibration_raises_f1_on_other_frames():
    decision = learn_decision(made_up(0), torch.ones(2) * 0.3, reach=0, calibrate=True)
    other = made_up(1)
    assert mean_f1(decision(other)) > mean_f1(other) + 0.2


def test_goes_through_a_checkpoint():
    head = TemporalHead(torch.rand(3, 2).double(), torch.rand(2).double())
    decision = Decision(head, np.array([0.3, 0.6]))
    again = Decision.of_tensors(decision.tensors())
    found = made_up(2)
    assert np.array_equal(decision(found).probability, again(found).probability)
    assert Decision.of_tensors({})(found) is not None
    assert np.array_equal(Decision()(found).probability, found.probability)


def test_thresholds_follow_from_validation_subjects_alone(work, tiny, tmp_path):
    options = train_options(
        "compact", epochs=1, batch=16, validation=0.4, calibrate=True, temporal=1, seed=3
    )
    train(work, tmp_path / "run", options, fold="1", device="cpu")
    checkpoint = load_checkpoint(tmp_path / "run/fold1/checkpoint.pt")
    frames = relative_to_person(load_frames(work, size=50), checkpoint.reference.numpy())
    trained, kept = hold_back(
        frames, frames.of_subjects(checkpoint.train_subjects), share=0.4, seed=3, fold="1"
    )
    people = set(frames.subject[kept])
    assert len(people) == 2
    assert people.isdisjoint(set(frames.subject[trained]) | set(checkpoint.test_subjects))
    seen = predict_frames(checkpoint.network(), frames, kept, image_size=44)
    ratio = torch.from_numpy(occurrence_ratio(frames.labels[trained]))
    expected = learn_decision(seen, ratio, reach=1, calibrate=True)
    assert np.array_equal(checkpoint.decision["thresholds"], expected.thresholds)
    assert torch.equal(checkpoint.decision["kernel"], expected.head.kernel)


def test_prediction_decides_as_training_did(work, tiny, tmp_path):
    options = train_options(
        "compact", epochs=1, batch=16, validation=0.4, calibrate=True, temporal=2
    )
    train(work, tmp_path, options, fold="1", device="cpu")
    own = load_predictions(tmp_path / "fold1/predictions.npz")
    first = own.probability.copy()
    frames = load_frames(work, size=50)
    tested = predict(tmp_path, work)["1"]
    assert np.array_equal(tested.probability, first)
    train(work, tmp_path, options, fold="1", device="cpu")  # trained already: the same again
    again = load_predictions(tmp_path / "fold1/predictions.npz")
    assert np.array_equal(again.probability, first)
    assert len(frames.of_subjects({"SN001", "SN002"})) == len(first)


def test_calibration_needs_validation_subjects():
    with pytest.raises(OptionsError, match="kept back from training"):
        train_options("compact", calibrate=True)
    with pytest.raises(OptionsError, match="validation below 1"):
        train_options("compact", validation=1.5)


def test_one_subject_cannot_be_parted(work):
    frames = load_frames(work, size=50)
    with pytest.raises(DataError, match="validation needs 2"):
        hold_back(frames, frames.of_subjects({"SN001"}), share=0.5, seed=0, fold="1")


def test_unknown_labels_choose_no_threshold():
    found = made_up(4)
    blind = replace(found, labels=np.full_like(found.labels, -1))
    decision = learn_decision(blind, torch.ones(2), reach=0, calibrate=True)
    assert decision.thresholds.tolist() == [0.5, 0.5]
