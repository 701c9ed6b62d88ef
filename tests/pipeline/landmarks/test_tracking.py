"""Tracking with a scripted detector, whose faces and failures are known, and on a real video."""

from __future__ import annotations

import numpy as np
import pytest

from glee.fitting.morphable_model.landmark_scheme import inter_ocular_distance, nme
from glee.fitting.morphable_model.model_file import load_model
from glee.pipeline.datasets import open_dataset
from glee.pipeline.images.frames import index_frames, read_frames
from glee.pipeline.landmarks.backends import load_detector
from glee.pipeline.landmarks.detector import Box, is_upside_down
from glee.pipeline.landmarks.tracking import FaceTracker
from glee.pipeline.options import TrackingOptions


def mean_face():
    """The mean head's landmarks, centred, y down, 1 unit = half the box side."""
    model = load_model()
    points = model.landmarks["anatomical"].on(model.mean)[:, :2] * [1, -1]
    points -= points.mean(0)
    return points / np.abs(points).max()


FACE = mean_face()
SIZE = (200, 300)


class ScriptedDetector:
    """Sees what is drawn: each face a square of its own brightness, from 101 on, on black.

    A face is lost to `detect` where its brightness is even. `landmarks` follow the brightest
    square near the box; `agreement` is told by the blue channel's corner.
    """

    name, version = "scripted", "1"

    def __init__(self):
        self.full_searches = 0
        self.thorough_searches = 0
        self.looks = 0

    def detect(self, image, *, thorough=False):
        self.looks += 1
        self.thorough_searches += thorough
        self.full_searches += image.shape[:2] == SIZE
        found = []
        for brightness in range(101, 256, 2):
            rows, columns = np.nonzero(np.abs(image[..., 0].astype(int) - brightness) < 1)
            if len(rows) > 30:
                box = Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                found.append((box, 0.9))
        return found

    def landmarks(self, image, box):
        left, top, right, bottom = (round(side) for side in box)
        part = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0), 0]
        agreement = 1.0 - image[0, 0, 2] / 255.0
        if part.size == 0 or part.max() < 100:
            middle, half = np.array([left + right, top + bottom]) / 2, (right - left) / 2
            return (middle + half * FACE).astype(np.float32), 0.5 * agreement
        rows, columns = np.nonzero(image[..., 0] == part.max())
        middle = np.array([columns.mean(), rows.mean()])
        half = (columns.max() + 1 - columns.min()) / 2
        return (middle + half * FACE).astype(np.float32), agreement

    def box_of(self, landmarks):
        middle = landmarks.mean(0, dtype=float)
        half = np.abs(landmarks - middle).max()
        return Box(middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)


def picture(*faces, doubt=0):
    """faces: (x, y, side, brightness), a square each."""
    image = np.zeros((*SIZE, 3), np.uint8)
    for x, y, side, brightness in faces:
        half = side // 2
        image[y - half : y + half, x - half : x + half, :2] = brightness
    image[0, 0, 2] = doubt
    return image


def follow(frames, **options):
    detector = ScriptedDetector()
    tracker = FaceTracker(detector, TrackingOptions(**options))
    return [tracker.follow(frame) for frame in frames], detector


def middles(results):
    return [result.landmarks.mean(0) for result in results]


def test_a_moving_face_is_followed_with_few_full_searches():
    frames = [picture((80 + 2 * i, 100, 60, 201)) for i in range(40)]
    results, detector = follow(frames, detect_every=10)
    assert all(r.reason == "ok" and r.confidence == pytest.approx(1.0) for r in results)
    np.testing.assert_allclose([m[0] for m in middles(results)], 80 + 2 * np.arange(40), atol=1.5)
    assert detector.full_searches == 1
    # At a new face, turned in four ways, two each; at a followed one on every tenth frame.
    assert detector.looks == 1 + 8 + 3


def test_the_largest_face_first_then_the_same_one():
    small, large, larger = (60, 100, 50, 201), (200, 100, 70, 151), (60, 100, 90, 211)
    results, _ = follow([picture(small, large)] * 5 + [picture(larger, large)] * 25)
    assert all(abs(m[0] - 200) < 3 for m in middles(results))


def test_small_faces_are_looked_for_where_no_large_one_is():
    """On a scheduled frame only: such a search is slow."""
    _, large = follow([picture((200, 100, 70, 151))] * 20)
    _, small = follow([picture((200, 100, 30, 151))] * 20)
    _, none = follow([picture()] * 20)
    searches = [one.thorough_searches for one in (large, small, none)]
    assert searches == [0, 1, 2]


def test_a_face_that_is_none_does_not_hide_the_others():
    """The largest of what was found is implausible; the face behind it is followed."""
    detector = ScriptedDetector()
    own = detector.landmarks

    def landmarks(image, box):
        points, agreement = own(image, box)
        bad = box.right - box.left > 80
        return (np.zeros((68, 2), np.float32), agreement) if bad else (points, agreement)

    detector.landmarks = landmarks
    detector.box_of = lambda points: Box(*points.min(0), *points.max(0))
    result = FaceTracker(detector).follow(picture((60, 100, 100, 201), (220, 100, 60, 151)))
    assert result.reason == "ok"
    assert abs(result.landmarks[:, 0].mean() - 220) < 3


