"""MediaPipe's processor time a frame, run by the Python of its own virtual environment.

    .venv-mediapipe/bin/python benchmarks/preprocess_peer.py VIDEO ROUNDS FRAMES [TASK]

Prints JSON: milliseconds of this process's processor time a frame, one figure a round; decoding,
colour conversion and imports not counted. `landmarker`: Face Landmarker in video mode with
blendshapes, which has the networks of `mesh` (TASK: face_landmarker.task; left out without it).
`default`: the older FaceMesh.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

STEP = 33  # milliseconds from frame to frame


def main() -> None:
    """Time both on frames that are in memory."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import cv2
    import mediapipe

    video, rounds, most = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    capture, frames = cv2.VideoCapture(video), []
    while len(frames) < most:
        done, image = capture.read()
        if not done:
            break
        frames.append(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    content: dict[str, Any] = {"version": mediapipe.__version__, "frames": len(frames)}
    mesh = mediapipe.solutions.face_mesh.FaceMesh(max_num_faces=1)
    content["default"] = timed(
        lambda image: mesh.process(image).multi_face_landmarks is not None, frames, rounds
    )
    if len(sys.argv) > 4:
        content["landmarker"] = timed(landmarker(sys.argv[4]), frames, rounds)
    print(json.dumps(content))


def timed(find: Callable[[Any], bool], frames: list[Any], rounds: int) -> dict[str, Any]:
    """Milliseconds a frame of each round, after a frame that does not count; faces found."""
    find(frames[0])
    times, faces = [], 0
    for _ in range(rounds):
        begin = time.process_time()
        faces = sum(find(frame) for frame in frames)
        times.append((time.process_time() - begin) / len(frames) * 1e3)
    return {"ms": times, "faces": faces}


def landmarker(task: str) -> Callable[[Any], bool]:
    """Face Landmarker as it follows one face of a video."""
    import mediapipe
    from mediapipe.tasks import python as tasks
    from mediapipe.tasks.python import vision

    options = vision.FaceLandmarkerOptions(
        base_options=tasks.BaseOptions(model_asset_path=task),
        running_mode=vision.RunningMode.VIDEO,
        output_face_blendshapes=True,
        num_faces=1,
    )
    made = vision.FaceLandmarker.create_from_options(options)
    number = 0

    def find(frame: Any) -> bool:
        nonlocal number
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=frame)
        number += 1
        return bool(made.detect_for_video(image, STEP * number).face_landmarks)

    return find


if __name__ == "__main__":
    main()
