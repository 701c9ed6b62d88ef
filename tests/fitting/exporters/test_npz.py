import numpy as np
import pytest

from glee.errors import UsageError
from glee.fitting.exporters.export import write_mesh_npz, write_model_npz
from glee.fitting.importers.import_model import import_model
from glee.fitting.morphable_model.model_file import load_model


def test_a_model_comes_back_through_the_importer(tmp_path):
    model = load_model()
    write_model_npz(tmp_path / "model.npz", model)
    again = import_model("npz", tmp_path / "model.npz")
    for name in ("mean", "identity", "expression"):
        assert np.abs(getattr(again, name) - getattr(model, name)).max() < 1e-5, name
    for name in ("triangles", "mirror", "parts"):
        assert (getattr(again, name) == getattr(model, name)).all(), name
    assert again.part_names == model.part_names
    assert again.expression_names == model.expression_names
    both = [m.landmarks["anatomical"].on(m.mean) for m in (model, again)]
    assert np.abs(both[0] - both[1]).max() < 1e-5


def test_bytes_depend_on_the_content_alone(tmp_path):
    for name in ("a.npz", "b.npz"):
        write_model_npz(tmp_path / name, load_model())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_meshes(tmp_path):
    triangles = np.array([[0, 1, 2]])
    meshes = np.random.default_rng(0).normal(size=(4, 3, 3))
    meshes[0] = np.nan
    write_mesh_npz(tmp_path / "m.npz", meshes, triangles)
    with np.load(tmp_path / "m.npz", allow_pickle=False) as file:
        assert np.allclose(file["mesh"], meshes, equal_nan=True)
        assert str(file["unit"]) == "dm"
    with pytest.raises(UsageError):
        write_mesh_npz(tmp_path / "m.npz", meshes, triangles + 1)


def test_unknown_landmark_set(tmp_path):
    with pytest.raises(UsageError, match="anatomical"):
        write_model_npz(tmp_path / "m.npz", load_model(), landmark_set="none")
