"""How refined landmarks err on renders: the noise by which `fit3d --whiten` weighs them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ....errors import DataError
from ....fitting.calibration.calibration import noise_on_renders, samples
from ....fitting.morphable_model.landmark_noise import LandmarkNoise
from ....fitting.morphable_model.model_file import load_model
from ....fitting.morphable_model.morphable_model import MorphableModel
from ..backends import largest_face, load_detector
from ..detector import REFINED
from .network import WEIGHTS_PATH, Refiner, read_weights, state_of
from .refine import LandmarkRefiner, RefinedDetector

# Renders of the same kind as for the other backends, but of other faces.
RENDERS, SEED, LEAST_FACES = 360, 69, 40


def refined_noise(
    backend: str, network: Refiner, *, renders: int = RENDERS, seed: int = SEED
) -> LandmarkNoise:
    """Bias and covariance of a backend's refined landmarks against the model's own 68 points.

    network: set to evaluation. Raises DataError where hardly a face is found.
    """
    model = load_model()
    detector = RefinedDetector(load_detector(backend), LandmarkRefiner(state_of(network)))
    found = samples(model, largest_face(detector), renders, seed)
    if len(found) < LEAST_FACES:
        raise DataError(
            f"{backend}: with the refiner the face is found in {len(found)} of {renders} renders, "
            f"{LEAST_FACES} are needed; train with more renders or steps"
        )
    return noise_on_renders(model, "anatomical", found)


def noise_of(detector: str, path: Path = WEIGHTS_PATH) -> LandmarkNoise | None:
    """The noise of a refined backend, named as in `mesh+refiner`; None where it was not measured.

    Raises WeightsError where the weights file cannot be read.
    """
    if not detector.endswith(REFINED):
        return None
    return read_weights(path).noise.get(detector.removesuffix(REFINED))


def with_refined(model: MorphableModel) -> MorphableModel:
    """A model that knows the refined backends as it knows the others: by their own names.

    Their landmark set is the anatomical one, whose points the refiner was trained for.
    Raises WeightsError where the weights file cannot be read.
    """
    noise = {f"{name}{REFINED}": errors for name, errors in read_weights().noise.items()}
    landmarks = dict.fromkeys(noise, model.landmarks["anatomical"])
    return replace(
        model, landmarks={**model.landmarks, **landmarks}, noise={**model.noise, **noise}
    )
