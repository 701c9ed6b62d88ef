"""Renders for the refiner's tests: a few of them, drawn once; some with annotations beside them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glee.fitting.morphable_model.model_file import load_model
from glee.pipeline.landmarks.backends import load_detector
from glee.pipeline.landmarks.refiner import annotated_looks, renders
from glee.pipeline.landmarks.refiner.fine_tuning import train_on_photographs


@pytest.fixture(scope="session")
def few_renders():
    """Six renders of two people, with mesh's own landmarks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(renders, "PEOPLE", 2)
        patch.setattr(renders, "PER_PERSON", 3)
        return renders.render_block(41, 0, {"mesh": load_detector("mesh")})


@pytest.fixture(scope="session")
def annotated(tmp_path_factory):
    """24 renders of four people as photographs with `.pts` files, half of them in a folder."""
    folder = tmp_path_factory.mktemp("annotated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(renders, "PEOPLE", 4)
        patch.setattr(renders, "PER_PERSON", 6)
        faces = list(renders._faces(load_model(), 77, 0))
    for number, (picture, truth) in enumerate(faces):
        name = "more" if number % 2 else "."
        (folder / name).mkdir(exist_ok=True)
        write_annotated(folder / name / f"image_{number // 6 + 1:04d}_{number % 6}", picture, truth)
    return folder


def write_annotated(path, picture, landmarks):
    """A photograph and its iBUG file, which counts pixels from 1."""
    cv2.imwrite(f"{path}.png", np.ascontiguousarray(picture[..., ::-1]))
    rows = "".join(f"{x + 1:.3f} {y + 1:.3f}\n" for x, y in landmarks)
    path.with_suffix(".pts").write_text(f"version: 1\nn_points: {len(landmarks)}\n{{\n{rows}}}\n")


@pytest.fixture(scope="session")
def trained(annotated, tmp_path_factory):
    """What `glee train-landmarks --photos` makes of them, and its report."""
    path = tmp_path_factory.mktemp("trained") / "refiner.npz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(annotated_looks, "MOST_LOOKS", 2)
        return train_on_photographs(annotated, path, seed=3)
