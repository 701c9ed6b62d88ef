"""The person's own head as glTF, animated by what was fitted: OUT/NAME.glb."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...fitting.exporters.gltf import write_gltf
from ...fitting.morphable_model.description import ARKIT_BASIS, expression_basis
from ...fitting.morphable_model.morphable_model import MorphableModel
from .arkit_table import SHAPES, HeldLooks
from .face_stream import FaceRows

Frame = tuple[float, npt.NDArray[np.float32], npt.NDArray[np.float32]]


class AnimatedHead:
    """Writes OUT/NAME.glb, or with several faces OUT/NAME_face0.glb and so on, when the block ends.

    The frames wait in memory, 600 bytes each, since the file's head states their number. Eyes look
    where the irises are, as in the ARKit table.

    Parameters
    ----------
    folder : Path
        OUT.
    name : str
        NAME.
    model : MorphableModel
        To which the faces are fitted.
    several : bool
        A file for each face.
    """

    def __init__(
        self, folder: Path, name: str, model: MorphableModel, *, several: bool = False
    ) -> None:
        self._folder, self._name, self._model, self._several = folder, name, model, several
        self._arkit = expression_basis(model) == ARKIT_BASIS
        self._frames: dict[int, list[Frame]] = defaultdict(list)
        self._looks: dict[int, HeldLooks] = {}
        self._shapes: dict[int, npt.NDArray[np.float32]] = {}
        self.paths: tuple[Path, ...] = ()

    def __enter__(self) -> AnimatedHead:
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is not None:
            return
        faces = sorted(self._frames) if self._several else [0]
        for face in faces:
            path = self._folder / f"{self._name}{f'_face{face}' if self._several else ''}.glb"
            self._write(path, face)
            self.paths += (path,)

    def write(self, rows: FaceRows) -> None:
        """Add rows, each to its face's head.

        Parameters
        ----------
        rows : FaceRows
            Those that follow the ones before.
        """
        for i, face in enumerate(rows.faces):
            number = face.face_id if self._several else 0
            if number < 0:
                continue
            pose, f_exp = rows.fit.pose[i], rows.fit.f_exp[i]
            if not rows.valid(i):  # the file holds the frame before
                pose, f_exp = np.full_like(pose, np.nan), np.full_like(f_exp, np.nan)
            elif self._arkit:
                looks = self._looks.setdefault(number, HeldLooks())
                known = dict(zip(SHAPES, looks.values(rows, i).tolist(), strict=False))
                f_exp = np.array([known[name] for name in self._model.expression_names])
            if rows.valid(i):
                self._shapes.setdefault(number, rows.fit.f_shape[i].astype(np.float32))
            frame = (face.time, f_exp.astype(np.float32), pose.astype(np.float32))
            self._frames[number].append(frame)

    def _write(self, path: Path, face: int) -> None:
        frames = self._frames.get(face)
        if not frames or face not in self._shapes:
            write_gltf(path, self._model)  # nobody was seen: the mean head, at rest
            return
        write_gltf(
            path,
            self._model,
            f_shape=self._shapes[face],
            f_exp=np.stack([f_exp for _, f_exp, _ in frames]),
            pose=np.stack([pose for _, _, pose in frames]),
            times=_rising([time for time, _, _ in frames]),
        )


def _rising(times: list[float]) -> npt.NDArray[np.float64]:
    """Times (n,), each at least a millisecond after the one before: glTF takes no equal ones."""
    found = np.array(times, np.float64)
    for i in range(1, len(found)):
        found[i] = max(found[i], found[i - 1] + 1e-3)
    return found
