"""The CSV file of Epic's Live Link Face app: 52 ARKit blendshapes, head and eye rotations.

One file a face. The eyeLook shapes come from the irises, of which the fit's 68 landmarks know
nothing; what is usual for the person counts as straight ahead. Rotations are in radians with the
signs of the app's recordings, where the face looks along -x of a left-handed frame with z up: yaw
is positive to the person's right, pitch downwards, roll where the head's top tilts to the person's
left, all opposite to `gaze.yaw_pitch_roll`. A frame without a face repeats the one before it,
so that an animation does not jump.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import UsageError
from ...fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from .face_stream import FaceRows
from .gaze import looks_in_head, yaw_pitch_roll
from .glee_table import TextTable, streamed_file

# Turn of an eye, radians, that is a full look.
_FULL_LOOK = math.radians(30.0)
_EYE = ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")


def _sides(*stems: str) -> list[str]:
    return [f"{stem}{side}" for stem in stems for side in ("Left", "Right")]


# Apple's order, as the app has it.
SHAPES: tuple[str, ...] = (
    *(f"eye{part}Left" for part in _EYE),
    *(f"eye{part}Right" for part in _EYE),
    *("jawForward", "jawRight", "jawLeft", "jawOpen"),
    *("mouthClose", "mouthFunnel", "mouthPucker", "mouthRight", "mouthLeft"),
    *_sides("mouthSmile", "mouthFrown", "mouthDimple", "mouthStretch"),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *_sides("mouthPress", "mouthLowerDown", "mouthUpperUp", "browDown"),
    "browInnerUp",
    *_sides("browOuterUp"),
    "cheekPuff",
    *_sides("cheekSquint", "noseSneer"),
    "tongueOut",
)
ROTATIONS = tuple(
    f"{part}{angle}"
    for part in ("Head", "LeftEye", "RightEye")
    for angle in ("Yaw", "Pitch", "Roll")
)

Values = npt.NDArray[np.float64]
# Where an eye's look stands among the values.
_OF_LOOK = {
    side: [
        place
        for place, name in enumerate((*SHAPES, *ROTATIONS))
        if name.startswith("eyeLook") and name.endswith(side) or name.startswith(f"{side}Eye")
    ]
    for side in ("Left", "Right")
}


def columns() -> list[tuple[str, str]]:
    """List the columns, in order.

    Returns
    -------
    list of (str, str)
        Name and printf format of each.
    """
    return [
        ("Timecode", "%s"),
        ("BlendShapeCount", "%d"),
        *((name[0].upper() + name[1:], "%.8f") for name in SHAPES),
        *((name, "%.8f") for name in ROTATIONS),
    ]


def timecode(seconds: float, rate: float) -> str:
    """Write a time as the app does.

    Parameters
    ----------
    seconds : float
        From the first frame.
    rate : float
        Frames a second.

    Returns
    -------
    str
        HH:MM:SS:FF.fff, FF the frames. Frames are counted, none is dropped: at 23.976 frames a
        second a timecode's second has 24 of them, as an importer that is told this rate takes it.
    """
    counted = max(round(rate), 1)
    # In whole thousandths of a frame, so that 29.9999 is the next second's first frame.
    thousandths = round(seconds * max(rate, 1.0) * 1000)
    whole, frames = divmod(thousandths, counted * 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}:{frames / 1000:06.3f}"


def values(rows: FaceRows, index: int) -> Values:
    """Give blendshapes and rotations of one valid row; tongueOut is 0, glee does not see it.

    Parameters
    ----------
    rows : FaceRows
        Fitted faces.
    index : int
        The row.

    Returns
    -------
    (61,) float64
        As `columns` orders them, after the first two.
    """
    known = dict(zip(ARKIT_NAMES, rows.fit.f_exp[index].tolist(), strict=True))
    looks = looks_in_head(rows.fit, index, rows.gaze[index])
    known |= _eye_looks(looks - np.nan_to_num(rows.usual_look[index]))
    head = -np.radians(yaw_pitch_roll(rows.fit.pose[index]))
    right, left = ((*look, 0.0) for look in (0.0 - np.nan_to_num(looks)).tolist())
    return np.array([*(known.get(name, 0.0) for name in SHAPES), *head, *left, *right])


def _eye_looks(looks: npt.NDArray[np.float64]) -> dict[str, float]:
    """The eyeLook blendshapes of both eyes' yaw and pitch (2, 2); none where a look is unknown."""
    shapes = {}
    for side, outwards, (yaw, pitch) in zip(("Right", "Left"), (-1.0, 1.0), looks, strict=True):
        if np.isfinite((yaw, pitch)).all():
            shapes[f"eyeLookOut{side}"] = outwards * yaw
            shapes[f"eyeLookIn{side}"] = -outwards * yaw
            shapes[f"eyeLookUp{side}"] = pitch
            shapes[f"eyeLookDown{side}"] = -pitch
    return {name: min(max(angle / _FULL_LOOK, 0.0), 1.0) for name, angle in shapes.items()}


