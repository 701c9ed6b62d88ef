"""The 3D global branch: the fitted expression coefficients f_exp, standardised."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

# A coefficient that hardly moves in training must not become the loudest input at test time.
SMALLEST_DEVIATION = 0.02


class CoefficientBranch(nn.Module):
    """f_exp minus its mean over its standard deviation, both of the training frames.

    The statistics are buffers, so a checkpoint holds them. A coefficient that is NaN (a frame that
    was not fitted) counts as the mean.

    Parameters
    ----------
    count : int
        Length of f_exp.
    noise : float
        Standard deviation of what is added while training, in the unit of the result; it keeps the
        classifier from learning the few training subjects' coefficients by heart.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, count: int, noise: float = 0.0) -> None:
        super().__init__()
        self.noise = noise
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("deviation", torch.ones(count))

    def set_statistics(self, f_exp: npt.NDArray[np.float32]) -> None:
        """Take mean and deviation from the training frames.

        Parameters
        ----------
        f_exp : (n, count) float32
            As fitted; frames with NaN are ignored.
        """
        known = f_exp[np.isfinite(f_exp).all(1)].astype(np.float64)
        if len(known):
            self.mean.copy_(torch.from_numpy(known.mean(0)))
            floor = np.maximum(known.std(0), SMALLEST_DEVIATION)
            self.deviation.copy_(torch.from_numpy(floor))

    def forward(self, f_exp: Tensor) -> Tensor:
        """Standardise f_exp, (b, count) float32 -> the same shape."""
        standard = (f_exp - self.mean) / self.deviation
        known = torch.where(torch.isfinite(standard), standard, torch.zeros_like(standard))
        if self.training and self.noise:
            known = known + self.noise * torch.randn_like(known)
        return known
