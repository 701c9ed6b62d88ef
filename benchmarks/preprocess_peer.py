"""MediaPipe FaceMesh's processor time a frame, run by the Python of its own virtual environment.

    .venv-mediapipe/bin/python benchmarks/preprocess_peer.py VIDEO ROUNDS FRAMES

Prints JSON: milliseconds of this process's processor time a frame, one figure a round, for the
default options and with `refine_landmarks`; decoding, colour conversion and imports not counted.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> None:
    """Time both variants on frames that are in memory."""
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
    content = {"version": mediapipe.__version__, "frames": len(frames)}
    for name, refine in (("default", False), ("refined", True)):
        mesh = mediapipe.solutions.face_mesh.FaceMesh(max_num_faces=1, refine_landmarks=refine)
        mesh.process(frames[0])
        times, faces = [], 0
        for _ in range(rounds):
            begin = time.process_time()
            results = [mesh.process(frame) for frame in frames]
            times.append((time.process_time() - begin) / len(frames) * 1e3)
            faces = sum(result.multi_face_landmarks is not None for result in results)
        content[name] = {"ms": times, "faces": faces}
    print(json.dumps(content))


if __name__ == "__main__":
    main()
