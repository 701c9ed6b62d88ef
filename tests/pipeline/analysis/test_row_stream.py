"""Rows come in the order of the frames, and no more faces wait than an identity needs."""

from __future__ import annotations

import numpy as np
import pytest

from glee.pipeline.analysis.face_fit import (
    BLOCK_FRAMES,
    IDENTITY_FRAMES,
    PATIENCE,
    ROWS_TOGETHER,
    FaceFitter,
    RowStream,
)
from glee.pipeline.analysis.face_stream import FaceFrame
from glee.pipeline.landmarks.tracking import TrackedFrame, missing_frame

UNSEEN = np.full((2, 2), np.nan, np.float32)


@pytest.fixture(scope="module")
def fitter():
    return FaceFitter.of("mesh")


@pytest.fixture(scope="module")
def landmarks(truths):
    """(40, 68, 2), true landmarks of a moving face."""
    return truths[0].landmarks["mesh"]


def face(frame, face_id, points):
    tracked = missing_frame("lost_track") if points is None else TrackedFrame(points, 1.0, "ok")
    return FaceFrame(frame, frame / 20, face_id, tracked, (320, 240), UNSEEN)


def run(fitter, faces):
    """(frame, face id) of all rows in their order, and the most faces that waited."""
    stream, most, order = RowStream(fitter), 0, []

    def watched():
        nonlocal most
        for item in faces:
            yield item
            most = max(most, len(stream._pending))

    for rows in stream.rows(watched()):
        order += [(one.frame, one.face_id) for one in rows.faces]
    return order, most


def test_a_face_seen_all_along(fitter, landmarks):
    faces = [[face(i, 0, landmarks[i % 40])] for i in range(150)]
    order, most = run(fitter, faces)
    assert order == [(i, 0) for i in range(150)]
    assert most <= max(IDENTITY_FRAMES, ROWS_TOGETHER) + BLOCK_FRAMES


def test_a_face_seen_now_and_then_is_not_waited_for_for_ever(fitter, landmarks):
    faces = [[face(i, 0, landmarks[i % 40] if i % 10 == 0 else None)] for i in range(300)]
    order, most = run(fitter, faces)
    assert order == [(i, 0) for i in range(300)]
    assert most <= PATIENCE + BLOCK_FRAMES


def test_a_late_second_face_keeps_the_order(fitter, landmarks):
    faces = [
        [face(i, 0, landmarks[i % 40])] + ([face(i, 1, landmarks[i % 40] + 5)] if i > 60 else [])
        for i in range(140)
    ]
    order, most = run(fitter, faces)
    assert order == sorted(order)
    assert len(order) == 140 + 79
    assert most <= 2 * (PATIENCE + BLOCK_FRAMES)


def test_nobody_there(fitter):
    order, most = run(fitter, [[face(i, -1, None)] for i in range(200)])
    assert order == [(i, -1) for i in range(200)]
    assert most <= ROWS_TOGETHER + BLOCK_FRAMES
