"""FaceNet's published weights into the global branch: strictly, or with a clear error."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import WeightsError
from .network.backbones import InceptionResnetV1
from .network.global_branch import GlobalBranch

PUBLISHED_NAME = "20180402-114759-vggface2.pt"
_HEAD = "logits."
_COUNTER = "num_batches_tracked"


def load_facenet(branch: nn.Module | None, path: Path) -> None:
    """Give face and identity model the weights of a facenet-pytorch checkpoint.

    The recognition head (`logits.*`) is not used. Everything else must be there, with its shape.

    Raises WeightsError where the file is missing, is not a state dict of InceptionResnetV1, or the
    network has no InceptionResnetV1 to take it.
    """
    if not isinstance(branch, GlobalBranch) or not isinstance(branch.face_model, InceptionResnetV1):
        raise WeightsError(
            f"{path}: FaceNet weights fit the paper preset's global branch only; "
            "choose that preset or leave the weights out"
        )
    state = {key: value for key, value in read_weights(path).items() if not key.startswith(_HEAD)}
    _check(branch.face_model.state_dict(), state, path)
    for model in (branch.face_model, branch.identity_model):
        model.load_state_dict(state, strict=False)


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a state dict; raises WeightsError where the file is none."""
    remedy = f"give a state dict as facenet-pytorch publishes it ({PUBLISHED_NAME})"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such weights file; {remedy}") from error
    except Exception as error:  # damaged bytes make torch and its unpickler raise anything
        raise WeightsError(f"{path}: cannot be read as weights; {remedy}") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{path}: holds no plain state dict; {remedy}")
    return state


def _check(wanted: dict[str, Tensor], state: dict[str, Tensor], path: Path) -> None:
    """Compare names and shapes; the counters of batch normalisation are of no effect."""
    needed = {key for key in wanted if not key.endswith(_COUNTER)}
    given = {key for key in state if not key.endswith(_COUNTER)}
    shaped = sorted(key for key in needed & given if wanted[key].shape != state[key].shape)
    for trouble, keys in (
        ("lacks", sorted(needed - given)),
        ("has the unknown", sorted(given - needed)),
        ("has another shape for", shaped),
    ):
        if keys:
            more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            raise WeightsError(
                f"{path}: {trouble} {keys[0]}{more}; InceptionResnetV1 needs {PUBLISHED_NAME}"
            )
