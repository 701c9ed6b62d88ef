"""Several faces: two rendered people side by side, and crossing one behind the other."""

from __future__ import annotations

import numpy as np
import pytest

from glee.pipeline.analysis.face_stream import StreamOptions, _follower
from glee.pipeline.analysis.face_tracks import FaceTracks
from glee.pipeline.analysis.gaze import IrisDetector
from glee.pipeline.landmarks.backends import load_detector

HEIGHT, WIDTH = 240, 640


def head_of(frame):
    """The middle of a rendered frame, where the head is."""
    return frame[:, 70:250]


def composed(left_heads, right_heads, places):
    """Frames with both heads at (x of the one, x of the other); the first one is in front."""
    frames = []
    for one, other, (x_one, x_other) in zip(left_heads, right_heads, places, strict=True):
        canvas = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
        for head, x in ((other, x_other), (one, x_one)):
            cut = head_of(head)
            canvas[:, x : x + cut.shape[1]] = cut
        frames.append(canvas[..., ::-1])  # RGB
    return frames


def followed(frames, most):
    tracks = FaceTracks(IrisDetector(load_detector("mesh")), most=most)
    return [tracks.follow(np.ascontiguousarray(frame)) for frame in frames]


def middles(found):
    """id -> x of the middle, of the faces that were found."""
    return {
        face_id: float(seen.landmarks[:, 0].mean())
        for face_id, seen, _ in found
        if seen.reason == "ok"
    }


def test_side_by_side_each_keeps_its_number(frames_of):
    places = [(20 + i, 420 - i) for i in range(24)]
    frames = composed(frames_of[0][:24], frames_of[1][:24], places)
    found = [middles(faces) for faces in followed(frames, 2)]
    assert all(set(faces) == {0, 1} for faces in found)
    first = 0 if found[0][0] < found[0][1] else 1
    assert all(faces[first] < faces[1 - first] for faces in found)


def test_crossing_faces_do_not_change_numbers(frames_of):
    """One walks to the right in front of the other, who walks to the left and is hidden."""
    count = 40
    places = [(10 + 11 * i, 450 - 11 * i) for i in range(count)]
    frames = composed(frames_of[0], frames_of[1], places)
    found = [middles(faces) for faces in followed(frames, 2)]
    begin, end = found[0], found[-1]
    assert set(begin) == set(end) == {0, 1}
    in_front = 0 if begin[0] < begin[1] else 1
    assert end[in_front] > end[1 - in_front]
    hidden = [faces for faces in found if 1 - in_front not in faces]
    assert hidden, "the one behind is not seen in the middle"
    # The one in front is never lost, and never jumps.
    steps = np.diff([faces[in_front] for faces in found])
    assert np.all((steps > 3) & (steps < 20))


def test_no_more_than_asked_for(frames_of):
    frames = composed(frames_of[0][:12], frames_of[1][:12], [(20, 420)] * 12)
    assert all(len(middles(faces)) == 1 for faces in followed(frames, 1))


def test_a_frame_without_a_face_has_one_row():
    frames = [np.full((HEIGHT, WIDTH, 3), 90, np.uint8)] * 3
    for faces in followed(frames, 3):
        assert [(face_id, seen.reason) for face_id, seen, _ in faces] == [(-1, "no_face")]


def test_an_unreadable_frame_keeps_the_faces(frames_of):
    frames = composed(frames_of[0][:8], frames_of[1][:8], [(20, 420)] * 8)
    tracks = FaceTracks(IrisDetector(load_detector("mesh")), most=2)
    for frame in frames[:4]:
        before = tracks.follow(np.ascontiguousarray(frame))
    gap = tracks.follow(None)
    after = tracks.follow(np.ascontiguousarray(frames[4]))
    assert [seen.reason for _, seen, _ in gap] == ["unreadable", "unreadable"]
    for (one, old, _), (other, new, _) in zip(before, after, strict=True):
        assert one == other
        assert new.landmarks.mean(0) == pytest.approx(old.landmarks.mean(0), abs=4)


def ids(frames, most):
    """The id of the first valid face of each frame, -1 where there is none."""
    rows = [middles(found) for found in followed(frames, most)]
    return [min(row, default=-1) for row in rows]


def rgb(frames):
    return [frame[..., ::-1] for frame in frames]


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_a_cut_to_another_person_in_the_same_place_is_another_face(frames_of, gain):
    one, other = rgb(frames_of[0][:8]), rgb(frames_of[1][:8])
    other = [(frame * gain).astype(np.uint8) for frame in other]
    assert ids([*one, *other], 2) == [0] * 8 + [1] * 8


def test_the_single_face_has_a_new_id_after_a_cut_too(frames_of):
    one, other = rgb(frames_of[0][:8]), rgb(frames_of[1][:8])
    follow = _follower(IrisDetector(load_detector("mesh")), StreamOptions())
    frames = [np.ascontiguousarray(frame) for frame in (*one, *other)]
    found = [follow(frame) for frame in frames]
    assert [face_id for ((face_id, _, _),) in found] == [0] * 8 + [1] * 8


def test_light_flashes_and_fast_motion_keep_the_id(frames_of):
    frames = rgb(frames_of[0][:30])

    def lit(frame, gain):
        return np.clip(frame * gain, 0, 255).astype(np.uint8)

    flashes = [lit(frame, 2.2 if i % 5 == 3 else 1.0) for i, frame in enumerate(frames[:15])]
    darker = [lit(frame, 1.0 if i < 7 else 0.4) for i, frame in enumerate(frames[:15])]
    gaps = frames[::5]
    for shown in (flashes, darker, gaps):
        assert set(ids(shown, 2)) == {0}


def test_a_face_that_was_covered_is_the_same_again(frames_of):
    covered = [frame.copy() for frame in rgb(frames_of[0][:36])]
    for frame in covered[10:22]:
        frame[:, 60:260] = 70
    found = ids(covered, 2)
    assert set(found[:10]) == set(found[24:]) == {0}
    assert 1 not in found
