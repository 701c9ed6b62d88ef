"""A trained run as one file to hand on: weights, options, how its frames were made, a licence.

A packed run is a zip of plain arrays (`.npy`) and one `run.json`. Nothing in it is unpickled,
nothing is compressed or unpacked to disk, and it has no path of the machine that made it. Its
digests tell a file that was cut or altered from a whole one; they do not tell who made it.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import types
import zipfile
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import torch

from .. import __version__
from ..errors import DataError, OptionsError, UsageError, WeightsError
from ..pipeline.options import Fit3dOptions, PreprocessOptions
from ..whole_files import replaced_when_whole, temporary_beside
from .checkpoint import Checkpoint
from .data.provenance import Provenance
from .network.build_glee_net import build_glee_net
from .network.config import GLEENetConfig
from .options import OPTIONS_FILE, read_options

FORMAT_NAME, FORMAT_VERSION = "glee-run", 1
HEAD = "run.json"
NO_LICENCE = (
    "none is given: ask who trained it before you use or hand it on; the terms of the data that it "
    "learnt from hold too"
)
# Far above any run of glee's: folds times arrays, bytes of run.json, layers, width of a layer.
_MOST_MEMBERS, _MOST_HEAD, _MOST_DEPTH, _MOST_WIDTH = 50_000, 16_000_000, 100, 1_000_000
_MOST_ARRAY_HEAD = 1024
_COMMENT = "sha256 of run.json: "
# Zip's earliest, so that the same run gives the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)
_TYPES = {"torch.float32": "<f4", "torch.int64": "<i8"}
_REMEDY = "ask for the file again, as `glee run pack` wrote it"
_Kind = tuple[tuple[int, ...], str]
_DAMAGED = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, AssertionError, EOFError),
    *(RuntimeError, OverflowError, MemoryError, RecursionError, SyntaxError, OptionsError),
    *(zipfile.BadZipFile, NotImplementedError),
)


@dataclass(frozen=True, eq=False)
class PackedRun:
    """What a packed run holds.

    Attributes
    ----------
    name : str
    glee : str
        Version that packed it.
    licence : str
    options : dict
        Of the training, without paths.
    folds : dict of str to Checkpoint
        By fold.
    """

    name: str
    glee: str
    licence: str
    options: dict[str, Any]
    folds: dict[str, Checkpoint]

    def facts(self) -> dict[str, Any]:
        """What it is, as plain data."""
        first = next(iter(self.folds.values()))
        return {
            "name": self.name,
            "glee": self.glee,
            "licence": self.licence,
            "aus": list(first.config.au_names),
            "folds": list(self.folds),
            "subjects": len({s for c in self.folds.values() for s in c.train_subjects}),
            "weights": sum(value.numel() for value in first.weights.values()),
            "dataset": first.dataset,
            "fit_model": first.fit_model,
            "detector": first.provenance.get("detector", ""),
            "options": self.options,
        }


def pack_run(
    run: Path, folds: Mapping[str, Checkpoint], out: Path, licence: str | None = None
) -> None:
    """Write a run as one file.

    Parameters
    ----------
    run : Path
        Its folder.
    folds : mapping of str to Checkpoint
        Its finished folds.
    out : Path
        The file, .zip.
    licence : str, optional
        A line: who may do what with it.

    Raises
    ------
    UsageError
        Where the file's name does not end in .zip, or the licence is more than a line.
    OptionsError
        Where the run's options cannot be read.
    OutputError
        Where it cannot be written.
    """
    if out.suffix.lower() != ".zip":
        raise UsageError(f"{out}: give a name that ends in .zip")
    line = NO_LICENCE if licence is None else licence.strip()
    if not line or not line.isprintable():
        raise UsageError("--licence is one line, such as 'CC BY 4.0, Anna Example, 2026'")
    options = asdict(read_options(run)) if (run / OPTIONS_FILE).exists() else {}
    digests = {}
    with (
        replaced_when_whole(out, temporary_beside(out)) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        for number, checkpoint in enumerate(folds.values()):
            for member, tensor in _tensors(number, checkpoint).items():
                content = _npy(tensor)
                digests[member] = hashlib.sha256(content).hexdigest()
                archive.writestr(zipfile.ZipInfo(member, _DATE), content)
        head = {
            "format": FORMAT_NAME,
            "version": FORMAT_VERSION,
            "glee": __version__,
            "name": run.resolve().name,
            "licence": line,
            "options": without_paths(options),
            "folds": {name: _fold_head(checkpoint) for name, checkpoint in folds.items()},
            "sha256": digests,
        }
        text = json.dumps(head, indent=1).encode()
        archive.writestr(zipfile.ZipInfo(HEAD, _DATE), text)
        archive.comment = (_COMMENT + hashlib.sha256(text).hexdigest()).encode()


def _fold_head(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "config": asdict(checkpoint.config),
        "train_subjects": list(checkpoint.train_subjects),
        "test_subjects": list(checkpoint.test_subjects),
        "dataset": checkpoint.dataset,
        "fit_model": checkpoint.fit_model,
        "provenance": without_paths(checkpoint.provenance),
        "person_specific": checkpoint.reference is not None,
    }


def _tensors(number: int, checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """Member -> tensor; folds go by number, since their names are the user's."""
    tensors = {_member(number, name): value for name, value in checkpoint.weights.items()}
    if checkpoint.reference is not None:
        tensors[_reference(number)] = checkpoint.reference
    return tensors


