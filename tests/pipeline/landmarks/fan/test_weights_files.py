"""Weights of the fan backend that are missing, damaged or of another version: one clear line."""

from __future__ import annotations

import sys

import pytest
import torch

pytest.importorskip("face_alignment", reason="face-alignment (extra fan) is not installed")

from glee.errors import UsageError, WeightsError
from glee.pipeline.landmarks.backends import BackendSettings, load_detector
from glee.pipeline.landmarks.fan import weights_files
from glee.pipeline.landmarks.fan.backend import FanDetector

from . import fan_weights

pytestmark = pytest.mark.usefixtures("no_network")


def test_without_weights_the_files_and_their_place_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    place = tmp_path / "hub" / "checkpoints"
    with pytest.raises(WeightsError) as caught:
        FanDetector("blazeface")
    message = str(caught.value)
    files = "2DFAN4-11f355bf06.pth.tar and blazeface.pth and anchors.npy"
    assert message.startswith(f"{place}: {files} missing")
    assert "--weights" in message
    assert "\n" not in message
    assert not place.exists()


def test_weights_are_found_in_torch_home(tmp_path, monkeypatch, weights):
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "checkpoints").symlink_to(weights)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert load_detector("fan").version.startswith("face-alignment-1.5.0 2dfan4-")
    load_detector.cache_clear()


def _empty(path):
    path.write_bytes(b"")


def _cut(path):
    path.write_bytes(path.read_bytes()[:5000])


def _other_network(path):
    torch.save({"conv1.weight": torch.zeros(3)}, path)


class Evil:
    def __reduce__(self):
        return (print, ("run",))


def _code(path):
    torch.save({"conv1.weight": Evil()}, path)


@pytest.mark.parametrize("damage", [_empty, _cut, _other_network, _code])
@pytest.mark.parametrize("name", [weights_files.LANDMARK_FILE, fan_weights.SFD])
def test_damaged_weights(tmp_path, weights, name, damage, capsys):
    for path in weights.iterdir():
        (tmp_path / path.name).symlink_to(path)
    content = (weights / name).read_bytes()
    (tmp_path / name).unlink()
    (tmp_path / name).write_bytes(content)
    damage(tmp_path / name)
    with pytest.raises(WeightsError, match="cannot be used") as caught:
        FanDetector(weights=str(tmp_path))
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "run" not in capsys.readouterr().out.split()


def test_another_version_that_wants_other_files_fetches_nothing(weights, monkeypatch):
    from face_alignment import api

    monkeypatch.setitem(api.models_urls, "2DFAN-4", "https://example.invalid/2DFAN4-ffff.pth.tar")
    with pytest.raises(WeightsError, match=r"wants 2DFAN4-ffff\.pth\.tar.*face-alignment==1\.5\.0"):
        FanDetector(weights=str(weights))


def test_without_the_package_the_command_is_named(monkeypatch, weights):
    monkeypatch.setitem(sys.modules, "face_alignment", None)
    monkeypatch.delitem(sys.modules, "face_alignment.api", raising=False)
    with pytest.raises(WeightsError, match=r"pip install --no-deps face-alignment==1\.5\.0"):
        FanDetector(weights=str(weights))


def test_unknown_face_detector_and_device(weights):
    with pytest.raises(UsageError, match=r"fan:mtcnn is unknown; known are: sfd, blazeface"):
        load_detector("fan:mtcnn", BackendSettings(weights=str(weights)))
    with pytest.raises(UsageError, match="'tpu' is unknown"):
        FanDetector(weights=str(weights), device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="finds no GPU"):
            FanDetector(weights=str(weights), device="cuda")


def test_a_setting_that_a_backend_does_not_have():
    with pytest.raises(UsageError, match="detector dlib takes no weights"):
        load_detector("dlib", BackendSettings(weights="/somewhere"))
    with pytest.raises(
        UsageError, match="detector mesh:small is unknown; known are mesh:ncnn and mesh:torch"
    ):
        load_detector("mesh:small")
