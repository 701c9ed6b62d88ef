"""One chunk of a clip -> one shard: the unit of work of `preprocess`, run on a worker."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import __version__
from ..errors import ClusterError, ShardError
from .clips import Clip
from .cluster.processor import processor_kind
from .images.crops import BORDER_GREY, align, alignment_transform, encode_crop
from .images.frames import FrameIndex, read_frames
from .landmarks.backends import BackendSettings, load_detector
from .landmarks.dense_landmarks import DenseDetector, has_blendshapes
from .landmarks.detector import Detector, landmark_definition
from .landmarks.lookahead import Lookahead, batched, frames_together
from .landmarks.recorded import RecordedTracker, read_recorded
from .landmarks.tracking import FaceTracker, TrackedFrame
from .landmarks.visibility import seen_parts
from .options import PreprocessOptions
from .shards.content import BLENDSHAPE_COUNT
from .shards.shard import REASONS, FrameArrays, Shard, ShardHeader, read_shard, write_shard

logger = logging.getLogger(__name__)

# Frames that the blendshape network reads at once: more do not fit the processor's caches.
_READ_TOGETHER = 8


@dataclass(frozen=True, eq=False)
class ChunkTask:
    """Frames start .. stop - 1 of a clip, and the shard that they are to be.

    Attributes
    ----------
    clip : Clip
        With the labels of these frames only.
    index : FrameIndex
        Where these frames lie in the source.
    start, stop : int
        Frames of the clip, stop excluded.
    path : Path
        The shard.
    options : PreprocessOptions
        What shapes it.
    detector : str
        The backend's name and version.
    dataset_options : mapping
        The dataset's own options that were chosen, for the shard's header.
    weights : str or None
        Folder of the backend's weights files; None for its own place.
    refiner : str or None
        File of the refiner whose digest the options' detector states.
    recorded : Path or None
        CSV file of the clip's landmarks, in a backend's place.
    clip_frames : int
        How many frames the whole clip has.
    """

    clip: Clip
    index: FrameIndex
    start: int
    stop: int
    path: Path
    options: PreprocessOptions
    detector: str
    dataset_options: Mapping[str, Any] = field(default_factory=dict)
    weights: str | None = None
    refiner: str | None = None
    recorded: Path | None = None
    clip_frames: int = 0

    @property
    def label(self) -> str:
        """Which chunk it is, for messages."""
        return f"{self.clip.subject}/{self.clip.name} frames {self.start}-{self.stop - 1}"


@dataclass(frozen=True)
class ChunkResult:
    """What became of a chunk's frames.

    Attributes
    ----------
    reasons : mapping
        Reason -> frames, "ok" for the valid ones.
    steps : mapping
        Step of the work -> seconds.
    kept : bool
        The shard was there already.
    """

    reasons: Mapping[str, int]
    steps: Mapping[str, float] = field(default_factory=dict)
    kept: bool = False


def make_shard(task: ChunkTask) -> ChunkResult:
    """Write a chunk's shard, unless a whole one with the same options, source and labels is there.

    Parameters
    ----------
    task : ChunkTask
        The chunk.

    Returns
    -------
    ChunkResult
        What became of its frames.

    Raises
    ------
    DataError
        Where the source cannot be read.
    ClusterError
        Where this process has another backend than the run.
    OutputError
        Where the shard cannot be written.
    """
    header, labels = _header(task), _labels(task)
    old = _same_shard(task.path, header, labels)
    if old is not None:
        return ChunkResult(_reason_counts(old.frames.reason), kept=True)
    begin = perf_counter()
    taken = _ChunkFrames(task)
    for images in taken.groups(read_frames(task.clip, task.index, task.start, task.stop)):
        for image in images:
            taken.take(image)
    steps = {"decode": perf_counter() - begin - sum(taken.steps.values()), **taken.steps}
    begin = perf_counter()
    frames = taken.arrays(task.clip.numbers(task.start, task.stop))
    write_shard(
        task.path,
        header,
        frames,
        taken.crops,
        labels,
        encoding=task.options.encoding,
        crop_size=task.options.crop_size,
    )
    steps["write"] = perf_counter() - begin
    return ChunkResult(_reason_counts(frames.reason), steps)


class _ChunkFrames:
    """A chunk's frames as they are taken, one after the other."""

    def __init__(self, task: ChunkTask) -> None:
        options = task.options
        self._size = task.index.size
        self._crop_size = options.crop_size
        self._encoding = (options.encoding, options.quality)
        self._tracking = options.tracking
        self._alone = bool(task.clip.boxes)
        self._keeps_dense = bool(options.dense)
        self._dense: DenseDetector | None = None
        self._detector: Detector | None = None
        self._together = 1
        self._tracker: FaceTracker | RecordedTracker
        if task.recorded is not None:
            index = task.index
            whole = read_recorded(task.recorded, frames=task.clip_frames, size=index.size)
            least = self._tracking.minimum_confidence
            self._tracker = RecordedTracker(whole, task.start, least)
        else:
            settings = BackendSettings(task.weights, options.device, options.flip, task.refiner)
            detector = load_detector(options.detector, settings)
            _check_backend(detector, task)
            offered = has_blendshapes(detector)
            self._dense = DenseDetector(detector) if options.dense or offered else None
            self._detector = self._dense or batched(detector)
            self._together = 1 if self._alone else frames_together(self._detector)
            self._tracker = self._new_tracker()
        self._tracked: list[TrackedFrame] = []
        self._transforms: list[npt.NDArray[np.float64]] = []
        self._dense_points: list[npt.NDArray[np.float32]] = []
        self._visibility: list[npt.NDArray[np.float32]] = []
        self.crops: list[bytes] = []
        self.steps = dict.fromkeys(("track", "align", "encode"), 0.0)

    def _new_tracker(self) -> FaceTracker:
        assert self._detector is not None
        return FaceTracker(self._detector, self._tracking)

    def groups(
        self, images: Iterable[npt.NDArray[np.uint8] | None]
    ) -> Iterator[tuple[npt.NDArray[np.uint8] | None, ...]]:
        """The frames in groups of as many as the backend likes to have at once."""
        rest = iter(images)
        while group := tuple(islice(rest, self._together)):
            if isinstance(self._detector, Lookahead):
                self._detector.show([i for i in group if i is not None and self._fits(i)])
            yield group

    def _fits(self, image: npt.NDArray[np.uint8]) -> bool:
        return (image.shape[1], image.shape[0]) == self._size

    def take(self, image: npt.NDArray[np.uint8] | None) -> None:
        """Track, align and encode the next frame."""
        times = [perf_counter()]
        if self._alone:
            self._tracker = self._new_tracker()
        if image is not None and not self._fits(image):
            self._tracker.follow(None)
            tracked = TrackedFrame(np.full((68, 2), np.nan, np.float32), 0.0, "other_size")
        else:
            tracked = self._tracker.follow(image)
        seen = None
        if self._dense is not None:
            seen = self._dense.seen_of(tracked.landmarks)
            self._dense_points.append(self._dense.dense_of(tracked.landmarks))
        self._visibility.append(seen_parts(tracked.landmarks, self._size, seen))
        times.append(perf_counter())
        transform = np.full((2, 3), np.nan)
        crop = None
        if image is not None and tracked.reason == "ok":
            transform = alignment_transform(tracked.landmarks, self._crop_size)
            crop = align(image, transform, self._crop_size)
        times.append(perf_counter())
        self.crops.append(
            _grey_crop(self._crop_size, *self._encoding)
            if crop is None
            else encode_crop(crop, *self._encoding)
        )
        times.append(perf_counter())
        self._tracked.append(tracked)
        self._transforms.append(transform)
        for name, seconds in zip(self.steps, np.diff(times), strict=True):
            self.steps[name] += float(seconds)

    def arrays(self, frame_id: npt.NDArray[np.int64]) -> FrameArrays:
        """All frames taken. frame_id: (n,) int64, the dataset's own numbers."""
        reasons = [REASONS.index(tracked.reason) for tracked in self._tracked]
        return FrameArrays(
            frame_id=frame_id,
            valid=np.array([reason == 0 for reason in reasons], bool),
            reason=np.array(reasons, np.uint8),
            confidence=np.array([tracked.confidence for tracked in self._tracked], np.float32),
            landmarks=np.stack([tracked.landmarks for tracked in self._tracked]),
            transform=np.stack(self._transforms),
            landmarks_dense=np.stack(self._dense_points) if self._keeps_dense else None,
            blendshapes=self._blendshapes(np.array(reasons) == 0),
            visibility=self._seen(np.array(reasons) == 0),
        )

    def _seen(self, valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.float16]:
        """How far each part of the face is seen, NaN where not valid."""
        visibility = np.stack(self._visibility).astype(np.float16)
        visibility[~valid] = np.nan
        return visibility

    def _blendshapes(self, valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.float16] | None:
        """What the backend's network makes of the frames, NaN where not valid."""
        if self._dense is None or not has_blendshapes(self._dense):
            return None
        found = np.full((len(valid), BLENDSHAPE_COUNT), np.nan, np.float16)
        rows = np.flatnonzero(valid)
        for start in range(0, len(rows), _READ_TOGETHER):
            some = rows[start : start + _READ_TOGETHER]
            found[some] = self._dense.blendshapes(np.stack([self._dense_points[i] for i in some]))
        return found


