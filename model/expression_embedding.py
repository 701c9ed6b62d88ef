"""The expression embedding that comes with glee, trained on rendered people without AU labels.

It stands in for FaceNet's and FEC's weights where these are not given: weights of global and local
branch, for networks of the preset compact. `tools/train_expression_embedding.py` builds the file.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import WeightsError
from .checkpoint import check_sizes
from .network.glee_net import GLEENet

EMBEDDING_PATH = Path(__file__).parent / "assets" / "expression_embedding.npz"
FORMAT_NAME, FORMAT_VERSION = "glee-expression-embedding", 1
_REMEDY = "install glee again, or train with --init random"
# The parts that it has weights of, and the sizes to which these resize faces.
_BRANCHES = ("global_branch", "local_branch")
# Statistics of batch normalisation, in whose smallest values float16 has too few digits.
_STATISTICS = ("running_mean", "running_var")


def write_embedding(path: Path, network: GLEENet, source: str) -> None:
    """Write the weights of both branches, in float16 but for statistics.

    Parameters
    ----------
    path : Path
        The file, .npz.
    network : GLEENet
        With global and local branch.
    source : str
        What it was trained on, a line.

    Raises
    ------
    WeightsError
        Where a branch is missing.
    """
    if network.global_branch is None or network.local_branch is None:
        raise WeightsError(f"{path}: an embedding is of a network with global and local branch")
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for name, value in network.state_dict().items():
        if name.startswith(_BRANCHES) and value.is_floating_point():
            kept = np.float32 if name.endswith(_STATISTICS) else np.float16
            arrays[name] = value.detach().cpu().numpy().astype(kept)
    sizes = [int(getattr(network, branch).size) for branch in _BRANCHES]
    np.savez_compressed(
        path,
        allow_pickle=False,
        format=np.array(FORMAT_NAME),
        version=np.int64(FORMAT_VERSION),
        source=np.array(source),
        sizes=np.array(sizes, np.int64),
        **{name: arrays[name] for name in sorted(arrays)},
    )


def load_embedding(network: GLEENet, path: Path = EMBEDDING_PATH) -> None:
    """Give global and local branch, as far as the network has them, the embedding's weights.

    Parameters
    ----------
    network : GLEENet
        Changed in place.
    path : Path
        The file; by default the one that comes with glee.

    Raises
    ------
    WeightsError
        Where the file is missing, cut, of another version, or of another network.
    """
    arrays = _read(path)
    width = arrays.pop("sizes")
    sizes = dict(zip(_BRANCHES, width.tolist(), strict=False))
    check_sizes(network, sizes, f"{path}: the expression embedding", "choose the preset compact")
    own = {k: v for k, v in network.state_dict().items() if k.startswith(_BRANCHES)}
    parts = {name.partition(".")[0] for name in own}
    given = {k: v for k, v in arrays.items() if k.partition(".")[0] in parts}
    needed = {name for name, value in own.items() if value.is_floating_point()}
    if not parts:
        raise WeightsError(
            f"{path}: this ablation has no branch that takes the expression embedding; train it "
            "with --init random"
        )
    for name in sorted(needed ^ given.keys()) or sorted(
        name for name, value in given.items() if value.shape != tuple(own[name].shape)
    ):
        raise WeightsError(
            f"{path}: the expression embedding's {name} does not fit this network; choose the "
            f"preset compact, or {_REMEDY}"
        )
    network.load_state_dict(_tensors(given), strict=False)


def _tensors(arrays: Mapping[str, npt.NDArray[np.generic]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value.astype(np.float32)) for name, value in arrays.items()}


def _read(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    """All arrays of the file, `sizes` among them."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise WeightsError(f"{path}: the expression embedding is missing; {_REMEDY}") from None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).split("\n", 1)[0]
        raise WeightsError(
            f"{path}: the expression embedding cannot be read ({reason}); {_REMEDY}"
        ) from None
    name, version = (arrays.pop(key, np.array("")).tolist() for key in ("format", "version"))
    arrays.pop("source", None)
    if name != FORMAT_NAME or "sizes" not in arrays:
        raise WeightsError(f"{path}: is no expression embedding of glee; {_REMEDY}")
    if version != FORMAT_VERSION:
        raise WeightsError(
            f"{path}: an expression embedding of version {version}, this glee reads "
            f"{FORMAT_VERSION}; {_REMEDY}"
        )
    return arrays
