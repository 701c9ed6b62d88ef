"""The faces of a clip's frames, in order.

The faces of a clip's frames, in order and one frame at a time: decoded, tracked, aligned.

What the parts of an analysis pass on: a face in a frame, and rows of fitted faces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from ...fitting.fit import Fit
from ..clips import Clip
from ..images.crops import align, alignment_transform, encode_crop
from ..images.frames import FrameIndex, read_frames
from ..landmarks.tracking import FaceTracker, TrackedFrame
from ..options import CROP_SIZE, AnalyzeOptions, TrackingOptions
from .face_tracks import FaceTracks, FoundFace
from .gaze import IrisDetector

# Longer side of the pictures that are kept for an overlay, pixels, and their JPEG quality.
PICTURE_SIDE = 1280
_PICTURE_QUALITY = 92
# A seek takes about as long as decoding so many frames of a usual video.
_SEEK = 35

# A row's reason beyond those of `shard_content.REASONS`.
NOT_CONVERGED = "not_converged"
# Relative root mean square distance of the fit at which the quality has fallen to 1/e.
_POOR_FIT = 0.06

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class FaceFrame:
    """One face in one frame.

    frame: index in the clip, from 0. time: seconds from the first frame. face_id: from 0; -1 where
    no face is followed. size: (width, height), pixels. irises: (2, 2) float32 centres of the right
    and the left iris, source pixels, NaN where the detector gives none. crop: (200, 200, 3) uint8
    RGB, the aligned face, None where not asked for. picture: the frame as JPEG, likewise.
    """

    frame: int
    time: float
    face_id: int
    tracked: TrackedFrame
    size: tuple[int, int]
    irises: npt.NDArray[np.float32]
    crop: Image | None = None
    picture: bytes | None = None

    @property
    def valid(self) -> bool:
        """Whether landmarks were found that can be fitted."""
        return self.tracked.reason == "ok"


@dataclass(frozen=True, eq=False)
class FaceRows:
    """Fitted faces of one image size; n rows.

    fit: of n rows, NaN where a row is not valid. au: (n, a) float32 probabilities, NaN likewise;
    a is 0 without a trained run. gaze: (n, 2, 3) float64 directions of the right and the left eye
    in camera coordinates (x right, y down, z away from the camera), NaN where unknown. usual_look:
    (n, 2, 2) float64 radians, what is usual for the row's person, see `face_fit.Identity`.
    """

    faces: tuple[FaceFrame, ...]
    fit: Fit
    au: npt.NDArray[np.float32]
    gaze: npt.NDArray[np.float64]
    usual_look: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.faces)

    def reason(self, index: int) -> str:
        """Why a row is or is not valid; "ok" where it is."""
        face = self.faces[index]
        if face.valid and not self.fit.converged[index]:
            return NOT_CONVERGED
        return face.tracked.reason

    def valid(self, index: int) -> bool:
        """Whether a row's landmarks and fit can be used."""
        return self.reason(index) == "ok"

    def quality(self, index: int) -> float:
        """In [0, 1]: the confidence in the landmarks times how well the model explains them."""
        if not self.valid(index):
            return 0.0
        relative = float(self.fit.rmse_iod[index])
        return self.faces[index].tracked.confidence * float(np.exp(-((relative / _POOR_FIT) ** 2)))


@dataclass(frozen=True)
class StreamOptions:
    """faces: most faces that are followed. alone: frames have nothing to do with each other.

    detect_every, minimum_confidence: as in `tracking`. fps: of images. crops, pictures: keep the
    aligned faces; the frames as JPEG.
    """

    faces: int = 1
    alone: bool = False
    tracking: TrackingOptions = TrackingOptions()
    fps: float = AnalyzeOptions.fps
    crops: bool = False
    pictures: bool = False

    @classmethod
    def of(cls, options: AnalyzeOptions, *, scored: bool) -> StreamOptions:
        """What an analysis needs of the stream. scored: aligned faces are needed."""
        return cls(
            faces=options.faces,
            alone=options.identity == "frame",
            tracking=options.tracking,
            fps=options.fps,
            crops=scored,
            pictures=options.video,
        )


