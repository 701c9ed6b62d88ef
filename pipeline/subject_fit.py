"""The 3D fit of a subject's identity and of a shard's frames: the units of work of `fit3d`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from ..fitting.camera import Camera
from ..fitting.dense_points import DenseObservations, load_dense_points
from ..fitting.fit import Fit, fit, fit_identity
from ..fitting.initial_pose import spread_sample
from ..fitting.landmark_smoothing import TrackNoise
from ..fitting.morphable_model.landmark_scheme import COUNT
from ..fitting.morphable_model.model_file import load_model, model_digest
from ..fitting.visibility import hides_something
from ..fitting.witness import Witness
from .clip_smoothing import (
    fitted_points,
    keep_at_hand,
    noise_by_clip,
    points_digest,
    points_in_context,
    visibility_of,
    with_defaults,
)
from .cluster.processor import processor_kind
from .landmarks.detector import calibrated_name
from .options import DENSE_ONLY, Fit3dOptions
from .shards.content import check_place
from .shards.shard import REASONS, FitArrays, Shard, add_fit, read_sealed, read_shard
from .subject_witness import SubjectWitness, subject_usual

NOT_CONVERGED = "not_converged"
# Frames of the neighbouring chunks that take part in a chunk's temporal term.
CONTEXT_FRAMES = 64
# Frames spread evenly over a subject's shards that tell how far the person keeps to the prior's
# rules; those that the identity is taken from lie too far apart to speak for all.
EVEN_FRAMES = 100
# With fewer frames in which nothing is hidden, a subject's identity is taken from all.
LEAST_SEEN = 8
# So many shards of a subject stay in memory while its identity is fitted, 1 MB each, or 5 with
# dense points. Those of a longer clip are read again, so that memory does not grow with it.
IN_MEMORY = 32

Landmarks = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SubjectTask:
    """All shards of a subject, whose identity is to be fitted.

    Attributes
    ----------
    subject : str
        As the shards name it.
    paths : tuple of Path
        Its shards, sorted.
    options : Fit3dOptions
        What shapes the fit.
    again : bool
        Fit what is fitted too.
    """

    subject: str
    paths: tuple[Path, ...]
    options: Fit3dOptions
    again: bool

    @property
    def label(self) -> str:
        """Whose identity it is, for messages."""
        return f"identity of {self.subject}"


@dataclass(frozen=True, eq=False)
class SubjectResult:
    """A subject's identity for the frames' fit.

    Attributes
    ----------
    f_shape : (s,) float32 or None
        None where each frame has its own or no frame is valid.
    focal : float or None
        Focal length, pixels, where it was estimated.
    landmark_error : float or None
        Error of a landmark's coordinate, inter-ocular distances, where it was estimated.
    sources : tuple of str
        One a path: digests of what the fit of that shard depends on.
    fitted : tuple of bool
        One a path: whether the shard holds that very fit already.
    tracks : mapping
        Clip -> the noise of its landmarks; None where they are not smoothed.
    witness : SubjectWitness or None
        What the person's blendshapes say; None where they are not heard.
    seconds : float
        What it took.
    """

    f_shape: npt.NDArray[np.float32] | None
    focal: float | None
    landmark_error: float | None
    sources: tuple[str, ...]
    fitted: tuple[bool, ...]
    tracks: Mapping[str, TrackNoise | None]
    witness: SubjectWitness | None
    seconds: float


@dataclass(frozen=True, eq=False)
class ShardTask:
    """One shard to fit.

    Attributes
    ----------
    path : Path
        The shard.
    f_shape : (s,) float32 or None
        Of its subject; None where each frame has its own.
    focal, landmark_error : float or None
        Of its subject, see `SubjectResult`.
    track : TrackNoise or None
        The noise of its clip's landmarks.
    witness : SubjectWitness or None
        Of its subject; None where no blendshapes are heard.
    options : Fit3dOptions
        What shapes the fit.
    source : str
        Digest of what the fit depends on.
    keep : bool
        The shard holds that very fit already.
    """

    path: Path
    f_shape: npt.NDArray[np.float32] | None
    focal: float | None
    landmark_error: float | None
    track: TrackNoise | None
    witness: SubjectWitness | None
    options: Fit3dOptions
    source: str
    keep: bool

    @property
    def label(self) -> str:
        """Which shard it is, for messages."""
        return f"fit of {self.path}"


@dataclass(frozen=True)
class ShardResult:
    """What became of a shard's frames.

    Attributes
    ----------
    subject, clip : str
        As the shard names them.
    reasons : mapping
        Reason -> frames, "ok" for the converged ones.
    steps : mapping
        Step of the work -> seconds.
    kept : bool
        The fit was there already.
    """

    subject: str
    clip: str
    reasons: Mapping[str, int]
    steps: Mapping[str, float] = field(default_factory=dict)
    kept: bool = False


def fit_subject(task: SubjectTask) -> SubjectResult:
    """Fit one identity to a sample of a subject's frames, unless all its shards are fitted.

    Parameters
    ----------
    task : SubjectTask
        The subject's shards.

    Returns
    -------
    SubjectResult
        What the fit of its shards needs.

    Raises
    ------
    ShardError
        Where a shard cannot be read.
    DataError
        Where the morphable model cannot be read.
    """
    begin = perf_counter()
    joint, smooth = task.options.identity == "subject", task.options.smooth
    dense, hears = bool(task.options.dense), bool(task.options.witness)
    digests, before = [], []
    known: dict[Path, Shard] = {}
    for path in task.paths:
        shard = read_shard(path, verify=False)
        check_place(shard.header, shard.path)
        digests.append(points_digest(shard, dense=dense, witness=hears))
        before.append(None if shard.fit is None else shard.fit.options)
        if len(known) < IN_MEMORY:
            # Without what the identity does not need.
            frames = shard.frames if dense else replace(shard.frames, landmarks_dense=None)
            known[path] = replace(shard, frames=frames, fit=None, embed=None)
    whole = hashlib.sha256("".join(digests).encode()).hexdigest()
    sources = tuple(whole if joint or smooth else digest for digest in digests)
    wanted = asdict(task.options)
    fitted = tuple(
        not task.again and with_defaults(options) == {**wanted, "source": source}
        for options, source in zip(before, sources, strict=True)
    )
    f_shape, focal, error, witness = None, None, None, None
    tracks = noise_by_clip(_each(task, known)) if smooth and not all(fitted) else {}
    if joint and not all(fitted):
        candidates = [_candidates(shard, tracks, task.options) for shard in _each(task, known)]
        if sum(len(one.spread) for one in candidates) < LEAST_SEEN:
            candidates = [
                _candidates(shard, tracks, task.options, hidden=True)
                for shard in _each(task, known)
            ]
        kind = _most_frequent(candidates)
        f_shape, focal, error = _joint_identity(candidates, kind, task.options)
        if hears and f_shape is not None:
            share = _rules_share(candidates, kind, task.options, f_shape, focal)
            witness = SubjectWitness(subject_usual(_each(task, known)), share)
    seconds = perf_counter() - begin
    return SubjectResult(f_shape, focal, error, sources, fitted, tracks, witness, seconds)


def _each(task: SubjectTask, known: Mapping[Path, Shard]) -> Iterator[Shard]:
    """The subject's shards in order; those that are not known are read."""
    for path in task.paths:
        yield known[path] if path in known else read_shard(path, verify=False)


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Points of a shard's frames: spread over poses and expressions, and evenly over time.

    kind: frame size and detector. spread, even: (m, p, 2) float64, source pixels. spread_seen,
    even_seen: (m, 7) float64, how far each part is seen in them.
    """

    kind: tuple[tuple[int, int], str]
    spread: Landmarks
    even: Landmarks
    spread_seen: Landmarks
    even_seen: Landmarks


def _candidates(
    shard: Shard,
    tracks: Mapping[str, TrackNoise | None],
    options: Fit3dOptions,
    *,
    hidden: bool = False,
) -> _Candidates:
    """Points of a shard that stand for all of its frames; hidden: also where a part is hidden."""
    track = tracks.get(shard.path.parent.name)
    points = fitted_points(shard.path, shard, track, options.dense)
    visibility = visibility_of(shard)
    valid = shard.frames.valid
    if options.visibility and not hidden:
        valid = valid & ~hides_something(visibility)
        points[~valid] = np.nan
    chosen = spread_sample(points[:, :COUNT], options.sample_frames)
    even = np.flatnonzero(valid)[_evenly(int(valid.sum()))]
    kind = shard.header.frame_size, _detector(shard)
    return _Candidates(kind, points[chosen], points[even], visibility[chosen], visibility[even])


def _evenly(count: int) -> npt.NDArray[np.int64]:
    """Indices of at most EVEN_FRAMES of so many frames."""
    if count <= EVEN_FRAMES:
        return np.arange(count)
    return np.linspace(0, count - 1, EVEN_FRAMES).round().astype(np.int64)


def _most_frequent(candidates: list[_Candidates]) -> tuple[tuple[int, int], str] | None:
    """Frame size and detector of most candidates; None where there is none."""
    counts: Counter[tuple[tuple[int, int], str]] = Counter()
    for one in candidates:
        counts[one.kind] += len(one.spread)
    if not counts or max(counts.values()) == 0:
        return None
    return max(counts, key=lambda key: (counts[key], key))


def fit_shard(task: ShardTask) -> ShardResult:
    """Fit every valid frame of a shard and write the result into it.

    Parameters
    ----------
    task : ShardTask
        The shard.

    Returns
    -------
    ShardResult
        What became of its frames.

    Raises
    ------
    ShardError, DataError, OutputError
        Where the shard or the model cannot be read, or the shard not be written.
    """
    begin = perf_counter()
    shard, sealed = read_sealed(task.path)
    if task.keep and shard.fit is not None:
        return _result(shard, shard.fit.converged)
    arrays = _fit_arrays(shard, task)
    middle = perf_counter()
    add_fit(task.path, arrays, sealed)
    if task.track is not None:
        keep_at_hand(shard)
    steps = {"fit": middle - begin, "write": perf_counter() - middle}
    return _result(shard, arrays.converged, steps)


def _result(
    shard: Shard, converged: npt.NDArray[np.bool_], steps: Mapping[str, float] | None = None
) -> ShardResult:
    """Of a shard that was fitted in these steps; None where it was kept."""
    reasons: Counter[str] = Counter()
    for reason, done in zip(shard.frames.reason, converged, strict=True):
        reasons[NOT_CONVERGED if reason == 0 and not done else REASONS[reason]] += 1
    header = shard.header
    return ShardResult(header.subject, header.clip, dict(reasons), steps or {}, steps is None)


def _joint_identity(
    candidates: list[_Candidates],
    kind: tuple[tuple[int, int], str] | None,
    options: Fit3dOptions,
) -> tuple[npt.NDArray[np.float32] | None, float | None, float | None]:
    """f_shape (s,), the focal length where it is estimated, and landmarks' error, from all shards.

    Of the most frequent frame size.
    """
    if kind is None:
        return None, None, None
    landmarks = np.concatenate([one.spread for one in candidates if one.kind == kind])
    seen = np.concatenate([one.spread_seen for one in candidates if one.kind == kind])
    chosen = spread_sample(landmarks[:, :COUNT], options.sample_frames)
    scattered = replace(options, temporal=0.0, witness=False)
    found = fit_identity(**_fitted_how(landmarks[chosen], seen[chosen], *kind, scattered))
    if found is None:
        return None, None, None
    focal = found.focal if options.estimate_focal else None
    error = found.landmark_error
    return found.f_shape.astype(np.float32), focal, None if np.isnan(error) else error


def _rules_share(
    candidates: list[_Candidates],
    kind: tuple[tuple[int, int], str] | None,
    options: Fit3dOptions,
    f_shape: npt.NDArray[np.float32],
    focal: float | None,
) -> float | None:
    """How far the person keeps to the prior's rules; None where no frame could be fitted."""
    if kind is None:
        return None
    landmarks = np.concatenate([one.even for one in candidates if one.kind == kind])
    seen = np.concatenate([one.even_seen for one in candidates if one.kind == kind])
    chosen = _evenly(len(landmarks))
    landmarks, seen = landmarks[chosen], seen[chosen]
    options = replace(options, focal=focal or options.focal, estimate_focal=False)
    silent = Witness.silent(len(landmarks))
    result = _run_fit(landmarks, seen, *kind, options, f_shape=f_shape, joint=True, witness=silent)
    known = result.rules_share[result.converged]
    return float(known[0]) if len(known) else None


