"""What the blendshapes in a subject's shards say, as the fit hears them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..fitting.visibility import hides_something
from ..fitting.witness import OUTPUTS, Witness, usual_outputs
from .clip_smoothing import visibility_of
from .shards.shard import Shard

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SubjectWitness:
    """What is known of a person before the frames are fitted.

    Attributes
    ----------
    usual : (52,) float64
        What the network sees in the person at rest, see `fitting.witness.usual_outputs`.
    rules_share : float or None
        How far the person keeps to the prior's rules, in [0, 1]; None where nobody knows.
    """

    usual: Floats
    rules_share: float | None

    def of(self, shard: Shard) -> Witness:
        """Give the witness of a shard's frames.

        Parameters
        ----------
        shard : Shard
            One of the person's.

        Returns
        -------
        Witness
            Silent where a frame is not valid, or the shard holds no blendshapes.
        """
        return self.of_outputs(outputs_of(shard))

    def of_outputs(self, outputs: npt.NDArray[np.floating]) -> Witness:
        """Give the witness of frames.

        Parameters
        ----------
        outputs : (n, 52) float
            Of the network, in the order of `fitting.witness.OUTPUTS`; NaN where there is none.

        Returns
        -------
        Witness
            Silent where there is none.
        """
        return Witness.of(outputs, self.usual, self.rules_share)


def outputs_of(shard: Shard) -> Floats:
    """Give the blendshapes of a shard's frames.

    Parameters
    ----------
    shard : Shard
        The shard.

    Returns
    -------
    (n, 52) float64
        In the order of `fitting.witness.OUTPUTS`; NaN where a frame has none.
    """
    if shard.frames.blendshapes is None:
        return np.full((len(shard), len(OUTPUTS)), np.nan)
    outputs = shard.frames.blendshapes.astype(np.float64)
    outputs[~shard.frames.valid] = np.nan
    return outputs


def check_witnessed(shard: Shard) -> None:
    """Check that a shard holds blendshapes.

    Parameters
    ----------
    shard : Shard
        The shard.

    Raises
    ------
    UsageError
        Where it holds none.
    """
    if shard.frames.blendshapes is None:
        raise UsageError(
            "witness: the shards hold no blendshapes; run `glee preprocess` with the detector "
            "mesh, or `glee fit3d` with --no-witness"
        )


def subject_usual(shards: Iterable[Shard]) -> Floats:
    """Find what is usual for a person in all of the shards.

    Parameters
    ----------
    shards : iterable of Shard
        The person's.

    Returns
    -------
    (52,) float64
        See `fitting.witness.usual_outputs`.
    """
    said = [(outputs_of(shard), visibility_of(shard)) for shard in shards]
    outputs, visibility = (np.concatenate(every) for every in zip(*said, strict=True))
    return usual_of_seen(outputs, visibility)


def usual_of_seen(outputs: Floats, visibility: Floats) -> Floats:
    """Find what is usual for a person where nothing is hidden, or in all frames if there is none.

    Parameters
    ----------
    outputs : (n, 52) float64
        Of the network, NaN where there is none.
    visibility : (n, 7) float64
        How far each part is seen.

    Returns
    -------
    (52,) float64
        See `fitting.witness.usual_outputs`.
    """
    seen = outputs[~hides_something(visibility)]
    return usual_outputs(seen if np.isfinite(seen).all(1).any() else outputs)
