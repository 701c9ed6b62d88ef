"""The overlay of an analysis in H.264: landmarks and mesh on frames, curves of f_exp beside them.

The curves are those of the coefficients that are strongest just now.
"""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
from fractions import Fraction
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from ...errors import OutputError
from ...fitting.fit import Fit
from ...fitting.morphable_model.landmark_scheme import CURVES
from ...fitting.morphable_model.morphable_model import MorphableModel
from .face_stream import PICTURE_SIDE, FaceRows, Image
from .glee_table import streamed_file

# Height below which frames are enlarged, so that the writing can be read; pixels.
_LEAST_HEIGHT = 540
_PANEL_SHARE = 0.52  # of the height: the panel's width
_GREY = 60
# x264's own scale of quality, and how much time to spend on it: about the quality that MPEG-4 at
# OpenCV's rate had, in less than half the bytes; see docs/benchmarks.md. Looking ten frames ahead,
# which this preset leaves out, costs hardly any time and saves a third of the bytes.
_ENCODING = {
    "crf": "19",
    "preset": "superfast",
    "x264-params": "mbtree=1:rc-lookahead=10",
}
_MOST_DENOMINATOR = 1_001_000

# Okabe and Ito (2008): told apart with every kind of colour vision. RGB.
LANDMARKS = (86, 180, 233)
MESH = (225, 240, 235)
INVALID = (213, 94, 0)
_MESH_SHARE = 0.3
_SHIFT = 4  # sub-pixel bits of OpenCV's drawing
_FONT = cv2.FONT_HERSHEY_SIMPLEX

# Curves that are shown, and seconds that they reach back.
SHOWN, SECONDS = 7, 4.0
# A coefficient's strength fades to a half in so many seconds; another takes its place when it is
# stronger by this factor, so that the list does not flicker.
_HALF_LIFE, _STRONGER = 2.0, 1.4
# Okabe and Ito (2008), light enough for a dark ground. RGB.
_COLOURS = (
    *((86, 180, 233), (230, 159, 0), (0, 178, 135), (240, 228, 66)),
    *((204, 121, 167), (120, 150, 235), (235, 110, 40)),
)
_GROUND, _LINE, _INK = (24, 26, 30), (62, 66, 74), (226, 228, 232)


