"""The fingerprint of a network's frozen identity model, by which its kept output is recognised."""

from __future__ import annotations

import hashlib

from ..errors import OptionsError
from .network.config import GLEENetConfig
from .network.glee_net import GLEENet
from .network.global_branch import GlobalBranch

# Counters of batch normalisation, which change nothing that is computed.
_NO_EFFECT = "num_batches_tracked"


def identity_branch(network: GLEENet) -> GlobalBranch:
    """The branch with the identity model. Raises OptionsError where the network has none."""
    if not isinstance(network.global_branch, GlobalBranch):
        raise OptionsError(
            "this ablation has no identity model, so nothing of it can be kept; train with "
            "--identity live"
        )
    return network.global_branch


def identity_digest(network: GLEENet, config: GLEENetConfig) -> str:
    """SHA-256, in hexadecimal, over the identity model's weights and the sizes of its input."""
    total = hashlib.sha256(f"{config.image_size} {config.global_size}".encode())
    weights = identity_branch(network).identity_model.state_dict()
    for name, value in sorted(weights.items()):
        if not name.endswith(_NO_EFFECT):
            total.update(f"\n{name} {tuple(value.shape)}\n".encode())
            total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()
