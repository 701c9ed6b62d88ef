"""Imports a morphable model of any known format into glee's own form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, UsageError
from ..morphable_model.landmark_scheme import ARKIT_NAMES
from ..morphable_model.morphable_model import MorphableModel, SurfacePoints
from .bfm import read_bfm2009, read_bfm2017
from .flame import read_flame
from .generic_npz import read_generic_npz
from .ict_facekit import read_ict_facekit
from .lsfm import read_lsfm
from .raw_model import RawModel, decimetres, to_conventions, wound_outwards
from .registration import carry_blendshapes, carry_landmarks, register_embedded
from .surface_features import curves, jaw_lines, lip_triangles, mirror_vertices
from .user_files import FORMS, read_blendshapes, read_landmarks

FORMATS: dict[str, Callable[[Path, int], RawModel]] = {
    "lsfm": read_lsfm,
    "ict-facekit": read_ict_facekit,
    "bfm2009": read_bfm2009,
    "bfm2017": read_bfm2017,
    "bfm2019": read_bfm2017,
    "flame": read_flame,
    "npz": read_generic_npz,
}
IDENTITY_MODES = 60


def import_model(
    format_name: str,
    path: Path,
    *,
    landmarks: Path | None = None,
    blendshapes: Path | None = None,
    register: bool = False,
    unit: str | None = None,
    identity_modes: int = IDENTITY_MODES,
) -> MorphableModel:
    """Read a model and bring it to glee's conventions.

    Parameters
    ----------
    format_name : a key of FORMATS
    path : the model's file or folder
    landmarks : a file of its 68 landmarks, where the model has none or others are wanted
    blendshapes : its 51 ARKit shapes, a folder or ``.npz``, in place of its own
    register : where landmarks or expressions are still missing, carry the embedded model's over by
        registration
    unit : m, dm, cm, mm or um, in place of the format's
    identity_modes : number of leading identity modes to keep

    Returns
    -------
    MorphableModel

    Raises
    ------
    UsageError
        the format is unknown
    DataError
        the file or its content does not fit
    """
    if format_name not in FORMATS:
        raise UsageError(f"model format '{format_name}' is not known; give {', '.join(FORMATS)}")
    if identity_modes < 1:
        raise UsageError(f"identity modes {identity_modes}: keep at least 1")
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder; give the model's own")
    raw = FORMATS[format_name](path, identity_modes)
    if unit is not None:
        decimetres(raw, unit)
        raw = replace(raw, unit=unit)
    if blendshapes is not None:
        shapes = read_blendshapes(Path(blendshapes), raw.mean)
        raw = replace(raw, expression=shapes, expression_names=ARKIT_NAMES)
    points = _landmarks(raw, landmarks, register)
    _need_expressions(raw, register)
    model = to_conventions(raw, points)
    if not len(model.expression):
        shapes = carry_blendshapes(register_embedded(model.mean, model.triangles, points))
        model = replace(model, expression=shapes, expression_names=ARKIT_NAMES)
    return assemble(model)


def _landmarks(raw: RawModel, file: Path | None, register: bool) -> SurfacePoints:
    """The landmarks from the user's file, the model itself or a registration, in this order."""
    if file is not None:
        return read_landmarks(Path(file), len(raw.mean))
    if raw.landmarks is not None:
        return raw.landmarks
    if not register:
        raise DataError(
            f"{raw.source}: the model has no landmarks; give a file of them ({FORMS}), or ask for "
            "registration to the embedded model"
        )
    if raw.unit is None:
        raise DataError(
            f"{raw.source}: registration without landmarks needs the model's unit; give it (m, dm, "
            "cm, mm, um), or give landmarks"
        )
    mean = raw.mean * decimetres(raw, raw.unit)
    mean = mean - mean.mean(0)
    triangles = wound_outwards(mean, raw.triangles)
    return carry_landmarks(register_embedded(mean, triangles, None), mean, triangles)


def _need_expressions(raw: RawModel, register: bool) -> None:
    if not len(raw.expression) and not register:
        raise DataError(
            f"{raw.source}: the model has no expressions; give its 51 blendshapes (a folder of "
            "OBJ or PLY files, or an .npz), or ask for registration to the embedded model"
        )


def assemble(raw: RawModel) -> MorphableModel:
    """Complete a model: what its file does not say is derived from the landmarks.

    Parameters
    ----------
    raw : in glee's conventions (`to_conventions`), with landmarks

    Returns
    -------
    MorphableModel

    Raises
    ------
    DataError
        there are no landmarks
    """
    if raw.landmarks is None:
        raise DataError(f"{raw.source}: the model has no landmarks")
    triangles, mean = raw.triangles, raw.mean
    parts, names = _parts(raw)
    skin = triangles[np.isin(parts, [names.index(name) for name in ("skin", "lips")])]
    skin = skin if len(skin) else triangles
    lips = np.zeros(len(mean), np.float32)
    lips[triangles[parts == names.index("lips")]] = 1.0
    mirror = mirror_vertices(mean) if raw.mirror is None else raw.mirror
    return MorphableModel(
        name=raw.name,
        mean=mean.astype(np.float32),
        identity=raw.identity.astype(np.float32),
        expression=raw.expression.astype(np.float32),
        expression_names=raw.expression_names,
        triangles=triangles.astype(np.int32),
        mirror=mirror.astype(np.int32),
        parts=parts,
        part_names=names,
        landmarks={"anatomical": raw.landmarks},
        jaw_candidates=jaw_lines(mean, skin, raw.landmarks),
        curves=curves(mean, skin, raw.landmarks),
        uv=None if raw.uv is None else raw.uv.astype(np.float32),
        masks=raw.masks | {"lips": lips},
    )


def _parts(raw: RawModel) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Parts with the lips cut out of the skin where the model does not tell them apart."""
    names = raw.part_names + tuple(n for n in ("skin", "lips") if n not in raw.part_names)
    parts = raw.parts
    if parts is None:
        parts = np.full(len(raw.triangles), names.index("skin"), np.uint8)
    if raw.landmarks is not None and not (parts == names.index("lips")).any():
        found = lip_triangles(raw.mean, raw.triangles, raw.landmarks.on(raw.mean))
        parts = np.where(found & (parts == names.index("skin")), names.index("lips"), parts)
    return parts.astype(np.uint8), names