def _fit_arrays(shard: Shard, task: ShardTask) -> FitArrays:
    header = shard.header
    options = replace(task.options, focal=task.focal or task.options.focal, estimate_focal=False)
    context = CONTEXT_FRAMES if options.temporal > 0 else 0
    landmarks, seen, own = points_in_context(shard, task.track, options.dense, context)
    result = _run_fit(
        landmarks,
        seen,
        header.frame_size,
        _detector(shard),
        options,
        f_shape=task.f_shape,
        joint=options.identity == "subject",
        landmark_error=task.landmark_error,
        witness=None if task.witness is None else task.witness.of(shard),
    )
    known = shard.frames.valid & np.isfinite(result.pose[own]).all(1)
    model = load_model(options.model_path)
    return FitArrays(
        f_exp=_masked(result.f_exp[own], known),
        f_exp_std=_masked(result.f_exp_std[own], known),
        f_shape=_masked(result.f_shape[own], known),
        pose=_masked(result.pose[own], known),
        energy=_masked(result.energy[own], known),
        rmse=_masked(result.rmse[own], known),
        iterations=np.where(known, result.iterations[own], 0).astype(np.int32),
        converged=np.asarray(result.converged[own], bool) & known,
        options={**asdict(task.options), "source": task.source},
        model=model.name,
        model_sha256=model_digest(model),
        processor=processor_kind(),
        expression_names=model.expression_names,
        image_size=header.frame_size,
        focal=Camera.for_image(*header.frame_size, focal=options.focal).focal,
    )