def _check_backend(detector: Detector, task: ChunkTask) -> None:
    """Whether this process has the very backend, and engine of its networks, that the run states.

    Raises ClusterError where it has another.
    """
    own = f"{detector.name} {detector.version}"
    if own != task.detector:
        raise ClusterError(
            f"this process has the detector {own}, the run {task.detector}; install the same on "
            "all machines, or name the engine that all have (--detector mesh:torch)"
        )


@lru_cache(maxsize=4)
def _grey_crop(size: int, encoding: str, quality: int) -> bytes:
    return encode_crop(np.full((size, size, 3), BORDER_GREY, np.uint8), encoding, quality)


def _header(task: ChunkTask) -> ShardHeader:
    clip, labels = task.clip, task.clip.labels
    return ShardHeader(
        dataset=clip.dataset,
        subject=clip.subject,
        clip=clip.name,
        start=task.start,
        stop=task.stop,
        source=clip.relative_source,
        source_size=task.index.source_size,
        source_hash=task.index.source_hash,
        fps=task.index.fps,
        frame_size=task.index.size,
        detector=task.detector,
        options={**task.options.stated(), **task.dataset_options},
        glee_version=__version__,
        au_names=() if labels is None else labels.au_names,
        label_kind="none" if labels is None else labels.kind,
        landmark_definition=landmark_definition(task.detector.split(" ")[0]),
        processor=processor_kind(),
    )


def _labels(task: ChunkTask) -> npt.NDArray[np.int8]:
    labels = task.clip.labels
    return np.empty((task.stop - task.start, 0), np.int8) if labels is None else labels.values


def _same_shard(path: Path, header: ShardHeader, labels: npt.NDArray[np.int8]) -> Shard | None:
    """The shard that is there, where it is whole and what would be written now."""
    if not path.exists():
        return None
    try:
        shard = read_shard(path)
    except ShardError as error:
        logger.warning("%s; it is made again", error)
        return None
    if shard.header != header or not np.array_equal(shard.labels, labels):
        logger.warning("%s: made from another source or other labels; it is made again", path)
        return None
    return shard


def _reason_counts(reasons: npt.NDArray[np.uint8]) -> dict[str, int]:
    numbers, counts = np.unique(reasons, return_counts=True)
    return {REASONS[int(n)]: int(count) for n, count in zip(numbers, counts, strict=True)}