class OverlayVideo:
    """Writes OUT/NAME.mp4; it takes its name when the block ends.

    Parameters
    ----------
    folder : Path
        OUT.
    name : str
        NAME.
    expressions : tuple of str
        Names of the blendshapes.
    size : (int, int)
        Width and height of the clip's frames, pixels; frames of another size are fitted in.
    rate : float
        Frames a second.
    several : bool
        Write the faces' numbers.
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
        self._container: Any = None
        self._stream: Any = None
        self._written = 0

    def __enter__(self) -> OverlayVideo:
        with ExitStack() as files:
            self._path = files.enter_context(streamed_file(self.paths[0]))
            try:
                self._open()
            except (av.error.FFmpegError, OSError) as error:
                raise self._failed("no video can be opened there") from error
            files.callback(self._close, quietly=True)
            self._files = files.pop_all()
        return self

    def _open(self) -> None:
        # The index comes first, so that a browser can begin before it has the whole file.
        self._container = av.open(
            f"file:{self._path.absolute()}", "w", format="mp4", options={"movflags": "+faststart"}
        )
        rate = Fraction(self._rate).limit_denominator(_MOST_DENOMINATOR)
        self._stream = self._container.add_stream("libx264", rate=rate, options=_ENCODING)
        self._stream.width, self._stream.height = self._width + self._panel, self._height
        # What browsers decode.
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.thread_count = 1

    def _close(self, *, quietly: bool = False) -> None:
        """End the file; a second time there is nothing to do."""
        container, self._container = self._container, None
        if container is None:
            return
        try:
            if not quietly:
                container.mux(self._stream.encode())
            container.close()
        except (av.error.FFmpegError, OSError) as error:
            if not quietly:
                raise self._failed("it cannot be ended") from error

    def _failed(self, why: str) -> OutputError:
        return OutputError(
            f"cannot write {self.paths[0]}: {why}; "
            "free space or choose a folder that can be written"
        )

    def __exit__(self, *error: Any) -> bool | None:
        if error[0] is None:
            try:
                self._close()
                self._check()
            except OutputError as failure:
                self._files.__exit__(type(failure), failure, failure.__traceback__)
                raise
        return self._files.__exit__(*error)

    def write(self, rows: FaceRows) -> None:
        """Draw and write the rows' frames.

        Parameters
        ----------
        rows : FaceRows
            Those that follow the ones before.
        """
        for _, group in groupby(range(len(rows)), key=lambda i: rows.faces[i].frame):
            planes = _planes(self._frame(rows, list(group)))
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            try:
                self._container.mux(self._stream.encode(picture))
            except (av.error.FFmpegError, OSError) as error:
                raise self._failed("it cannot be written on") from error
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

    def _check(self) -> None:
        """Raises OutputError where frames are not there: a full disk does not always tell."""
        try:
            with av.open(f"file:{self._path.absolute()}") as container:
                found = container.streams.video[0].frames
        except (av.error.FFmpegError, OSError, IndexError):
            found = 0
        if found != self._written:
            raise self._failed(f"{found} of {self._written} frames are there")


def _planes(image: Image) -> Image:
    """A picture (h, w, 3) of even sides as x264 takes it (3 h / 2, w), in half of FFmpeg's time."""
    planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
    # OpenCV takes the colour of each 2x2 pixels from their first, which thin lines do not bear:
    # here it is their mean.
    means = cv2.blur(image, (2, 2), anchor=(0, 0))
    planes[len(image) :] = cv2.cvtColor(means, cv2.COLOR_RGB2YUV_I420)[len(image) :]
    return np.asarray(planes, np.uint8)


def _extent(landmarks: npt.NDArray[np.float32]) -> float:
    if not np.isfinite(landmarks).all():
        return -1.0
    return float(np.ptp(landmarks, axis=0).prod())


def draw_face(image: Image, rows: FaceRows, index: int, scale: float, *, labelled: bool) -> None:
    """Draw one row's mesh and landmarks over a picture of its frame.

    Parameters
    ----------
    image : (h, w, 3) uint8
        RGB, changed in place.
    rows : FaceRows
        Fitted faces.
    index : int
        The row.
    scale : float
        Picture pixels in a source pixel.
    labelled : bool
        Write the face's number too.
    """
    face = rows.faces[index]
    landmarks = face.tracked.landmarks
    if not np.isfinite(landmarks).all():
        return
    valid = rows.valid(index)
    if valid:
        _draw_mesh(image, rows.fit, index, scale)
    colour = LANDMARKS if valid else INVALID
    points = _fixed(landmarks, scale)
    size = max(float(np.ptp(landmarks[:, 0])) * scale, 1.0)
    width = 2 if size > 260 else 1
    for curve in CURVES.values():
        cv2.polylines(image, [points[list(curve)]], False, colour, width, cv2.LINE_AA, _SHIFT)
    radius = max(round(size / 110.0), 1)
    for x, y in points.tolist():
        cv2.circle(image, (x, y), (radius + 1) << _SHIFT, (20, 20, 20), -1, cv2.LINE_AA, _SHIFT)
        cv2.circle(image, (x, y), radius << _SHIFT, colour, -1, cv2.LINE_AA, _SHIFT)
    if labelled:
        corner = landmarks.min(0) * scale
        place = (int(corner[0]), max(int(corner[1]) - 14, 16))
        text(image, f"face {face.face_id}", place, 0.6, colour)


