"""One f_shape for all frames of a subject: variable projection over the shared coefficients.

For a given identity every frame is fitted by itself, so that the energy is a function of the
identity alone (variable projection, Golub and Pereyra 1973). A Gauss-Newton step on the identity
then minimises the energy of all frames together, each frame's pose and f_exp eliminated from the
arrow-shaped normal equations (Schur complement; Triggs et al., Bundle adjustment, 2000, section
6.1). Memory does not grow with the frames.

What makes it quick: a few of the frames come close first; a frame is only followed for two steps
after a step of the identity, since the elimination takes account of what it still lacks; and the
jaw's contour is held, since the energy jumps where it moves, so that steps could not be told from
failures.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .fitter import Fitter, Prior
from .levenberg_marquardt import DAMPING_FALL, DAMPING_RISE, LEAST_DAMPING, fit_frames
from .linear_algebra import SLACK, BoundedQuadratic, minimise, new_bounded_quadratic
from .problem import Frames, State, with_identity
from .uncertainty import reduced_energies

Floats = NDArray[np.float64]

ITERATIONS = 30
# A damped step costs a fit of all frames; beyond this one the identity would move by 1e-4 of an
# undamped step, which is below what the tolerance asks for.
MOST_DAMPING = 1e4
# So many frames come close first, to this share of their energy.
FEW_FRAMES, CLOSE = 32, 1e-3
# Frames that follow a step may jump to another segment of a curve, and raise the energy of all by
# such a share. Where a step promised no more than that and failed, no damping helps.
JUMPS = 1e-4
# So many frames' systems are held at once.
FRAMES_AT_ONCE = 256
# Steps by which a frame follows a step of the identity.
FOLLOWING = 2


class _Subject(NamedTuple):
    """What the energy of an identity depends on.

    Attributes
    ----------
    local : fitter of the expression alone, which follows in FOLLOWING steps
    every_frame : fitter of all coefficients, without the prior of the identity
    prior : of the identity alone
    frames : what was detected
    """

    local: Fitter
    every_frame: Fitter
    prior: Prior
    frames: Frames

    def follow(self, shape: Floats, start: State) -> tuple[float, State, NDArray[np.int32]]:
        """Energy of all frames with an identity, their states and contours, near their minima.

        Parameters
        ----------
        shape : (s,) float64
        start : of the frames, not changed
        """
        reached = start.copy()
        fitter = self.local._replace(points=with_identity(self.every_frame.points, shape))
        found = fit_frames(fitter, self.frames, reached)
        energy = found.energy[np.isfinite(found.energy)].sum()
        prior = self.prior
        energy += (prior.weight * (shape - prior.mean) ** 2).sum()
        return float(energy), reached, found.contour


def fit_joint_identity(
    local: Fitter,
    joint: Fitter,
    frames: Frames,
    f_shape: Floats,
    states: State,
    tolerance: float | None = None,
) -> tuple[Floats, State, float]:
    """Fit one identity and every frame's pose and f_exp.

    Parameters
    ----------
    local : fitter of the expression alone, whose points are replaced by those of the identity
    joint : fitter of all coefficients with the identity last, whose prior counts once
    frames : what was detected
    f_shape : (s,) float64, start of the identity; all 0 where nothing is known of it
    states : (n,) start of the expression coefficients and poses, not changed
    tolerance : share of the energy that the next step may promise at the end; None for that which
        the joint fitter's asks for

    Returns
    -------
    tuple
        f_shape (s,) float64, the frames' states, and the energy of all
    """
    shared = joint.prior.identity
    prior = joint.prior._replace(
        **{name: getattr(joint.prior, name)[:shared] for name in ("weight", "mean")},
        **{name: getattr(joint.prior, name)[:shared] for name in ("lower", "upper")},
    )
    shape = np.clip(f_shape, prior.lower, prior.upper)
    tolerance = joint.stop.tolerance if tolerance is None else tolerance
    of = _Subject(
        local._replace(stop=local.stop._replace(tolerance=tolerance)),
        joint._replace(prior=_without_identity_prior(joint)),
        prior,
        frames,
    )
    if not f_shape.any():
        # The contours that are held below are then those of nearly this identity.
        count = len(frames.focal)
        few = np.arange(count)
        if count >= 2 * FEW_FRAMES:
            few = np.linspace(0, count - 1, FEW_FRAMES).round().astype(np.int64)
        some = of._replace(frames=frames.rows(few))
        shape, reached, _ = _descend(some, shape, states.rows(few), max(CLOSE, tolerance))
        states = reached if len(few) == count else states
    return _descend(of, shape, states, tolerance)


def _descend(
    of: _Subject, shape: Floats, states: State, tolerance: float
) -> tuple[Floats, State, float]:
    """Fit the frames roughly, hold the contours found, and step the identity."""
    rough = of.local.stop._replace(tolerance=max(CLOSE, tolerance))
    first = of._replace(local=of.local._replace(stop=rough))
    energy, current, contour = first.follow(shape, states)
    held = of._replace(
        local=of.local._replace(stop=of.local.stop._replace(iterations=FOLLOWING)),
        frames=of.frames._replace(contour=contour),
    )
    return _steps(held, shape, current, energy, tolerance)


def _steps(
    of: _Subject, shape: Floats, current: State, energy: float, tolerance: float
) -> tuple[Floats, State, float]:
    """Steps of the identity until no more than the tolerance is promised by the next."""
    prior = of.prior
    lower, upper, weight = prior.lower, prior.upper, prior.weight
    problem = new_bounded_quadratic(len(weight), np.float64)
    # Damping as in levenberg_marquardt.py, here relative to the diagonal of the reduced system.
    mu = 0.0
    for _ in range(ITERATIONS):
        system, rhs = _reduced(of.every_frame, of.frames, shape, current)
        system[np.diag_indices(len(weight))] += weight
        rhs -= weight * (shape - prior.mean)
        while mu <= MOST_DAMPING:
            step = _bounded_step(problem, system, rhs, lower - shape, upper - shape, mu)
            # The energy is E - 2 rhs . step + step . system step around here.
            promised = float(2.0 * rhs @ step - step @ system @ step)
            if promised <= tolerance * energy:
                return shape + step, current, energy - promised
            reached, moved, _ = of.follow(shape + step, current)
            if reached < energy:
                break
            if promised <= JUMPS * energy:
                return shape, current, energy
            mu = max(DAMPING_RISE * mu, LEAST_DAMPING)
        else:
            return shape, current, energy
        shape, current, energy = shape + step, moved, reached
        mu = 0.0 if mu <= LEAST_DAMPING else DAMPING_FALL * mu
    return shape, current, energy


def _without_identity_prior(joint: Fitter) -> Prior:
    """The prior that each frame brings: that of the identity counts once, not once a frame."""
    weight = joint.prior.weight.copy()
    weight[: joint.prior.identity] = 0.0
    return joint.prior._replace(weight=weight)


def _reduced(fitter: Fitter, frames: Frames, shape: Floats, states: State) -> tuple[Floats, Floats]:
    """The normal equations of the identity, full symmetric (s, s), and right-hand side (s,)."""
    shared = len(shape)
    system, rhs = np.zeros((shared, shared)), np.zeros(shared)
    shapes = np.broadcast_to(shape.astype(states.x.dtype), (len(frames.focal), shared))
    # NumPy leaves one column behind others in the other order, and kernels read whole rows.
    x = np.ascontiguousarray(np.concatenate([shapes, states.x], 1))
    every = states._replace(x=x)
    for first in range(0, len(shapes), FRAMES_AT_ONCE):
        some = slice(first, first + FRAMES_AT_ONCE)
        reduced = reduced_energies(fitter, frames.rows(some), every.rows(some), for_a_step=True)
        system += reduced.hessian.sum(0, dtype=np.float64)
        rhs -= reduced.gradient.sum(0)
    return system + np.tril(system, -1).T, rhs


def _bounded_step(
    problem: BoundedQuadratic,
    system: Floats,
    rhs: Floats,
    lower: Floats,
    upper: Floats,
    mu: float,
) -> Floats:
    """The damped step of the identity within its bounds, (s,); 0 where there is none."""
    problem.matrix[:] = system + mu * np.diag(np.diag(system))
    problem.linear[:], problem.lower[:], problem.upper[:] = -rhs, lower, upper
    problem.state[:] = 0
    if minimise(problem, SLACK) < 0:
        return np.zeros(len(rhs))
    return problem.solution.copy()