def face_stream(
    clip: Clip, index: FrameIndex, detector: IrisDetector, options: StreamOptions
) -> Iterator[list[FaceFrame]]:
    """The faces of each frame, in order, at least one item a frame.

    A face that is not found has an item too while it is followed; see `face_tracks`.
    """
    frames = enumerate(read_frames(clip, index, 0, index.count))
    return _faces(frames, index, detector, options)


def sample_stream(
    clip: Clip, index: FrameIndex, detector: IrisDetector, options: StreamOptions, count: int
) -> Iterator[FaceFrame]:
    """The largest face of up to `count` frames spread evenly over the clip."""
    tracking = replace(options.tracking, detect_every=1)
    alone = StreamOptions(alone=True, tracking=tracking, fps=options.fps)
    wanted = np.unique(np.linspace(0, index.count - 1, count).round().astype(int)).tolist()
    for faces in _faces(_some_frames(clip, index, wanted), index, detector, alone):
        yield faces[0]


def frame_rate(index: FrameIndex, fps: float) -> float:
    """Frames a second: of the file where it says so, else `fps`."""
    return index.fps or fps


def frame_times(index: FrameIndex, fps: float) -> npt.NDArray[np.float64]:
    """Seconds from the first frame: by the file's time stamps, else by its rate."""
    if len(index.times):
        return np.asarray((index.times - index.times[0]) / 1e6, np.float64)
    return np.asarray(np.arange(index.count) / frame_rate(index, fps))


def _some_frames(
    clip: Clip, index: FrameIndex, wanted: list[int]
) -> Iterator[tuple[int, Image | None]]:
    """These frames of a clip: by seeking, or by reading through where that is sooner done."""
    if clip.kind == "video" and index.count <= _SEEK * len(wanted):
        chosen = set(wanted)
        for frame, image in enumerate(read_frames(clip, index, 0, index.count)):
            if frame in chosen:
                yield frame, image
        return
    for frame in wanted:
        for image in read_frames(clip, index, frame, frame + 1):
            yield frame, image


def _faces(
    frames: Iterable[tuple[int, Image | None]],
    index: FrameIndex,
    detector: IrisDetector,
    options: StreamOptions,
) -> Iterator[list[FaceFrame]]:
    times = frame_times(index, options.fps)
    size: tuple[int, int] | None = None
    follow = None
    for frame, image in frames:
        if image is not None and (image.shape[1], image.shape[0]) != size:
            # Another size is another camera: nothing is where it was.
            size, follow = (image.shape[1], image.shape[0]), None
        if follow is None or options.alone:
            follow = _follower(detector, options)
        picture = _picture(image) if options.pictures and image is not None else None
        yield [
            FaceFrame(
                frame=frame,
                time=float(times[frame]),
                face_id=face_id,
                tracked=tracked,
                size=size or index.size,
                irises=irises,
                crop=_crop(image, tracked) if options.crops else None,
                picture=picture,
            )
            for face_id, tracked, irises in follow(image)
        ]


class _OneFace:
    """A tracker of the largest face, as the stage `preprocess` has it."""

    def __init__(self, detector: IrisDetector, options: StreamOptions) -> None:
        self._detector = detector
        self._tracker = FaceTracker(detector, options.tracking)

    def follow(self, image: Image | None) -> list[FoundFace]:
        tracked = self._tracker.follow(image)
        return [(0, tracked, self._detector.irises_of(tracked.landmarks))]


def _follower(
    detector: IrisDetector, options: StreamOptions
) -> Callable[[Image | None], list[FoundFace]]:
    if options.faces == 1:
        return _OneFace(detector, options).follow
    return FaceTracks(detector, most=options.faces, options=options.tracking).follow


def _crop(image: Image | None, tracked: TrackedFrame) -> Image | None:
    if image is None or tracked.reason != "ok":
        return None
    return align(image, alignment_transform(tracked.landmarks, CROP_SIZE), CROP_SIZE)


def _picture(image: Image) -> bytes:
    scale = min(PICTURE_SIDE / max(image.shape[:2]), 1.0)
    if scale < 1.0:
        smaller = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image = np.asarray(smaller, np.uint8)
    return encode_crop(image, "jpeg", _PICTURE_QUALITY)