def _run_fit(
    landmarks: npt.NDArray[np.float64],
    seen: npt.NDArray[np.float64],
    size: tuple[int, int],
    detector: str,
    options: Fit3dOptions,
    *,
    f_shape: npt.NDArray[np.float32] | None,
    joint: bool,
    landmark_error: float | None = None,
    witness: Witness | None = None,
) -> Fit:
    """The fit of points (n, 68, 2), or (n, 68 + d, 2) with dense points behind the landmarks.

    seen: (n, 7), how far each part of the face is seen.
    """
    how = _fitted_how(landmarks, seen, size, detector, options)
    how["options"] = replace(how["options"], landmark_error=landmark_error)
    return fit(**how, identity="subject" if joint else "frame", f_shape=f_shape, witness=witness)


def _fitted_how(
    landmarks: npt.NDArray[np.float64],
    seen: npt.NDArray[np.float64],
    size: tuple[int, int],
    detector: str,
    options: Fit3dOptions,
) -> dict[str, Any]:
    """Arguments of `fit` and `fit_identity` for points as `_run_fit` gets them."""
    model = load_model(options.model_path)
    dense = None
    if options.dense:
        calibration = load_dense_points(model, options.model_path)
        only = options.dense == DENSE_ONLY
        dense = DenseObservations(landmarks[:, COUNT:], calibration, only=only)
    known = calibrated_name(detector, model.landmarks)
    return {
        "landmarks": landmarks[:, :COUNT],
        "model": model,
        "camera": Camera.for_image(*size, options.focal),
        "landmark_set": known if known in model.landmarks else "anatomical",
        "dense": dense,
        "visibility": seen if options.visibility else None,
        "options": options.fit_options(model, detector),
    }


def _detector(shard: Shard) -> str:
    return shard.header.detector.split(" ")[0]


def _masked(values: npt.NDArray[Any], known: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    out = np.array(values, copy=True)
    out[~known] = np.nan
    return out