def test_after_a_loss_the_face_that_was_followed_comes_before_a_larger_one():
    frames = [picture((60, 100, 50, 201))] * 5
    frames += [picture()] * 12
    frames += [picture((64, 100, 50, 201), (220, 100, 90, 151))] * 3
    results, _ = follow(frames)
    assert results[-1].reason == "ok"
    assert abs(results[-1].landmarks[:, 0].mean() - 64) < 3


def test_a_face_that_goes_is_lost_then_absent_and_found_when_it_comes_back():
    frames = [picture((80, 100, 60, 201))] * 12 + [picture()] * 20
    frames += [picture((200, 90, 70, 201))] * 3
    results, _ = follow(frames)
    reasons = [result.reason for result in results]
    assert reasons[:12] == ["ok"] * 12
    gone = reasons[12:32]
    assert gone.count("ok") <= 1
    assert "lost_track" in gone
    assert set(gone[3:]) == {"no_face"}
    assert all(r.confidence == 0 and np.isnan(r.landmarks).all() for r in results[16:32])
    assert reasons[32:] == ["ok"] * 3
    assert abs(results[-1].landmarks[:, 0].mean() - 200) < 3


def test_trust_falls_while_the_detector_misses_the_face():
    # Even brightness: the scripted detector does not see it, the landmarks do.
    frames = [picture((80, 100, 60, 201))] + [picture((80, 100, 60, 200))] * 50
    results, _ = follow(frames, detect_every=10, minimum_confidence=0.5)
    confidence = [result.confidence for result in results]
    assert confidence[5] == pytest.approx(1.0)
    assert confidence[15] == pytest.approx(0.75)
    assert confidence[25] == pytest.approx(0.75**2)
    assert results[30].reason == "lost_track"
    assert results[45].reason == "no_face"


def test_unsure_landmarks_are_not_valid():
    frames = [picture((80, 100, 60, 201), doubt=200)] * 3
    results, _ = follow(frames, minimum_confidence=0.4)
    assert [result.reason for result in results] == ["low_confidence"] * 3
    assert all(0 < result.confidence < 0.4 for result in results)


def test_a_face_that_jumps_is_found_again_at_once():
    frames = [picture((70, 100, 60, 201))] * 3 + [picture((105, 100, 60, 201))] * 3
    results, _ = follow(frames)
    assert [result.reason for result in results] == ["ok"] * 6
    assert abs(results[3].landmarks[:, 0].mean() - 105) < 3


def test_too_small_a_face_is_implausible():
    results, _ = follow([picture((80, 100, 14, 201))])
    assert results[0].reason == "implausible"


def test_unreadable_frames_keep_their_place():
    frames = [picture((80, 100, 60, 201)), None, None, picture((90, 100, 60, 201))]
    results, _ = follow([None, *frames])
    assert [r.reason for r in results] == ["unreadable", "ok", "unreadable", "unreadable", "ok"]


@pytest.fixture(scope="module")
def tracked(real_folder):
    """Frames 0-119 of a real video, and what tracking makes of them."""
    (clip,) = open_dataset("folder", real_folder / "WolfgangLanger_Pexels.mp4")
    frames = list(read_frames(clip, index_frames(clip), 0, 120))
    tracker = FaceTracker(load_detector("mesh"))
    return frames, [tracker.follow(frame) for frame in frames]


def test_real_face_is_followed_as_well_as_by_detecting_every_frame(tracked):
    frames, results = tracked
    assert all(result.reason == "ok" for result in results)
    detector = load_detector("mesh")
    every = []
    for frame in frames:
        found = detector.detect(frame)
        box = found[0][0] if found else None
        none = np.full((68, 2), np.nan, np.float32)
        every.append(detector.landmarks(frame, box)[0] if box else none)
    landmarks = np.stack([result.landmarks for result in results])
    assert np.isfinite(every).all((1, 2)).mean() > 0.6
    assert nme(landmarks, np.stack(every)) < 0.015


def test_a_run_of_frames_does_not_depend_on_what_came_before(tracked):
    frames, results = tracked
    tracker = FaceTracker(load_detector("mesh"))
    again = [tracker.follow(frame) for frame in frames[60:70]]
    other = FaceTracker(load_detector("mesh"))
    once_more = [other.follow(frame) for frame in frames[60:70]]
    for one, two in zip(again, once_more, strict=True):
        np.testing.assert_array_equal(one.landmarks, two.landmarks)
    late = np.stack([r.landmarks for r in results[60:70]])
    distance = np.linalg.norm(late - np.stack([r.landmarks for r in again]), axis=-1).mean()
    assert distance / inter_ocular_distance(late).mean() < 0.02


def test_landmarks_the_wrong_way_up_are_not_valid(monkeypatch):
    """Of a backend that does not heed turned boxes: the scripted one's are always upright."""
    monkeypatch.setattr(
        "glee.pipeline.landmarks.tracking.detect_around",
        lambda detector, image, box, zoom=1.0: (box, 1.0 if is_upside_down(box) else 0.5),
    )
    (result,), _ = follow([picture((80, 100, 60, 201))])
    assert result.reason == "implausible"


def test_a_face_that_is_upright_for_certain_is_not_looked_at_again(monkeypatch):
    monkeypatch.setattr(ScriptedDetector, "upright_from", 0.9, raising=False)
    (result,), detector = follow([picture((80, 100, 60, 201))])
    assert result.reason == "ok"
    assert detector.looks == 1
