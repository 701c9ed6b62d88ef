"""A small face in the embedded model's form, from which the tests write each format's files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from glee.fitting.morphable_model.model_file import load_model


@dataclass(frozen=True)
class SmallFace:
    """A head with 3 identity modes of unit length, their deviations, and its 68 vertices; dm."""

    mean: np.ndarray
    components: np.ndarray  # (3n, 3), orthonormal columns
    deviations: np.ndarray  # (3,), decimetres
    triangles: np.ndarray
    landmarks: np.ndarray

    @property
    def identity(self) -> np.ndarray:
        """(3, n, 3) at one standard deviation."""
        return (self.components * self.deviations).T.reshape(3, -1, 3)


@pytest.fixture(scope="session")
def face() -> SmallFace:
    model = load_model()
    skin = model.part_triangles("skin", "lips")
    keep = np.unique(skin)
    number = np.full(len(model.mean), -1)
    number[keep] = np.arange(len(keep))
    # The landmarks as loose vertices: their places are then exact.
    places = model.landmarks["anatomical"].on(model.mean)
    mean = np.concatenate([model.mean[keep].astype(np.float64), places])
    landmarks = len(keep) + np.arange(68)
    rng = np.random.default_rng(4)
    components, _ = np.linalg.qr(rng.normal(size=(3 * len(mean), 3)))
    return SmallFace(mean, components, np.array([3.0, 2.0, 1.0]), number[skin], landmarks)


@pytest.fixture(scope="session")
def landmark_file(face, tmp_path_factory):
    path = tmp_path_factory.mktemp("landmarks") / "landmarks.txt"
    path.write_text("# iBUG 68\n" + "\n".join(str(i) for i in face.landmarks))
    return path


@pytest.fixture(scope="session")
def blendshape_file(face, tmp_path_factory):
    """51 displacements in decimetres, each a different random one of 1 mm."""
    from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES

    rng = np.random.default_rng(5)
    path = tmp_path_factory.mktemp("blendshapes") / "shapes.npz"
    np.savez(path, **{n: rng.normal(0, 0.01, face.mean.shape) for n in ARKIT_NAMES})
    return path


def write_blendshapes(path, source, scale):
    """The same displacements in another unit."""
    with np.load(source) as shapes:
        np.savez(path, **{name: shapes[name] * scale for name in shapes.files})
    return path


@pytest.fixture(scope="session")
def scaled_blendshapes():
    return write_blendshapes