def _member(number: int, weight: str) -> str:
    return f"fold{number}/weights/{weight}.npy"


def _reference(number: int) -> str:
    return f"fold{number}/reference.npy"


def _npy(tensor: torch.Tensor) -> bytes:
    array = tensor.detach().cpu().contiguous().numpy().astype(_TYPES[str(tensor.dtype)])
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def without_paths(value: Any) -> Any:
    """Plain data in which each path is its last part alone; `mesh+refiner:/a/b` is
    `mesh+refiner:b`.
    """
    if isinstance(value, Mapping):
        return {str(name): without_paths(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(item) for item in value]
    if isinstance(value, str) and re.search(r"[/\\]", value):
        kind = re.match(r"[\w+]{2,}:(?=.)", value)
        head = kind[0] if kind else ""
        return head + PurePosixPath(value[len(head) :].replace("\\", "/")).name
    return value


def read_packed_run(path: Path) -> PackedRun:
    """Read a run that `pack_run` wrote.

    Parameters
    ----------
    path : Path

    Returns
    -------
    PackedRun

    Raises
    ------
    WeightsError
        Where it is missing, cut, altered, or holds anything that a packed run does not.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _checked_members(path, archive)
            return _read(archive, members)
    except WeightsError:
        raise
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file; {_REMEDY}") from None
    except DataError as error:
        raise WeightsError(f"{path}: {error}; {_REMEDY}") from None
    except _DAMAGED as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise WeightsError(f"{path}: is no packed run ({reason}); {_REMEDY}") from None


def _checked_members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """All members, none of which takes more than the bytes that it has in the file."""
    listed = archive.infolist()
    if len(listed) > _MOST_MEMBERS:
        raise DataError(f"holds {len(listed):,} files, more than any run")
    members = {info.filename: info for info in listed}
    if len(members) < len(listed):
        raise DataError("holds a file twice")
    for info in listed:
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise DataError(f"{info.filename!r} is compressed, as nothing in a packed run is")
        if info.flag_bits & 1:
            raise DataError(f"{info.filename!r} is encrypted")
    if sum(info.file_size for info in listed) > path.stat().st_size:
        raise DataError("claims to hold more than the file's own bytes")
    if HEAD not in members:
        raise DataError(f"has no {HEAD}")
    if members[HEAD].file_size > _MOST_HEAD:
        raise DataError(f"{HEAD} has {members[HEAD].file_size:,} bytes, more than any run's")
    return members


def _read(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> PackedRun:
    text = archive.read(members[HEAD])
    if archive.comment.decode("ascii", "replace") != _COMMENT + hashlib.sha256(text).hexdigest():
        raise DataError(f"{HEAD} is not as it was packed")
    head = json.loads(text)
    if head["format"] != FORMAT_NAME or head["version"] != FORMAT_VERSION:
        raise DataError(
            f"is {head['format']!r} version {head['version']!r}, this glee reads {FORMAT_NAME} "
            f"version {FORMAT_VERSION}"
        )
    if not head["folds"]:
        raise DataError("has no fold")
    wanted: list[dict[str, _Kind]] = []
    configs = [_config(fold["config"]) for fold in head["folds"].values()]
    for number, fold in enumerate(head["folds"].values()):
        # One fold after the other: what lacks its arrays costs the building of one network.
        wanted.append(_wanted(number, configs[number], reference=bool(fold["person_specific"])))
        if missing := sorted(wanted[-1].keys() - members.keys()):
            raise DataError(f"lacks {missing[0]} ({len(missing)} in all)")
        for member, (shape, dtype) in wanted[-1].items():
            beyond = members[member].file_size - math.prod(shape) * np.dtype(dtype).itemsize
            if not 0 < beyond <= _MOST_ARRAY_HEAD:
                raise DataError(f"{member} is of another size than the network's {shape}")
    known = {HEAD}.union(*wanted)
    if extra := sorted(members.keys() - known):
        raise DataError(f"holds {extra[0]!r}, which is of no packed run ({len(extra)} in all)")
    folds = {}
    for number, (name, fold) in enumerate(head["folds"].items()):
        arrays = {
            member: _array(archive, member, kind, head["sha256"].get(member))
            for member, kind in wanted[number].items()
        }
        folds[name] = _checkpoint(number, configs[number], fold, arrays)
    return PackedRun(
        str(head["name"]), str(head["glee"]), str(head["licence"]), dict(head["options"]), folds
    )


def _wanted(number: int, config: GLEENetConfig, *, reference: bool) -> dict[str, _Kind]:
    """Shape and type of each array of a fold."""
    with torch.device("meta"):
        state = build_glee_net(config).state_dict()
    arrays = {
        _member(number, name): (tuple(value.shape), _TYPES[str(value.dtype)])
        for name, value in state.items()
    }
    if reference:
        arrays[_reference(number)] = ((config.coefficient_count,), "<f4")
    return arrays


def _array(archive: zipfile.ZipFile, member: str, kind: _Kind, digest: object) -> torch.Tensor:
    shape, dtype = kind
    content = archive.read(member)
    if hashlib.sha256(content).hexdigest() != digest:
        raise DataError(f"{member} is not as it was packed")
    array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    if array.shape != shape or array.dtype != np.dtype(dtype):
        raise DataError(f"{member} has shape {array.shape} and type {array.dtype}, not {shape}")
    return torch.from_numpy(np.array(array, order="C"))


def _checkpoint(
    number: int, config: GLEENetConfig, fold: dict[str, Any], arrays: dict[str, torch.Tensor]
) -> Checkpoint:
    reference = arrays.pop(_reference(number), None)
    head = len(_member(number, "").removesuffix(".npy"))
    weights = {name[head:].removesuffix(".npy"): value for name, value in arrays.items()}
    return Checkpoint(
        config,
        weights,
        tuple(str(name) for name in fold["train_subjects"]),
        tuple(str(name) for name in fold["test_subjects"]),
        str(fold["dataset"]),
        str(fold["fit_model"]),
        reference,
        finished=True,
        provenance=_provenance(fold["provenance"]),
    )


def _config(given: dict[str, Any]) -> GLEENetConfig:
    """A network's configuration that can be built at no great cost."""
    known = _plain(GLEENetConfig, given)
    config = GLEENetConfig(**known)
    numbers = [n for value in known.values() for n in (value if type(value) is tuple else [value])]
    sizes = [number for number in numbers if type(number) in (int, float)]
    lengths = [len(value) for value in known.values() if type(value) is tuple]
    deep = [config.backbone_blocks * len(config.backbone_widths), config.encoders]
    if max([*deep, *lengths]) > _MOST_DEPTH or not all(0 <= n <= _MOST_WIDTH for n in sizes):
        raise DataError("describes a network larger than any of glee's")
    return config


def _provenance(given: dict[str, Any]) -> dict[str, Any]:
    """How frames were made, of known names and kinds alone, and without paths."""
    known = _plain(Provenance, given)
    for name, kind in (("preprocess", PreprocessOptions), ("fit3d", Fit3dOptions)):
        known[name] = _plain(kind, known.get(name, {}))
    if known != without_paths(known):
        raise DataError("states a path where a name should be")
    return known


def _plain(kind: type[Any], given: dict[str, Any]) -> dict[str, Any]:
    """Values by the names of a dataclass's fields, each of its field's type."""
    hints = get_type_hints(kind)
    required = {item.name for item in fields(kind) if _has_no_default(item)}
    if unknown := sorted(given.keys() - hints.keys()):
        raise DataError(f"has {unknown[0]!r}, which this glee does not know; use a newer one")
    if missing := sorted(required - given.keys()):
        raise DataError(f"lacks {missing[0]!r}")
    values = {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
    }
    for name, value in values.items():
        if not _is_a(value, hints[name]):
            raise DataError(f"has {name} = {str(value)[:40]!r}, which is of another kind")
    return values


def _has_no_default(item: Any) -> bool:
    return item.default is MISSING and item.default_factory is MISSING


def _is_a(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_is_a(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is tuple:
        return type(value) is tuple and all(_is_a(item, inner[0]) for item in value)
    if origin is dict:
        return type(value) is dict
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is hint
