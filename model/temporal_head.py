"""A temporal head over a clip's frames, on a trained network's logits; beyond the paper, an option.

For each AU a kernel over the frame and its neighbours in the clip, and a bias. Starting point and
centre of the ridge is the network's own logit. It is fitted to subjects that the network was not
trained on: on its training subjects the network is surer of itself than it has reason to be.
Weighted cross entropy of a linear head is convex, so the result does not depend on chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .training.losses import weighted_cross_entropy

# Weight of the squared distance to the network's own logit, beside the mean loss of a frame.
RIDGE = 1e-2
_STEPS = 60


@dataclass(frozen=True, eq=False)
class TemporalHead:
    """kernel: (2 w + 1, a) float64, over w frames before to w frames after. bias: (a,) float64."""

    kernel: Tensor
    bias: Tensor

    def __call__(self, logits: Tensor, neighbours: npt.NDArray[np.int64]) -> Tensor:
        """Logits (n, a), and (n, 2 w + 1) indices from `clip_neighbours` -> (n, a) float64."""
        around = logits.double()[torch.from_numpy(neighbours)]
        return (around * self.kernel).sum(1) + self.bias


def clip_neighbours(
    clip: npt.NDArray[np.str_], position: npt.NDArray[np.int64], reach: int
) -> npt.NDArray[np.int64]:
    """For each frame those from `reach` before to `reach` after it: (n, 2 reach + 1) indices.

    clip: (n,) its clip's name. position: (n,) its place in the clip. A neighbour that is not there
    (the clip's end, a frame that is not valid) is stood in for by the frame itself.
    """
    place = {key: i for i, key in enumerate(zip(clip.tolist(), position.tolist(), strict=True))}
    offsets = range(-reach, reach + 1)
    return np.array(
        [[place.get((name, at + k), i) for k in offsets] for (name, at), i in place.items()],
        np.int64,
    ).reshape(len(clip), 2 * reach + 1)


def fit_temporal_head(
    logits: Tensor,
    labels: Tensor,
    ratio: Tensor,
    neighbours: npt.NDArray[np.int64],
    *,
    ridge: float = RIDGE,
) -> TemporalHead:
    """The head of least Eq. 5 plus `ridge` times the squared distance to the network's own logit.

    logits: (n, a) of subjects that the network was not trained on. labels: (n, a), -1 unknown.
    ratio: (a,), r of Eq. 5. neighbours: (n, 2 w + 1), see `clip_neighbours`.
    """
    width, count = neighbours.shape[1], logits.shape[1]
    own = torch.zeros(width, count, dtype=torch.float64)
    own[width // 2] = 1.0
    kernel = own.clone().requires_grad_()
    bias = torch.zeros(count, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [kernel, bias], max_iter=_STEPS, line_search_fn="strong_wolfe", tolerance_grad=1e-9
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        moved = TemporalHead(kernel, bias)(logits, neighbours)
        distance = (kernel - own).square().sum() + bias.square().sum()
        total = weighted_cross_entropy(moved, labels, ratio.double()).mean() + ridge * distance
        torch.autograd.backward(total)
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return TemporalHead(kernel.detach(), bias.detach())
