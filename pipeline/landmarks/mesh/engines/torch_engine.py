"""The `mesh` detector's networks run by torch: on a GPU, and where ncnn is not installed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ....cluster.tasks import one_thread
from ....images.crops import Image
from ..architecture import CROP_SIDE, IMAGE_SIDE
from ..networks import BlendshapeNet, FaceDetector, FaceMesh, load_into
from ..visibility import SeeingMesh, VisibilityHead
from ..weights import VISIBILITY_PATH, VISIBILITY_REMEDY, WEIGHTS_PATH, read_weights

# Runs after which a traced network is as fast as it gets.
_WARM_UP = 3

Float32 = npt.NDArray[np.float32]


class TorchEngine:
    """See the module. Weights are read when it is made.

    device: "cpu" or "cuda". On a CPU the networks use one core.
    Raises WeightsError where a weights file is missing or does not fit.
    """

    name = "torch"

    def __init__(self, device: str = "cpu") -> None:
        parameters = read_weights(WEIGHTS_PATH)
        self._device = torch.device(device)
        self._faces, mesh, head = FaceDetector(), FaceMesh(), VisibilityHead()
        load_into(self._faces, parameters, "detector")
        load_into(mesh, parameters, "mesh")
        trained = read_weights(VISIBILITY_PATH, VISIBILITY_REMEDY)
        load_into(head, trained, "visibility", VISIBILITY_REMEDY)
        self._mesh = SeeingMesh(mesh, head)
        # The blendshapes of a few points are read where the points are.
        self._mixer = BlendshapeNet().eval().requires_grad_(False)
        load_into(self._mixer, parameters, "blendshapes")
        for network in (self._faces, self._mesh):
            network.eval().requires_grad_(False).to(self._device)
            # Channels innermost, as in the crops: else kernels are reordered at each call.
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._alone = {
            self._faces: _straight(self._faces, IMAGE_SIDE, self._device),
            self._mesh: _straight(self._mesh, CROP_SIDE, self._device),
        }

    def faces(self, pixels: Image) -> tuple[Float32, Float32]:
        """Numbers (a, 16) and scores (a,) of a picture's anchors. pixels: (h, w, 3)."""
        numbers, scores = self._run(self._faces, pixels[None], 2 / 255, -1.0)
        return numbers[0], scores[0]

    def mesh(self, crops: Sequence[Image]) -> tuple[Float32, Float32, Float32]:
        """Points (n, 478, 3), presence (n,) and odds (n, 68) of n crops, as `Engine`."""
        pixels = np.stack([crop[..., :3] for crop in crops])
        points, presence, odds = self._run(self._mesh, pixels, 1 / 255, 0.0)
        return points, presence, odds

    def blendshapes(self, points: npt.NDArray[np.float64]) -> Float32:
        """Coefficients (n, 52) of points (n, 146, 2) from their mean."""
        with torch.inference_mode(), one_thread():
            found = self._mixer(torch.from_numpy(np.ascontiguousarray(points, np.float32)))
        return np.asarray(found.numpy(), np.float32)

    def _run(
        self, network: torch.nn.Module, images: Image, scale: float, shift: float
    ) -> list[Float32]:
        """A network's outputs for images (n, side, side, 3), of `scale` x value + `shift`."""
        with torch.inference_mode(), one_thread():
            # (n, 3, side, side) with the channels innermost in memory, as the pixels are.
            batch = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2)
            # The traced networks know one size.
            side = CROP_SIDE if network is self._mesh else IMAGE_SIDE
            alone = images.shape[:3] == (1, side, side)
            run = self._alone[network] if alone else network
            outputs = run(batch.float().mul_(scale).add_(shift))
            return [output.cpu().numpy() for output in outputs]


def _straight(
    network: torch.nn.Module, side: int, device: torch.device
) -> Callable[[torch.Tensor], tuple[torch.Tensor, ...]]:
    """A network for one image as a straight list of operations: a quarter of the time is Python's.

    The operations and their results are the same.
    """
    example = torch.zeros(1, 3, side, side, device=device)
    with warnings.catch_warnings(), torch.no_grad(), one_thread():
        # PyTorch deprecates tracing in favour of compilers, which users do not have; and warns of
        # sizes that the trace takes as fixed, as they are here.
        warnings.simplefilter("ignore")
        example = example.contiguous(memory_format=torch.channels_last)
        traced: Callable[[torch.Tensor], tuple[torch.Tensor, ...]]
        traced = torch.jit.freeze(_trace(network, example))
        for _ in range(_WARM_UP):
            traced(example)
    return traced


def _trace(network: torch.nn.Module, example: torch.Tensor) -> torch.jit.ScriptModule:
    trace: Any = torch.jit.trace
    traced: torch.jit.ScriptModule = trace(network, example, check_trace=False)
    return traced
