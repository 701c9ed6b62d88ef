"""The faces of a clip's frames, in order and one frame at a time: decoded, tracked, aligned.

`FaceFrame` and `FaceRows` are what the parts of an analysis pass on: a face in a frame, and rows of
fitted faces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from ...fitting.fit import Fit
from ...fitting.visibility import PARTS, seen_share
from ..clips import Clip
from ..images import CROP_SIZE
from ..images.crops import align, alignment_transform, encode_crop
from ..images.frames import FrameIndex, read_frames
from ..landmarks.detector import Landmarks
from ..landmarks.tracking import FaceTracker, TrackedFrame
from ..options import AnalyzeOptions, TrackingOptions
from .face_tracks import FaceTracks, FoundFace
from .gaze import IrisDetector

# Longer side of the pictures that are kept for an overlay, pixels, and their JPEG quality.
PICTURE_SIDE = 1280
_PICTURE_QUALITY = 92
# Frames whose blendshapes are read together: a small network run by itself between two large ones
# takes a third more time, since neither its weights nor its code are in the caches. The first ones
# are few, so that the first rows come soon. Nothing depends on them.
CHUNK_FRAMES, FIRST_CHUNK = 32, 8
# A seek takes about as long as decoding so many frames of a usual video.
_SEEK = 35

# A row's reason beyond those of `shards.content.REASONS`.
NOT_CONVERGED = "not_converged"
# Relative root mean square distance of the fit at which the quality has fallen to 1/e.
_POOR_FIT = 0.06

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class FaceFrame:
    """One face in one frame.

    Attributes
    ----------
    frame : int
        Index in the clip, from 0.
    time : float
        Seconds from the first frame.
    face_id : int
        From 0; -1 where no face is followed.
    tracked : TrackedFrame
        Its landmarks.
    size : (int, int)
        Width and height of the frame, pixels.
    irises : (2, 2) float32
        Centres of the right and the left iris, source pixels, NaN where the detector gives none.
    blendshapes : (52,) float32 or None
        What its blendshape network sees, NaN likewise; None: nobody asked.
    visibility : (7,) float32 or None
        How far each part of the face is seen, see `landmarks.visibility.seen_parts`; None: nobody
        asked.
    crop : (200, 200, 3) uint8 or None
        RGB, the aligned face; None where not asked for.
    picture : bytes or None
        The frame as JPEG; None where not asked for.
    """

    frame: int
    time: float
    face_id: int
    tracked: TrackedFrame
    size: tuple[int, int]
    irises: npt.NDArray[np.float32]
    blendshapes: npt.NDArray[np.float32] | None = None
    visibility: npt.NDArray[np.float32] | None = None
    crop: Image | None = None
    picture: bytes | None = None

    @property
    def valid(self) -> bool:
        """Whether landmarks were found that can be fitted."""
        return self.tracked.reason == "ok"


@dataclass(frozen=True, eq=False)
class FaceRows:
    """Fitted faces of one image size; n rows.

    Attributes
    ----------
    faces : tuple of FaceFrame
        One a row.
    fit : Fit
        Of n rows, NaN where a row is not valid.
    au : (n, a) float32
        Probabilities, NaN likewise; a is 0 without a trained run.
    gaze : (n, 2, 3) float64
        Directions of the right and the left eye in camera coordinates (x right, y down, z away from
        the camera), NaN where unknown.
    usual_look : (n, 2, 2) float64
        Radians, what is usual for the row's person, see `face_fit.Identity`.
    """

    faces: tuple[FaceFrame, ...]
    fit: Fit
    au: npt.NDArray[np.float32]
    gaze: npt.NDArray[np.float64]
    usual_look: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.faces)

    def reason(self, index: int) -> str:
        """Tell why a row is or is not valid.

        Parameters
        ----------
        index : int
            The row.

        Returns
        -------
        str
            "ok" where it is.
        """
        face = self.faces[index]
        if face.valid and not self.fit.converged[index]:
            return NOT_CONVERGED
        return face.tracked.reason

    def valid(self, index: int) -> bool:
        """Tell whether a row's landmarks and fit can be used.

        Parameters
        ----------
        index : int
            The row.

        Returns
        -------
        bool
            True where its reason is "ok".
        """
        return self.reason(index) == "ok"

    def visibility(self, index: int) -> npt.NDArray[np.float64]:
        """Tell how far each part of a row's face is seen.

        Parameters
        ----------
        index : int
            The row.

        Returns
        -------
        (7,) float64
            In the order of `fitting.visibility.PARTS`, in [0, 1]; NaN where not known.
        """
        known = self.faces[index].visibility
        if known is None or not self.valid(index):
            return np.full(len(PARTS), np.nan)
        return known.astype(np.float64)

    def confidence(self, index: int) -> float:
        """Tell how sure a row's landmarks and coefficients are, by what is seen of the face.

        Parameters
        ----------
        index : int
            The row.

        Returns
        -------
        float
            The detector's confidence times the share of f_exp that is seen, in [0, 1].
        """
        seen = self.visibility(index)
        share = 1.0 if np.isnan(seen).any() else float(seen_share(seen[None])[0])
        return self.faces[index].tracked.confidence * share

    def quality(self, index: int) -> float:
        """Judge a row: its `confidence` times how well the model explains the landmarks.

        Parameters
        ----------
        index : int
            The row.

        Returns
        -------
        float
            In [0, 1]; 0 where the row is not valid.
        """
        if not self.valid(index):
            return 0.0
        relative = float(self.fit.rmse_iod[index])
        return self.confidence(index) * float(np.exp(-((relative / _POOR_FIT) ** 2)))


@dataclass(frozen=True)
class StreamOptions:
    """What the stream of faces needs to know of an analysis.

    Attributes
    ----------
    faces : int
        Most faces that are followed.
    alone : bool
        Frames have nothing to do with each other.
    tracking : TrackingOptions
        How a face is followed.
    fps : float
        Frames a second of images.
    crops, pictures : bool
        Keep the aligned faces; the frames as JPEG.
    """

    faces: int = 1
    alone: bool = False
    tracking: TrackingOptions = TrackingOptions()
    fps: float = AnalyzeOptions.fps
    crops: bool = False
    pictures: bool = False

    @classmethod
    def of(cls, options: AnalyzeOptions, *, scored: bool) -> StreamOptions:
        """Take what the stream needs from the options of an analysis.

        Parameters
        ----------
        options : AnalyzeOptions
            What shapes the analysis.
        scored : bool
            Aligned faces are needed, for a trained network.

        Returns
        -------
        StreamOptions
            For `face_stream`.
        """
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
    """Find the faces of each frame, in order.

    A face that is not found has an item too while it is followed; see `face_tracks`.

    Parameters
    ----------
    clip : Clip
        Where the frames are.
    index : FrameIndex
        Of all of them.
    detector : IrisDetector
        The backend.
    options : StreamOptions
        What is followed and kept.

    Yields
    ------
    list of FaceFrame
        At least one a frame.
    """
    frames = enumerate(read_frames(clip, index, 0, index.count))
    return _faces(frames, index, detector, options)


def sample_stream(
    clip: Clip, index: FrameIndex, detector: IrisDetector, options: StreamOptions, count: int
) -> Iterator[FaceFrame]:
    """Find the largest face of frames spread over the clip.

    Evenly, but for long videos: of each of their parts it is the first key picture, where there is
    one, since any other frame is decoded with all from the key picture before it on.

    Parameters
    ----------
    clip, index, detector, options
        As in `face_stream`.
    count : int
        So many frames, at most.

    Yields
    ------
    FaceFrame
        One a frame.
    """
    tracking = replace(options.tracking, detect_every=1)
    alone = StreamOptions(alone=True, tracking=tracking, fps=options.fps)
    for faces in _faces(_some_frames(clip, index, count), index, detector, alone):
        yield faces[0]


def frame_rate(index: FrameIndex, fps: float) -> float:
    """Give the frames a second.

    Parameters
    ----------
    index : FrameIndex
        Of the clip.
    fps : float
        Where its file does not say.

    Returns
    -------
    float
        Of the file where it says so, else `fps`.
    """
    return index.fps or fps


def frame_times(index: FrameIndex, fps: float) -> npt.NDArray[np.float64]:
    """Give the time of every frame.

    Parameters
    ----------
    index : FrameIndex
        Of the clip.
    fps : float
        Where its file does not say.

    Returns
    -------
    (n,) float64
        Seconds from the first frame: by the file's time stamps, else by its rate.
    """
    if len(index.times):
        return np.asarray((index.times - index.times[0]) / 1e6, np.float64)
    return np.asarray(np.arange(index.count) / frame_rate(index, fps))


def _some_frames(clip: Clip, index: FrameIndex, count: int) -> Iterator[tuple[int, Image | None]]:
    """Frames of a clip: by seeking, or by reading through where that is sooner done."""
    wanted = np.unique(np.linspace(0, index.count - 1, count).round().astype(int))
    if index.video is not None:
        sought, decoded = _soon_decoded(index.video.keys, index.count, count)
        if max(decoded, _SEEK * count) >= index.count:
            chosen = set(wanted.tolist())
            for frame, image in enumerate(read_frames(clip, index, 0, index.count)):
                if frame in chosen:
                    yield frame, image
            return
        wanted = sought
    for frame in wanted.tolist():
        for image in read_frames(clip, index, frame, frame + 1):
            yield frame, image


def _soon_decoded(
    keys: npt.NDArray[np.int64], frames: int, count: int
) -> tuple[npt.NDArray[np.int64], int]:
    """The first key picture of each of a video's parts, or its first frame; frames to decode."""
    ends = np.linspace(0, frames, count + 1).astype(np.int64)
    first = np.append(keys, frames)[np.searchsorted(keys, ends[:-1])]
    sought = np.where(first < ends[1:], first, ends[:-1])
    before = np.append(0, keys)[np.searchsorted(keys, sought, side="right")]
    return sought, int((sought - before).sum())


