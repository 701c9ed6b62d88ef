"""Dense points of a detector on the morphable model: where they lie and how much they err."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, UsageError
from ..whole_files import write_whole
from .morphable_model.morphable_model import MorphableModel, SurfacePoints
from .options import UNIT_ERROR

Floats = NDArray[np.float64]

ASSET = Path(__file__).with_name("assets") / "dense_mesh.npz"
# Ending of the file beside another model's.
SUFFIX = ".dense.npz"
# The points of a network err together: so many of them tell as much as one that errs by itself.
# Of 2, 8, 32 and 128 the best on synthetic videos of four people, of a seed used for nothing else.
TOGETHER = 32.0
# Weight of a landmark that only says how large the face is and how it is turned.
NO_WEIGHT = 1e-6


@dataclass(frozen=True, eq=False)
class DensePoints:
    """d points of a detector, as the calibration found them.

    Attributes
    ----------
    places : (d, 3) on the model's surface
    deviation : (d,) float32, standard deviation of a coordinate, inter-ocular distances
    model_sha256 : fingerprint of that model's surface, see `surface_digest`
    """

    places: SurfacePoints
    deviation: NDArray[np.float32]
    model_sha256: str

    def __len__(self) -> int:
        return len(self.deviation)

    def __getitem__(self, index: slice) -> DensePoints:
        return DensePoints(self.places[index], self.deviation[index], self.model_sha256)

    def weights(self) -> Floats:
        """Weights (d,) float64 of the squared distances, beside 1 of a landmark in Eq. 3."""
        return (UNIT_ERROR / self.deviation.astype(np.float64)) ** 2 / TOGETHER


@dataclass(frozen=True, eq=False)
class DenseObservations:
    """A detector's dense points in n frames, for a fit beside the 68 landmarks.

    Attributes
    ----------
    points : (n, d, 2) or (d, 2) float, source pixels, NaN where missing; the first d of the
        calibration's points: without the irises, a detector has the others in the same order
    calibration : where they lie on the model and how much they err; None: that of the embedded
        model
    only : fit them alone; the landmarks then only say how the face is turned
    """

    points: ArrayLike
    calibration: DensePoints | None = None
    only: bool = False

    def beside(
        self, model: MorphableModel, landmarks: Floats, weight: Floats
    ) -> tuple[DensePoints, Floats, Floats]:
        """The dense points behind the landmarks of the same frames.

        Parameters
        ----------
        model : that is fitted
        landmarks : (n, 68, 2) float64, source pixels
        weight : (n, 68) float64, confidences

        Returns
        -------
        tuple
            the calibration of the d points, all points (n, 68 + d, 2) and weights (n, 68 + d)

        Raises
        ------
        UsageError
            the points are of other frames, or more than the calibration has
        DataError
            there is no calibration for the model
        """
        calibration = self.calibration or load_dense_points(model)
        found = self._checked(len(landmarks), len(calibration))
        calibration = calibration[: found.shape[1]]
        own = np.broadcast_to(calibration.weights(), found.shape[:2])
        return (
            calibration,
            np.concatenate([landmarks, found], axis=1),
            np.concatenate([weight * (NO_WEIGHT if self.only else 1.0), own], axis=1),
        )

    def _checked(self, frames: int, most: int) -> Floats:
        found = np.asarray(self.points, np.float64)
        found = found[None] if found.ndim == 2 else found
        if found.ndim != 3 or found.shape[::2] != (frames, 2) or not 0 < found.shape[1] <= most:
            raise UsageError(
                f"dense: shape {found.shape}, expected ({frames}, {most}, 2) or fewer points"
            )
        return found


def load_dense_points(model: MorphableModel, path: Path | None = None) -> DensePoints:
    """The dense points calibrated for a model.

    Parameters
    ----------
    model : that they must lie on
    path : the model's file, beside which they are looked for; None: those of the embedded model

    Raises
    ------
    DataError
        there are none, or they were calibrated for another model
    """
    source = ASSET if path is None else Path(path).with_suffix(SUFFIX)
    points = _read(source)
    if points.model_sha256 != surface_digest(model):
        raise DataError(
            f"{source}: dense points of another model than {model.name}; make them with "
            "'glee calibrate mesh --dense'"
        )
    return points


@lru_cache(maxsize=4)
def surface_digest(model: MorphableModel) -> str:
    """SHA-256, in hexadecimal, of a model's surface and how it moves, whatever its landmarks.

    Parameters
    ----------
    model : whose mean, bases and triangles count
    """
    total = hashlib.sha256()
    for array in (model.mean, model.identity, model.expression, model.triangles):
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


@lru_cache(maxsize=2)
def _read(path: Path) -> DensePoints:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return DensePoints(
                SurfacePoints(
                    archive["vertices"].astype(np.int32), archive["weights"].astype(np.float32)
                ),
                archive["deviation"].astype(np.float32),
                str(archive["model_sha256"]),
            )
    except FileNotFoundError:
        raise DataError(
            f"{path}: not there; dense points need a calibration of the model: "
            "'glee calibrate mesh --dense'"
        ) from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read ({error}); calibrate again") from None


def write_dense_points(path: Path, points: DensePoints) -> None:
    """Write dense points, whole or not at all.

    Parameters
    ----------
    path : of the file
    points : that `load_dense_points` finds there again

    Raises
    ------
    OutputError
        the file cannot be written
    """
    content = io.BytesIO()
    np.savez_compressed(
        content,
        vertices=points.places.vertices.astype(np.uint16),
        weights=points.places.weights,
        deviation=points.deviation,
        model_sha256=points.model_sha256,
    )
    write_whole(path, content.getvalue())
