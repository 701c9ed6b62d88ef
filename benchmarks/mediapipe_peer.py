"""MediaPipe's Face Landmarker over frames, run by the Python of its own environment.

PYTHON mediapipe_peer.py FRAMES.npy OUT.npz --task face_landmarker.task [--starts 0,40,80]

FRAMES.npy: (n, h, w, 3) uint8 RGB. OUT.npz: names (52,), scores (n, 52) float32 and landmarks
(n, 478, 2) float32 in pixels, NaN where no face was found. Frames are a video's; a new video, and
another person, begin at each of the starts. With --apart every frame is an image by itself. It
imports nothing of glee, whose NumPy MediaPipe does not take.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

POINTS, SCORES = 478, 52
STEP = 33  # milliseconds from frame to frame


def main() -> None:
    """Command line, in MediaPipe's environment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("frames", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--task", type=Path, required=True)
    parser.add_argument("--starts", default="0")
    parser.add_argument("--apart", action="store_true")
    arguments = parser.parse_args()
    frames = np.load(arguments.frames, mmap_mode="r")
    starts = [int(start) for start in arguments.starts.split(",")]
    landmark(frames, starts, arguments)


def landmark(frames: np.ndarray, starts: list[int], arguments: argparse.Namespace) -> None:
    """Find the face of every frame, and write what is found."""
    import mediapipe
    from mediapipe.tasks import python as tasks
    from mediapipe.tasks.python import vision

    mode = vision.RunningMode.IMAGE if arguments.apart else vision.RunningMode.VIDEO
    options = vision.FaceLandmarkerOptions(
        base_options=tasks.BaseOptions(model_asset_path=str(arguments.task)),
        running_mode=mode,
        output_face_blendshapes=True,
        num_faces=1,
    )
    height, width = frames.shape[1:3]
    scores = np.full((len(frames), SCORES), np.nan, np.float32)
    points = np.full((len(frames), POINTS, 2), np.nan, np.float32)
    names: list[str] = []
    for start, stop in zip(starts, [*starts[1:], len(frames)], strict=True):
        with vision.FaceLandmarker.create_from_options(options) as landmarker:
            for number in range(start, stop):
                image = mediapipe.Image(
                    image_format=mediapipe.ImageFormat.SRGB, data=np.array(frames[number])
                )
                if arguments.apart:
                    found = landmarker.detect(image)
                else:
                    found = landmarker.detect_for_video(image, (number - start) * STEP)
                if not found.face_landmarks:
                    continue
                own = found.face_landmarks[0]
                # Its coordinates count from the picture's corner, ours from a pixel's middle.
                points[number] = [(p.x * width - 0.5, p.y * height - 0.5) for p in own]
                scores[number] = [one.score for one in found.face_blendshapes[0]]
                names = [one.category_name for one in found.face_blendshapes[0]]
    np.savez(arguments.out, names=np.array(names), scores=scores, landmarks=points)


def run_peer(
    python: Path, task: Path, frames: np.ndarray, starts: list[int], *, apart: bool = False
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Names, scores (n, 52) and landmarks (n, 478, 2) of frames (n, h, w, 3), by a child process.

    python: of an environment with mediapipe. task: the Face Landmarker's bundle.
    Raises RuntimeError, in one line, where the child fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "frames.npy", Path(folder) / "out.npz"
        np.save(given, np.ascontiguousarray(frames))
        command = [str(python), str(Path(__file__).resolve()), str(given), str(out)]
        command += ["--task", str(task), "--starts", ",".join(map(str, starts))]
        command += ["--apart"] if apart else []
        # Its Python must not see ours.
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise RuntimeError(f"{python}: cannot be run ({error.strerror})") from None
        if done.returncode != 0 or not out.is_file():
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            last = lines[-1] if lines else f"exit status {done.returncode}"
            raise RuntimeError(f"{python}: MediaPipe's Face Landmarker failed ({last})")
        with np.load(out) as archive:
            names = tuple(str(name) for name in archive["names"])
            return names, archive["scores"].astype(float), archive["landmarks"].astype(float)


if __name__ == "__main__":
    sys.exit(main())
