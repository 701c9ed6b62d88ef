"""ICT-FaceKit's own files, where a copy lies beside the repository."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from glee.errors import DataError
from glee.fitting.importers.ict_facekit import read_ict_facekit
from glee.fitting.importers.import_model import import_model
from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES, INNER, MIRROR

ARCHIVE = Path(__file__).parents[4] / "shared" / "models" / "ict-facekit-60id.tar.xz"
needs_archive = pytest.mark.skipif(not ARCHIVE.exists(), reason=f"no copy of it: {ARCHIVE}")


@pytest.fixture(scope="module")
def model():
    return import_model("ict-facekit", ARCHIVE, identity_modes=4)


@needs_archive
def test_geometry(model):
    assert model.mean.shape == (24591, 3)
    assert model.identity.shape[0] == 4
    assert model.expression_names == ARKIT_NAMES
    marks = model.landmarks["anatomical"].on(model.mean)
    assert np.linalg.norm(marks[36] - marks[45]) == pytest.approx(0.8918, abs=1e-3)  # its file, cm
    mirrored = marks[MIRROR][:, :] * [-1, 1, 1]
    assert np.abs(mirrored - marks)[list(INNER)].max() < 0.02
    assert marks[30, 2] == marks[:, 2].max(), "the tip of the nose is in front"
    assert marks[8, 1] < marks[57, 1] < marks[30, 1] < marks[27, 1]


@needs_archive
def test_expressions_do_what_their_names_say(model):
    marks = model.landmarks["anatomical"]

    def moved(name):
        return marks.on(model.expression[ARKIT_NAMES.index(name)])

    assert moved("jawOpen")[8, 1] < -0.2, "decimetres down"
    assert moved("browInnerUp")[[21, 22], 1].min() > 0.03, "both sides are summed"
    smile = moved("mouthSmileLeft")
    assert smile[54, 1] > 0.03
    assert abs(smile[48, 1]) < 0.01
    blink = moved("eyeBlinkRight")
    assert blink[37, 1] < -0.03
    assert abs(blink[43, 1]) < 0.005


@needs_archive
def test_jaw_lines_stay_on_the_cheek(model):
    lines = model.jaw_candidates.on(model.mean)
    assert np.isfinite(lines).all()
    assert (lines[:8, :, 0] < 0).all()
    assert (lines[9:, :, 0] > 0).all()
    forwards = lines[:, 0, 2] - lines[:, -1, 2]
    assert forwards.min() > 0.1
    lips = (model.parts == model.part_names.index("lips")).sum()
    assert 500 < lips < 4000


def archive_of(path, members):
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_an_archive_cannot_write_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evil = {"../../FaceXModel/evil.obj": b"v 0 0 0\n", "/FaceXModel/evil.obj": b"v 0 0 0\n"}
    path = archive_of(tmp_path / "evil.tar", evil)
    with pytest.raises(DataError, match=r"has no FaceXModel/generic_neutral_mesh\.obj"):
        read_ict_facekit(path, 1)
    assert [p.name for p in tmp_path.rglob("*")] == ["evil.tar"]
    assert not (tmp_path.parent / "FaceXModel").exists()


def test_what_is_no_facekit_is_named(tmp_path):
    with pytest.raises(DataError, match="ICT-FaceKit's folder"):
        read_ict_facekit(tmp_path, 1)
    (tmp_path / "cut.tar.xz").write_bytes(b"\xfd7zXZ\x00 and no more")
    with pytest.raises(DataError, match=r"cut\.tar\.xz"):
        read_ict_facekit(tmp_path / "cut.tar.xz", 1)
    (tmp_path / "FaceXModel").mkdir()
    (tmp_path / "FaceXModel" / "generic_neutral_mesh.obj").write_text("v 0 0 0\n")
    with pytest.raises(DataError, match="has 1 vertices, expected 26719"):
        read_ict_facekit(tmp_path, 1)
