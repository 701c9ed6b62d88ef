"""The weights file: what was written is read; what is cut, foreign or of other shapes is named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glee.errors import WeightsError
from glee.fitting.morphable_model.landmark_noise import LandmarkNoise
from glee.pipeline.landmarks.refiner import weights
from glee.pipeline.landmarks.refiner.network import (
    Refiner,
    network_of,
    state_of,
    write_weights,
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "refiner.npz"
    torch.manual_seed(3)
    noise = LandmarkNoise(
        np.full((68, 2), 0.25, np.float32), np.diag(np.arange(136.0)).astype(np.float32)
    )
    write_weights(path, Refiner(), {"mesh": noise}, {"seed": 3})
    return path


def changed(written, path, **arrays):
    with np.load(written) as file:
        content = {**{name: file[name] for name in file.files}, **arrays}
    np.savez(path, **{name: array for name, array in content.items() if array is not None})
    return path


def test_written_weights_are_read(written):
    found = weights.read_weights(written)
    torch.manual_seed(3)
    own = Refiner().state_dict()
    for name, array in found.state.items():
        np.testing.assert_allclose(array, own[name].numpy(), rtol=1e-3, atol=1e-4)
    assert found.source == {"seed": 3}
    assert found.noise["mesh"].bias[0, 0] == 0.25
    assert found.noise["mesh"].covariance[7, 7] == 7.0
    network = network_of(found)
    assert not network.training


def test_shapes_are_those_of_the_network():
    shapes = {name: values.shape for name, values in state_of(Refiner()).items()}
    assert weights.state_shapes() == shapes


def test_version_tells_weights_apart(written, tmp_path):
    one = weights.read_weights(written).version
    other = changed(
        written, tmp_path / "o.npz", **{"noise/mesh/bias": np.zeros((68, 2), np.float32)}
    )
    assert one == weights.read_weights(written).version
    assert one != weights.read_weights(other).version


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"format": np.int64(99)}, "format 99"),
        ({"format": None}, "cannot be read"),
        ({"source": np.array("{no json")}, "cannot be read"),
        ({"network/heat.bias": None}, r"heat\.bias is missing"),
        ({"network/other": np.zeros(3)}, "other is unknown"),
        ({"network/heat.bias": np.zeros(5)}, r"heat\.bias is \(5,\)"),
        ({"network/heat.bias": np.zeros(68, np.int32)}, r"heat\.bias is \(68,\) int32"),
        ({"network/heat.bias": np.full(68, np.nan)}, r"heat\.bias is not finite"),
        ({"noise/mesh/covariance": None}, "noise of mesh is incomplete"),
        ({"noise/mesh/bias": np.zeros((51, 2))}, "noise of mesh is incomplete"),
        ({"noise/mesh/yaw_limits": np.zeros(2)}, "noise of mesh is incomplete"),
    ],
)
def test_what_does_not_fit_is_named(written, tmp_path, arrays, what):
    path = changed(written, tmp_path / "changed.npz", **arrays)
    with pytest.raises(WeightsError, match=what) as caught:
        weights.read_weights(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kept", [0, 10, 5000, -40])
def test_a_cut_file_is_named(written, tmp_path, kept):
    path = tmp_path / "cut.npz"
    path.write_bytes(written.read_bytes()[:kept])
    with pytest.raises(WeightsError, match="cannot be read"):
        weights.read_weights(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match="missing"):
        weights.read_weights(tmp_path / "none.npz")


def test_shipped_weights_fit_and_are_small():
    found = weights.read_weights()
    assert {"mesh", "dlib"} <= set(found.noise)
    assert sum(array.size for array in found.state.values()) <= 3_000_000
    assert weights.WEIGHTS_PATH.stat().st_size < 4_000_000
