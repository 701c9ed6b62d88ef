"""Crops on disk: size and speed beside other stores, and what JPEG does to landmarks.

All stores hold the same crops of a real video, those of JPEG the same bytes; files are in the
page cache, reads end with pixels. Speeds are per second of processor time of one core.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from storage_peers import PEERS, SIZE

from glee.pipeline.clips import Clip
from glee.pipeline.images.crops import align, alignment_transform, encode_crop, transform_points
from glee.pipeline.images.frames import index_frames, read_frames
from glee.pipeline.landmarks.backends import load_detector
from glee.pipeline.landmarks.tracking import FaceTracker
from glee.pipeline.shards.shard import FrameArrays, ShardHeader, read_shard, write_shard

Crop = NDArray[np.uint8]
CHUNK = 1024
SUBSAMPLING = {
    "4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
}
QUALITIES = ((85, "4:2:0"), (90, "4:2:0"), (93, "4:2:0"), (95, "4:2:0"), (98, "4:2:0"))
OTHERS = ((93, "4:4:4"), (98, "4:4:4"))


class Shards:
    """glee's own, with crops as JPEG or as pixels."""

    install = ""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding

    def write(self, path: Path, encoded: Sequence[bytes], crops: Sequence[Crop]) -> None:
        """Write all crops, in chunks."""
        data = encoded if self._encoding == "jpeg" else [crop.tobytes() for crop in crops]
        for start in range(0, len(data), CHUNK):
            part = list(data[start : start + CHUNK])
            write_shard(
                path / f"{start:06d}.h5",
                _header(start, len(part)),
                _frames(len(part)),
                part,
                np.empty((len(part), 0), np.int8),
                encoding=self._encoding,
            )

    def open(self, path: Path) -> None:
        """Open for reading."""
        self._shards = [read_shard(one) for one in sorted(path.glob("*.h5"))]

    def sequential(self) -> Iterator[Crop]:
        """All crops, in order."""
        for shard in self._shards:
            for row in range(len(shard)):
                yield shard.crop(row)

    def random(self, number: int) -> Crop:
        """One crop."""
        return self._shards[number // CHUNK].crop(number % CHUNK)


def measure(video: Path, seed: int, *, quick: bool) -> dict[str, Any]:
    """Both tables, and what today's default changes."""
    cv2.setNumThreads(1)
    crops, landmarks = crops_of(video, most=100 if quick else None)
    random = np.random.default_rng(seed)
    some = slice(None, None, 10 if quick else 4)
    content = {"frames": len(crops), "qualities": qualities(crops[some], landmarks[some], random)}
    default = change(crops[some], landmarks[some], encode_crop)
    content["default_change_px"] = default["mesh"]["worst"]
    repeated = [crops[i % len(crops)] for i in range(300 if quick else 2 * CHUNK)]
    content["stores"] = stores(repeated, random)
    return content


def crops_of(video: Path, most: int | None = None) -> tuple[list[Crop], list[NDArray[np.float32]]]:
    """Crops of a video's frames and the landmarks in them."""
    clip = Clip("benchmark", "subject", video.stem, video.parent, video)
    index = index_frames(clip)
    tracker = FaceTracker(load_detector("mesh"))
    crops, landmarks = [], []
    for image in read_frames(clip, index, 0, min(most or index.count, index.count)):
        frame = tracker.follow(image)
        if image is not None and frame.reason == "ok":
            transform = alignment_transform(frame.landmarks, SIZE)
            crops.append(align(image, transform, SIZE))
            landmarks.append(transform_points(frame.landmarks, transform).astype(np.float32))
    return crops, landmarks


def qualities(
    crops: Sequence[Crop], landmarks: Sequence[NDArray[np.float32]], random: np.random.Generator
) -> dict[str, dict[str, Any]]:
    """By format: KB, milliseconds, and how far the landmarks move."""
    noisy = [
        np.clip(crop.astype(int) + random.integers(-1, 2, crop.shape), 0, 255).astype(np.uint8)
        for crop in crops
    ]
    rows: dict[str, dict[str, Any]] = {"noise of one grey level": moved(crops, noisy, landmarks)}
    for quality, sampling in (*QUALITIES, *OTHERS):
        parameters = [cv2.IMWRITE_JPEG_QUALITY, quality]
        parameters += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SUBSAMPLING[sampling]]
        name = f"JPEG {quality}, {sampling}"
        rows[name] = change(crops, landmarks, _encoder(".jpg", parameters))
    webp = [cv2.IMWRITE_WEBP_QUALITY, 95]
    rows["WebP 95"] = change(crops, landmarks, _encoder(".webp", webp))
    rows["PNG"] = change(crops, landmarks, _encoder(".png", []))
    return rows


