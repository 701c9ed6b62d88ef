"""The overlay of an analysis as MP4: landmarks and mesh on frames, curves of f_exp beside them."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...errors import OutputError
from .coefficient_curves import CoefficientCurves
from .face_frames import FaceRows, Image
from .face_stream import PICTURE_SIDE
from .overlay_drawing import draw_face, text
from .streamed_file import streamed_file

# Height below which frames are enlarged, so that the writing can be read; pixels.
_LEAST_HEIGHT = 540
_PANEL_SHARE = 0.52  # of the height: the panel's width
_GREY = 60


class OverlayVideo:
    """Writes OUT/NAME.mp4; it takes its name when the block ends.

    size: (width, height) of the clip's frames; frames of another size are fitted in. rate: frames a
    second. several: write the faces' numbers.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        expressions: tuple[str, ...],
        size: tuple[int, int],
        rate: float,
        *,
        several: bool = False,
    ) -> None:
        self.paths: tuple[Path, ...] = (folder / f"{name}.mp4",)
        self._rate, self._several = rate, several
        self._scale = min(PICTURE_SIDE / max(size), max(1.0, _LEAST_HEIGHT / size[1]))
        self._width, self._height = (2 * round(self._scale * side / 2) for side in size)
        self._panel = 2 * round(_PANEL_SHARE * self._height / 2)
        self._expressions = expressions
        self._curves: dict[int, CoefficientCurves] = {}
        self._files = ExitStack()
        self._written = 0

    def __enter__(self) -> OverlayVideo:
        with ExitStack() as files:
            self._path = files.enter_context(streamed_file(self.paths[0]))
            self._writer = cv2.VideoWriter(
                str(self._path),
                cv2.CAP_FFMPEG,
                cv2.VideoWriter.fourcc(*"mp4v"),
                self._rate,
                (self._width + self._panel, self._height),
            )
            if not self._writer.isOpened():
                raise OutputError(
                    f"cannot write {self.paths[0]}: no video can be opened there; "
                    "free space or choose a folder that can be written"
                )
            files.callback(self._writer.release)
            self._files = files.pop_all()
        return self

    def __exit__(self, *error: Any) -> bool | None:
        if error[0] is None:
            # OpenCV does not say where a disk is full.
            self._writer.release()
            error = self._check() or error
            if error[0] is not None:
                self._files.__exit__(*error)
                raise error[1]
        return self._files.__exit__(*error)

    def write(self, rows: FaceRows) -> None:
        """Draw and write the rows' frames."""
        for _, group in groupby(range(len(rows)), key=lambda i: rows.faces[i].frame):
            self._writer.write(cv2.cvtColor(self._frame(rows, list(group)), cv2.COLOR_RGB2BGR))
            self._written += 1

    def _frame(self, rows: FaceRows, indices: list[int]) -> Image:
        face = rows.faces[indices[0]]
        image, scale, corner = self._picture(face.picture, face.size)
        for i in indices:
            draw_face(image, rows, i, scale, labelled=self._several)
        canvas = np.full((self._height, self._width, 3), _GREY, np.uint8)
        canvas[corner[1] :, corner[0] :][: image.shape[0], : image.shape[1]] = image
        reason = rows.reason(indices[0])
        if reason != "ok":
            text(canvas, reason.replace("_", " "), (16, self._height - 20), 0.8, (235, 110, 40))
        return np.concatenate([canvas, self._curves_of(rows, indices)], axis=1)

    def _picture(
        self, data: bytes | None, size: tuple[int, int]
    ) -> tuple[Image, float, tuple[int, int]]:
        """A frame in its place: picture, picture pixels in a source pixel, left and top."""
        scale = min(self._width / size[0], self._height / size[1])
        wide, tall = max(round(scale * size[0]), 1), max(round(scale * size[1]), 1)
        if data is None:
            image = np.full((tall, wide, 3), _GREY, np.uint8)
        else:
            decoded: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            stored = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
            larger = cv2.resize(stored, (wide, tall), interpolation=cv2.INTER_CUBIC)
            image = np.asarray(larger, np.uint8)
        return image, scale, ((self._width - wide) // 2, (self._height - tall) // 2)

    def _curves_of(self, rows: FaceRows, indices: list[int]) -> Image:
        """The panel of the largest face that is followed."""
        for i in indices:
            face_id = rows.faces[i].face_id
            if face_id not in self._curves:
                self._curves[face_id] = CoefficientCurves(self._expressions, self._rate)
            self._curves[face_id].take(rows.fit.f_exp[i])
        largest = max(indices, key=lambda i: _extent(rows.faces[i].tracked.landmarks))
        face = rows.faces[largest]
        title = f"frame {face.frame}   {face.time:.2f} s"
        if self._several and face.face_id >= 0:
            title = f"face {face.face_id}   {title}"
        return self._curves[face.face_id].draw(self._panel, self._height, title)

    def _check(self) -> tuple[Any, ...] | None:
        """What is wrong with the video that was written, as an exception's triple."""
        capture = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
        found = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        capture.release()
        if found == self._written:
            return None
        error = OutputError(
            f"cannot write {self.paths[0]}: {found} of {self._written} frames are there; "
            "free space or choose a folder that can be written"
        )
        return type(error), error, None


def _extent(landmarks: npt.NDArray[np.float32]) -> float:
    if not np.isfinite(landmarks).all():
        return -1.0
    return float(np.ptp(landmarks, axis=0).prod())
