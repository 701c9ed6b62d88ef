"""The fit of an analysis: a face's identity once, then its frames block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...fitting.expression_prior import expression_prior
from ...fitting.fit import Fit, fit
from ...fitting.frame_sample import spread_sample
from ...fitting.morphable_model.description import ARKIT_BASIS, expression_basis
from ...fitting.morphable_model.model_file import load_model
from ...fitting.morphable_model.morphable_model import MorphableModel
from ...fitting.options import PAPER_WEIGHT, FitOptions
from ..fit3d import Fit3dOptions
from ..subject_fit import detector_noise, ridge_weights
from .face_frames import FaceFrame
from .gaze import gaze_directions, looks_in_head

Landmarks = npt.NDArray[np.float32]

# Frames from which an identity is taken, at most.
IDENTITY_FRAMES = 48
# How faces are fitted unless a trained run asks for something else.
ANALYSIS_FIT = Fit3dOptions(whiten=True, prior=True)


@dataclass(frozen=True, eq=False)
class Identity:
    """What is known of a person. f_shape: (s,) float32.

    usual: (e,) float32, the median f_exp of the frames that the identity was taken from. frames:
    how many these were. usual_look: (2, 2) float64, the median of `irises.looks_in_head`, NaN where
    no iris was seen.
    """

    f_shape: npt.NDArray[np.float32]
    usual: npt.NDArray[np.float32]
    frames: int
    usual_look: npt.NDArray[np.float64] = field(default_factory=lambda: np.full((2, 2), np.nan))
    landmark_error: float | None = None


@dataclass(frozen=True, eq=False)
class FaceFitter:
    """The morphable model and how it is fitted.

    made: the same options as `fit3d` has them. own_identity: one f_shape a frame instead of one a
    person. focal: pixels; None for the default.
    """

    model: MorphableModel
    landmark_set: str
    options: FitOptions
    made: Fit3dOptions
    own_identity: bool = False
    focal: float | None = None

    @classmethod
    def of(cls, detector: str, made: Fit3dOptions = ANALYSIS_FIT) -> FaceFitter:
        """What a detector and a model allow: whitening and the prior go where they do not fit.

        Nor are frames smoothed in time, since rows are written as they come.

        Raises UsageError, DataError where the model cannot be read.
        """
        made.check()
        model = load_model(None if made.model is None else Path(made.model))
        arkit = expression_basis(model) == ARKIT_BASIS
        noise = detector_noise(model, detector) if made.whiten else None
        made = replace(
            made,
            whiten=noise is not None,
            prior=made.prior and arkit,
            temporal=0.0,
            estimate_focal=False,
        )
        options = FitOptions(
            bounds=made.bounds,
            regularisation=ridge_weights(asdict(made)),
            curves=made.curves,
            robust=made.robust,  # type: ignore[arg-type]
            noise=noise,
            prior=expression_prior(model.expression_names) if made.prior else None,
            identity_frames=IDENTITY_FRAMES,
        )
        points = detector if detector in model.landmarks else "anatomical"
        return cls(model, points, options, made, made.identity == "frame", made.focal)

    def identity(self, faces: Sequence[FaceFrame]) -> Identity | None:
        """The identity that explains a person's frames best; None where none is valid.

        Frames of the most frequent size count, as many as are spread over poses and expressions.
        """
        good = [face for face in faces if face.valid]
        if not good:
            return None
        sizes = [face.size for face in good]
        size = max(sorted(set(sizes)), key=sizes.count)
        good = [face for face in good if face.size == size]
        landmarks = np.stack([face.tracked.landmarks for face in good])
        chosen = landmarks[spread_sample(landmarks, IDENTITY_FRAMES)]
        joint = self._fit(chosen, size)
        if not joint.converged.any():
            return None
        f_shape = joint.f_shape[joint.converged][0]
        error = float(joint.landmark_error[joint.converged][0])
        known = None if np.isnan(error) else error
        own = self._fit(landmarks, size, f_shape, known)
        usual = np.median(own.f_exp[own.converged], axis=0) if own.converged.any() else np.nan
        count = int(own.converged.sum())
        usual = np.broadcast_to(usual, own.f_exp.shape[1:]).astype(np.float32)
        return Identity(f_shape, usual, count, _usual_look(own, good), known)

    def rows(self, faces: Sequence[FaceFrame], identity: Identity | None) -> Fit:
        """Fit frames of one size and one person; without an identity each has its own."""
        landmarks = np.stack(
            [
                face.tracked.landmarks if face.valid else np.full((68, 2), np.nan, np.float32)
                for face in faces
            ]
        )
        size = faces[0].size
        if self.own_identity or identity is None:
            return self._fit_apart(landmarks, size)
        return self._fit(landmarks, size, identity.f_shape, identity.landmark_error)

    def _fit(
        self,
        landmarks: Landmarks,
        size: tuple[int, int],
        f_shape: npt.NDArray[np.float32] | None = None,
        landmark_error: float | None = None,
    ) -> Fit:
        """Fit one person; without f_shape that too, from these landmarks."""
        return fit(
            landmarks,
            self.model,
            image_size=size,
            focal=self.focal,
            landmark_set=self.landmark_set,
            f_shape=f_shape,
            options=replace(self.options, landmark_error=landmark_error),
        )

    def _fit_apart(self, landmarks: Landmarks, size: tuple[int, int]) -> Fit:
        """Fit frames with an identity each; what a frame gets does not depend on its block."""
        weights = self.options.regularisation or (PAPER_WEIGHT, PAPER_WEIGHT)
        return fit(
            landmarks,
            self.model,
            image_size=size,
            focal=self.focal,
            landmark_set=self.landmark_set,
            identity="frame",
            options=replace(self.options, regularisation=weights),
        )


def _usual_look(fit: Fit, faces: Sequence[FaceFrame]) -> npt.NDArray[np.float64]:
    looks = [
        looks_in_head(fit, i, gaze_directions(fit, i, face.irises)) for i, face in enumerate(faces)
    ]
    seen = [look for look in looks if np.isfinite(look).all()]
    return np.median(seen, axis=0) if seen else np.full((2, 2), np.nan)