def _faces(
    frames: Iterable[tuple[int, Image | None]],
    index: FrameIndex,
    detector: IrisDetector,
    options: StreamOptions,
) -> Iterator[list[FaceFrame]]:
    times = frame_times(index, options.fps)
    chunk: list[list[FaceFrame]] = []
    points: list[Landmarks | None] = []
    most = FIRST_CHUNK
    size: tuple[int, int] | None = None
    follow = None
    for frame, image in frames:
        if image is not None and (image.shape[1], image.shape[0]) != size:
            # Another size is another camera: nothing is where it was.
            size, follow = (image.shape[1], image.shape[0]), None
        if follow is None or options.alone:
            follow = _follower(detector, options)
        picture = _picture(image) if options.pictures and image is not None else None
        faces = [
            FaceFrame(
                frame=frame,
                time=float(times[frame]),
                face_id=face_id,
                tracked=tracked,
                size=size or index.size,
                irises=irises,
                visibility=detector.parts_of(tracked.landmarks, size or index.size),
                crop=_crop(image, tracked) if options.crops else None,
                picture=picture,
            )
            for face_id, tracked, irises in follow(image)
        ]
        chunk.append(faces)
        points += [detector.points_of(face.tracked.landmarks) for face in faces]
        if len(chunk) == most:
            yield from _with_blendshapes(chunk, points, detector)
            chunk, points, most = [], [], CHUNK_FRAMES
    if chunk:
        yield from _with_blendshapes(chunk, points, detector)


def _with_blendshapes(
    chunk: list[list[FaceFrame]], points: list[Landmarks | None], detector: IrisDetector
) -> Iterator[list[FaceFrame]]:
    """The faces of a chunk's frames, with what the blendshape network sees of them all."""
    landmarks = [face.tracked.landmarks for faces in chunk for face in faces]
    found = iter(detector.blendshapes_of(landmarks, points))
    for faces in chunk:
        yield [replace(face, blendshapes=next(found)) for face in faces]


class _OneFace:
    """A tracker of the largest face, as the stage `preprocess` has it; a new person's id is new."""

    def __init__(self, detector: IrisDetector, options: StreamOptions) -> None:
        self._detector = detector
        self._tracker = FaceTracker(detector, options.tracking)

    def follow(self, image: Image | None) -> list[FoundFace]:
        tracked = self._tracker.follow(image)
        return [(self._tracker.person, tracked, self._detector.irises_of(tracked.landmarks))]


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
