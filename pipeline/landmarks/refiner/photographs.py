"""Photographs with human landmarks: pictures with iBUG's `.pts` beside them, checked when read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....errors import DataError
from ....fitting.morphable_model.landmark_scheme import COUNT, inter_ocular_distance
from ...images.frames import read_image

Floats = NDArray[np.float64]

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
# A face may be cut by the picture's border, and its landmarks are guessed beyond it; with more of
# them outside than this share, they were not made on this picture.
OUTSIDE = 0.25
# Outer eye corners that are nearer than so many pixels are no face that anybody annotated.
SMALLEST_FACE = 4.0
# A .pts file of 68 points has 2 kB; nobody's has a megabyte.
_LARGEST_FILE = 1 << 20
# Names of several faces of one picture: 300-W's `image_003_1`, Helen's and AFW's `134212_1`. What
# remains without the ending ends with a digit, unlike that of LFPW's `image_0001`.
_FACE_OF_PICTURE = re.compile(r"^(.*\d)_\d{1,2}$")


@dataclass(frozen=True, eq=False)
class Photograph:
    """A picture and its annotation.

    Attributes
    ----------
    name : of its files below the folder, without their endings
    picture : (h, w, 3) uint8, RGB
    landmarks : (68, 2) float64, pixels, centres at whole numbers
    """

    name: str
    picture: NDArray[np.uint8]
    landmarks: Floats

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), pixels."""
        return self.picture.shape[1], self.picture.shape[0]


def find_annotations(folder: Path) -> list[Path]:
    """List the annotations of a folder and of those below it.

    Parameters
    ----------
    folder : with photographs and their `.pts` files

    Returns
    -------
    list of Path
        in the order of their names

    Raises
    ------
    DataError
        the folder is missing or holds no annotation
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give one with photographs and their .pts files")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".pts")
    if not found:
        raise DataError(
            f"{folder}: holds no .pts file; give a folder with photographs and iBUG's annotations"
        )
    return found


def read_photographs(
    folder: Path, limit: int | None = None
) -> tuple[list[Photograph], list[DataError]]:
    """Read all photographs of a folder and of those below it.

    Parameters
    ----------
    folder : with photographs and their `.pts` files
    limit : only so many, spread evenly over the names

    Returns
    -------
    photographs : by name
    errors : what is wrong with the others

    Raises
    ------
    DataError
        the folder is missing or holds no annotation
    """
    annotations = find_annotations(folder)
    if limit is not None and limit < len(annotations):
        chosen = np.linspace(0, len(annotations) - 1, limit).round().astype(int)
        annotations = [annotations[i] for i in np.unique(chosen)]
    good, bad = [], []
    for path in annotations:
        try:
            good.append(read_photograph(path, folder))
        except DataError as error:
            bad.append(error)
    return good, bad


def read_photograph(path: Path, folder: Path) -> Photograph:
    """Read an annotation and the photograph of its name beside it.

    Parameters
    ----------
    path : the `.pts` file
    folder : below which it was found

    Returns
    -------
    Photograph
        with its landmarks

    Raises
    ------
    DataError
        the annotation is none, has no photograph, or is that of another image
    """
    landmarks = read_pts(path)
    image = _image_of(path)
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


def read_pts(path: Path) -> Floats:
    """Read the landmarks of an iBUG `.pts` file, which counts pixels from 1, as Matlab does.

    Parameters
    ----------
    path : the file

    Returns
    -------
    (68, 2) float64
        pixels, centres at whole numbers from 0

    Raises
    ------
    DataError
        it holds anything else
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ValueError("it has more than a megabyte")
        head, _, rest = path.read_text("utf-8").partition("{")
        rows = [line.split() for line in rest.partition("}")[0].splitlines() if line.strip()]
        points = np.array([[float(x), float(y)] for x, y in rows]).reshape(-1, 2)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: cannot be read as a .pts file ({reason}); write it anew"
        ) from None
    if "n_points" not in head:
        raise DataError(f"{path}: is no .pts file, it does not say n_points; write it anew")
    if len(points) != COUNT:
        raise DataError(
            f"{path}: has {len(points)} points, not the {COUNT} of iBUG; annotate it anew"
        )
    if not np.isfinite(points).all() or inter_ocular_distance(points) < SMALLEST_FACE:
        raise DataError(f"{path}: its points are no face; annotate it anew")
    return points - 1.0


def picture_of(name: str) -> str:
    """Name the picture that a photograph's face was taken from.

    Faces of one picture, and a picture and its mirror image (`_mirror`, as 300-W has them), belong
    on one side of a split: the same person would be on both.

    Parameters
    ----------
    name : of a `Photograph`

    Returns
    -------
    str
        the same for all faces of a picture
    """
    own = name.removesuffix("_mirror")
    found = _FACE_OF_PICTURE.match(own)
    return found[1] if found else own


def _image_of(path: Path) -> Path:
    endings = [*SUFFIXES, *map(str.upper, SUFFIXES)]
    image = next((own for ending in endings if (own := path.with_suffix(ending)).is_file()), None)
    if image is None:
        raise DataError(f"{path}: has no photograph of its name beside it ({', '.join(SUFFIXES)})")
    return image
