"""Videos: decoding beside OpenCV's, and the overlay's H.264 beside the MPEG-4 that OpenCV writes.

    python benchmarks/video_decoding.py --json video_decoding.json [--video VIDEO ...] [--frames 72]

`decode_over_opencv` is processor time a frame, index and conversion to RGB included, over that of
OpenCV's VideoCapture with a conversion to RGB, one thread each; the largest of the videos counts.
`overlay_bytes_over_mpeg4` is the size of an analysis' overlay over that of the same pictures in
OpenCV's `mp4v`, `overlay_ssim_gain` its structural similarity (luma, Wang et al. 2004) less theirs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from glee.pipeline.analysis.analyze import analyze
from glee.pipeline.analysis.inputs import AnalyzeOptions
from glee.pipeline.analysis.overlay import OverlayVideo
from glee.pipeline.clips import Clip
from glee.pipeline.images.frames import index_frames, read_frames

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
VIDEOS = ("WolfgangLanger_Pexels.mp4", "single_face.mp4", "no_face.mp4")
ROUNDS = 7


def opencv_decoding(video: Path) -> int:
    """Read a video by OpenCV; how many frames."""
    one_thread = (cv2.CAP_PROP_N_THREADS, 1)
    capture, count = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG, one_thread), 0
    held = None
    while True:
        done, image = capture.read()
        if not done:
            return count
        held = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        count += held.shape[2] == 3


def glee_decoding(video: Path) -> int:
    """Index a video and read it; how many frames."""
    clip = Clip("folder", "s", "c", video.parent, video)
    index = index_frames(clip)
    return sum(1 for _ in read_frames(clip, index, 0, index.count))


def seconds_a_frame(read: Callable[[Path], int], video: Path) -> float:
    """Median processor time."""
    times = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        count = read(video)
        times.append((time.process_time() - begin) / count)
    return float(np.median(times))


def structural_similarity(one: np.ndarray, other: np.ndarray) -> float:
    """SSIM of two (h, w, 3) uint8 pictures' luma, Gaussian window of 1.5 pixels."""
    a, b = (cv2.cvtColor(x, cv2.COLOR_BGR2GRAY).astype(np.float64) for x in (one, other))

    def mean(x: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(x, (11, 11), 1.5)

    ma, mb = mean(a), mean(b)
    va, vb, vab = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    score = (2 * ma * mb + c1) * (2 * vab + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    return float(score.mean())


def similarity(video: Path, pictures: list[np.ndarray]) -> float:
    """Mean SSIM of a video's frames to the pictures that were written, BGR."""
    capture, scores = cv2.VideoCapture(str(video)), []
    for picture in pictures:
        done, image = capture.read()
        assert done, f"{video}: {len(scores)} of {len(pictures)} frames are there"
        scores.append(structural_similarity(picture, image))
    return float(np.mean(scores))


def overlay(video: Path, folder: Path) -> dict[str, float]:
    """Bytes and similarity of an overlay, beside OpenCV's MPEG-4 of the same pictures."""
    pictures: list[np.ndarray] = []
    draw = OverlayVideo._frame

    def kept(self: OverlayVideo, *arguments: Any) -> np.ndarray:
        picture = draw(self, *arguments)
        pictures.append(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        return picture

    OverlayVideo._frame = kept  # type: ignore[method-assign]
    options = AnalyzeOptions(video=True, format="arkit")
    (done,) = analyze([video], folder, options=options, progress=False)
    ours = next(path for path in done.paths if path.suffix == ".mp4")
    theirs = folder / "mpeg4.mp4"
    height, width = pictures[0].shape[:2]
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(theirs), cv2.CAP_FFMPEG, code, 25.0, (width, height))
    for picture in pictures:
        writer.write(picture)
    writer.release()
    ssim, their_ssim = similarity(ours, pictures), similarity(theirs, pictures)
    return {
        "overlay_bytes_over_mpeg4": ours.stat().st_size / theirs.stat().st_size,
        "overlay_ssim": ssim,
        "overlay_ssim_mpeg4": their_ssim,
        "overlay_ssim_gain": ssim - their_ssim,
        "overlay_frames": float(len(pictures)),
    }


def measure(videos: list[Path], overlaid: Path) -> dict[str, Any]:
    """Every figure, by name. overlaid: the video whose overlay is written."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    rows: dict[str, Any] = {}
    for video in videos:
        ours, theirs = (seconds_a_frame(f, video) for f in (glee_decoding, opencv_decoding))
        rows[f"decode_ms_{video.stem}"] = 1000 * ours
        rows[f"decode_ms_opencv_{video.stem}"] = 1000 * theirs
        rows["decode_over_opencv"] = max(rows.get("decode_over_opencv", 0.0), ours / theirs)
    with tempfile.TemporaryDirectory() as folder:
        rows |= overlay(overlaid, Path(folder))
    cv2.setNumThreads(threads)
    return rows


def main() -> None:
    """Measure, print, and write with --json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--video", type=Path, action="append")
    parser.add_argument("--quick", action="store_true", help="the first video alone")
    arguments = parser.parse_args()
    videos = arguments.video or [REAL / name for name in VIDEOS]
    missing = [str(video) for video in videos if not video.is_file()]
    if missing:
        print(f"not here, so nothing is measured: {', '.join(missing)}; give --video")
        return
    videos = videos[:1] if arguments.quick else videos
    rows = measure(videos, videos[min(1, len(videos) - 1)])
    for name, value in rows.items():
        print(f"{name:44} {value:.4g}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
