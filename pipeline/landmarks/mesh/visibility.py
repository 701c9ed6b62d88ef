"""Which landmarks are seen: a small head on what the mesh network sees on its way to the points.

The network was trained on photographs, and its features carry over from renders to them far better
than pixels do. At each of the 68 landmarks the features of three stages are read, where a pixel is
8, 16 and 32 of the crop, and two layers tell whether there is a face's skin, lid or lip, or
something before it. The head was trained on renders with things before the face, by
`tools/train_visibility.py`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ....fitting.morphable_model.landmark_scheme import COUNT as LANDMARKS
from .architecture import CROP_SIDE, INWARD, SEEN_BLOCKS, SEEN_FEATURES, SEEN_HIDDEN
from .networks import FaceMesh
from .points import EYE_CORNERS, ibug_definition


class VisibilityHead(nn.Module):
    """Features at the landmarks -> the logarithm of the odds that each is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Linear(SEEN_FEATURES, SEEN_HIDDEN, bias=False)
        # What is usual at each landmark, of the features and of the odds.
        self.places = nn.Parameter(torch.zeros(LANDMARKS, SEEN_HIDDEN))
        self.odds = nn.Linear(SEEN_HIDDEN, 1, bias=False)
        self.usual = nn.Parameter(torch.zeros(LANDMARKS))

    def forward(self, features: Tensor) -> Tensor:
        """(n, 68, features) -> (n, 68)."""
        within = functional.relu(self.features(features) + self.places)
        odds: Tensor = self.odds(within)
        return odds[..., 0] + self.usual


class SeeingMesh(nn.Module):
    """The mesh network with the head beside its points."""

    weights: Tensor
    offsets: Tensor

    def __init__(self, mesh: FaceMesh, head: VisibilityHead) -> None:
        super().__init__()
        self.mesh, self.head = mesh, head
        definition = ibug_definition()
        for name, values in (("weights", definition.weights), ("offsets", definition.offsets)):
            tensor = torch.from_numpy(values.astype(np.float32))
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Points (n, 478, 3), presence (n,) as `FaceMesh`, and odds (n, 68) as the head.

        crops: (n, 3, 256, 256) float32 RGB in [0, 1].
        """
        points, presence, places, read = self._run(crops)
        return points, presence, self.head(features_at(places, read))

    def looked_at(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Where the head looks, (n, 68, 2) crop pixels, and what it sees there, (n, 68, features).

        crops: as `forward` takes them.
        """
        _, _, places, read = self._run(crops)
        return places, features_at(places, read)

    def _run(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        features, read = self.mesh.stem(crops), []
        for number, block in enumerate(self.mesh.stages):
            features = block(features)
            if number in SEEN_BLOCKS:
                read.append(features)
        points, presence = self.mesh.read(features)
        return points, presence, self.places(points), read

    def places(self, points: Tensor) -> Tensor:
        """Where the head looks, (n, 68, 2) crop pixels. points: (n, 478, 3)."""
        plane = points[..., :2]
        right, left = EYE_CORNERS
        along = plane[:, left] - plane[:, right]
        down = torch.stack([-along[:, 1], along[:, 0]], -1)
        axes = torch.stack([along, down], 1)
        landmarks = torch.matmul(self.weights, plane) + torch.matmul(self.offsets, axes)
        jaw, rest = landmarks[:, :17], landmarks[:, 17:]
        middle = landmarks[:, 27:36].mean(1, keepdim=True)
        return torch.cat([jaw + INWARD * (middle - jaw), rest], 1)


def features_at(places: Tensor, read: list[Tensor]) -> Tensor:
    """Features of several stages side by side, (n, 68, features), between their pixels.

    places: (n, 68, 2) crop pixels. read: of (n, channels, side, side).
    """
    grid = (places * (2.0 / CROP_SIDE) - 1.0)[:, :, None]
    at = [
        functional.grid_sample(stage, grid, padding_mode="border", align_corners=False)
        for stage in read
    ]
    return torch.cat([one[..., 0].permute(0, 2, 1) for one in at], 2)
