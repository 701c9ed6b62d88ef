"""What shapes the network: widths, sizes and the switches of the paper's ablations (Table 5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ...errors import OptionsError

BACKBONES = ("inception_resnet", "resnet")
EXPRESSIONS = ("global_local", "global", "resnet", "none")
CLASSIFIERS = ("transformer", "mlp")


@dataclass(frozen=True)
class GLEENetConfig:
    """Everything `build_glee_net` needs.

    Attributes
    ----------
    au_names : tuple of str
        ("AU1", ...), one for each output.
    backbone : str
        Of the global branch, one of BACKBONES.
    backbone_widths : tuple of int
        Channels of each stage of a "resnet".
    backbone_blocks : int
        Basic blocks in each stage of a "resnet".
    backbone_dropout : float
        Share of values dropped before InceptionResnetV1's last layer.
    image_size : int
        Side of the square input, pixels.
    global_size, local_size : int
        Sides to which the branches resize, pixels.
    local_channels, local_strides : tuple of int
        Of the four convolutions of each of the 16 extractors.
    local_attention : int
        Width of queries and keys in an extractor's self-attention, 0 for none.
    local_hidden : int
        Width inside the MLP after the extractors.
    embedding_width : int
        Width of E_exp.
    coefficient_count : int
        Length of f_exp.
    coefficient_noise : float
        Added to f_exp in training, see CoefficientBranch.
    token_hidden : int
        Width inside the classifier's parallel MLPs.
    token_width : int
        Width of a token.
    encoders, heads, feed_forward : int
        Transformer encoders, heads of each, width inside its feed-forward layers.
    dropout : float
        Share of values dropped in each encoder.
    identities : int
        Subjects that an adversary tells apart while training, 0 for none (beyond the paper).
    identity_reversal : float
        Strength of the adversary's reversed gradient.
    expression : str
        "global_local", or the ablations "global" (w/o LB), "resnet" (w. ResNet) and "none" (w/o GB
        & LB) of Table 5.
    coefficients : bool
        False is w/o 3DGB.
    classifier : str
        "transformer"; "mlp" is w/o TC.
    joint_fc : bool
        False is w/o joint FC.
    fixed_expression : bool
        True is w. fixed GB & LB.
    """

    au_names: tuple[str, ...]
    backbone: str = "inception_resnet"
    backbone_widths: tuple[int, ...] = (64, 128, 256, 512)
    backbone_blocks: int = 2
    backbone_dropout: float = 0.6
    image_size: int = 176
    global_size: int = 160
    local_size: int = 96
    local_channels: tuple[int, ...] = (32, 64, 128, 256)
    local_strides: tuple[int, ...] = (2, 2, 2, 1)
    local_attention: int = 32
    local_hidden: int = 256
    embedding_width: int = 16
    coefficient_count: int = 51
    coefficient_noise: float = 0.0
    token_hidden: int = 64
    token_width: int = 32
    encoders: int = 3
    heads: int = 4
    feed_forward: int = 128
    dropout: float = 0.1
    identities: int = 0
    identity_reversal: float = 0.0
    expression: str = "global_local"
    coefficients: bool = True
    classifier: str = "transformer"
    joint_fc: bool = True
    fixed_expression: bool = False

    def __post_init__(self) -> None:
        for name, choices in (
            ("backbone", BACKBONES),
            ("expression", EXPRESSIONS),
            ("classifier", CLASSIFIERS),
        ):
            if getattr(self, name) not in choices:
                raise OptionsError(
                    f"network option {name} = {getattr(self, name)!r}; "
                    f"choose one of {', '.join(choices)}"
                )
        if self.expression == "none" and not self.coefficients:
            raise OptionsError(
                "network without global, local and 3D branch has no input; switch one on"
            )
        if self.expression == "none" and self.identities:
            raise OptionsError(
                "an identity adversary needs an expression embedding; train without "
                "identity_adversary, or with global or local branch"
            )

    @property
    def representation_width(self) -> int:
        """Length of F_exp, what the classifier sees."""
        width = self.coefficient_count if self.coefficients else 0
        return width + (self.embedding_width if self.expression != "none" else 0)


# Widths that the paper does not give, chosen so that the whole has its 56.6 M parameters and 8.72
# GFLOPs (see build_glee_net.py for the convention).
_PAPER: dict[str, Any] = {"local_channels": (40, 72, 144, 256)}

# For CPUs, tests and the demo: the same composition at a 199th of the operations.
_COMPACT: dict[str, Any] = {
    "backbone": "resnet",
    "backbone_widths": (16, 32, 64, 96),
    "backbone_blocks": 1,
    "backbone_dropout": 0.0,
    "image_size": 88,
    "global_size": 88,
    "local_size": 32,
    "local_channels": (8, 16, 24, 32),
    "local_strides": (2, 2, 2, 1),
    "local_attention": 8,
    "local_hidden": 64,
    "coefficient_noise": 0.5,
    "token_hidden": 32,
    "feed_forward": 64,
}
PRESETS: dict[str, dict[str, Any]] = {"paper": _PAPER, "compact": _COMPACT}

# Rows of Table 5 that change the network; "w/o pretrain" changes only where training starts.
ABLATIONS: dict[str, dict[str, Any]] = {
    "full": {},
    "fixed-gb-lb": {"fixed_expression": True},
    "resnet": {"expression": "resnet"},
    "no-gb-lb": {"expression": "none"},
    "no-3dgb": {"coefficients": False},
    "no-lb": {"expression": "global"},
    "no-tc": {"classifier": "mlp"},
    "no-joint-fc": {"joint_fc": False},
    # No rows of Table 5: the extractors without their self-attention; a ResNet on the image and an
    # MLP, for scale.
    "no-attention": {"local_attention": 0},
    "resnet-alone": {
        "expression": "resnet",
        "coefficients": False,
        "classifier": "mlp",
        "joint_fc": False,
    },
}


def preset_config(
    preset: str, au_names: tuple[str, ...], ablation: str = "full", **changes: Any
) -> GLEENetConfig:
    """Give the configuration of a preset, with changes.

    Parameters
    ----------
    preset : str
        A key of PRESETS.
    au_names : tuple of str
        ("AU1", ...), one for each output.
    ablation : str
        A key of ABLATIONS, a row of Table 5.
    **changes
        More fields of GLEENetConfig.

    Returns
    -------
    GLEENetConfig
        The preset, changed by the ablation, then by `changes`.

    Raises
    ------
    OptionsError
        Where a name or a value is unknown.
    """
    if preset not in PRESETS:
        raise OptionsError(f"unknown preset {preset!r}; choose one of {', '.join(PRESETS)}")
    if ablation not in ABLATIONS:
        raise OptionsError(f"unknown ablation {ablation!r}; choose one of {', '.join(ABLATIONS)}")
    config = GLEENetConfig(au_names, **PRESETS[preset])
    return replace(config, **{**ABLATIONS[ablation], **changes})
