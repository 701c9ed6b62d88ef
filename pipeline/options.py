"""What shapes the shards, the fit and an analysis: every option with its one default and its check.

The commands take their defaults from here, the stages hand these values down as they are, and they
become plain data only where `glee.toml` and a shard's attributes are written. This file imports
neither OpenCV, Numba, torch nor h5py, so that `glee --help` does not wait for them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import UsageError
from .images import CROP_SIZE, ENCODINGS, JPEG_QUALITY

if TYPE_CHECKING:
    from ..fitting.morphable_model.landmark_noise import LandmarkNoise
    from ..fitting.morphable_model.morphable_model import MorphableModel
    from ..fitting.options import FitOptions

# Frames of a shard, at most.
MAXIMUM_CHUNK = 1024

IDENTITIES = ("subject", "frame")
ROBUST = (None, "huber", "geman-mcclure", "absolute")
# How dense points are used: with the landmarks, or in their place.
DENSE_BESIDE, DENSE_ONLY = "beside", "only"
# In pixels the usual weights hold so little that a fit needs hundreds of steps (docs/fitting.md).
PIXEL_ITERATIONS = 500
# The tables that `glee analyze` writes.
TABLE_FORMATS = ("glee", "openface", "arkit", "gltf")
# Action Units without a trained run: from f_exp, or none.
AU_SOURCES = ("estimated", "none")


@dataclass(frozen=True)
class TrackingOptions:
    """How a face is followed from frame to frame.

    Attributes
    ----------
    detect_every : int
        Frames between two looks of the detector at a tracked face.
    minimum_confidence : float
        Confidence in [0, 1] below which a frame is not valid.
    """

    detect_every: int = 10
    minimum_confidence: float = 0.4

    def check(self) -> None:
        """Check that every value makes sense.

        Raises
        ------
        UsageError
            Naming the value that does not, and what may be given.
        """
        _check_bounds(self, detect_every=(1, 1000), minimum_confidence=(0.0, 1.0))


@dataclass(frozen=True)
class PreprocessOptions:
    """Every option that shapes the shards, as `glee.toml` states them.

    Attributes
    ----------
    detector : str
        Landmark backend; `auto` is the best one installed, `fan:yunet` the variant yunet of fan.
    detect_every, minimum_confidence : int, float
        See `TrackingOptions`.
    crop_size : int
        Side of the aligned crop, pixels.
    encoding : str
        Of crops, one of ENCODINGS.
    quality : int
        Of JPEG crops, 1 to 100.
    chunk_frames : int
        Frames of a shard, at most MAXIMUM_CHUNK.
    device, flip : str or None, bool or None
        Of the backend, see `BackendSettings`; None leaves them to it.
    refine : bool or None
        Go over the landmarks with the refiner; the detector is then stated as, for example,
        `mesh+refiner`. None: as the detector's name says.
    dense : bool or None
        Keep all points of a backend that has more than 68, for `fit3d` to use.
    deinterlace : bool or None
        Make interlaced pictures whole from both of their fields.
    """

    detector: str = "auto"
    detect_every: int = TrackingOptions.detect_every
    minimum_confidence: float = TrackingOptions.minimum_confidence
    crop_size: int = CROP_SIZE
    encoding: str = "jpeg"
    quality: int = JPEG_QUALITY
    chunk_frames: int = MAXIMUM_CHUNK
    device: str | None = None
    flip: bool | None = None
    refine: bool | None = None
    dense: bool | None = None
    deinterlace: bool | None = None

    @property
    def tracking(self) -> TrackingOptions:
        """How faces are followed."""
        return TrackingOptions(self.detect_every, self.minimum_confidence)

    def stated(self) -> dict[str, Any]:
        """Name the options for `glee.toml` and the shards, without those left to the backend.

        Returns
        -------
        dict
            Option -> value.
        """
        return {name: value for name, value in asdict(self).items() if value is not None}

    def check(self) -> None:
        """Check that every value makes sense.

        Raises
        ------
        UsageError
            Naming the value that does not, and what may be given.
        """
        self.tracking.check()
        _check_bounds(self, crop_size=(32, 1024), quality=(1, 100), chunk_frames=(1, MAXIMUM_CHUNK))
        if self.encoding not in ENCODINGS:
            raise UsageError(f"encoding is {self.encoding!r}; give one of {', '.join(ENCODINGS)}")


@dataclass(frozen=True)
class Fit3dOptions:
    """Every option that shapes the fit, as `glee.toml` states them.

    Of whiten, prior, smooth, witness and visibility, None is what suits the shards: on where they
    can be had.

    Attributes
    ----------
    identity : str
        "subject", one f_shape for all frames of a subject, or "frame", one a frame (the paper's;
        always so for FEC).
    sample_frames : int
        Frames from which a subject's f_shape is found.
    focal : float or None
        Focal length, pixels; None for the default of the image size.
    bounds : bool
        Keep f_exp in [0, 1] and f_shape in [-3, 3].
    expression_weight, shape_weight : float or None
        Weights of |f_exp|^2 and |f_shape|^2 (Eq. 3); both None for those that a subject's
        landmarks ask for (the paper's 1e-4 with identity "frame").
    curves : bool
        Compare sliding landmarks with the detected curve.
    robust : str or None
        A robust loss: "huber", "geman-mcclure", or "absolute", the distances themselves; None for
        squares.
    units : str or None
        "pixels", distances in pixels; None, in inter-ocular distances.
    jaw_by_pose : bool or None
        Move the jaw's points to the visible contour at the pose; None: they do.
    whiten : bool or None
        Weigh residuals by the detector's noise, where the model is calibrated to the detector.
    prior : bool or None
        Hold f_exp to plausible expressions, beyond the paper.
    smooth : bool or None
        Fit landmarks that are smoothed in time, both ways (`clip_smoothing`).
    temporal : float
        Weight of |f_exp(t) - f_exp(t - 1)|^2 within a clip.
    estimate_focal : bool
        Estimate one focal length a subject, from its frames.
    model : str or None
        Path of a morphable model; None for the embedded one.
    dense : str or None
        Fit the shards' dense points "beside" the landmarks, or them "only"; None: leave them.
    witness : bool or None
        Hear the shards' blendshapes beside the landmarks (`fitting.Witness`), beyond the paper.
    visibility : bool or None
        Heed how far the parts of a face are seen (`fitting.visibility`), beyond the paper.
    """

    identity: str = "subject"
    sample_frames: int = 200
    focal: float | None = None
    bounds: bool = True
    expression_weight: float | None = None
    shape_weight: float | None = None
    curves: bool = True
    robust: Literal["huber", "geman-mcclure", "absolute"] | None = None
    whiten: bool | None = False
    prior: bool | None = False
    smooth: bool | None = False
    temporal: float = 0.0
    estimate_focal: bool = False
    model: str | None = None
    dense: str | None = None
    witness: bool | None = False
    visibility: bool | None = False
    jaw_by_pose: bool | None = None
    units: Literal["pixels"] | None = None

    @property
    def model_path(self) -> Path | None:
        """The morphable model's file; None for the embedded one."""
        return None if self.model is None else Path(self.model)

    def as_published(self) -> Fit3dOptions:
        """Give these options with Eq. 3 as published: each frame by itself, without priors."""
        own = replace(self, identity="frame", whiten=False, prior=False, smooth=False)
        return replace(own, witness=False, visibility=False)

    @property
    def hears_witness(self) -> bool:
        """Whether a second witness goes with the other options."""
        return self.identity == "subject" and self.bounds and not self.temporal > 0

    def check(self) -> None:
        """Check that every value makes sense, and all of them together.

        Raises
        ------
        UsageError
            Naming the value that does not, and what may be given.
        """
        if self.identity not in IDENTITIES:
            raise UsageError(f"identity is {self.identity!r}; give one of {', '.join(IDENTITIES)}")
        if not 1 <= self.sample_frames <= 10_000:
            raise UsageError(f"sample_frames is {self.sample_frames}; give 1 to 10000")
        _check_focal(self.focal)
        if self.identity == "frame" and (self.temporal > 0 or self.estimate_focal):
            raise UsageError("temporal and estimate_focal need identity subject")
        if self.witness and not self.hears_witness:
            raise UsageError("witness needs identity subject, bounds, and no temporal")
        if self.whiten and self.robust is not None:
            raise UsageError("whiten and robust exclude each other; give one of them")
        if (self.expression_weight is None) != (self.shape_weight is None):
            raise UsageError("give both expression_weight and shape_weight, or neither of them")
        for name in ("expression_weight", "shape_weight", "temporal"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise UsageError(f"{name} is {value}; give 0 or more")
        if self.robust not in ROBUST:
            known = ", ".join(filter(None, ROBUST))
            raise UsageError(f"robust is {self.robust!r}; give one of {known}, or none")
        self._check_units()
        if self.dense not in (None, DENSE_BESIDE, DENSE_ONLY):
            raise UsageError(f"dense is {self.dense!r}; give {DENSE_BESIDE} or {DENSE_ONLY}")

    def _check_units(self) -> None:
        if self.units not in (None, "pixels"):
            raise UsageError(f"units is {self.units!r}; give pixels, or none")
        if self.robust == "absolute" and self.prior:
            raise UsageError("robust absolute goes without prior, which is for squared distances")
        given = [name for name in ("whiten", "prior", "dense") if getattr(self, name)]
        if self.units and given:
            raise UsageError(
                f"distances in pixels go without {' and '.join(given)}, which are in inter-ocular "
                "distances"
            )
        if self.units and self._ridge() is None:
            raise UsageError(
                "distances in pixels need weights: give expression_weight and shape_weight, or "
                "identity frame"
            )
        if self.units and self.robust not in (None, "absolute"):
            raise UsageError(f"distances in pixels do not go with robust {self.robust}")

    def fit_options(self, model: MorphableModel, detector: str) -> FitOptions:
        """Set up Eq. 3 for landmarks of a detector.

        Parameters
        ----------
        model : MorphableModel
            The model to fit.
        detector : str
            Name of the backend that the landmarks are from.

        Returns
        -------
        FitOptions
            The ridge's weights are None where the landmarks' own error is to set them.

        Raises
        ------
        UsageError
            Where the residuals are to be whitened and nobody knows how the detector errs, or the
            model has expressions that the prior does not know.
        """
        from ..fitting.options import FitOptions, expression_prior  # they import Numba

        noise = detector_noise(model, detector) if self.whiten else None
        if self.whiten and noise is None:
            raise UsageError(
                f"whiten: model {model.name} is not calibrated to detector {detector}; calibrated "
                f"are: {', '.join(sorted(model.noise)) or 'none'}"
            )
        return FitOptions(
            bounds=self.bounds,
            regularisation=self._ridge(),
            curves=self.curves,
            contour=self.jaw_by_pose is not False,
            robust=self.robust,
            units=self.units,
            noise=noise,
            prior=expression_prior(model.expression_names) if self.prior else None,
            temporal=self.temporal,
            estimate_focal=self.estimate_focal,
            identity_frames=self.sample_frames,
            iterations=PIXEL_ITERATIONS if self.units else FitOptions.iterations,
        )

    def _ridge(self) -> tuple[float, float] | None:
        """The weights of |f_exp|^2 and |f_shape|^2; None for those that landmarks ask for."""
        from ..fitting.options import PAPER_WEIGHT

        if self.expression_weight is not None and self.shape_weight is not None:
            return self.expression_weight, self.shape_weight
        # With an identity a frame, what a chunk's landmarks ask for would depend on where a clip
        # is cut.
        return None if self.identity == "subject" else (PAPER_WEIGHT, PAPER_WEIGHT)


@dataclass(frozen=True)
class AnalyzeOptions:
    """Every option that shapes an analysis without a dataset.

    Attributes
    ----------
    format : str
        Of the tables, one of TABLE_FORMATS.
    video : bool
        Write an overlay too.
    detector : str
        Landmark backend, or `auto`, the best one installed.
    weights : Path or None
        Folder of the backend's weights files; None for its own.
    faces : int
        Most faces that are followed.
    identity : str or None
        "subject", one f_shape a person, or "frame", frames have nothing to do with each other;
        None for a person's frames, fitted as a trained run asks for.
    focal : float or None
        Focal length, pixels; None for 1.5 x the longer side.
    model : Path or None
        A morphable model's file; None for the run's, or the embedded one.
    detect_every, minimum_confidence : int, float
        See `TrackingOptions`.
    fps : float
        Frames a second of image folders.
    deinterlace : bool
        Make interlaced pictures whole from both of their fields.
    witness : bool or None
        Hear the detector's blendshapes, see `Fit3dOptions`; None for where there are any, or as a
        trained run asks for.
    visibility : bool or None
        Heed what is hidden, likewise.
    overwrite : bool
        Make anew what is whole, and replace files that are not glee's too.
    aus : str
        Action Units without a trained run, one of AU_SOURCES.
    baseline : str
        Where people are at rest: "auto", "none", or frames such as "0-24".
    """

    format: str = "glee"
    video: bool = False
    detector: str = "auto"
    weights: Path | None = None
    faces: int = 1
    identity: str | None = None
    focal: float | None = None
    model: Path | None = None
    detect_every: int = TrackingOptions.detect_every
    minimum_confidence: float = TrackingOptions.minimum_confidence
    fps: float = 30.0
    deinterlace: bool = False
    witness: bool | None = None
    visibility: bool | None = None
    overwrite: bool = False
    aus: str = AU_SOURCES[0]
    baseline: str = "auto"

    @property
    def tracking(self) -> TrackingOptions:
        """How faces are followed."""
        return TrackingOptions(self.detect_every, self.minimum_confidence)

    def check(self) -> None:
        """Check that every value makes sense.

        Raises
        ------
        UsageError
            Naming the value that does not, and what may be given.
        """
        if self.format not in TABLE_FORMATS:
            raise UsageError(f"format is {self.format!r}; give one of {', '.join(TABLE_FORMATS)}")
        if self.identity not in (None, *IDENTITIES):
            raise UsageError(f"identity is {self.identity!r}; give one of {', '.join(IDENTITIES)}")
        if self.aus not in AU_SOURCES:
            raise UsageError(f"aus is {self.aus!r}; give one of {', '.join(AU_SOURCES)}")
        from .action_units.person_baseline import BaselineFrames

        BaselineFrames.parse(self.baseline)
        _check_focal(self.focal)
        if self.faces < 1:
            raise UsageError(f"faces is {self.faces}; give 1 or more")
        self.tracking.check()
        if not self.fps > 0:
            raise UsageError(f"fps is {self.fps}; give a positive number")

    def fit3d_options(self, base: Fit3dOptions) -> Fit3dOptions:
        """Set up the fit of an analysis.

        Parameters
        ----------
        base : Fit3dOptions
            How faces are fitted unless something else is asked for here.

        Returns
        -------
        Fit3dOptions
            `base` with what is asked for here.
        """
        return replace(
            base,
            identity=self.identity or base.identity,
            focal=self.focal,
            model=base.model if self.model is None else str(self.model),
            witness=base.witness if self.witness is None else self.witness,
            visibility=base.visibility if self.visibility is None else self.visibility,
        )


def detector_noise(model: MorphableModel, detector: str) -> LandmarkNoise | None:
    """How a detector's landmarks err: by the model's calibration, or as measured with the refiner.

    Parameters
    ----------
    model : MorphableModel
        The model that may be calibrated to the detector.
    detector : str
        Name of the backend.

    Returns
    -------
    LandmarkNoise or None
        None where nobody knows.
    """
    from .landmarks.detector import REFINED, calibrated_name

    detector = calibrated_name(detector, model.noise)
    if detector in model.noise or not detector.endswith(REFINED):
        return model.noise.get(detector)
    from .landmarks.refiner.weights import noise_of

    return noise_of(detector)


def _check_bounds(options: Any, **bounds: tuple[float, float]) -> None:
    for name, (low, high) in bounds.items():
        if not low <= getattr(options, name) <= high:
            raise UsageError(f"{name} is {getattr(options, name)}; give {low} to {high}")


def _check_focal(focal: float | None) -> None:
    if focal is not None and not focal > 0:
        raise UsageError(f"focal is {focal}; give a positive number of pixels")
