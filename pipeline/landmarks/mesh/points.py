"""The 478 points of MediaPipe's face mesh, and where iBUG's 68 landmarks lie among them.

Point numbers are those of MediaPipe's model; "right" and "left" are the person's, where MediaPipe's
own files name the eyes as the viewer sees them.

A landmark is a weighted mean of at most four mesh points and one constant offset in the face's
frame. Both are read from `ibug_landmarks.toml`. They were measured on photographs with iBUG's
annotations by `tools/measure_landmark_definition.py`; the file holds figures only.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ....errors import WeightsError
from ....fitting.morphable_model.landmark_scheme import COUNT as LANDMARKS
from ....fitting.morphable_model.landmark_scheme import MIRROR

# Points of the face's surface; 2 x 5 of the irises follow.
MESH_POINTS = 468
COUNT = 478

# An iris: centre, then right, top, left and bottom edge as the viewer sees them.
RIGHT_IRIS = (468, 469, 470, 471, 472)
LEFT_IRIS = (473, 474, 475, 476, 477)

# Outer corners of the right and the left eye: they span the face's frame.
EYE_CORNERS = (33, 263)

DEFINITION_PATH = Path(__file__).parent / "ibug_landmarks.toml"
MOST_POINTS = 4
_REMEDY = "install glee again, or measure it with tools/measure_landmark_definition.py"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LandmarkDefinition:
    """Where the 68 landmarks lie on the mesh.

    Attributes
    ----------
    weights : (68, 478) float64, of each mesh point in each landmark; rows sum to 1
    offsets : (68, 2) float64, constant offset in the face's frame: x from the right to the left
        outer eye corner of the mesh, y a quarter turn on (down), unit their distance
    """

    weights: Floats
    offsets: Floats

    def landmarks(self, points: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """The 68 landmarks of mesh points.

        Parameters
        ----------
        points : (..., 478, 2) or (..., 478, 3) float, pixels; depth is not looked at

        Returns
        -------
        landmarks : (..., 68, 2) float32, pixels
        """
        plane = np.asarray(points[..., :2], np.float64)
        return np.asarray(self.weights @ plane + self.offsets @ face_axes(plane), np.float32)


def face_axes(points: Floats) -> Floats:
    """The face's frame as rows.

    Parameters
    ----------
    points : (..., m, 2) float64, pixels, mesh points

    Returns
    -------
    axes : (..., 2, 2) float64, pixels, from the right to the left outer eye corner, and that vector
        turned by a quarter
    """
    right, left = EYE_CORNERS
    along = points[..., left, :] - points[..., right, :]
    axes = np.empty((*along.shape[:-1], 2, 2))
    axes[..., 0, :] = along
    axes[..., 1, 0], axes[..., 1, 1] = -along[..., 1], along[..., 0]
    return axes


@lru_cache(maxsize=1)
def ibug_definition() -> LandmarkDefinition:
    """The definition that `mesh` has. Raises WeightsError where its file is missing or damaged."""
    return read_definition(DEFINITION_PATH)


def landmarks_from_mesh(points: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """iBUG's 68 landmarks (..., 68, 2) float32 of mesh points (..., 478, 2 or 3), the same unit."""
    return ibug_definition().landmarks(points)


def read_definition(path: Path) -> LandmarkDefinition:
    """Read a definition's file.

    Parameters
    ----------
    path : a TOML file of tables `[[landmark]]`, each of a landmark in the middle or of one on the
        right with its mirror image

    Returns
    -------
    definition : of all 68 landmarks

    Raises
    ------
    WeightsError
        where the file is missing, or does not hold each landmark once
    """
    try:
        entries = tomllib.loads(path.read_text("utf-8"))["landmark"]
        definition = LandmarkDefinition(np.zeros((LANDMARKS, COUNT)), np.zeros((LANDMARKS, 2)))
        for entry in entries:
            _place(definition, entry)
    except FileNotFoundError:
        raise WeightsError(f"{path}: there is no such file; {_REMEDY}") from None
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{path}: defines no landmarks ({reason}); {_REMEDY}") from None
    if not np.allclose(definition.weights.sum(1), 1.0, atol=1e-6):
        missing = np.flatnonzero(~np.isclose(definition.weights.sum(1), 1.0, atol=1e-6))
        raise WeightsError(f"{path}: lacks landmarks {missing.tolist()}; {_REMEDY}")
    return definition


def _place(definition: LandmarkDefinition, entry: dict[str, Any]) -> None:
    """Put one table of the file, a landmark and its mirror image, into a definition."""
    landmark = int(entry["landmark"])
    weights, offset = np.array(entry["weights"], float), np.array(entry["offset"], float)
    for target, side, sign in (
        (landmark, "points", 1.0),
        (int(MIRROR[landmark]), "mirrored", -1.0),
    ):
        points = np.array(entry[side], int)
        if not 1 <= len(points) <= MOST_POINTS or points.min() < 0 or points.max() >= MESH_POINTS:
            raise ValueError(f"landmark {landmark} has the {side} {points.tolist()}")
        definition.weights[target] = 0.0
        np.add.at(definition.weights[target], points, weights)
        definition.offsets[target] = offset * (sign, 1.0)


def write_definition(
    path: Path, definition: LandmarkDefinition, mirror: npt.NDArray[np.int64]
) -> None:
    """Write a definition's file.

    Parameters
    ----------
    path : the file to write
    definition : its left landmarks are the mirror images of its right ones
    mirror : (468,) int64, the mesh point on the other side
    """
    blocks = [_HEAD]
    for landmark in range(LANDMARKS):
        if landmark > MIRROR[landmark]:
            continue
        row = definition.weights[landmark]
        # Those of the greatest weight first.
        points = sorted(np.flatnonzero(row), key=lambda point: -abs(row[point]))
        weights = [round(float(row[point]), 4) for point in points[1:]]
        weights.insert(0, round(1.0 - sum(weights), 4))
        x, y = definition.offsets[landmark]
        blocks.append(
            f"[[landmark]]\nlandmark = {landmark}\npoints = {[int(point) for point in points]}\n"
            f"mirrored = {[int(mirror[point]) for point in points]}\nweights = {weights}\n"
            f"offset = [{x:.5f}, {y:.5f}]\n"
        )
    path.write_text("\n".join(blocks), "utf-8")


_HEAD = """\
# Where iBUG's 68 landmarks lie on MediaPipe's face mesh: figures that
# tools/measure_landmark_definition.py measured on photographs with iBUG's annotations.
#
# A landmark (numbered from 0) is the weighted mean of mesh points, and an offset in the face's
# frame: x from the right to the left outer eye corner (points 33 and 263), y down, unit their
# distance. The landmark on the other side has the mirrored points and the offset with -x.
"""
