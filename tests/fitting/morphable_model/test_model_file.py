import dataclasses

import h5py
import numpy as np
import pytest

from glee.errors import DataError, OutputError
from glee.fitting.morphable_model.landmark_noise import LandmarkNoise, YawNoise
from glee.fitting.morphable_model.model_file import load_model, read_model, write_model
from glee.fitting.morphable_model.morphable_model import MorphableModel, SurfacePoints

NOISE_FIELDS = ("bias", "covariance", "by_yaw")
YAW_FIELDS = ("limits", "bias", "covariance")


def same(one, other):
    if isinstance(one, LandmarkNoise):
        return all(same(getattr(one, name), getattr(other, name)) for name in NOISE_FIELDS)
    if isinstance(one, YawNoise):
        return all(same(getattr(one, name), getattr(other, name)) for name in YAW_FIELDS)
    if isinstance(one, SurfacePoints):
        return (one.vertices == other.vertices).all() and (one.weights == other.weights).all()
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return one == other


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.h5"
    write_model(path, load_model())
    return path


def test_every_field_comes_back(whole):
    model, again = load_model(), load_model(whole)
    for field in dataclasses.fields(MorphableModel):
        assert same(getattr(model, field.name), getattr(again, field.name)), field.name


def test_a_model_without_texture_or_arkit_names(tmp_path):
    model = dataclasses.replace(
        load_model(), uv=None, expression_names=tuple(f"é-{i}" for i in range(51)), masks={}
    )
    write_model(tmp_path / "m.h5", model)
    again = read_model(tmp_path / "m.h5")
    assert again.uv is None
    assert again.masks == {}
    assert again.expression_names[3] == "é-3"


def test_the_same_model_gives_the_same_bytes(whole, tmp_path):
    write_model(tmp_path / "again.h5", load_model())
    assert (tmp_path / "again.h5").read_bytes() == whole.read_bytes()


def changed(whole, tmp_path, change):
    path = tmp_path / "changed.h5"
    path.write_bytes(whole.read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def drop_mirror(file):
    del file["mirror"]


def link_out(file):
    del file["mean"]
    file["mean"] = h5py.ExternalLink("other.h5", "/mean")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.attrs.__setitem__("format", "other"), "is no glee model"),
        (lambda f: f.attrs.__setitem__("version", 3), "format version 3"),
        (lambda f: f["mean"].__setitem__((0, 0), 9.0), "checksum"),
        (drop_mirror, "no array 'mirror'"),
        (link_out, "never followed"),
    ],
)
def test_what_is_wrong_is_named(whole, tmp_path, change, message):
    path = changed(whole, tmp_path, change)
    with pytest.raises(DataError, match=message) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


def test_cut_missing_and_foreign_files(whole, tmp_path):
    (tmp_path / "cut.h5").write_bytes(whole.read_bytes()[:100_000])
    (tmp_path / "noise.h5").write_bytes(b"no HDF5")
    for name in ("cut.h5", "noise.h5", "missing.h5"):
        with pytest.raises(DataError, match=name):
            load_model(tmp_path / name)


def test_arrays_that_do_not_fit(tmp_path):
    model = load_model()
    bad = dataclasses.replace(model, mirror=model.mirror[:-1])
    write_model(tmp_path / "bad.h5", bad)
    with pytest.raises(DataError, match="'mirror' has shape"):
        read_model(tmp_path / "bad.h5")
    bad = dataclasses.replace(model, triangles=model.triangles + 9)
    write_model(tmp_path / "bad.h5", bad)
    with pytest.raises(DataError, match="'triangles' names"):
        read_model(tmp_path / "bad.h5")


def with_noise(model, by_yaw):
    noise = LandmarkNoise(np.zeros((68, 2), np.float32), np.eye(136, dtype=np.float32), by_yaw)
    return dataclasses.replace(model, noise={"mine": noise})


def of_ranges(count):
    rng = np.random.default_rng(count)
    shapes = (count - 1,), (count, 68, 2), (count, 136, 136)
    return YawNoise(*(rng.normal(size=shape).astype(np.float32) for shape in shapes))


def test_noise_by_yaw_comes_back(tmp_path):
    for count in (3, 5):
        model = with_noise(load_model(), of_ranges(count))
        write_model(tmp_path / "m.h5", model)
        assert same(model.noise, read_model(tmp_path / "m.h5").noise)


def test_a_file_of_version_1_has_one_covariance(tmp_path):
    model = with_noise(load_model(), None)
    write_model(tmp_path / "old.h5", model)
    with h5py.File(tmp_path / "old.h5", "r+") as file:
        assert set(file["noise/mine"]) == {"bias", "covariance"}
        file.attrs["version"] = 1
    again = read_model(tmp_path / "old.h5")
    assert again.noise["mine"].by_yaw is None
    assert same(model.noise, again.noise)


def test_ranges_of_yaw_that_do_not_fit(tmp_path):
    bad = dataclasses.replace(of_ranges(3), limits=np.zeros(5, np.float32))
    write_model(tmp_path / "bad.h5", with_noise(load_model(), bad))
    with pytest.raises(DataError, match="'noise/mine/yaw_bias' has shape"):
        read_model(tmp_path / "bad.h5")


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_model(tmp_path / "file" / "model.h5", load_model())