def change(
    crops: Sequence[Crop],
    landmarks: Sequence[NDArray[np.float32]],
    encode: Callable[[Crop], bytes],
) -> dict[str, Any]:
    """KB a crop (1000 bytes), milliseconds to encode and decode, and what moves."""
    begin = time.process_time()
    data = [encode(crop) for crop in crops]
    middle = time.process_time()
    after = [
        cv2.cvtColor(cv2.imdecode(np.frombuffer(x, np.uint8), 1), cv2.COLOR_BGR2RGB) for x in data
    ]
    end = time.process_time()
    return {
        "kb": sum(len(x) for x in data) / len(data) / 1e3,
        "encode_ms": (middle - begin) / len(data) * 1e3,
        "decode_ms": (end - middle) / len(data) * 1e3,
        **moved(crops, [np.asarray(x, np.uint8) for x in after], landmarks),
    }


def moved(
    before: Sequence[Crop], after: Sequence[Crop], landmarks: Sequence[NDArray[np.float32]]
) -> dict[str, dict[str, float]]:
    """By backend, crop pixels: mean move, that of the landmark that moves most, and the largest."""
    rows = {}
    for name in ("mesh", "dlib"):
        detector = load_detector(name)
        moves = [
            np.linalg.norm(
                detector.landmarks(other, detector.box_of(points))[0]
                - detector.landmarks(one, detector.box_of(points))[0],
                axis=1,
            )
            for one, other, points in zip(before, after, landmarks, strict=True)
        ]
        every = np.array(moves)
        rows[name] = {
            "mean": float(every.mean()),
            "worst": float(every.mean(0).max()),
            "largest": float(every.max()),
        }
    return rows


def stores(crops: Sequence[Crop], random: np.random.Generator) -> dict[str, dict[str, Any]]:
    """By store: KB a crop on disk, files, and crops a second written, read in order, at random."""
    encoded = [encode_crop(crop) for crop in crops]
    order = random.permutation(len(crops))
    every: dict[str, Any] = {
        "shards, JPEG": lambda: Shards("jpeg"),
        "shards, raw": lambda: Shards("raw"),
        **PEERS,
    }
    rows = {}
    for name, make in every.items():
        store = make()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "store"
            try:
                begin = time.process_time()
                store.write(path, encoded, crops)
                written = time.process_time() - begin
            except ImportError:
                print(f"{name} is not installed ({store.install}); its row is left out")
                continue
            rows[name] = {"write_per_s": len(crops) / written, **_sizes(path, len(crops))}
            store.open(path)
            rows[name]["sequential_per_s"] = _rate(store.sequential(), len(crops))
            rows[name]["random_per_s"] = store.random and _rate(
                (store.random(int(number)) for number in order), len(crops)
            )
    return rows


def _rate(crops: Iterator[Crop], count: int) -> float:
    begin = time.process_time()
    seen = sum(1 for crop in crops if crop.shape == (SIZE, SIZE, 3))
    assert seen == count
    return count / (time.process_time() - begin)


def _sizes(path: Path, count: int) -> dict[str, Any]:
    files = [one for one in path.rglob("*") if one.is_file()]
    blocks = sum(one.stat().st_blocks * 512 for one in files)
    return {"kb": blocks / count / 1e3, "files": len(files)}


def _encoder(suffix: str, parameters: list[int]) -> Callable[[Crop], bytes]:
    def encode(crop: Crop) -> bytes:
        image = cv2.cvtColor(crop, cv2.COLOR_RGB2BGR)
        return bytes(cv2.imencode(suffix, image, parameters)[1].tobytes())

    return encode


def _header(start: int, count: int) -> ShardHeader:
    return ShardHeader(
        dataset="benchmark",
        subject="subject",
        clip="clip",
        start=start,
        stop=start + count,
        source="clip.mp4",
        source_size=0,
        source_hash="",
        fps=25.0,
        frame_size=(640, 360),
        detector="mesh",
        options={},
        glee_version="",
        au_names=(),
        label_kind="none",
    )


def _frames(count: int) -> FrameArrays:
    return FrameArrays(
        frame_id=np.arange(count),
        valid=np.ones(count, bool),
        reason=np.zeros(count, np.uint8),
        confidence=np.ones(count, np.float32),
        landmarks=np.zeros((count, 68, 2), np.float32),
        transform=np.zeros((count, 2, 3)),
    )


def show(content: dict[str, Any]) -> None:
    """Both tables."""
    print(
        f"\n{'crops':24s} {'KB':>6s} {'encode':>7s} {'decode':>7s}  mean, worst, largest move, px"
    )
    for name, row in content["qualities"].items():
        sizes = (
            f"{row['kb']:6.1f} {row['encode_ms']:7.2f} {row['decode_ms']:7.2f}"
            if "kb" in row
            else " " * 22
        )
        moves = "   ".join(
            f"{of} " + " ".join(f"{row[of][k]:.3f}" for k in ("mean", "worst", "largest"))
            for of in ("mesh", "dlib")
        )
        print(f"{name:24s} {sizes}  {moves}")
    print(f"\n{'store':26s} {'KB':>7s} {'files':>6s} {'write/s':>9s} {'in order/s':>11s} random/s")
    for name, row in content["stores"].items():
        random = f"{row['random_per_s']:9.0f}" if row["random_per_s"] else "        -"
        print(
            f"{name:26s} {row['kb']:7.1f} {row['files']:6d} {row['write_per_s']:9.0f} "
            f"{row['sequential_per_s']:11.0f} {random}"
        )
