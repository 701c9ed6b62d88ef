"""Faces at the border, upside down, in profile, behind hands or each other: true or not valid.

Rendered people, whose landmarks are known: what is called valid lies on the right person's face.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glee.fitting.camera import Camera
from glee.fitting.morphable_model.landmark_scheme import nme
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.render.renderer import random_appearance, render
from glee.pipeline.landmarks.backends import load_detector
from glee.pipeline.landmarks.tracking import FaceTracker
from glee.pipeline.synthesis.clips import synthetic_clip

FRAMES, SIZE = 24, (480, 360)
# Mean error in inter-ocular distances below which landmarks are of this face.
ITS_OWN = 0.1
BACKENDS = [
    pytest.param("dlib", marks=pytest.mark.dlib),
    "mesh",
    "mesh+refiner",
]


@pytest.fixture(scope="module")
def people():
    """Two people: pictures and true landmarks (FRAMES, 68, 2)."""
    made = []
    for name in ("SN001", "SN006"):
        options = {"frames": FRAMES, "size": SIZE, "seed": 1234, "fps": 20.0}
        truth, pictures = synthetic_clip(name, (1, 4, 12, 25), **options)
        made.append((list(pictures), truth.landmarks["anatomical"].astype(float)))
    return made


@pytest.fixture(scope="module")
def crowd():
    """A picture of each of twelve people, with true landmarks (68, 2)."""
    made = []
    for person in range(12):
        options = {"frames": 1, "size": SIZE, "seed": 4321, "fps": 5.0}
        truth, pictures = synthetic_clip(f"person {person}", (1, 4, 12, 25), **options)
        made.append((next(iter(pictures)), truth.landmarks["anatomical"][0].astype(float)))
    return made


def followed(backend, frames):
    tracker = FaceTracker(load_detector(backend))
    return [tracker.follow(frame) for frame in frames]


def errors(results, truth):
    """By frame; NaN where not valid."""
    return np.array(
        [
            nme(result.landmarks[None], points[None]) if result.reason == "ok" else np.nan
            for result, points in zip(results, truth, strict=True)
        ]
    )


def moved(picture, x, y=0.0):
    shift = np.float32([[1, 0, x], [0, 1, y]])
    return cv2.warpAffine(picture, shift, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("backend", [BACKENDS[0], "mesh+refiner"])
@pytest.mark.parametrize("way", [(1.0, 0.0), (0.0, 1.0)], ids=["sideways", "down"])
def test_a_face_that_leaves_the_picture(people, backend, way):
    pictures, truth = people[0]
    steps = np.linspace(0.0, 400.0, FRAMES)[:, None] * way
    frames = [moved(picture, *step) for picture, step in zip(pictures, steps, strict=True)]
    results = followed(backend, frames)
    error = errors(results, truth + steps[:, None])
    assert np.isfinite(error[:8]).all()
    assert np.nanmax(error) < 2 * ITS_OWN
    assert {result.reason for result in results[-4:]} <= {"no_face", "lost_track"}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("person", [0, 1])
def test_an_upside_down_face(people, backend, person):
    pictures, truth = people[person]
    frames = [np.ascontiguousarray(picture[::-1, ::-1]) for picture in pictures]
    results = followed(backend, frames)
    error = errors(results, np.array(SIZE) - 1 - truth)
    # dlib finds few of them, and none of them wrong.
    if backend != "dlib":
        assert np.isfinite(error).all()
    assert np.isnan(error).all() or np.nanmax(error) < 2 * ITS_OWN


@pytest.mark.parametrize("backend", BACKENDS[:2])
@pytest.mark.parametrize("degrees", [0, 45, -45, 90, 180])
def test_faces_turned_in_the_picture(crowd, backend, degrees):
    """Both networks take chin and hair for brows and mouth in some, and are sure of it."""
    turn = cv2.getRotationMatrix2D((SIZE[0] / 2, SIZE[1] / 2), -degrees, 1.0)
    found = []
    for picture, points in crowd:
        image = cv2.warpAffine(picture, turn, SIZE, borderMode=cv2.BORDER_REPLICATE)
        here = points @ turn[:, :2].T + turn[:, 2]
        found.append(errors(followed(backend, [image]), [here])[0])
    assert np.isnan(found).all() or np.nanmax(found) < 2 * ITS_OWN
    # dlib finds few that are turned by more than 40 degrees.
    assert np.isfinite(found).mean() > (0.9 if backend == "mesh" or not degrees else -1)


@pytest.mark.parametrize("backend", [BACKENDS[0], "mesh+refiner"])
def test_a_head_that_turns_away(backend):
    model, camera = load_model(), Camera.for_image(*SIZE)
    rng = np.random.default_rng(5)
    look, mesh = random_appearance(rng), model.shape(None, None)
    frames, truth = [], []
    for angle in np.radians(np.linspace(0, 110, FRAMES)):
        pose = np.array([0.0, angle, 0.0, 0.0, 0.1, -8.0])
        frames.append(render(model, mesh, pose, camera, look, rng))
        truth.append(camera.project(model.landmarks["anatomical"].on(mesh), pose))
    results = followed(backend, frames)
    size = np.linalg.norm(truth[0][36] - truth[0][45])
    for result, points in zip(results[:8], truth[:8], strict=True):
        assert result.reason == "ok"
        assert np.linalg.norm(result.landmarks - points, axis=1).mean() < ITS_OWN * size
    assert all(result.reason != "ok" for result in results[-3:])


def covered(picture, landmarks, points):
    """A hand's fingers in skin's colour over some landmarks."""
    place = landmarks[list(points)]
    (x, y), reach = place.mean(0), np.abs(place - place.mean(0)).max()
    hand = picture.copy()
    for finger in range(4):
        middle = (int(x + (0.6 * finger - 1.0) * reach), int(y))
        axes = (int(0.4 * reach), int(1.2 * reach))
        cv2.ellipse(hand, middle, axes, 10, 0, 360, (200, 150, 120), -1, cv2.LINE_AA)
    return hand


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("what", [range(48, 68), range(68)], ids=["mouth", "all"])
def test_a_hand_that_comes_and_goes(people, backend, what):
    pictures, truth = people[0]
    hidden = range(6, 14)
    frames = [
        covered(picture, points, what) if number in hidden else picture
        for number, (picture, points) in enumerate(zip(pictures, truth, strict=True))
    ]
    error = errors(followed(backend, frames), truth)
    assert np.nanmax(error) < 2 * ITS_OWN
    assert np.isfinite(error[:6]).all()
    assert np.isfinite(error[-8:]).all()
    if len(what) == 68:
        assert np.isnan(error[hidden]).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_black_frames(people, backend):
    pictures, truth = people[0]
    frames = [*pictures[:4], *[np.zeros_like(pictures[0])] * 4, *pictures[8:12]]
    results = followed(backend, frames)
    assert {result.reason for result in results[4:8]} <= {"lost_track", "no_face"}
    assert np.isfinite(errors(results, truth[:12])[[0, 1, 2, 3, 8, 9, 10, 11]]).all()


def crossing(people, front):
    """Two people who pass each other, person `front` before the other: frames, both truths."""
    width = 2 * SIZE[0]
    frames, truths = [], ([], [])
    for number in range(FRAMES):
        share = number / (FRAMES - 1)
        places = (round(share * SIZE[0]), round((1 - share) * SIZE[0]))
        frame = np.full((SIZE[1], width, 3), 90, np.uint8)
        for person in (1 - front, front):
            (pictures, landmarks), x = people[person], places[person]
            face = landmarks[number]
            (cx, cy), reach = face.mean(0), 1.75 * np.abs(face - face.mean(0)).max()
            mask = np.zeros(SIZE[::-1], np.float32)
            axes = (int(0.85 * reach), int(1.15 * reach))
            cv2.ellipse(mask, (int(cx), int(cy) - 8), axes, 0, 0, 360, 1.0, -1, cv2.LINE_AA)
            mask = cv2.GaussianBlur(mask, (0, 0), 2.5)[..., None]
            part = frame[:, x : x + SIZE[0]]
            part[:] = (part * (1 - mask) + pictures[number] * mask).astype(np.uint8)
        frames.append(frame)
        for person in (0, 1):
            truths[person].append(people[person][1][number] + [places[person], 0])
    return frames, [np.stack(truth) for truth in truths]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("front", [0, 1])
def test_a_face_that_passes_before_the_other_is_not_taken_for_it(people, backend, front):
    frames, truths = crossing(people, front)
    results = followed(backend, frames)
    one, other = (errors(results, truth) for truth in truths)
    valid = [number for number, result in enumerate(results) if result.reason == "ok"]
    whose = ["one" if one[number] < other[number] else "other" for number in valid]
    # The person followed first is followed at the end, and nobody else in between.
    assert valid[-1] == FRAMES - 1
    assert len(set(whose)) == 1, list(zip(valid, whose, strict=True))
    assert len(valid) > FRAMES / 2


def test_another_person_who_stays_is_followed_after_a_while_and_the_gap_tells(people):
    """The first person goes behind the second, who stays."""
    frames, truths = crossing(people, 0)
    still = frames[FRAMES // 2]
    results = followed("mesh", [*frames[: FRAMES // 2], *[still] * 40])
    reasons = [result.reason for result in results]
    assert reasons[-1] == "ok"
    change = reasons.index("lost_track")
    assert reasons[change : change + 20] == ["lost_track"] * 20


def test_grey_deep_and_transparent_images_give_the_same_face(people, tmp_path):
    from glee.pipeline.images.frames import read_image

    picture = people[0][0][0][..., ::-1]
    kinds = {
        "colour": picture,
        "alpha": np.dstack([picture, np.full(picture.shape[:2], 128, np.uint8)]),
        "deep": picture.astype(np.uint16) * 257,
        "grey": cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY),
        "deep grey": cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.uint16) * 257,
    }
    found = {}
    for name, image in kinds.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
        (found[name],) = followed("mesh+refiner", [read_image(tmp_path / f"{name}.png")])
    for name in ("alpha", "deep"):
        np.testing.assert_array_equal(found[name].landmarks, found["colour"].landmarks)
    for name in ("grey", "deep grey"):
        assert found[name].reason == "ok"
        assert nme(found[name].landmarks[None], found["colour"].landmarks[None]) < 0.03
