"""LSFM, BFM 2009, BFM 2017 and FLAME from files written in their documented formats."""

import io
import zipfile

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from glee.errors import DataError, UsageError
from glee.fitting.importers.import_model import import_model
from glee.fitting.morphable_model.model_file import load_model


def lsfm(face, path, scale=100.0, **changes):
    """`.mat` as LSFM's MODELS.md describes it; `scale` millimetres a decimetre."""
    content = {
        "mean": scale * face.mean.reshape(-1),
        "components": face.components,
        "eigenvalues": (scale * face.deviations) ** 2,
        "trilist": face.triangles,
        "n_training_samples": 8402,
    }
    savemat(path, content | changes)
    return path


def bfm2009(face, path, **changes):
    """`01_MorphableModel.mat`: columns, standard deviations, triangles from 1, micrometres."""
    content = {
        "shapeMU": 1e5 * face.mean.reshape(-1, 1).astype(np.float32),
        "shapePC": face.components.astype(np.float32),
        "shapeEV": 1e5 * face.deviations[:, None].astype(np.float32),
        "tl": (face.triangles + 1).astype(np.float64),
    }
    savemat(path, content | changes)
    return path


def bfm2017(face, path, expressions=2):
    """statismo's HDF5, millimetres, cells (3, m)."""
    rng = np.random.default_rng(7)
    with h5py.File(path, "w") as file:
        file["shape/model/mean"] = 100 * face.mean.reshape(-1)
        file["shape/model/pcaBasis"] = face.components
        file["shape/model/pcaVariance"] = (100 * face.deviations) ** 2
        file["shape/representer/cells"] = face.triangles.T
        file["expression/model/mean"] = np.zeros(3 * len(face.mean))
        file["expression/model/pcaBasis"] = face.components[:, :expressions]
        file["expression/model/pcaVariance"] = rng.uniform(1.0, 4.0, expressions)
    return path


def check_geometry(model, face):
    """The model is the small face again: same vertices, modes of one standard deviation."""
    assert np.abs(model.mean - face.mean).max() < 1e-5
    assert np.abs(model.identity - face.identity).max() < 1e-5
    assert (model.triangles == face.triangles).all()
    marks = model.landmarks["anatomical"].on(model.mean)
    assert np.abs(marks - face.mean[face.landmarks]).max() < 1e-5


def test_lsfm_with_blendshapes(face, tmp_path, landmark_file, blendshape_file, scaled_blendshapes):
    shapes = scaled_blendshapes(tmp_path / "mm.npz", blendshape_file, 100.0)
    path = lsfm(face, tmp_path / "all_all_all.mat")
    model = import_model("lsfm", path, landmarks=landmark_file, blendshapes=shapes)
    check_geometry(model, face)
    with np.load(blendshape_file) as truth:
        index = model.expression_names.index("jawOpen")
        assert np.abs(model.expression[index] - truth["jawOpen"]).max() < 1e-3


def test_identity_modes_are_limited(face, tmp_path, landmark_file, blendshape_file):
    path = lsfm(face, tmp_path / "m.mat", scale=1.0)
    options = {"landmarks": landmark_file, "blendshapes": blendshape_file}
    model = import_model("lsfm", path, identity_modes=2, **options)
    assert model.identity.shape == (2, len(face.mean), 3)


def test_bfm2009(face, tmp_path, landmark_file, blendshape_file, scaled_blendshapes):
    shapes = scaled_blendshapes(tmp_path / "um.npz", blendshape_file, 1e5)
    path = bfm2009(face, tmp_path / "01_MorphableModel.mat")
    check_geometry(import_model("bfm2009", path, landmarks=landmark_file, blendshapes=shapes), face)


def test_bfm2017_keeps_its_own_expressions(face, tmp_path, landmark_file):
    path = bfm2017(face, tmp_path / "model2017.h5")
    model = import_model("bfm2017", path, landmarks=landmark_file)
    check_geometry(model, face)
    assert model.expression_names == ("bfm-expression-000", "bfm-expression-001")
    deviation = np.linalg.norm(model.expression[1]) * 100
    with h5py.File(path) as file:
        assert deviation == pytest.approx(
            np.sqrt(file["expression/model/pcaVariance"][1]), rel=1e-3
        )


def flame(face, path, **changes):
    directions = np.zeros((len(face.mean), 3, 302))
    directions[..., :3] = 0.1 * face.identity.transpose(1, 2, 0)
    directions[..., 300:] = 0.1 * face.identity[:2].transpose(1, 2, 0)
    content = {"v_template": 0.1 * face.mean, "shapedirs": directions, "f": face.triangles}
    np.savez(path, **(content | changes))
    return path


def test_flame_in_metres(face, tmp_path, landmark_file):
    model = import_model(
        "flame", flame(face, tmp_path / "flame2020.npz"), landmarks=landmark_file, identity_modes=3
    )
    check_geometry(model, face)
    assert model.expression_names == ("flame-expression-000", "flame-expression-001")
    assert np.abs(model.expression[1] - face.identity[1]).max() < 1e-3


def test_flame_pickle_is_refused_unread(tmp_path):
    path = tmp_path / "generic_model.pkl"
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
    with pytest.raises(DataError, match="never loaded.*npz"):
        import_model("flame", path)
    assert not (tmp_path / "ran").exists()


