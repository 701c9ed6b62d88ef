"""Weights files in the layouts that face-alignment 1.5.0 loads, made for the tests.

Not trained: the landmark network's are random, the face detectors' such that they see faces at
known places or everywhere. An ONNX file is written byte by byte: its protocol buffers are simple.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from face_alignment.detection.blazeface.net_blazeface import BlazeFace
from face_alignment.detection.sfd.net_s3fd import s3fd
from face_alignment.models import FAN

from glee.pipeline.landmarks.fan.weights_files import LANDMARK_FILE

SFD, BLAZEFACE, ANCHORS = "s3fd-619a316812.pth", "blazeface.pth", "anchors.npy"
SCRFD = "scrfd_2.5g_bnkps.onnx"
RETINAFACE = "retinaface_mobilenet0.25.pth"


def landmark_network(folder: Path) -> None:
    torch.manual_seed(0)
    torch.save(FAN(4).state_dict(), folder / LANDMARK_FILE)


def sfd(folder: Path) -> None:
    """Sees a face of about 256 pixels at each place of its grid of 64."""
    weights = {name: torch.zeros_like(value) for name, value in s3fd().state_dict().items()}
    for name in weights:
        if name.endswith("_mbox_conf.bias"):
            # The first levels' background has three maxed-out copies.
            weights[name][:-1] = 9.0
    weights["conv6_2_mbox_conf.bias"][:] = torch.tensor([0.0, 3.0])
    torch.save(weights, folder / SFD)


def blazeface(folder: Path, size: float = 60.0) -> None:
    """Sees a face of `size` / 128 of the anchor at 64 of the anchors."""
    torch.manual_seed(0)
    weights = BlazeFace().state_dict()
    for name in ("classifier_8", "classifier_16", "regressor_8", "regressor_16"):
        weights[f"{name}.weight"].mul_(1e-3)
        weights[f"{name}.bias"].fill_(-9.0 if name.startswith("c") else 0.0)
    weights["classifier_16.bias"][0] = 2.0
    weights["regressor_16.bias"].view(6, 16)[:, 2:4] = size
    torch.save(weights, folder / BLAZEFACE)
    np.save(folder / ANCHORS, np.random.default_rng(0).random((896, 4), np.float32))


def retinaface(folder: Path) -> None:
    from face_alignment.detection.retinaface.net_retinaface import RetinaFace

    torch.manual_seed(0)
    torch.save(RetinaFace().state_dict(), folder / RETINAFACE)


def scrfd(folder: Path) -> None:
    """One face, of 200 x 200 pixels in the middle of its 640 x 640 input."""
    outputs = {}
    for stride in (8, 16, 32):
        count = 2 * (640 // stride) ** 2
        outputs[f"score_{stride}"] = np.zeros((count, 1), np.float32)
        outputs[f"box_{stride}"] = np.zeros((count, 4), np.float32)
    middle = 2 * (10 * 20 + 10)
    outputs["score_32"][middle] = 0.9
    outputs["box_32"][middle] = 100 / 32
    ordered = sorted(outputs, key=lambda name: (name[0] == "b", int(name.split("_")[1])))
    (folder / SCRFD).write_bytes(constant_onnx({name: outputs[name] for name in ordered}))


def constant_onnx(outputs: dict[str, np.ndarray]) -> bytes:
    """An ONNX model whose outputs are these float32 arrays, whatever its input `image` is."""
    graph = b"".join(_bytes(5, _tensor(f"c_{name}", value)) for name, value in outputs.items())
    for name in outputs:
        node = _bytes(1, f"c_{name}".encode()) + _bytes(2, name.encode())
        graph += _bytes(1, node + _bytes(4, b"Identity"))
    graph += _bytes(2, b"constant") + _bytes(11, _value("image", (1, 3, 640, 640)))
    graph += b"".join(_bytes(12, _value(name, value.shape)) for name, value in outputs.items())
    opset = _bytes(8, _bytes(1, b"") + _number(2, 13))
    return _number(1, 8) + _bytes(7, graph) + opset


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    sides = b"".join(_bytes(1, _number(1, side)) for side in shape)
    kind = _bytes(1, _number(1, 1) + _bytes(2, sides))
    return _bytes(1, name.encode()) + _bytes(2, kind)


def _tensor(name: str, value: np.ndarray) -> bytes:
    sides = b"".join(_number(1, side) for side in value.shape)
    return sides + _number(2, 1) + _bytes(8, name.encode()) + _bytes(9, value.tobytes())


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += struct.pack("B", value & 0x7F | 0x80)
        value >>= 7
    return out + struct.pack("B", value)
