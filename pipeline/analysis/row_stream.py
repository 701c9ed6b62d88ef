"""Fitted rows from a stream of faces: each face's identity first, then blocks in frame order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from ...fitting.fit import Fit
from .face_fit import IDENTITY_FRAMES, FaceFitter, Identity
from .face_frames import FaceFrame, FaceRows
from .gaze import gaze_directions
from .scores import AUScorer

# Fields of a Fit that are no arrays over its rows.
_OF_ALL_ROWS = ("model", "camera", "landmark_set")
# Frames that are fitted together; the result does not depend on it.
BLOCK_FRAMES = 32
# The first block is small, so that the first rows come soon.
FIRST_BLOCK = 8
# A face whose identity is taken from its own first frames waits for so many frames at most.
PATIENCE = 2 * IDENTITY_FRAMES


class RowStream:
    """Takes faces frame by frame and gives fitted rows, in the order of the frames.

    identities: of faces that are known before; any other face's is taken from its own first frames,
    for which its rows, and all after them, are held back.
    """

    def __init__(
        self,
        fitter: FaceFitter,
        identities: Mapping[int, Identity] | None = None,
        scorer: AUScorer | None = None,
    ) -> None:
        self._fitter, self._scorer = fitter, scorer
        self._identities: dict[int, Identity | None] = dict(identities or {})
        self._pending: list[FaceFrame] = []
        self._block = FIRST_BLOCK
        self._taken = 0

    def rows(self, stream: Iterable[list[FaceFrame]]) -> Iterator[FaceRows]:
        """All rows of a stream; one block's faces are in memory, or those of PATIENCE frames."""
        for faces in stream:
            self._pending += faces
            self._taken += 1
            if self._taken >= self._block:
                self._taken, self._block = 0, BLOCK_FRAMES
                yield from self._ready(faces[0].frame)
        yield from self._ready(None)

    def _ready(self, now: int | None) -> Iterator[FaceRows]:
        """Rows up to the first one of a face that is not known yet. now: None at the end."""
        self._learn(now)
        held = next(
            (
                face.frame
                for face in self._pending
                if face.valid and face.face_id not in self._identities
            ),
            None,
        )
        done = [face for face in self._pending if held is None or face.frame < held]
        self._pending = self._pending[len(done) :]
        for size, faces in groupby(done, key=lambda face: face.size):
            yield self._fitted(size, tuple(faces))

    def _learn(self, now: int | None) -> None:
        """Take the identity of faces that were seen often enough, or waited for long enough."""
        if self._fitter.own_identity:
            self._identities.update(dict.fromkeys({face.face_id for face in self._pending}))
            return
        for face_id in sorted({face.face_id for face in self._pending if face.valid}):
            if face_id in self._identities:
                continue
            own = [face for face in self._pending if face.face_id == face_id and face.valid]
            waited = now is None or now - own[0].frame >= PATIENCE
            if waited or len(own) >= IDENTITY_FRAMES:
                self._identities[face_id] = self._fitter.identity(own)

    def _fitted(self, size: tuple[int, int], faces: tuple[FaceFrame, ...]) -> FaceRows:
        ids = np.array([face.face_id for face in faces])
        parts, places, au = [], [], []
        for face_id in sorted(set(ids.tolist())):
            place = np.flatnonzero(ids == face_id)
            own = [faces[i] for i in place]
            identity = self._identities.get(face_id)
            fit = self._fitter.rows(own, identity)
            parts.append(fit)
            places.append(place)
            au.append(self._scores(own, fit, identity))
        order = np.argsort(np.concatenate(places))
        fit = _joined(parts, order)
        gaze = np.stack([gaze_directions(fit, i, face.irises) for i, face in enumerate(faces)])
        usual = np.stack([self._usual_look(face.face_id) for face in faces])
        return FaceRows(faces, fit, np.concatenate(au)[order], gaze, usual)

    def _usual_look(self, face_id: int) -> npt.NDArray[np.float64]:
        identity = self._identities.get(face_id)
        return np.full((2, 2), np.nan) if identity is None else identity.usual_look

    def _scores(
        self, faces: list[FaceFrame], fit: Fit, identity: Identity | None
    ) -> npt.NDArray[np.float32]:
        if self._scorer is None:
            return np.empty((len(faces), 0), np.float32)
        out = np.full((len(faces), len(self._scorer.au_names)), np.nan, np.float32)
        seen = [i for i, face in enumerate(faces) if face.crop is not None]
        if seen:
            crops = np.stack([crop for i in seen if (crop := faces[i].crop) is not None])
            out[seen] = self._scorer.score(crops, fit.f_exp[seen], identity)
        return out


def _joined(parts: list[Fit], order: npt.NDArray[np.intp]) -> Fit:
    """Fits of several faces as one, its rows in this order."""
    first = parts[0]
    if len(parts) == 1:
        return first
    arrays = [item.name for item in fields(first) if item.name not in _OF_ALL_ROWS]
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])[order] for name in arrays
    }
    return replace(first, **joined)
