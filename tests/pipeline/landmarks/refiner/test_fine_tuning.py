"""The refiner of photographs: it learns, holds on other faces, and knows how sure it is."""

from __future__ import annotations

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from glee.cli import run
from glee.errors import DataError, OptionsError, OutputError, UsageError, WeightsError
from glee.fitting.morphable_model.landmark_scheme import nme
from glee.fitting.morphable_model.model_file import load_model
from glee.pipeline.fit3d import fit3d
from glee.pipeline.landmarks.backends import (
    BackendSettings,
    load_detector,
    refined_name,
    stated_detector,
)
from glee.pipeline.landmarks.detector import calibrated_name, landmark_definition
from glee.pipeline.landmarks.refiner import annotated_looks, renders
from glee.pipeline.landmarks.refiner.fine_tuning import folds, train_on_photographs
from glee.pipeline.landmarks.refiner.photograph_refiner import read_head, write_head
from glee.pipeline.landmarks.refiner.weights import WEIGHTS_PATH
from glee.pipeline.options import PreprocessOptions, detector_noise
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import list_shards, read_shard


@pytest.fixture(scope="module")
def strangers():
    """Renders of people that the training did not see, with the truth."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(renders, "PEOPLE", 2)
        patch.setattr(renders, "PER_PERSON", 4)
        return list(renders._faces(load_model(), 78, 0))


def test_it_tells_by_how_much_it_helps(trained):
    assert trained.photographs == 24
    assert not trained.missed
    # The renders' truth is the model's points, not iBUG's: most of that difference can be learnt.
    assert trained.after["inner 51"] < 0.7 * trained.before["inner 51"]
    text = "\n".join(trained.lines())
    assert f"inner 51: {trained.before['inner 51']:.2f} before" in text
    assert f"--detector mesh+refiner:{trained.path}" in text


def test_it_holds_on_other_faces_and_knows_how_sure_it_is(trained, strangers):
    plain, refined = load_detector("mesh"), load_detector(f"mesh+refiner:{trained.path}")
    errors, squares = [], []
    for picture, truth in strangers:
        first, _ = plain.landmarks(picture, plain.box_of(truth.astype(np.float32)))
        points, covariances = refined._refiner.refine([picture], first[None])
        errors.append([nme(one[None], truth[None]) for one in (first, points[0])])
        miss = truth - points[0]
        inverse = np.linalg.inv(covariances[0].astype(float))
        squares.append(np.einsum("ka,kab,kb->k", miss, inverse, miss))
    before, after = np.mean(errors, 0)
    assert after < 0.75 * before
    # 90 % of errors lie within the ellipse that holds 90 % of a Gaussian's.
    inside = float((np.array(squares) < 4.605).mean())
    assert 0.75 < inside < 0.99


def test_a_mirrored_picture_gives_mirrored_landmarks(trained, strangers):
    picture, truth = strangers[0]
    refiner = load_detector(f"mesh+refiner:{trained.path}")._refiner
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    other = truth.copy()
    other[:, 0] = picture.shape[1] - 1 - other[:, 0]
    order = annotated_looks.mirrored_back(np.arange(136.0).reshape(68, 2))[:, 1].astype(int) // 2
    one, _ = refiner.refine([picture], truth[None])
    two, _ = refiner.refine([mirrored], other[order][None])
    back = two[0][order]
    back[:, 0] = picture.shape[1] - 1 - back[:, 0]
    # Both crops have the face's middle on a pixel's corner, so that they are not quite the same.
    apart = np.linalg.norm(one[0] - back, axis=1)
    assert apart.mean() < 0.6
    assert apart.max() < 3.0


def test_where_there_is_no_face_to_look_at_it_is_nan(trained):
    refiner = load_detector(f"mesh+refiner:{trained.path}")._refiner
    nothing = np.stack([np.full((68, 2), np.nan), np.zeros((68, 2))])
    points, covariances = refiner.refine([np.zeros((50, 60, 3), np.uint8)] * 2, nothing)
    assert np.isnan(points).all()
    assert np.isnan(covariances).all()


def test_the_same_seed_gives_the_same_file(trained, annotated, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(annotated_looks, "MOST_LOOKS", 2)
        again = train_on_photographs(annotated, tmp_path / "a.npz", seed=3)
    assert again.path.read_bytes() == trained.path.read_bytes()


def test_the_file_states_what_it_is(trained):
    _, stated = read_head(trained.path)
    assert stated["landmark_definition"] == "ibug68"
    assert stated["photographs"] == 24
    assert stated["digest"] == trained.digest
    assert stated["glee"]


def test_names_state_the_digest_and_mean_ibugs_points(trained):
    given = f"mesh+refiner:{trained.path}"
    name, settings = stated_detector(given, BackendSettings())
    assert name == f"mesh+refiner:{trained.digest}"
    assert load_detector(name, settings).name == load_detector(given).name == name
    assert load_detector(given).version.endswith(f"+{trained.digest}")
    assert landmark_definition(name) == "ibug68"
    assert calibrated_name(name, ("mesh", "dlib")) == "mesh"
    model = load_model()
    assert detector_noise(model, name) is model.noise["mesh"]
    assert refined_name(given, True) == refined_name(given, None) == given
    assert refined_name(given, False) == "mesh"


def test_a_file_that_was_changed_during_a_run_is_refused(trained, tmp_path):
    other = shutil.copy(trained.path, tmp_path / "other.npz")
    with pytest.raises(WeightsError, match="begin anew"):
        load_detector("mesh+refiner:00000000", BackendSettings(refiner=str(other)))


def test_shards_name_the_weights_and_others_are_refused(trained, synthetic_disfa, tmp_path):
    def make(file):
        options = PreprocessOptions(detector=f"mesh+refiner:{file}")
        preprocess("disfa", synthetic_disfa, tmp_path, options=options, workers=1, progress=False)

    make(trained.path)
    for path in list_shards(tmp_path):
        header = read_shard(path).header
        assert header.detector.startswith(f"mesh+refiner:{trained.digest} ")
        assert header.detector.endswith(f"+{trained.digest}")
        assert header.options["detector"] == f"mesh+refiner:{trained.digest}"
        assert header.landmark_definition == "ibug68"
        assert read_shard(path).frames.valid.mean() > 0.9
    assert str(trained.path.parent) not in (tmp_path / "glee.toml").read_text()
    fit3d(tmp_path, workers=1, progress=False)
    assert all(read_shard(path).fit.converged.mean() > 0.9 for path in list_shards(tmp_path))
    head, source = read_head(trained.path)
    other = tmp_path / "other.npz"
    digest = write_head(other, replace(head, shift=head.shift + np.float32(0.001)), source)
    with pytest.raises(OptionsError, match=digest):
        make(other)
    make(shutil.copy(trained.path, tmp_path / "elsewhere.npz"))


def changed(path, target, **arrays):
    with np.load(path) as file:
        content = {**{name: file[name] for name in file.files}, **arrays}
    np.savez(target, **{name: array for name, array in content.items() if array is not None})


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"near": np.zeros((68, 2, 7), np.float32)}, r"near is \(68, 2, 7\) float32"),
        ({"shift": None}, "shift is missing"),
        ({"more": np.zeros(3)}, "more is unknown"),
        ({"shift": np.full((68, 2), np.nan, np.float32)}, "shift is not finite"),
        ({"shift": np.zeros((68, 2), np.float32)}, "not what its digest says"),
        ({"kind": None}, "is no file of a refiner"),
        ({"source": np.array("[1]")}, "is no file of a refiner"),
        ({"format": np.int64(99)}, "of format 99"),
        ({"shift": np.array([{}], object)}, "cannot be read"),
    ],
)
def test_files_of_other_content_are_named(trained, tmp_path, arrays, what):
    path = tmp_path / "changed.npz"
    changed(trained.path, path, **arrays)
    with pytest.raises(WeightsError, match=what) as told:
        load_detector(f"mesh+refiner:{path}")
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 no zip", b"\x93NUMPY", b"words\n"])
def test_files_that_are_none_are_named(tmp_path, content):
    path = tmp_path / "none.npz"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read"):
        load_detector(f"mesh+refiner:{path}")


def test_cut_missing_and_foreign_files_are_named(trained, tmp_path):
    cut = tmp_path / "cut.npz"
    cut.write_bytes(trained.path.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_detector(f"mesh+refiner:{cut}")
    with pytest.raises(WeightsError, match="no such file"):
        load_detector(f"mesh+refiner:{tmp_path / 'nowhere.npz'}")
    with pytest.raises(WeightsError, match="trained on renders"):
        load_detector(f"mesh+refiner:{WEIGHTS_PATH}")
    with pytest.raises(UsageError, match="are for mesh"):
        load_detector(f"dlib+refiner:{trained.path}")
    with pytest.raises(UsageError, match="names no file"):
        load_detector("mesh+refiner:")


def test_too_few_photographs_are_refused(annotated, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(annotated.glob("*.*")):
        shutil.copy(path, few)
    with pytest.raises(DataError, match="12 photographs can be learnt from, and fewer than 20"):
        train_on_photographs(few, tmp_path / "a.npz")
    assert not (tmp_path / "a.npz").exists()


def test_photographs_without_a_face_are_named_and_an_error_where_none_is_left(tmp_path, annotated):
    for path in sorted(annotated.glob("*.pts"))[:3]:
        shutil.copy(path, tmp_path)
        cv2.imwrite(str(tmp_path / f"{path.stem}.png"), np.full((320, 320, 3), 90, np.uint8))
    names = sorted(path.stem for path in tmp_path.glob("*.pts"))
    with pytest.raises(DataError, match=f"0 photographs.*no face is found.*{names[0]}"):
        train_on_photographs(tmp_path, tmp_path / "a.npz")


def test_the_command_says_one_line_and_writes_nothing(annotated, tmp_path, capsys):
    target = tmp_path / "nowhere" / "a.npz"
    assert run(["train-landmarks", "--photos", str(annotated), "-o", str(target)]) == 1
    told = capsys.readouterr().err.strip()
    assert "there is no folder" in told
    assert "\n" not in told
    with pytest.raises(OutputError, match="is a folder"):
        train_on_photographs(annotated, tmp_path)
    words = ["train-landmarks", "--photos", str(annotated), "-o", str(tmp_path / "a.npz")]
    assert run([*words, "--steps", "3"]) == 2
    assert "--steps is of renders" in capsys.readouterr().err
    assert run([*words, "--seed", "-1"]) == 2
    assert not list(tmp_path.iterdir())


def test_faces_of_one_picture_are_held_out_together():
    names = tuple(f"{picture}_{face}" for picture in range(10, 60) for face in (1, 2))
    part = folds(names, 0).reshape(-1, 2)
    assert (part[:, 0] == part[:, 1]).all()
    assert set(part.ravel()) == {0, 1, 2, 3, 4}
