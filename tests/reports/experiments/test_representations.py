from types import SimpleNamespace

import numpy as np
import pytest

from glee.errors import DataError
from glee.reports.experiments import figures
from glee.reports.experiments.drawings import (
    figure1_data,
    figure4_data,
    figure5_data,
    telling_centre,
)
from glee.reports.experiments.representations import (
    SPACES,
    Combination,
    average_variance,
    common_combinations,
    nearest_of_others,
    shared_aus,
    standardised,
)
from glee.reports.experiments.rows import EXPERIMENTS, ExperimentData
from glee.reports.experiments.trainings import Recipe

AU_NAMES = ("AU1", "AU2", "AU4")


def test_ave_var_by_hand():
    """Two combinations at -2 and 2, each spread by 1: within 1, in all 5."""
    vectors = np.array([[-3.0], [-1.0], [1.0], [3.0]])
    pairs = [Combination("a", np.array([0, 1])), Combination("b", np.array([2, 3]))]
    assert average_variance(vectors, pairs) == pytest.approx(1 / 5)


def test_ave_var_knows_no_scale_and_no_width():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(40, 3))
    pairs = [Combination("a", np.arange(20)), Combination("b", np.arange(20, 40))]
    wide = np.concatenate([7 * vectors, 7 * vectors], 1)
    assert average_variance(wide, pairs) == pytest.approx(average_variance(vectors, pairs))


def test_combinations_are_the_frequent_ones_of_two_or_more():
    labels = np.array(
        [[1, 1, 0]] * 5 + [[0, 1, 1]] * 3 + [[0, 0, 0]] * 9 + [[1, 0, 0]] * 4 + [[1, 1, -1]] * 6,
        np.int8,
    )
    found = common_combinations(labels, AU_NAMES, count=3, samples=4, seed=0)
    assert [one.name for one in found] == ["AU1+AU2", "AU2+AU4", "AU1"]
    assert len(found[0].samples) == 4
    assert set(found[0].samples) <= set(range(5))
    assert found[1].samples.tolist() == [5, 6, 7]


def test_neighbours_are_other_people_and_nearest_first():
    vectors = np.array([[0.0], [0.1], [1.0], [3.0], [0.5]])
    subject = np.array(["a", "a", "b", "b", "c"])
    clip = np.array(["a/1", "a/2", "b/1", "b/2", "c/1"])
    nearest = nearest_of_others(vectors, subject, clip, 2)
    assert nearest[0].tolist() == [4, 2]
    assert nearest[2].tolist() == [4, 1]
    assert nearest[4].tolist() == [1, 0]


def test_a_clip_gives_one_neighbour():
    """Frames 2 and 3 of one clip are nearest to frame 0; the nearer one stands for both."""
    vectors = np.array([[0.0], [9.0], [1.0], [0.9], [5.0], [-3.0]])
    subject = np.array(["a", "a", "b", "b", "b", "c"])
    clip = np.array(["a/1", "a/1", "b/1", "b/1", "b/2", "c/1"])
    nearest = nearest_of_others(vectors, subject, clip, 5)
    # a has the three clips of the others, b only two: all are cut to two
    assert nearest[0].tolist() == [3, 5]
    assert nearest.shape == (6, 2)


def test_shared_aus_by_hand():
    labels = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, -1, 1]], np.int8)
    # of frame 0: {1, 2} and {1}: a half; of frame 2 and itself: both have none
    assert shared_aus(labels[:1].repeat(4, 0), np.zeros((4, 1), int)) == 1
    pairs = np.array([[1], [0], [2], [0]])
    # frame 3 and 0: the second AU is unknown, {1, 3} and {1} are left: a half
    assert shared_aus(labels, pairs) == pytest.approx((0.5 + 0.5 + 1 + 0.5) / 4)


def spaces_that_know(labels, noise, seed=0):
    """Spaces in which the AUs can be seen, the last one best."""
    random = np.random.default_rng(seed)
    return {
        name: labels + random.normal(0, spread, labels.shape)
        for name, spread in zip(SPACES, noise, strict=True)
    }


