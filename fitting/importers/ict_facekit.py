"""Reads ICT-FaceKit's light model (Li et al. 2020): a folder of OBJ files, or a tar of it.

Facts from its README.md: 26719 vertices in centimetres, parts in fixed runs of polygons, the
Multi-PIE 68 vertices; `identityNNN.obj` is the neutral face plus one standard deviation of a mode.
"""

from __future__ import annotations

import tarfile
import tempfile
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..morphable_model.landmark_scheme import ARKIT_NAMES
from .meshes import read_obj, read_obj_vertices
from .raw_model import RawModel
from .user_files import read_landmarks, shapes_named, summed

NEUTRAL = "generic_neutral_mesh.obj"
VERTICES = 26719
# Transparent films over the eye and the lashes come last; without them the eye is seen.
SOLID_VERTICES, SOLID_POLYGONS = 24591, 24692
PART_NAMES = ("skin", "lips", "mouth", "eyes", "teeth", "tongue")
# First polygon of each run: face, head and neck, mouth socket, eye sockets, gums and tongue,
# teeth, eyeballs.
PART_RUNS = (
    *((0, "skin"), (11144, "mouth"), (13226, "skin")),
    *((14034, "tongue"), (17006, "teeth"), (21496, "eyes")),
)
ARCHIVES = (".tar", ".tar.xz", ".tar.gz", ".tgz", ".txz")
MAX_ARCHIVE_BYTES = 4_000_000_000


def read_ict_facekit(path: Path, identity_modes: int) -> RawModel:
    """Read the model with its 51 ARKit blendshapes and its own 68 landmarks.

    Its unit is the centimetre.

    Parameters
    ----------
    path : the repository's folder, its ``FaceXModel`` folder, or a tar archive of either
    identity_modes : number of leading identity modes to keep

    Returns
    -------
    RawModel

    Raises
    ------
    DataError
        the path is none of these, or a file in it does not fit
    """
    with ExitStack() as stack:
        folder = path
        if path.is_file() and path.name.lower().endswith(ARCHIVES):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="glee-ict-")))
            _extract(path, folder)
        return _read_folder(path, _model_folder(path, folder), identity_modes)


def _model_folder(path: Path, folder: Path) -> Path:
    for pattern in ("", "FaceXModel", "*/FaceXModel"):
        found = sorted(folder.glob(pattern)) if pattern else [folder]
        for candidate in found:
            if (candidate / NEUTRAL).is_file():
                return candidate
    raise DataError(
        f"{path}: has no FaceXModel/{NEUTRAL}; give ICT-FaceKit's folder, its FaceXModel folder or "
        "a tar archive of it"
    )


def _extract(archive: Path, folder: Path) -> None:
    """Write the archive's OBJ and JSON files, and nothing else, flat below folder/FaceXModel."""
    target = folder / "FaceXModel"
    target.mkdir()
    total = 0
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                wanted = name.parent.name == "FaceXModel" and name.suffix in (".obj", ".json")
                if not (member.isreg() and wanted):
                    continue
                total += member.size
                if total > MAX_ARCHIVE_BYTES:
                    raise DataError(f"{archive}: unpacks to more than {MAX_ARCHIVE_BYTES:,} bytes")
                content = tar.extractfile(member)
                if content is not None:
                    (target / name.name).write_bytes(content.read())
    except (OSError, EOFError, tarfile.TarError) as error:
        raise DataError(f"{archive}: cannot be read as a tar archive ({error})") from None


def _read_folder(source: Path, folder: Path, identity_modes: int) -> RawModel:
    neutral = read_obj(folder / NEUTRAL)
    if len(neutral.vertices) != VERTICES:
        raise DataError(
            f"{folder / NEUTRAL}: has {len(neutral.vertices)} vertices, expected {VERTICES}; "
            "only ICT-FaceKit's light model is known"
        )
    files = {file.stem: file for file in sorted(folder.glob("*.obj"))}
    modes = sorted(stem for stem in files if stem.startswith("identity"))[:identity_modes]
    if not modes:
        raise DataError(f"{folder}: has no identity000.obj; the copy is not complete")
    ways = shapes_named(set(files), folder)

    def displacement(stem: str) -> NDArray[np.float32]:
        vertices = read_obj_vertices(files[stem])
        if vertices.shape != neutral.vertices.shape:
            raise DataError(f"{files[stem]}: has {len(vertices)} vertices, expected {VERTICES}")
        return (vertices - neutral.vertices)[:SOLID_VERTICES].astype(np.float32)

    shapes = {part: displacement(part) for way in ways.values() for part in way}
    solid = neutral.triangle_face < SOLID_POLYGONS
    return RawModel(
        source=source,
        name=f"ict-facekit-{len(modes)}",
        mean=neutral.vertices[:SOLID_VERTICES],
        identity=np.stack([displacement(stem) for stem in modes]),
        expression=summed(shapes, ways),
        expression_names=ARKIT_NAMES,
        triangles=neutral.triangles[solid],
        unit="cm",
        landmarks=read_landmarks(folder / "vertex_indices.json", SOLID_VERTICES),
        parts=_parts(neutral.triangle_face[solid]),
        part_names=PART_NAMES,
        uv=None if neutral.uv is None else neutral.uv[:SOLID_VERTICES],
    )


def _parts(polygon: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The part of each triangle by the polygon it was cut from."""
    starts = np.array([start for start, _ in PART_RUNS])
    names = np.array([PART_NAMES.index(name) for _, name in PART_RUNS], np.uint8)
    return names[np.searchsorted(starts, polygon, side="right") - 1]
