"""A trained network as one file for torch.export, with batch normalisation folded into its weights.

What it takes and gives stands in the file's own `glee.json`. Folding saves a pass over every
feature map, and channels stay together in memory, which convolutions on CPUs like; so it is faster
than the network as it is trained, and equal to it within rounding.
"""

from __future__ import annotations

import copy
import io
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from ...errors import DataError, UsageError
from ...whole_files import write_whole
from ..checkpoint import Checkpoint
from ..network.config import GLEENetConfig
from ..network.glee_net import GLEENet
from .predict import load_run

SUFFIX = ".pt2"
DESCRIPTION = "glee.json"
# Largest difference of a probability from the network's own.
TOLERANCE = 1e-4
# Names under which the network's modules hold a layer and the normalisation after it.
_FOLLOWED = (("conv", "bn"), ("conv1", "bn1"), ("conv2", "bn2"), ("last_linear", "last_bn"))
_MOST_FRAMES = 4096


class AUProbabilities(nn.Module):
    """A network as seen from outside: image and f_exp to the probability of each AU.

    Parameters
    ----------
    network : GLEENet
        The network.
    """

    def __init__(self, network: GLEENet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, f_exp: Tensor) -> Tensor:
        """Predict b frames.

        Parameters
        ----------
        image : (b, 3, s, s) float32
            RGB, (value - 127.5) / 128.
        f_exp : (b, e) float32
            NaN where a frame was not fitted.

        Returns
        -------
        (b, a) float32
            Probabilities.
        """
        probability: Tensor = self.network(image, f_exp).final.sigmoid()
        return probability


def export_network(run: Path, out: Path, *, fold: str | None = None) -> float:
    """Write the network of one fold of a run as one file.

    Parameters
    ----------
    run : Path
        Folder of a training.
    out : Path
        File ending in .pt2.
    fold : str, optional
        Its name; None where the run has one only.

    Returns
    -------
    float
        Largest difference of a probability from the network's own.

    Raises
    ------
    UsageError
        For another ending than .pt2 or an unclear fold.
    DataError
        Where that difference is more than TOLERANCE.
    WeightsError, OutputError
        For files.
    """
    if out.suffix != SUFFIX:
        raise UsageError(f"{out}: the ending is not {SUFFIX}, which is all that is written")
    folds = load_run(run)
    if fold is None and len(folds) > 1 or fold is not None and fold not in folds:
        raise UsageError(f"{run}: choose a fold with --fold: {', '.join(folds)}")
    name = fold or next(iter(folds))
    checkpoint = folds[name]
    network = checkpoint.network()
    program = exported(network, checkpoint.config)
    difference = largest_difference(network, program.module(), checkpoint.config)
    if not difference <= TOLERANCE:
        raise DataError(
            f"{run}, fold {name}: the exported network's probabilities differ by {difference:.2g}; "
            "please report it"
        )
    buffer = io.BytesIO()
    text = json.dumps(_description(checkpoint, name), indent=1)
    with warnings.catch_warnings():
        # weights that are views of one array are nothing to warn of
        warnings.filterwarnings("ignore", "No complete tensor")
        torch.export.save(program, buffer, extra_files={DESCRIPTION: text})
    write_whole(out, buffer.getbuffer())
    return difference


def exported(network: GLEENet, config: GLEENetConfig) -> torch.export.ExportedProgram:
    """Turn a network into a program for any number of frames at once.

    Parameters
    ----------
    network : GLEENet
        Left as it is.
    config : GLEENetConfig
        That it was built from.

    Returns
    -------
    ExportedProgram
        Of the folded network, see `folded`.
    """
    module = AUProbabilities(folded(network)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    frames = torch.export.Dim("frames", min=1, max=_MOST_FRAMES)
    with torch.no_grad():
        return torch.export.export(
            module.eval(),
            example_input(config, 2),
            dynamic_shapes={"image": {0: frames}, "f_exp": {0: frames}},
        )


def folded(network: GLEENet) -> GLEENet:
    """Copy `network` for prediction, with batch normalisation folded into the layer before it."""
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        names = [name for name, _ in module.named_children()]
        pairs = zip(names, names[1:], strict=False) if isinstance(module, nn.Sequential) else ()
        for layer, norm in (*pairs, *(pair for pair in _FOLLOWED if set(pair) <= set(names))):
            _fold(module, layer, norm)
    return network


def _fold(module: nn.Module, layer: str, norm: str) -> None:
    first, second = getattr(module, layer), getattr(module, norm)
    if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
        setattr(module, layer, fuse_conv_bn_eval(first, second))
    elif isinstance(first, nn.Linear) and isinstance(second, nn.BatchNorm1d):
        setattr(module, layer, fuse_linear_bn_eval(first, second))
    else:
        return
    setattr(module, norm, nn.Identity())


def example_input(config: GLEENetConfig, frames: int) -> tuple[Tensor, Tensor]:
    """Make random input of the right shapes.

    Parameters
    ----------
    config : GLEENetConfig
        Of the network.
    frames : int
        How many, b.

    Returns
    -------
    image : (b, 3, s, s) float32
        Uniform in [-1, 1], channels last in memory.
    f_exp : (b, e) float32
        Uniform in [0, 1].
    """
    random = torch.Generator().manual_seed(0)
    size = config.image_size
    image = torch.rand((frames, 3, size, size), generator=random) * 2 - 1
    f_exp = torch.rand((frames, config.coefficient_count), generator=random)
    return image.to(memory_format=torch.channels_last), f_exp


def largest_difference(network: GLEENet, program: nn.Module, config: GLEENetConfig) -> float:
    """Compare the probabilities of a network and of its exported form, on random input.

    Parameters
    ----------
    network : GLEENet
        Set to evaluation mode.
    program : nn.Module
        Its exported form.
    config : GLEENetConfig
        Of the network.

    Returns
    -------
    float
        Largest absolute difference.
    """
    image, f_exp = example_input(config, 3)
    f_exp[0] = float("nan")
    with torch.inference_mode():
        expected = AUProbabilities(network.eval())(image, f_exp)
        return float((program(image, f_exp) - expected).abs().max())


def _description(checkpoint: Checkpoint, fold: str) -> dict[str, Any]:
    config, reference = checkpoint.config, checkpoint.reference
    return {
        "fold": fold,
        "au_names": list(config.au_names),
        "image": f"(b, 3, {config.image_size}, {config.image_size}) float32, RGB, "
        "(value - 127.5) / 128, the centre of the aligned face",
        "f_exp": f"(b, {config.coefficient_count}) float32, NaN where not fitted",
        "f_exp_relative_to_person": None if reference is None else reference.tolist(),
        "gives": f"(b, {len(config.au_names)}) float32, probabilities; present above 0.5",
        "test_subjects": list(checkpoint.test_subjects),
        "provenance": checkpoint.provenance,
    }