class HeldLooks:
    """The values of one face's rows; an eye that is closed keeps the last look that was seen."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._last: Values | None = None

    def values(self, rows: FaceRows, index: int) -> Values:
        """Give `values` of one valid row.

        Parameters
        ----------
        rows : FaceRows
            Fitted faces.
        index : int
            The row, which follows those before.

        Returns
        -------
        (61,) float64
            As `values`.
        """
        now = values(rows, index)
        for eye, side in enumerate(("Right", "Left")):
            if np.isfinite(rows.gaze[index, eye]).all():
                self._seen.add(side)
            elif side in self._seen and self._last is not None:
                now[_OF_LOOK[side]] = self._last[_OF_LOOK[side]]
        self._last = now
        return now


class ARKitTable:
    """Writes OUT/NAME.arkit.csv, or with several faces OUT/NAME_face0.arkit.csv and so on.

    Parameters
    ----------
    folder : Path
        OUT.
    name : str
        NAME.
    expressions : tuple of str
        Names of the blendshapes.
    rate : float
        Frames a second, for the timecodes.
    several : bool
        A file for each face.

    Raises
    ------
    UsageError
        Where the blendshapes are not the 51 ARKit ones.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        expressions: tuple[str, ...],
        rate: float,
        *,
        several: bool = False,
    ) -> None:
        if expressions != ARKIT_NAMES:
            raise UsageError("format arkit needs a morphable model with the 51 ARKit blendshapes")
        self._folder, self._name = folder, name
        self._rate, self._several = rate, several
        self._files = ExitStack()
        self._tables: dict[int, TextTable] = {}
        self._last: dict[int, Values] = {}
        self._looks: dict[int, HeldLooks] = {}
        self.paths: tuple[Path, ...] = ()

    def __enter__(self) -> ARKitTable:
        if not self._several:
            self._table(0)
        return self

    def __exit__(self, *error: Any) -> bool | None:
        return self._files.__exit__(*error)

    def write(self, rows: FaceRows) -> None:
        """Add rows, each to its face's file.

        Parameters
        ----------
        rows : FaceRows
            Those that follow the ones before.
        """
        for i, face in enumerate(rows.faces):
            if face.face_id < 0:
                continue
            last = self._last.get(face.face_id, np.zeros(len(SHAPES) + len(ROTATIONS)))
            looks = self._looks.setdefault(face.face_id, HeldLooks())
            now = looks.values(rows, i) if rows.valid(i) else last
            self._last[face.face_id] = now
            row = (timecode(face.time, self._rate), len(now), *now.tolist())
            self._table(face.face_id).write([row])

    def _table(self, face_id: int) -> TextTable:
        if not self._several:
            face_id = 0  # one file, whoever is seen
        if face_id not in self._tables:
            suffix = f"_face{face_id}" if self._several else ""
            path = self._folder / f"{self._name}{suffix}.arkit.csv"
            self.paths += (path,)
            table = TextTable(self._files.enter_context(streamed_file(path)), columns())
            self._files.callback(table.close)
            self._tables[face_id] = table
        return self._tables[face_id]
