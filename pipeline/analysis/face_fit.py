"""Faces fitted as they come: each face's identity once, then its frames block by block, as rows.

`AUScorer` is what an analysis asks of a trained network; `model.prediction.analysis` fulfils it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ...fitting.camera import Camera
from ...fitting.fit import Fit, fit
from ...fitting.initial_pose import spread_sample
from ...fitting.morphable_model.description import ARKIT_BASIS, expression_basis
from ...fitting.morphable_model.model_file import load_model
from ...fitting.morphable_model.morphable_model import MorphableModel
from ...fitting.options import PAPER_WEIGHT, FitOptions
from ...fitting.visibility import PARTS, hides_something
from ...fitting.witness import OUTPUTS, Witness, usual_outputs
from ..landmarks.detector import calibrated_name
from ..options import Fit3dOptions, detector_noise
from ..subject_witness import SubjectWitness
from .face_stream import FaceFrame, FaceRows
from .gaze import gaze_directions, looks_in_head

Landmarks = npt.NDArray[np.float32]

# Frames from which an identity is taken, at most.
IDENTITY_FRAMES = 48
# With fewer frames in which nothing is hidden it is taken from all.
LEAST_SEEN = 8
# How faces are fitted unless a trained run asks for something else.
ANALYSIS_FIT = Fit3dOptions(whiten=True, prior=True, witness=True, visibility=True)

# Fields of a Fit that are no arrays over its rows.
_OF_ALL_ROWS = ("model", "camera", "landmark_set")
# After so many frames it is looked which faces are known by now; the first time soon.
BLOCK_FRAMES, FIRST_BLOCK = 32, 8
# Rows that are fitted together, so many at least but for the first: what is made ready for a fit is
# made as often. The result does not depend on it.
ROWS_TOGETHER = 96
# A face whose identity is taken from its own first frames waits for so many frames at most.
PATIENCE = 2 * IDENTITY_FRAMES


@dataclass(frozen=True, eq=False)
class Identity:
    """What is known of a person.

    Attributes
    ----------
    f_shape : (s,) float32
        Identity coefficients.
    usual : (e,) float32
        The median f_exp of the frames that the identity was taken from.
    frames : int
        How many these were.
    usual_look : (2, 2) float64
        Radians, the median of `gaze.looks_in_head`, NaN where no iris was found.
    landmark_error : float or None
        Error of a landmark's coordinate, inter-ocular distances, where it was estimated.
    witness : SubjectWitness or None
        What is known for the person's blendshapes; None where they are not heard.
    """

    f_shape: npt.NDArray[np.float32]
    usual: npt.NDArray[np.float32]
    frames: int
    usual_look: npt.NDArray[np.float64] = field(default_factory=lambda: np.full((2, 2), np.nan))
    landmark_error: float | None = None
    witness: SubjectWitness | None = None


class AUScorer(Protocol):
    """Action Unit probabilities of faces, by a trained network.

    Attributes
    ----------
    au_names : tuple of str
        ("AU1", ...).
    detector : str
        The backend that the network was trained on; "" where it is not known.
    fit : Fit3dOptions
        How the faces that it was trained on were fitted.
    run : str
        Path of the trained run.
    digest : str
        Of its networks, by which the same run is known again wherever it lies.
    """

    au_names: tuple[str, ...]
    detector: str
    fit: Fit3dOptions
    run: str
    digest: str

    def check(self, detector: str, fit: Fit3dOptions, model: MorphableModel) -> None:
        """Check that the network's training speaks for faces made like this.

        Parameters
        ----------
        detector : str
            Name of the backend.
        fit : Fit3dOptions
            How the faces are fitted.
        model : MorphableModel
            To which model.

        Raises
        ------
        DataError
            Where it does not.
        """

    def score(
        self,
        crops: npt.NDArray[np.uint8],
        f_exp: npt.NDArray[np.float32],
        identity: Identity | None,
    ) -> npt.NDArray[np.float32]:
        """Estimate the Action Units of aligned faces.

        Parameters
        ----------
        crops : (n, 200, 200, 3) uint8
            RGB.
        f_exp : (n, e) float32
            Of the same faces.
        identity : Identity or None
            The person's.

        Returns
        -------
        (n, a) float32
            Probabilities.
        """


@dataclass(frozen=True, eq=False)
class FaceFitter:
    """The morphable model and how it is fitted.

    Attributes
    ----------
    model : MorphableModel
        The model.
    landmark_set : str
        Which points of it are compared.
    options : FitOptions
        How Eq. 3 is set up.
    made : Fit3dOptions
        The same options as `fit3d` has them.
    own_identity : bool
        One f_shape a frame instead of one a person.
    focal : float or None
        Focal length, pixels; None for the default.
    """

    model: MorphableModel
    landmark_set: str
    options: FitOptions
    made: Fit3dOptions
    own_identity: bool = False
    focal: float | None = None

    @classmethod
    def of(
        cls, detector: str, made: Fit3dOptions = ANALYSIS_FIT, *, blendshapes: bool = False
    ) -> FaceFitter:
        """Take what a detector and a model allow: whitening and the prior go where they do not fit.

        So does the second witness. Nor are frames smoothed in time, since rows are written as they
        come.

        Parameters
        ----------
        detector : str
            Name of the backend.
        made : Fit3dOptions
            What is asked for.
        blendshapes : bool
            The backend has a blendshape network.

        Returns
        -------
        FaceFitter
            Ready to fit.

        Raises
        ------
        UsageError
            Where an option makes no sense.
        DataError
            Where the model cannot be read.
        """
        made = replace(made, temporal=0.0, estimate_focal=False)
        hears = bool(made.witness and blendshapes and made.hears_witness)
        made = replace(made, witness=hears)
        made.check()
        model = load_model(made.model_path)
        arkit = expression_basis(model) == ARKIT_BASIS
        noise = detector_noise(model, detector) if made.whiten else None
        made = replace(
            made,
            whiten=noise is not None,
            prior=made.prior and arkit,
            witness=bool(hears and made.prior and arkit),
        )
        options = replace(made.fit_options(model, detector), identity_frames=IDENTITY_FRAMES)
        known = calibrated_name(detector, model.landmarks)
        points = known if known in model.landmarks else "anatomical"
        return cls(model, points, options, made, made.identity == "frame", made.focal)

    def identity(self, faces: Sequence[FaceFrame]) -> Identity | None:
        """Estimate the identity that explains a person's frames best.

        Frames of the most frequent size count, as many as are spread over poses and expressions.

        Parameters
        ----------
        faces : sequence of FaceFrame
            Of one person.

        Returns
        -------
        Identity or None
            None where no frame is valid.
        """
        good = [face for face in faces if face.valid]
        if not good:
            return None
        sizes = [face.size for face in good]
        size = max(sorted(set(sizes)), key=sizes.count)
        good = [face for face in good if face.size == size]
        whole = [face for face in good if not hides_something(_visibility([face])).any()]
        if self.made.visibility and len(whole) >= LEAST_SEEN:
            good = whole
        landmarks, seen = np.stack([face.tracked.landmarks for face in good]), _visibility(good)
        chosen = spread_sample(landmarks, IDENTITY_FRAMES)
        joint = self._fit(landmarks[chosen], seen[chosen], size)
        if not joint.converged.any():
            return None
        f_shape = joint.f_shape[joint.converged][0]
        error = float(joint.landmark_error[joint.converged][0])
        known = None if np.isnan(error) else error
        witness = None
        if self.made.witness:
            silent = self._fit(landmarks, seen, size, f_shape, known, Witness.silent(len(good)))
            share = silent.rules_share[silent.converged]
            rest = usual_outputs(_outputs(good))
            witness = SubjectWitness(rest, float(share[0]) if len(share) else None)
        heard = None if witness is None else witness.of_outputs(_outputs(good))
        own = self._fit(landmarks, seen, size, f_shape, known, heard)
        usual = np.median(own.f_exp[own.converged], axis=0) if own.converged.any() else np.nan
        count = int(own.converged.sum())
        usual = np.broadcast_to(usual, own.f_exp.shape[1:]).astype(np.float32)
        return Identity(f_shape, usual, count, _usual_look(own, good), known, witness)

    def rows(self, faces: Sequence[FaceFrame], identity: Identity | None) -> Fit:
        """Fit frames of one size and one person.

        Parameters
        ----------
        faces : sequence of FaceFrame
            The frames.
        identity : Identity or None
            The person's; without one each frame has its own.

        Returns
        -------
        Fit
            A row a frame, NaN where a frame is not valid.
        """
        landmarks = np.stack(
            [
                face.tracked.landmarks if face.valid else np.full((68, 2), np.nan, np.float32)
                for face in faces
            ]
        )
        size, seen = faces[0].size, _visibility(faces)
        if self.own_identity or identity is None:
            return self._fit_apart(landmarks, seen, size)
        known = identity.witness
        witness = None if known is None else known.of_outputs(_outputs(faces))
        shape, error = identity.f_shape, identity.landmark_error
        return self._fit(landmarks, seen, size, shape, error, witness)

    def _fit(
        self,
        landmarks: Landmarks,
        seen: npt.NDArray[np.float64],
        size: tuple[int, int],
        f_shape: npt.NDArray[np.float32] | None = None,
        landmark_error: float | None = None,
        witness: Witness | None = None,
    ) -> Fit:
        """Fit one person; without f_shape that too, from these landmarks."""
        return fit(
            landmarks,
            self.model,
            camera=Camera.for_image(*size, self.focal),
            landmark_set=self.landmark_set,
            f_shape=f_shape,
            witness=witness,
            visibility=seen if self.made.visibility else None,
            options=replace(self.options, landmark_error=landmark_error),
        )

    def _fit_apart(
        self, landmarks: Landmarks, seen: npt.NDArray[np.float64], size: tuple[int, int]
    ) -> Fit:
        """Fit frames with an identity each; what a frame gets does not depend on its block."""
        weights = self.options.regularisation or (PAPER_WEIGHT, PAPER_WEIGHT)
        return fit(
            landmarks,
            self.model,
            camera=Camera.for_image(*size, self.focal),
            landmark_set=self.landmark_set,
            identity="frame",
            visibility=seen if self.made.visibility else None,
            options=replace(self.options, regularisation=weights),
        )


def _outputs(faces: Sequence[FaceFrame]) -> npt.NDArray[np.float64]:
    """Blendshapes of frames (n, 52), NaN where one is not valid or has none."""
    outputs = np.full((len(faces), len(OUTPUTS)), np.nan)
    for row, face in zip(outputs, faces, strict=True):
        if face.valid and face.blendshapes is not None:
            row[:] = face.blendshapes
    return outputs


def _visibility(faces: Sequence[FaceFrame]) -> npt.NDArray[np.float64]:
    """How far each part is seen in frames, (n, 7); NaN where one is not valid or nobody asked."""
    known = np.full((len(faces), len(PARTS)), np.nan)
    for row, face in zip(known, faces, strict=True):
        if face.valid and face.visibility is not None:
            row[:] = face.visibility
    return known


def _usual_look(fit: Fit, faces: Sequence[FaceFrame]) -> npt.NDArray[np.float64]:
    gaze = gaze_directions(fit, np.stack([face.irises for face in faces]))
    looks = [looks_in_head(fit, i, own) for i, own in enumerate(gaze)]
    known = [look for look in looks if np.isfinite(look).all()]
    return np.median(known, axis=0) if known else np.full((2, 2), np.nan)


class RowStream:
    """Takes faces frame by frame and gives fitted rows, in the order of the frames.

    Parameters
    ----------
    fitter : FaceFitter
        How faces are fitted.
    identities : mapping or None
        Face -> Identity, of those that are known before; any other face's is taken from its own
        first frames, for which its rows, and all after them, are held back.
    scorer : AUScorer or None
        Gives Action Units.
    """

    def __init__(
        self,
        fitter: FaceFitter,
        identities: Mapping[int, Identity] | None = None,
        scorer: AUScorer | None = None,
    ) -> None:
        self._fitter, self._scorer = fitter, scorer
        self._identities: dict[int, Identity | None] = dict(identities or {})
        self._pending: list[FaceFrame] = []
        self._block, self._together = FIRST_BLOCK, 1
        self._taken = 0

    def rows(self, stream: Iterable[list[FaceFrame]]) -> Iterator[FaceRows]:
        """Fit all faces of a stream; in memory are those of one fit, or of PATIENCE frames.

        Parameters
        ----------
        stream : iterable of list of FaceFrame
            The faces of each frame.

        Yields
        ------
        FaceRows
            In the order of the frames.
        """
        for faces in stream:
            self._pending += faces
            self._taken += 1
            if self._taken >= self._block:
                self._taken, self._block = 0, BLOCK_FRAMES
                yield from self._ready(faces[0].frame)
        yield from self._ready(None)

    def _ready(self, now: int | None) -> Iterator[FaceRows]:
        """Rows up to the first one of a face that is not known yet. now: None at the end."""
        self._learn(now)
        held = next(
            (
                face.frame
                for face in self._pending
                if face.valid and face.face_id not in self._identities
            ),
            None,
        )
        done = [face for face in self._pending if held is None or face.frame < held]
        if now is not None and len(done) < self._together:
            return
        self._together = ROWS_TOGETHER if done else self._together
        self._pending = self._pending[len(done) :]
        for size, faces in groupby(done, key=lambda face: face.size):
            yield self._fitted(size, tuple(faces))

    def _learn(self, now: int | None) -> None:
        """Take the identity of faces that were seen often enough, or waited for long enough."""
        if self._fitter.own_identity:
            self._identities.update(dict.fromkeys({face.face_id for face in self._pending}))
            return
        for face_id in sorted({face.face_id for face in self._pending if face.valid}):
            if face_id in self._identities:
                continue
            own = [face for face in self._pending if face.face_id == face_id and face.valid]
            waited = now is None or now - own[0].frame >= PATIENCE
            if waited or len(own) >= IDENTITY_FRAMES:
                self._identities[face_id] = self._fitter.identity(own)

    def _fitted(self, size: tuple[int, int], faces: tuple[FaceFrame, ...]) -> FaceRows:
        ids = np.array([face.face_id for face in faces])
        fits, places, au = [], [], []
        for face_id in sorted(set(ids.tolist())):
            place = np.flatnonzero(ids == face_id)
            own = [faces[i] for i in place]
            identity = self._identities.get(face_id)
            fit = self._fitter.rows(own, identity)
            fits.append(fit)
            places.append(place)
            au.append(self._scores(own, fit, identity))
        order = np.argsort(np.concatenate(places))
        fit = _joined(fits, order)
        gaze = gaze_directions(fit, np.stack([face.irises for face in faces]))
        usual = np.stack([self._usual_look(face.face_id) for face in faces])
        return FaceRows(faces, fit, np.concatenate(au)[order], gaze, usual)

    def _usual_look(self, face_id: int) -> npt.NDArray[np.float64]:
        identity = self._identities.get(face_id)
        return np.full((2, 2), np.nan) if identity is None else identity.usual_look

    def _scores(
        self, faces: list[FaceFrame], fit: Fit, identity: Identity | None
    ) -> npt.NDArray[np.float32]:
        if self._scorer is None:
            return np.empty((len(faces), 0), np.float32)
        out = np.full((len(faces), len(self._scorer.au_names)), np.nan, np.float32)
        with_crop = [i for i, face in enumerate(faces) if face.crop is not None]
        if with_crop:
            crops = np.stack([crop for i in with_crop if (crop := faces[i].crop) is not None])
            out[with_crop] = self._scorer.score(crops, fit.f_exp[with_crop], identity)
        return out


def _joined(fits: list[Fit], order: npt.NDArray[np.intp]) -> Fit:
    """Fits of several faces as one, its rows in this order."""
    first = fits[0]
    if len(fits) == 1:
        return first
    arrays = [item.name for item in fields(first) if item.name not in _OF_ALL_ROWS]
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(fit, name) for fit in fits])[order] for name in arrays
    }
    return replace(first, **joined)
