import numpy as np
import pytest

from glee.errors import OutputError, UsageError
from glee.fitting.exporters.export import write_obj
from glee.fitting.morphable_model.model_file import load_model


def parse(path):
    """Vertices, texture points and faces, by OBJ's own grammar."""
    rows = {"v": [], "vt": [], "f": []}
    for line in path.read_text().splitlines():
        kind, *words = line.split()
        if kind in rows:
            rows[kind].append(words)
    faces = np.array([[int(c.split("/")[0]) for c in row] for row in rows["f"]])
    texture = [[int(c.split("/")[1]) for c in row if "/" in c] for row in rows["f"]]
    return np.array(rows["v"], float), np.array(rows["vt"], float), faces, np.array(texture)


@pytest.mark.parametrize("textured", [True, False])
def test_read_back(tmp_path, textured):
    model = load_model()
    mesh = model.shape(None, np.full(51, 0.2))
    write_obj(tmp_path / "a.obj", mesh, model.triangles, model.uv if textured else None)
    vertices, uv, faces, texture = parse(tmp_path / "a.obj")
    assert np.abs(vertices - mesh).max() < 1e-6
    assert (faces - 1 == model.triangles).all()
    if textured:
        assert np.abs(uv - model.uv).max() < 1e-6
        assert (texture == faces).all()


def test_what_cannot_be_written(tmp_path):
    mesh, triangles = np.zeros((3, 3)), np.array([[0, 1, 2]])
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_obj(tmp_path / "file" / "a.obj", mesh, triangles)
    with pytest.raises(UsageError, match="NaN"):
        write_obj(tmp_path / "a.obj", np.full((3, 3), np.nan), triangles)
    with pytest.raises(UsageError, match="outside"):
        write_obj(tmp_path / "a.obj", mesh, triangles + 1)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
