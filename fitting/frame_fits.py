"""Fits of many frames by themselves: their unknowns, what was seen, and what came out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .frame_arrays import Frame
from .solver.levenberg_marquardt import CONVERGED, fit_frame
from .solver.normal_equations import Fitter

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FrameStates:
    """The unknowns of n frames, overwritten by fits.

    x: (n, K) coefficients of the modes' type. rotation: (n, 3, 3); translation: (n, 3) float64.
    """

    x: NDArray[np.floating]
    rotation: Floats
    translation: Floats

    def copy(self) -> FrameStates:
        """Independent arrays of the same values."""
        return FrameStates(self.x.copy(), self.rotation.copy(), self.translation.copy())


@dataclass(frozen=True, eq=False)
class Observations:
    """Normalised landmarks of n frames: target (n, 68, 2), root_weight (n, 68), focal (n,).

    yaw_range: (n,) int64, which of the loss's covariances is that of each frame.
    """

    target: Floats
    root_weight: Floats
    focal: Floats
    yaw_range: NDArray[np.int64]

    def rows(self, chosen: NDArray[np.integer]) -> Observations:
        """Some of the frames."""
        return Observations(
            self.target[chosen],
            self.root_weight[chosen],
            self.focal[chosen],
            self.yaw_range[chosen],
        )


@dataclass(frozen=True, eq=False)
class Outcome:
    """What n fits came to: energy (n,) float64, iterations (n,) int32, status (n,) int32."""

    energy: Floats
    iterations: NDArray[np.int32]
    status: NDArray[np.int32]


def fit_frames(
    fitter: Fitter,
    observations: Observations,
    states: FrameStates,
    *,
    fixed: bool = False,
    warm: bool = False,
) -> Outcome:
    """Fit every frame by itself from its state, which is overwritten.

    fixed: keep the coefficients and fit the pose alone; the prior's bounds are overwritten.
    warm: start each frame from the result of the one before it.
    """
    count = len(observations.focal)
    outcome = Outcome(np.empty(count), np.empty(count, np.int32), np.empty(count, np.int32))
    _fit_frames(
        fitter,
        observations.target,
        observations.root_weight,
        observations.focal,
        observations.yaw_range,
        states.x,
        states.rotation,
        states.translation,
        fixed,
        warm,
        outcome.energy,
        outcome.iterations,
        outcome.status,
    )
    return outcome


@njit(cache=True, boundscheck=False)
def _fit_frames(
    fitter: Fitter,
    target: Floats,
    root_weight: Floats,
    focal: Floats,
    yaw_range: NDArray[np.int64],
    x: NDArray[np.floating],
    rotation: Floats,
    translation: Floats,
    fixed: bool,
    warm: bool,
    energy: Floats,
    iterations: NDArray[np.int32],
    status: NDArray[np.int32],
) -> None:
    for i in range(len(focal)):
        if warm and i > 0 and status[i - 1] == CONVERGED:
            x[i] = x[i - 1]
            rotation[i] = rotation[i - 1]
            translation[i] = translation[i - 1]
        if fixed:
            fitter.prior.lower[:] = x[i]
            fitter.prior.upper[:] = x[i]
        frame = Frame(target[i], root_weight[i], focal[i], yaw_range[i])
        energy[i], iterations[i], status[i] = fit_frame(
            fitter, frame, x[i], rotation[i], translation[i]
        )


# The outermost kernel; where it is kept, all are.
KERNEL = _fit_frames
