"""The irises lie where an eye has them, are round, and turn as the eyes do; a validator agrees."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace

import cv2
import numpy as np
import pytest

from glee.fitting.exporters.gltf import COLOURS, gltf_bytes
from glee.fitting.exporters.irises import iris_coordinates, iris_picture, iris_triangles
from glee.fitting.morphable_model.model_file import load_model

# Of a human eye: 24 mm across, its iris 11.6 and, in daylight, its pupil 4 (Forrester et al. 2016).
EYE, IRIS, PUPIL = 24.0, 11.6, 4.0
VALIDATE = """
const {validateBytes} = require('gltf-validator');
const content = require('fs').readFileSync(process.argv[1]);
validateBytes(new Uint8Array(content)).then(report => console.log(JSON.stringify(report.issues)));
"""


@pytest.fixture(scope="module")
def picture():
    content = np.frombuffer(iris_picture(COLOURS["eyes"]), np.uint8)
    return cv2.imdecode(content, cv2.IMREAD_COLOR).astype(float).mean(2)


def eyeballs(model):
    """Vertices of the left and of the right eyeball, with centre and radius."""
    own = np.unique(model.part_triangles("eyes"))
    for side in (own[model.mean[own, 0] > 0], own[model.mean[own, 0] < 0]):
        low, high = model.mean[side].min(0), model.mean[side].max(0)
        yield side, (low + high) / 2, (high - low).max() / 2


def looks(model, weights=None):
    """Where in space the picture's middle lies on each eyeball, as a direction from its centre."""
    mesh, where = model.shape(None, weights), iris_coordinates(model)
    triangles = model.triangles[iris_triangles(model)]
    for side, centre, _ in eyeballs(model):
        for triangle in triangles[np.isin(triangles, side).all(1)]:
            a, b, c = where[triangle].astype(float)
            share = np.linalg.solve(np.column_stack([b - a, c - a]), 0.5 - a)
            if share.min() >= 0 and share.sum() <= 1:
                middle = np.array([1 - share.sum(), *share]) @ mesh[triangle]
                yield (middle - centre) / np.linalg.norm(middle - centre)
                break


def test_iris_and_pupil_have_human_sizes(picture):
    """Seen along the eye's axis: dark below the white, darker still in the pupil."""
    model = load_model()
    where = iris_coordinates(model)
    side, centre, radius = next(iter(eyeballs(model)))
    # Picture sides a decimetre, from the vertices themselves.
    scale = np.polyfit(model.mean[side, 0] - centre[0], where[side, 0], 1)[0]
    middle = picture[len(picture) // 2]
    white = picture[0, 0]
    sides = np.array([(middle < 0.8 * white).mean(), (middle < 0.15 * white).mean()])
    eye_mm = EYE * sides / (2 * scale * radius)
    assert eye_mm[0] == pytest.approx(IRIS, rel=0.1)
    assert eye_mm[1] == pytest.approx(PUPIL, rel=0.15)


def test_irises_are_round(picture):
    dark = picture < 0.8 * picture[0, 0]
    across = [dark.any(axis).sum() for axis in (0, 1)]
    assert abs(across[0] - across[1]) <= 1
    assert dark.sum() == pytest.approx(np.pi / 4 * across[0] * across[1], rel=0.02)


def test_the_eyes_look_ahead_and_where_the_shapes_of_gaze_turn_them():
    model = load_model()
    ahead = list(looks(model))
    assert len(ahead) == 2
    assert min(look[2] for look in ahead) > 0.99
    weights = np.zeros(len(model.expression_names))
    for name in ("eyeLookOutLeft", "eyeLookInRight"):
        weights[model.expression_names.index(name)] = 1.0
    for turned, straight in zip(looks(model, weights), ahead, strict=True):
        assert turned[0] > straight[0] + 0.2, "to the person's left"
        assert abs(turned[1] - straight[1]) < 0.05


def test_a_model_without_eyes_has_no_irises():
    model = load_model()
    names = tuple("balls" if name == "eyes" else name for name in model.part_names)
    content = gltf_bytes(replace(model, part_names=names))
    scene = json.loads(content[20 : 20 + int.from_bytes(content[12:16], "little")])
    assert "images" not in scene
    assert [material["name"] for material in scene["materials"]] == list(names)


@pytest.mark.parametrize("animated", [False, True])
def test_the_khronos_validator_finds_no_error_and_no_warning(tmp_path, animated):
    """npm's gltf-validator, where NODE_PATH names a folder that has it."""
    node = shutil.which("node")
    found = node and subprocess.run([node, "-e", "require('gltf-validator')"], capture_output=True)
    if not found or found.returncode:
        pytest.skip("no gltf-validator (npm install gltf-validator, NODE_PATH=.../node_modules)")
    model = load_model()
    f_exp = np.random.default_rng(1).uniform(size=(4, 51)) if animated else None
    pose = np.random.default_rng(2).normal(size=(4, 6)) if animated else None
    content = gltf_bytes(model, f_exp=f_exp, pose=pose, fps=25.0 if animated else None)
    (tmp_path / "face.glb").write_bytes(content)
    done = subprocess.run(
        [node, "-e", VALIDATE, tmp_path / "face.glb"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    issues = json.loads(done.stdout)
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