def text(
    image: Image, words: str, place: tuple[int, int], size: float, colour: tuple[int, int, int]
) -> None:
    """Write words on a dark ground.

    Parameters
    ----------
    image : (h, w, 3) uint8
        RGB, changed in place.
    words : str
        What to write.
    place : (int, int)
        Of their lower left corner, pixels.
    size : float
        Scale of OpenCV's font.
    colour : (int, int, int)
        RGB.
    """
    (wide, tall), below = cv2.getTextSize(words, _FONT, size, 1)
    x, y = place
    cv2.rectangle(image, (x - 5, y - tall - 5), (x + wide + 5, y + below + 2), (24, 26, 30), -1)
    cv2.putText(image, words, place, _FONT, size, colour, 1, cv2.LINE_AA)


def _draw_mesh(image: Image, fit: Fit, index: int, scale: float) -> None:
    """The edges of the skin's triangles that face the camera, as thin translucent lines."""
    triangles, path, beside = _skin(fit.model)
    screen = _fixed(fit.project_mesh(index), scale)
    # Seen from the front a triangle's corners go round one way, from behind the other.
    first, second, third = (screen[triangles[:, corner]] for corner in range(3))
    (ax, ay), (bx, by) = (second - first).T.astype(np.int64), (third - first).T.astype(np.int64)
    shown = np.append(ax * by < ay * bx, False)
    height, width = image.shape[:2]
    pixels = screen >> _SHIFT
    near = ((pixels > -width) & (pixels < 2 * max(width, height))).all(1)[path]
    drawn = shown[beside].any(1) & near[:-1] & near[1:]
    ends = np.flatnonzero(np.diff(drawn, prepend=False, append=False)).reshape(-1, 2)
    points = screen[path]
    lines = [points[first : last + 1] for first, last in ends.tolist()]
    layer = image.copy()
    cv2.polylines(layer, lines, False, MESH, 1, cv2.LINE_AA, _SHIFT)
    cv2.addWeighted(layer, _MESH_SHARE, image, 1.0 - _MESH_SHARE, 0.0, dst=image)


