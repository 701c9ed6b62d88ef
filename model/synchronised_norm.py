"""Batch normalisation over the batches of all processes, on any device.

torch's own SyncBatchNorm needs GPUs; this one also runs under gloo, so that two processes can be
compared with one on any machine.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .distributed import gathered_sum


class SynchronisedBatchNorm(_BatchNorm):
    """Normalises with mean and variance of all processes' samples; alone, like nn.BatchNorm."""

    def _check_input_dim(self, x: Tensor) -> None:
        return

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, ...) -> the same shape."""
        if not self.training:
            return super().forward(x)
        x = x.float()
        axes = [axis for axis in range(x.dim()) if axis != 1]
        shape = [1, -1] + [1] * (x.dim() - 2)
        size = torch.full((1,), x.numel() / x.shape[1], dtype=x.dtype, device=x.device)
        sums = gathered_sum(torch.cat([x.sum(axes), x.square().sum(axes), size]))
        channels, count = x.shape[1], sums[-1]
        mean = sums[:channels] / count
        variance = (sums[channels:-1] / count - mean.square()).clamp(min=0)
        self._remember(mean.detach(), variance.detach() * count.detach() / (count.detach() - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return x * scale.view(shape) + (self.bias - mean * scale).view(shape)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        momentum = 0.1 if self.momentum is None else self.momentum
        if self.running_mean is not None and self.running_var is not None:
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance, momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)


def synchronise_norms(network: nn.Module) -> None:
    """Let every trained BatchNorm of a network use all processes' samples, in place."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
                setattr(module, name, _synchronised(child))


def _synchronised(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> SynchronisedBatchNorm:
    new = SynchronisedBatchNorm(norm.num_features, norm.eps, norm.momentum)
    for name, parameter in norm.named_parameters():
        setattr(new, name, parameter)
    new.load_state_dict(norm.state_dict())
    return new.train(norm.training)
