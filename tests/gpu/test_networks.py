"""The networks on a GPU: float32 and half precision against float32 on the CPU, batches alike."""

from __future__ import annotations

import copy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from glee.model.network.build_glee_net import build_glee_net
from glee.model.network.config import preset_config
from glee.pipeline.landmarks.mesh.architecture import CROP_SIDE
from glee.pipeline.landmarks.mesh.backend import MeshDetector
from glee.pipeline.landmarks.mesh.blendshapes import INPUT_POINTS
from glee.pipeline.landmarks.mesh.detection import crop_of, crop_transform
from glee.pipeline.landmarks.mesh.networks import (
    BlendshapeNet,
    FaceDetector,
    FaceMesh,
    load_into,
)
from glee.pipeline.landmarks.mesh.weights import WEIGHTS_PATH, read_weights
from glee.pipeline.landmarks.refiner.network import SIDE, network_of
from glee.pipeline.landmarks.refiner.weights import read_weights as refiner_weights

pytestmark = pytest.mark.gpu

# A picture with faces that is here anyway.
PICTURE = Path(__file__).resolve().parents[2] / "docs" / "random_heads.jpg"


@pytest.fixture(scope="module")
def faces():
    """An image, and the boxes of faces that the detector finds in it on the CPU."""
    image = cv2.cvtColor(cv2.imread(str(PICTURE)), cv2.COLOR_BGR2RGB)
    boxes = [box for box, score in MeshDetector("cpu").detect(image, thorough=True) if score > 0.5]
    assert len(boxes) >= 2
    return image, boxes


def loaded(network, part):
    load_into(network, read_weights(WEIGHTS_PATH), part)
    return network.eval().requires_grad_(False)


def glee_net():
    torch.manual_seed(3)
    return build_glee_net(preset_config("compact", ("AU1", "AU12"))).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def crops(faces):
    """(n, 3, 256, 256) float32 in [0, 1], the faces' crops."""
    image, boxes = faces
    cut = np.stack([crop_of(image, crop_transform(box)) for box in boxes])
    return torch.from_numpy(cut).permute(0, 3, 1, 2).float() / 255


@pytest.fixture(scope="module")
def cases(crops):
    """Name -> network, inputs, and the largest deviation in float32, bfloat16 and float16."""
    mesh = loaded(FaceMesh(), "mesh")
    with torch.inference_mode():
        points = mesh(crops).points
    small = torch.nn.functional.interpolate(crops, size=(128, 128), mode="area")
    side = torch.nn.functional.interpolate(crops, size=(SIDE, SIDE), mode="area")
    first = torch.rand(len(crops), 68, 2) * SIDE / 2 + SIDE / 4
    images = torch.nn.functional.interpolate(crops, size=(88, 88), mode="area") * 2 - 1
    return {
        # Logits and anchors' numbers; pixels of the 256 crop; coefficients; pixels; logits.
        "detector": (loaded(FaceDetector(), "detector"), (small * 2 - 1,), (0.02, 4.0, 0.5)),
        "mesh": (mesh, (crops,), (0.02, 6.0, 0.8)),
        "blendshapes": (
            loaded(BlendshapeNet(), "blendshapes"),
            (points[:, list(INPUT_POINTS), :2].contiguous(),),
            (1e-3, 0.1, 0.02),
        ),
        "refiner": (network_of(refiner_weights()).eval(), (side, first), (0.01, 2.0, 0.3)),
        "glee_net": (glee_net(), (images, torch.rand(len(crops), 51)), (1e-3, 0.2, 0.05)),
    }


def deviation(one, other):
    pairs = zip(one, other, strict=True)
    return max(float((a.float().cpu() - b.float().cpu()).abs().max()) for a, b in pairs)


# Networks that are cast as a whole: their products add in place, which autocast leaves alone.
WHOLE = ("detector", "mesh", "blendshapes")
NAMES = ("detector", "mesh", "blendshapes", "refiner", "glee_net")


@pytest.mark.parametrize("name", NAMES)
def test_float32_is_that_of_the_cpu(name, cases, device):
    network, inputs, (limit, _, _) = cases[name]
    with torch.inference_mode():
        truth = _outputs(network(*inputs))
        found = _outputs(network.to(device)(*(value.to(device) for value in inputs)))
    network.cpu()
    assert deviation(truth, found) <= limit


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_near_it(name, cases, device, half):
    network, inputs, (_, bfloat16, float16) = cases[name]
    limit, dtype = bfloat16 if half == "bfloat16" else float16, getattr(torch, half)
    with torch.inference_mode():
        truth = _outputs(network(*inputs))
        there = copy.deepcopy(network).to(device)
        given = [value.to(device) for value in inputs]
        if name in WHOLE:
            found = _outputs(there.to(dtype)(*(value.to(dtype) for value in given)))
        else:
            with torch.autocast(device.type, dtype):
                found = _outputs(there(*given))
    assert all(torch.isfinite(value).all() for value in found)
    assert deviation(truth, found) <= limit


def _outputs(given):
    return [given] if isinstance(given, torch.Tensor) else list(given)


def test_mesh_in_batches_is_mesh_alone_and_that_of_the_cpu(faces, device):
    image, boxes = faces
    there, here = MeshDetector(str(device.type)), MeshDetector("cpu")
    many = (boxes * 8)[:8]
    truth, sure = here.landmarks_of_many([image] * 8, many)
    for count in (1, 3, 8):
        found = [
            there.landmarks_of_many([image] * len(some), some)
            for some in (many[at : at + count] for at in range(0, 8, count))
        ]
        points = np.concatenate([one for one, _ in found])
        scale = max(box[2] - box[0] for box in boxes) / CROP_SIDE
        assert np.abs(points - truth).max() <= 0.05 * max(scale, 1)
        assert np.abs(np.concatenate([one for _, one in found]) - sure).max() <= 1e-3
    assert len(there.detect(image)) == len(here.detect(image))
