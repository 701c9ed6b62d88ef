"""Build GLEE-Net from its configuration, count it, and give it FaceNet's published weights.

The paper gives 56.6 M parameters and 8.72 GFLOPs, but not the convention. Here a parameter is any
entry of a weight, the frozen identity model's included and FaceNet's unused recognition head not,
for BP4D's 12 AUs; a floating point operation is half a multiply-add of convolutions and matrix
products (as torch's FlopCounterMode counts), for one image. By that count the two backbones take
5.67 GFLOPs at 160x160 and leave 3.05 for 16 extractors that "only contain a few layers"; were a
multiply-add one operation, the extractors would cost 2.1 times both backbones.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ...errors import WeightsError
from .au_classifier import MLPClassifier, TransformerClassifier
from .backbones import EMBEDDING_WIDTH, InceptionResnetV1, ResNet
from .coefficient_branch import CoefficientBranch
from .config import GLEENetConfig
from .glee_net import GLEENet
from .global_branch import GlobalBranch, resize
from .identity_adversary import IdentityAdversary
from .local_branch import LocalBranch


class ResNetBranch(nn.Module):
    """Table 5's "w. ResNet": one plain ResNet and a linear layer in place of both branches.

    Parameters
    ----------
    backbone : ResNet
        The network before the linear layer.
    size : int
        Side to which images are resized, pixels.
    width : int
        Width of the embedding.
    """

    def __init__(self, backbone: ResNet, *, size: int, width: int) -> None:
        super().__init__()
        self.size = size
        self.backbone = backbone
        self.reduction = nn.Linear(backbone.width, width)

    def forward(self, image: Tensor) -> Tensor:
        """Embed faces.

        Parameters
        ----------
        image : (b, 3, h, w) float32
            RGB, (value - 127.5) / 128.

        Returns
        -------
        (b, width) float32
            E_exp.
        """
        features: Tensor = self.reduction(self.backbone(resize(image, self.size)))
        return features


def build_glee_net(config: GLEENetConfig, *, facenet: Path | None = None) -> GLEENet:
    """Build a network with fresh weights from torch's random state.

    Parameters
    ----------
    config : GLEENetConfig
        What to build.
    facenet : Path, optional
        Checkpoint of InceptionResnetV1 for the face and the identity model.

    Returns
    -------
    GLEENet
        The network, on the CPU, in training mode.

    Raises
    ------
    WeightsError
        Where `facenet` does not fit.
    """
    network = GLEENet(
        _global_branch(config),
        _local_branch(config) if config.expression == "global_local" else None,
        _coefficient_branch(config) if config.coefficients else None,
        _classifier(config),
        fixed_expression=config.fixed_expression,
        identity_adversary=_identity_adversary(config),
    )
    if facenet is not None:
        load_facenet(network.global_branch, facenet)
    return network


def parameter_count(network: nn.Module) -> int:
    """Count the entries of all weights of a network, frozen ones included."""
    return sum(parameter.numel() for parameter in network.parameters())


def flop_count(network: nn.Module, config: GLEENetConfig) -> int:
    """Count the floating point operations for one image, of convolutions and matrix products.

    Parameters
    ----------
    network : nn.Module
        A GLEENet; its mode is the same afterwards.
    config : GLEENetConfig
        That it was built from.

    Returns
    -------
    int
        Operations, two for each multiply-add.
    """
    device = next(network.parameters()).device
    image = torch.zeros(1, 3, config.image_size, config.image_size, device=device)
    f_exp = torch.zeros(1, config.coefficient_count, device=device)
    training = network.training
    network.eval()
    with FlopCounterMode(display=False) as counter:
        network(image, f_exp)
    network.train(training)
    return int(counter.get_total_flops())


def _global_branch(config: GLEENetConfig) -> nn.Module | None:
    size, width = config.global_size, config.embedding_width
    if config.expression == "none":
        return None
    if config.expression == "resnet":
        return ResNetBranch(_resnet(config), size=size, width=width)
    if config.backbone == "resnet":
        backbone = _resnet(config)
        return GlobalBranch(backbone, backbone_width=backbone.width, size=size, width=width)
    inception = InceptionResnetV1(dropout=config.backbone_dropout)
    return GlobalBranch(inception, backbone_width=EMBEDDING_WIDTH, size=size, width=width)


def _resnet(config: GLEENetConfig) -> ResNet:
    stem = 3 if config.backbone == "resnet" else 7
    return ResNet(config.backbone_widths, config.backbone_blocks, stem)


def _local_branch(config: GLEENetConfig) -> LocalBranch:
    return LocalBranch(
        size=config.local_size,
        channels=config.local_channels,
        strides=config.local_strides,
        attention=config.local_attention,
        hidden=config.local_hidden,
        width=config.embedding_width,
    )


def _coefficient_branch(config: GLEENetConfig) -> CoefficientBranch:
    return CoefficientBranch(config.coefficient_count, config.coefficient_noise)


def _identity_adversary(config: GLEENetConfig) -> IdentityAdversary | None:
    if not config.identities:
        return None
    return IdentityAdversary(
        config.embedding_width, config.token_hidden, config.identities, config.identity_reversal
    )


def _classifier(config: GLEENetConfig) -> nn.Module:
    au_count, inputs = len(config.au_names), config.representation_width
    if config.classifier == "mlp":
        hidden = config.token_hidden
        return MLPClassifier(au_count, inputs, hidden=hidden, joint_fc=config.joint_fc)
    return TransformerClassifier(
        au_count,
        inputs,
        hidden=config.token_hidden,
        width=config.token_width,
        encoders=config.encoders,
        heads=config.heads,
        feed_forward=config.feed_forward,
        dropout=config.dropout,
        joint_fc=config.joint_fc,
    )


PUBLISHED_NAME = "20180402-114759-vggface2.pt"
_HEAD = "logits."
_COUNTER = "num_batches_tracked"


def load_facenet(branch: nn.Module | None, path: Path) -> None:
    """Give face and identity model the weights of a facenet-pytorch checkpoint.

    The recognition head (`logits.*`) is not used. Everything else must be there, with its shape.

    Parameters
    ----------
    branch : nn.Module or None
        The global branch of a network; changed in place.
    path : Path
        The checkpoint.

    Raises
    ------
    WeightsError
        Where the file is missing, is not a state dict of InceptionResnetV1, or the network has no
        InceptionResnetV1 to take it.
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
    """Read all tensors of a state dict.

    Parameters
    ----------
    path : Path
        File as torch.save writes it.

    Returns
    -------
    dict of str to Tensor
        By parameter name, on the CPU.

    Raises
    ------
    WeightsError
        Where the file is missing or is no state dict.
    """
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
