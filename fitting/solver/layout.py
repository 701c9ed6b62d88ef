"""In which order the unknowns of a frame are eliminated: the columns of the Jacobian."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .linear_algebra import SIDE, padded

POSE = 6  # rotation and translation


class Layout(NamedTuple):
    """The Jacobian's columns, in the order in which unknowns are eliminated; the pose comes first.

    Attributes
    ----------
    identity : how many of the K coefficients, the first ones, are f_shape
    shape, expression : columns at which f_shape and f_exp begin
    eliminated : how many columns are eliminated, whole tiles; behind them stands what is left
    left : how many coefficients are left
    columns : number of columns N, whole tiles; those that belong to no unknown are 0
    """

    identity: int
    shape: int
    expression: int
    eliminated: int
    left: int
    columns: int

    def places(self, count: int) -> NDArray[np.int64]:
        """The columns of the unknowns: coefficients, rotation, translation; (K + 6,) int64.

        Parameters
        ----------
        count : number of coefficients K
        """
        every = np.arange(count - self.identity)
        shapes = self.shape + np.arange(self.identity)
        return np.concatenate([shapes, self.expression + every, np.arange(POSE)])


def new_layout(count: int, identity: int, *, identity_last: bool = False) -> Layout:
    """Columns for K coefficients.

    Parameters
    ----------
    count : number of coefficients K
    identity : how many of them, the first ones, are f_shape
    identity_last : pose and f_exp are eliminated, f_shape is left; otherwise pose and f_shape, as
        far as they fill whole tiles, and f_exp is left

    Returns
    -------
    Layout
    """
    if identity_last:
        eliminated = int(padded(POSE + count - identity))
        columns = eliminated + int(padded(identity))
        return Layout(identity, eliminated, POSE, eliminated, identity, columns)
    if POSE + identity <= SIDE:
        columns = SIDE + int(padded(count - identity))
        return Layout(identity, POSE, SIDE, SIDE, count - identity, columns)
    # Nothing is padded between them: the last of f_shape are left too, to the next whole tile.
    eliminated = (POSE + identity) // SIDE * SIDE
    left = POSE + count - eliminated
    return Layout(identity, POSE, POSE + identity, eliminated, left, int(padded(POSE + count)))