def clips_of(subject):
    """Each person's frames in clips of two."""
    return np.array([f"{name}/{number // 12}" for number, name in enumerate(subject)])


def test_better_spaces_have_smaller_ave_var_and_more_alike_neighbours():
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, (90, 3)).astype(np.int8)
    subject = np.array([f"S{i % 6}" for i in range(90)])
    spaces = spaces_that_know(labels, (3.0, 1.0, 0.5, 0.1))
    chosen = common_combinations(labels, AU_NAMES, count=4, samples=20, seed=0)
    variance = list(figure4_data(spaces, chosen, seed=0)["ave_var"].values())
    assert variance == sorted(variance, reverse=True)
    centre = telling_centre(labels, 0)
    assert labels[centre].sum() == 3
    found = figure5_data(spaces, labels, subject, clips_of(subject), centre=centre)
    assert list(found["agreement"].values()) == sorted(found["agreement"].values())
    assert found["agreement"]["GB & LB & 3DGB"] > 0.95
    assert all(subject[place] != subject[centre] for place in found["neighbours"]["GB"])


def test_the_plane_is_the_same_each_time():
    labels = np.random.default_rng(2).integers(0, 2, (40, 3)).astype(np.int8)
    chosen = common_combinations(labels, AU_NAMES, count=3, samples=9, seed=0)
    spaces = spaces_that_know(labels, (1.0, 1.0, 1.0, 1.0))
    assert figure4_data(spaces, chosen, seed=4) == figure4_data(spaces, chosen, seed=4)


def test_standardised_leaves_a_constant_at_zero():
    flat = standardised(np.array([[1.0, 2.0], [3.0, 2.0]]))
    assert flat.tolist() == [[-1.0, 0.0], [1.0, 0.0]]


def test_figure_1_shows_one_face_of_each_combination_and_its_neighbours():
    labels = np.random.default_rng(3).integers(0, 2, (90, 3)).astype(np.int8)
    subject = np.array([f"S{i % 6}" for i in range(90)])
    chosen = common_combinations(labels, AU_NAMES, count=7, samples=20, seed=0)
    found = {
        noise: figure1_data(
            labels + np.random.default_rng(4).normal(0, noise, labels.shape),
            chosen,
            labels,
            subject,
            clips_of(subject),
            seed=5,
        )
        for noise in (0.1, 30.0)
    }
    for data in found.values():
        assert [one["combination"] for one in data["centres"]] == [one.name for one in chosen[:4]]
        for centre, one in zip(data["centres"], chosen, strict=False):
            assert one.samples[centre["sample"]] == centre["frame"]
            others = subject[centre["neighbours"]]
            assert len(others) == 5
            assert subject[centre["frame"]] not in others
        assert {name: len(xy) for name, xy in data["plane"].items()} == data["combinations"]
    # where the AUs can be seen neighbours have them in common; in noise they are as any frame
    assert found[0.1]["agreement"] > 0.95
    assert found[30.0]["agreement"] == pytest.approx(found[30.0]["agreement_of_any"], abs=0.08)
    assert found[0.1]["ave_var"] < found[30.0]["ave_var"]


@pytest.mark.parametrize("name", ["figure1", "figure5"])
def test_one_test_person_has_no_neighbours_of_others(name, monkeypatch, tmp_path):
    one = SimpleNamespace(subject=np.array(["F001"] * 3))
    monkeypatch.setattr(figures, "trained", lambda *given: None)
    monkeypatch.setattr(figures, "first_fold", lambda *given: tmp_path)
    monkeypatch.setattr(figures, "_spaces", lambda *given: (one, np.arange(3), {}))
    data = ExperimentData(tmp_path, "bp4d", True, ("F001",), 1, "mesh")
    recipe = Recipe("compact", 0, True, "cpu", "", "", {})
    with pytest.raises(DataError, match="tests one person"):
        figures.representation_figure(EXPERIMENTS[name], data, None, tmp_path, recipe)