def test_object_arrays_are_refused(face, tmp_path, landmark_file):
    path = flame(face, tmp_path / "objects.npz", v_template=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="pickled objects"):
        import_model("flame", path, landmarks=landmark_file)


def test_hdf5_links_out_of_the_file_are_not_followed(face, tmp_path, landmark_file):
    bfm2017(face, tmp_path / "whole.h5")
    with h5py.File(tmp_path / "linked.h5", "w") as file:
        file["shape"] = h5py.ExternalLink(str(tmp_path / "whole.h5"), "/shape")
    with pytest.raises(DataError, match="never followed"):
        import_model("bfm2017", tmp_path / "linked.h5", landmarks=landmark_file)


def test_hdf5_external_storage_is_not_read(tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.arange(9.0).tobytes())
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset(
            "shape/model/pcaBasis", (9,), "f8", external=[(str(secret), 0, h5py.h5f.UNLIMITED)]
        )
    with pytest.raises(DataError, match="other files"):
        import_model("bfm2017", tmp_path / "m.h5")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean": np.zeros(7)}, "mean has 7 values"),
        ({"components": np.zeros((9, 3))}, "components have shape"),
        ({"eigenvalues": np.array([1.0, -2.0, 1.0])}, "negative eigenvalue"),
        ({"trilist": np.array([[0, 1, 999999]])}, "different topologies"),
        ({"trilist": np.zeros((5, 4), int)}, "triangles have shape"),
        ({"eigenvalues": np.array([1.0, np.nan, 1.0])}, "NaN"),
        ({"mean": np.array(["text"])}, "not numbers"),
    ],
)
def test_what_does_not_fit_is_named(face, tmp_path, landmark_file, changes, message):
    path = lsfm(face, tmp_path / "bad.mat", **changes)
    with pytest.raises(DataError, match=message) as caught:
        import_model("lsfm", path, landmarks=landmark_file)
    assert "bad.mat" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_array_and_cut_file(face, tmp_path):
    savemat(tmp_path / "less.mat", {"mean": np.zeros(6)})
    with pytest.raises(DataError, match="no array 'components'"):
        import_model("lsfm", tmp_path / "less.mat")
    whole = lsfm(face, tmp_path / "whole.mat").read_bytes()
    (tmp_path / "cut.mat").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut\.mat"):
        import_model("lsfm", tmp_path / "cut.mat")
    (tmp_path / "noise.mat").write_bytes(bytes(range(256)) * 4)
    with pytest.raises(DataError, match=r"noise\.mat"):
        import_model("lsfm", tmp_path / "noise.mat")


def test_the_unit_is_checked_and_can_be_given(face, tmp_path, landmark_file, blendshape_file):
    path = bfm2009(face, tmp_path / "mm.mat", shapeMU=100 * face.mean.reshape(-1, 1))
    options = {"landmarks": landmark_file, "blendshapes": blendshape_file}
    with pytest.raises(DataError, match="read in um, the outer eye corners.*another unit"):
        import_model("bfm2009", path, **options)
    assert import_model("bfm2009", path, unit="mm", **options).mean.std() == pytest.approx(
        face.mean.std(), rel=0.01
    )
    with pytest.raises(DataError, match="unit 'feet' is not known"):
        import_model("bfm2009", path, unit="feet", **options)


def test_without_landmarks_or_expressions(face, tmp_path, landmark_file):
    path = lsfm(face, tmp_path / "m.mat")
    with pytest.raises(DataError, match="no landmarks"):
        import_model("lsfm", path)
    with pytest.raises(DataError, match="no expressions"):
        import_model("lsfm", path, landmarks=landmark_file)


def test_unknown_format_and_path(tmp_path):
    with pytest.raises(UsageError, match="format 'sfm' is not known"):
        import_model("sfm", tmp_path)
    with pytest.raises(DataError, match="no such file"):
        import_model("lsfm", tmp_path / "missing.mat")


def test_lsfm_with_the_embedded_expressions_on_request(face, tmp_path, landmark_file):
    path = lsfm(face, tmp_path / "m.mat")
    model = import_model("lsfm", path, landmarks=landmark_file, register=True)
    truth = load_model()
    assert model.expression_names == truth.expression_names
    for name, landmark in (("jawOpen", 8), ("mouthSmileLeft", 54), ("browInnerUp", 21)):
        index = truth.expression_names.index(name)
        true = truth.landmarks["anatomical"].on(truth.expression[index])[landmark]
        found = model.landmarks["anatomical"].on(model.expression[index])[landmark]
        assert np.linalg.norm(found - true) < 0.1 * np.linalg.norm(true), name
    with pytest.raises(DataError, match="needs the model's unit"):
        import_model("lsfm", path, register=True)


def test_a_size_is_checked_before_it_is_read(tmp_path):
    header = io.BytesIO()
    form = {"descr": "<f8", "fortran_order": False, "shape": (3_000_000_000, 3)}
    np.lib.format.write_array_header_1_0(header, form)
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("mean.npy", header.getvalue())
    with pytest.raises(DataError, match="no face model is that large"):
        import_model("npz", tmp_path / "huge.npz")


@pytest.mark.parametrize("name", ["lsfm", "bfm2009", "bfm2017", "flame", "npz"])
def test_a_folder_or_an_empty_file_is_no_model(tmp_path, name):
    (tmp_path / "empty").write_bytes(b"")
    for path in (tmp_path, tmp_path / "empty"):
        with pytest.raises(DataError, match=str(path)):
            import_model(name, path)
