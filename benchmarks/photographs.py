"""Photographs with human landmarks: pictures with iBUG's `.pts` beside them, checked when read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glee.errors import DataError
from glee.fitting.morphable_model.landmark_scheme import COUNT, inter_ocular_distance
from glee.pipeline.images.frames import read_image

Floats = NDArray[np.float64]

FACES = Path(__file__).resolve().parents[2] / "shared" / "faces"
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
# A face may be cut by the picture's border, and its landmarks are guessed beyond it; with more of
# them outside than this share, they were not made on this picture.
OUTSIDE = 0.25
# Outer eye corners that are nearer than so many pixels are no face that anybody annotated.
SMALLEST_FACE = 4.0


@dataclass(frozen=True, eq=False)
class Photograph:
    """A picture and its annotation.

    picture: (h, w, 3) uint8 RGB. landmarks: (68, 2) float64, pixels, centres at whole numbers.
    """

    name: str
    picture: NDArray[np.uint8]
    landmarks: Floats

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), pixels."""
        return self.picture.shape[1], self.picture.shape[0]


def read_photographs(
    folder: Path, limit: int | None = None
) -> tuple[list[Photograph], list[DataError]]:
    """All photographs of a folder and below, by name, and what is wrong with the others.

    limit: only so many, spread evenly over the names.
    Raises DataError where the folder is missing or holds no annotation.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give one with photographs and their .pts files")
    annotations = sorted(folder.rglob("*.pts"))
    if not annotations:
        raise DataError(
            f"{folder}: holds no .pts file; give a folder with photographs and iBUG's annotations"
        )
    if limit is not None and limit < len(annotations):
        chosen = np.linspace(0, len(annotations) - 1, limit).round().astype(int)
        annotations = [annotations[i] for i in np.unique(chosen)]
    good, bad = [], []
    for path in annotations:
        try:
            good.append(_read(path, folder))
        except DataError as error:
            bad.append(error)
    return good, bad


def read_pts(path: Path) -> Floats:
    """Landmarks of an iBUG `.pts` file: (68, 2) float64, pixels, centres at whole numbers from 0.

    The file counts pixels from 1, as Matlab does. Raises DataError where it holds anything else.
    """
    try:
        head, _, rest = path.read_text("utf-8").partition("{")
        rows = [line.split() for line in rest.partition("}")[0].splitlines() if line.strip()]
        points = np.array([[float(x), float(y)] for x, y in rows]).reshape(-1, 2)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a .pts file ({error}); write it anew") from None
    if "n_points" not in head:
        raise DataError(f"{path}: is no .pts file, it does not say n_points; write it anew")
    if len(points) != COUNT:
        raise DataError(
            f"{path}: has {len(points)} points, not the {COUNT} of iBUG; annotate it anew"
        )
    if not np.isfinite(points).all() or inter_ocular_distance(points) < SMALLEST_FACE:
        raise DataError(f"{path}: its points are no face; annotate it anew")
    return points - 1.0


def _read(path: Path, folder: Path) -> Photograph:
    landmarks = read_pts(path)
    images = [path.with_suffix(suffix) for suffix in SUFFIXES]
    image = next((candidate for candidate in images if candidate.is_file()), None)
    if image is None:
        raise DataError(f"{path}: has no photograph of its name beside it ({', '.join(SUFFIXES)})")
    picture = read_image(image)
    if picture is None:
        raise DataError(f"{image}: cannot be read as an image; get it again")
    height, width = picture.shape[:2]
    outside = ((landmarks < 0) | (landmarks > (width - 1, height - 1))).any(1)
    if outside.mean() > OUTSIDE:
        raise DataError(
            f"{path}: {outside.sum()} of its {COUNT} points lie outside {image.name}, which has "
            f"{width} x {height} pixels; it is the annotation of another image"
        )
    name = path.relative_to(folder).with_suffix("").as_posix()
    return Photograph(name, picture, landmarks)
