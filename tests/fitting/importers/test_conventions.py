"""Axes, unit, origin and winding of imported models, against a face turned by the test."""

import numpy as np
import pytest

from glee.errors import DataError
from glee.fitting.importers.import_model import import_model
from glee.fitting.morphable_model.model_file import load_model

Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # y up, z front -> z up, -y front


def write(face, path, turn=None, offset=(0, 0, 0), scale=1.0, flip=False, **changes):
    turn = np.eye(3) if turn is None else turn
    content = {
        "mean": scale * (face.mean @ turn.T + offset),
        "identity": scale * face.identity @ turn.T,
        "expression": scale * face.identity[:1] @ turn.T,
        "expression_names": np.array(["own"]),
        "triangles": face.triangles[:, ::-1] if flip else face.triangles,
        "landmarks": face.landmarks,
    }
    np.savez(path, **(content | changes))
    return path


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0, 100.0, 1e5])
def test_any_axes_origin_winding_and_unit_give_one_model(face, tmp_path, scale):
    path = write(face, tmp_path / "m.npz", Z_UP, (3.0, -2.0, 1.0), scale, flip=True)
    model = import_model("npz", path)
    assert np.abs(model.mean - face.mean).max() < 1e-5
    assert np.abs(model.identity - face.identity).max() < 1e-5
    assert np.abs(model.expression - face.identity[:1]).max() < 1e-5
    a, b, c = (model.mean[model.triangles[:, i]].astype(float) for i in range(3))
    nose = model.mean[: -len(face.landmarks), 2].argmax()
    normals = np.cross(b - a, c - a)[(model.triangles == nose).any(1)]
    assert normals.sum(0)[2] > 0


def test_a_pitched_head_is_set_upright(face, tmp_path):
    pitch = np.radians(8.0)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    )
    model = import_model("npz", write(face, tmp_path / "m.npz", turn))
    assert np.abs(model.mean - face.mean).max() < 1e-5


def test_a_mirrored_face_is_refused(face, tmp_path):
    path = write(face, tmp_path / "m.npz", np.diag([-1.0, 1.0, 1.0]))
    with pytest.raises(DataError, match="mirrored face"):
        import_model("npz", path)


def test_a_face_of_no_unit_is_refused(face, tmp_path):
    with pytest.raises(DataError, match="a person's in none of"):
        import_model("npz", write(face, tmp_path / "m.npz", scale=3.0))


def test_jaw_lines_and_curves_run_through_the_landmarks(face, tmp_path):
    model = import_model("npz", write(face, tmp_path / "m.npz"))
    marks = model.landmarks["anatomical"].on(model.mean)
    lines = model.jaw_candidates.on(model.mean)
    assert lines.shape == (17, 24, 3)
    nearest = np.linalg.norm(lines - marks[:17, None], axis=2).min(1)
    # Samples are a few millimetres apart.
    assert nearest.max() < 0.04
    assert model.curves.keys() == load_model().curves.keys()
    lid = model.curves["left_upper_lid"].on(model.mean)
    for landmark in (42, 43, 44, 45):
        assert np.linalg.norm(lid - marks[landmark], axis=1).min() < 1e-6
    assert lid[0, 0] < lid[-1, 0]


def test_mirror_pairs_are_found(face, tmp_path):
    model = import_model("npz", write(face, tmp_path / "m.npz"))
    away = np.linalg.norm(model.mean[model.mirror] * [-1, 1, 1] - model.mean, axis=1)
    assert np.median(away) < 0.01
    assert (model.mirror[model.mirror] == np.arange(len(model.mean))).mean() > 0.95