@lru_cache(maxsize=2)
def _skin(
    model: MorphableModel,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Triangles of the face's surface, of all parts where a model does not name them.

    With corners that lead along each edge of them once (m,), and the two triangles beside each step
    (m - 1, 2), -1 for none: a few hundred long lines are drawn in half the time of all edges.
    """
    names = [name for name in ("skin", "lips") if name in model.part_names]
    triangles = model.part_triangles(*names) if names else model.triangles
    # The back of the head says nothing and hides what is behind it.
    front = model.mean[triangles].mean(1)[:, 2] > np.median(model.mean[:, 2]) - 0.3
    triangles = np.asarray(triangles[front], np.int32)
    every = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    edges, which = np.unique(every, axis=0, return_inverse=True)
    beside = np.full((len(edges), 2), -1)
    order = np.argsort(which, kind="stable")
    again = np.append(False, np.diff(which[order]) == 0).astype(np.int64)
    beside[which[order], again] = order // 3
    path, steps = _lines_along(edges)
    return triangles, path, np.append(beside, [[-1, -1]], axis=0)[steps]


def _lines_along(
    edges: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Corners one after the other, and the edge (m, 2) from each to the next; -1: another line."""
    ways: dict[int, dict[int, int]] = {}
    for number, (one, other) in enumerate(edges.tolist()):
        ways.setdefault(one, {})[other] = number
        ways.setdefault(other, {})[one] = number
    path, steps = [], []
    # Lines from where an odd number of edges meet are the fewest: they end at another such corner.
    for start in sorted(ways, key=lambda corner: len(ways[corner]) % 2 == 0):
        while ways[start]:
            here = start
            path.append(here)
            while ways[here]:
                there, edge = ways[here].popitem()
                del ways[there][here]
                path.append(there)
                steps.append(edge)
                here = there
            steps.append(-1)
    return np.array(path), np.array(steps[:-1])


def _fixed(points: npt.NDArray[np.floating], scale: float) -> npt.NDArray[np.int32]:
    """Source pixels (n, 2) as OpenCV's fixed-point numbers of the picture."""
    moved = (np.nan_to_num(points) + 0.5) * scale - 0.5
    return np.asarray(np.clip(np.round(moved * (1 << _SHIFT)), -(2**24), 2**24), np.int32)


class CoefficientCurves:
    """Follows one face's f_exp and draws it.

    Parameters
    ----------
    names : tuple of str
        Of the coefficients.
    rate : float
        Frames a second.
    """

    def __init__(self, names: tuple[str, ...], rate: float) -> None:
        self._names = names
        self._past: deque[npt.NDArray[np.float32]] = deque(maxlen=max(round(SECONDS * rate), 2))
        self._fade = 0.5 ** (1.0 / (_HALF_LIFE * rate))
        self._strength = np.zeros(len(names))
        self._shown: list[int] = list(range(min(SHOWN, len(names))))

    def take(self, f_exp: npt.NDArray[np.float32]) -> None:
        """Take the next frame's coefficients.

        Parameters
        ----------
        f_exp : (e,) float32
            NaN leaves a gap.
        """
        self._past.append(f_exp)
        self._strength *= self._fade
        if np.isfinite(f_exp).all():
            self._strength = np.maximum(self._strength, np.abs(f_exp))
        for challenger in np.argsort(-self._strength, kind="stable")[: len(self._shown)]:
            weakest = min(self._shown, key=lambda i: self._strength[i])
            if challenger in self._shown:
                continue
            if self._strength[challenger] > _STRONGER * self._strength[weakest]:
                self._shown[self._shown.index(weakest)] = int(challenger)

    def draw(self, width: int, height: int, title: str) -> Image:
        """Draw the panel.

        Parameters
        ----------
        width, height : int
            Pixels.
        title : str
            Above the curves.

        Returns
        -------
        (height, width, 3) uint8
            RGB.
        """
        panel = np.full((height, width, 3), _GROUND, np.uint8)
        head = round(0.07 * height)
        size = height / 900.0
        _write(panel, title, (14, round(0.7 * head)), 0.9 * size, _INK)
        each = (height - head - 8) / len(self._shown)
        for place, index in enumerate(self._shown):
            top = head + place * each
            self._draw_curve(panel, index, top, each, _COLOURS[place % len(_COLOURS)], size)
        return panel

    def _draw_curve(
        self,
        panel: Image,
        index: int,
        top: float,
        tall: float,
        colour: tuple[int, int, int],
        size: float,
    ) -> None:
        left, right = 14, panel.shape[1] - 14
        values = np.array([f_exp[index] for f_exp in self._past], np.float64)
        value = values[-1] if len(values) else np.nan
        baseline, ceiling = round(top + 0.9 * tall), round(top + 0.34 * tall)
        _write(panel, self._names[index], (left, round(top + 0.26 * tall)), 0.8 * size, colour)
        shown = "-" if np.isnan(value) else f"{value:.2f}"
        wide = cv2.getTextSize(shown, _FONT, 0.8 * size, 1)[0][0]
        _write(panel, shown, (right - wide, round(top + 0.26 * tall)), 0.8 * size, _INK)
        for y in (baseline, ceiling):
            cv2.line(panel, (left, y), (right, y), _LINE, 1, cv2.LINE_AA)
        # The newest value is at the right border.
        steps = (self._past.maxlen or 2) - 1
        x = right - (len(values) - 1 - np.arange(len(values))) * (right - left) / steps
        height = baseline - np.clip(values, 0.0, 1.0) * (baseline - ceiling)
        known = np.isfinite(values)
        for run in np.split(np.arange(len(values)), np.flatnonzero(np.diff(known)) + 1):
            if len(run) and known[run[0]]:
                points = np.column_stack([x[run], height[run]]) * 16
                curve = [np.round(points).astype(np.int32)]
                cv2.polylines(panel, curve, False, colour, 2, cv2.LINE_AA, 4)


def _write(
    panel: Image, words: str, place: tuple[int, int], size: float, colour: tuple[int, int, int]
) -> None:
    cv2.putText(panel, words, place, _FONT, size, colour, 1, cv2.LINE_AA)
