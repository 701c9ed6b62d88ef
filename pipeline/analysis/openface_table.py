"""The CSV file that OpenFace 2.2's FeatureExtraction writes, filled with what glee measures.

Names, order, units and decimals are those of OpenFace's `RecorderCSV`; 714 columns. Rotation is
R = Rx Ry Rz in camera coordinates (x right, y down, z away), 0 for a face that looks into the
camera. A frame without a face has 0 everywhere, as there. What glee does not measure is NaN: the 56
landmarks of each eye region, and the parameters p_* of OpenFace's own shape model.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from ...fitting.morphable_model.landmark_scheme import COUNT
from ..action_units.clip_estimates import ClipEstimates
from ..action_units.estimate import AUEstimates
from ..action_units.readings import AUS
from .face_stream import FaceRows
from .gaze import euler_xyz, head_place, landmarks_in_space, opencv_rotation
from .glee_table import GROUP_ROWS, TextTable, chain_rows, streamed_file, with_more_columns

EYE_LANDMARKS = 56
SHAPE_MODES = 34
AU_INTENSITIES = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
AU_OCCURRENCES = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 28, 45)
# OpenFace's intensities go to 5; a probability takes their place.
_HIGHEST = 5.0
_PRESENT = 0.5
_NOT_MEASURED = float("nan")


def _numbered(prefix: str, count: int, form: str) -> list[tuple[str, str]]:
    return [(f"{prefix}_{i}", form) for i in range(count)]


def columns() -> list[tuple[str, str]]:
    """List the columns, in order.

    Returns
    -------
    list of (str, str)
        Name and printf format of each.
    """
    return measured_columns() + action_unit_columns()


def empty_columns(estimated: bool, au_names: tuple[str, ...]) -> str:
    """Name the columns that stay empty, and say why.

    Parameters
    ----------
    estimated : bool
        Action Units are estimated.
    au_names : tuple of str
        Those of a trained run.

    Returns
    -------
    str
        A line.
    """
    wanted = [] if estimated else [f"AU{n}" for n in AU_OCCURRENCES if f"AU{n}" not in au_names]
    why = (
        "the run was not trained on them" if au_names else "--aus none, or no blendshapes for them"
    )
    missing = f"; {', '.join(wanted)} ({why})" if wanted else ""
    return f"empty columns: eye_lmk_* and p_* (glee measures no such points or shapes){missing}"


def action_unit_columns() -> list[tuple[str, str]]:
    """List those of the Action Units, the last ones."""
    return [
        *((f"AU{number:02}_r", "%.2f") for number in AU_INTENSITIES),
        *((f"AU{number:02}_c", "%.1f") for number in AU_OCCURRENCES),
    ]


def measured_columns() -> list[tuple[str, str]]:
    """List those before them."""
    eyes = [f"eye_lmk_{axis}" for axis in "xyXYZ"]
    return [
        *(("frame", "%d"), ("face_id", "%d"), ("timestamp", "%.3f")),
        *(("confidence", "%.2f"), ("success", "%d")),
        *((f"gaze_{eye}_{axis}", "%.6f") for eye in range(2) for axis in "xyz"),
        *((f"gaze_angle_{axis}", "%.3f") for axis in "xy"),
        *(column for prefix in eyes for column in _numbered(prefix, EYE_LANDMARKS, "%.1f")),
        *((f"pose_T{axis}", "%.1f") for axis in "xyz"),
        *((f"pose_R{axis}", "%.3f") for axis in "xyz"),
        *(column for prefix in "xyXYZ" for column in _numbered(prefix, COUNT, "%.1f")),
        *((f"p_{name}", "%.3f") for name in ("scale", "rx", "ry", "rz", "tx", "ty")),
        *_numbered("p", SHAPE_MODES, "%.3f"),
    ]


def values(rows: FaceRows, au_names: tuple[str, ...] | None) -> Iterator[tuple[Any, ...]]:
    """Give the values of each row, as `columns` orders them.

    Parameters
    ----------
    rows : FaceRows
        Fitted faces.
    au_names : tuple of str or None
        Names of their Action Units; None leaves their columns out.

    Yields
    ------
    tuple
        One value a column.
    """
    for i, face in enumerate(rows.faces):
        valid = rows.valid(i)
        head = (face.frame + 1, max(face.face_id, 0), face.time, rows.confidence(i), valid)
        measured = _measured(rows, i) if valid else [0.0] * (8 + 5 * EYE_LANDMARKS + 6 + 5 * COUNT)
        shape = [_NOT_MEASURED if valid else 0.0] * (6 + SHAPE_MODES)
        scored = [] if au_names is None else _action_units(rows, i, au_names, valid)
        yield (*head, *measured, *shape, *scored)


def estimate_values(estimates: AUEstimates) -> Iterator[tuple[float, ...]]:
    """Give the Action Units of each row, as `action_unit_columns` orders them.

    Parameters
    ----------
    estimates : AUEstimates
        Of the rows.

    Yields
    ------
    tuple
        One value a column, 0 where the row is not valid.
    """
    intensity = estimates.intensity[:, [AUS.index(number) for number in AU_INTENSITIES]]
    present = estimates.present[:, [AUS.index(number) for number in AU_OCCURRENCES]]
    yield from map(tuple, np.nan_to_num(np.column_stack([intensity, present])).tolist())


def _measured(rows: FaceRows, index: int) -> list[float]:
    gaze, pose = rows.gaze[index], rows.fit.pose[index]
    x, y, z = gaze.mean(0)
    return [
        *gaze.ravel().tolist(),
        float(np.arctan2(x, -z)),
        float(np.arctan2(y, -z)),
        *[_NOT_MEASURED] * (5 * EYE_LANDMARKS),
        *head_place(rows.fit, index).tolist(),
        *euler_xyz(opencv_rotation(pose)).tolist(),
        *rows.faces[index].tracked.landmarks.T.ravel().tolist(),
        *landmarks_in_space(rows.fit, index).T.ravel().tolist(),
    ]


def _action_units(
    rows: FaceRows, index: int, au_names: tuple[str, ...], valid: bool
) -> list[float]:
    known = dict(zip(au_names, rows.au[index].tolist(), strict=True))

    def probability(number: int) -> float:
        return float(known.get(f"AU{number}", _NOT_MEASURED)) if valid else 0.0

    intensities = [_HIGHEST * probability(number) for number in AU_INTENSITIES]
    occurrences = [probability(number) for number in AU_OCCURRENCES]
    return intensities + [p if np.isnan(p) else float(p > _PRESENT) for p in occurrences]


class OpenFaceTable:
    """Writes OUT/NAME.csv; it takes its name when the block ends.

    Parameters
    ----------
    folder : Path
        OUT.
    name : str
        NAME.
    expressions : tuple of str
        Names of the blendshapes, for which the file has no place.
    au_names : tuple of str
        ("AU1", ...), of a trained run.
    estimates : ClipEstimates or None
        Action Units that are known once all rows are: they are added when the block ends.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        expressions: tuple[str, ...],
        au_names: tuple[str, ...] = (),
        estimates: ClipEstimates | None = None,
    ) -> None:
        del expressions  # the file has no place for them
        self.paths: tuple[Path, ...] = (folder / f"{name}.openface.csv",)
        self._au_names = au_names if estimates is None else None
        self._estimates = estimates
        self._files = ExitStack()

    def __enter__(self) -> OpenFaceTable:
        with ExitStack() as files:
            path = files.enter_context(streamed_file(self.paths[0]))
            files.push(lambda *error: self._complete(path) if error[0] is None else None)
            form = columns() if self._estimates is None else measured_columns()
            self._text = TextTable(path, form, missing="NaN")
            files.callback(self._text.close)
            self._files = files.pop_all()
        return self

    def __exit__(self, *error: Any) -> bool | None:
        return self._files.__exit__(*error)

    def write(self, rows: FaceRows) -> None:
        """Add rows.

        Parameters
        ----------
        rows : FaceRows
            Those that follow the ones before.
        """
        self._text.write(values(rows, self._au_names))

    def _complete(self, path: Path) -> None:
        """Add the estimates to a file that is otherwise whole."""
        if self._estimates is not None:
            blocks = map(estimate_values, self._estimates.blocks(GROUP_ROWS))
            with_more_columns(path, action_unit_columns(), chain_rows(blocks), missing="NaN")
