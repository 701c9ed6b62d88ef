"""What a trained network makes of faces, in the four spaces of Figures 4 and 5.

The paper's figures show GB & LB & 3DGB and three other spaces, whose names are drawn in the
pictures alone. Here they are the parts of one network's joint representation: f_exp (3DGB), G_exp
(GB), E_exp (GB & LB), and F_exp (all three).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ...model.data.au_dataset import AUFrames, make_batch
from ...model.network.glee_net import GLEENet
from ...model.prediction.predictions import network_input

Space = npt.NDArray[np.float64]
SPACES = ("3DGB", "GB", "GB & LB", "GB & LB & 3DGB")
_FRAMES_AT_ONCE = 64
_PERPLEXITY = 30.0


@dataclass(frozen=True)
class Combination:
    """An AU combination.

    Attributes
    ----------
    name : str
        Such as "AU6+AU12".
    samples : (k,) int64
        Frames that show it.
    """

    name: str
    samples: npt.NDArray[np.int64]


def representations(
    network: GLEENet, frames: AUFrames, index: npt.NDArray[np.int64], *, image_size: int
) -> dict[str, Space]:
    """Compute each space's vectors of some frames, from their centre crops, on the CPU.

    Parameters
    ----------
    network : GLEENet
        With all three branches.
    frames : AUFrames
        All frames.
    index : (n,) int64
        Those wanted.
    image_size : int
        That the network was built for, pixels.

    Returns
    -------
    dict of str to (n, width) float64
        By name of the space.
    """
    collected: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in SPACES}
    network = network.eval()
    with torch.inference_mode():
        for begin in range(0, len(index), _FRAMES_AT_ONCE):
            chosen = index[begin : begin + _FRAMES_AT_ONCE]
            image, f_exp = network_input(
                make_batch(frames, chosen, image_size), torch.device("cpu")
            )[:2]
            assert network.global_branch is not None
            assert network.coefficient_branch is not None
            embedding = network.embed(image)
            coefficients = network.coefficient_branch(f_exp)
            vectors = (
                coefficients,
                network.global_branch(image),
                embedding,
                torch.cat([embedding, coefficients], 1),
            )
            for name, vector in zip(SPACES, vectors, strict=True):
                collected[name].append(vector.numpy())
    return {name: np.concatenate(each).astype(np.float64) for name, each in collected.items()}


def common_combinations(
    labels: npt.NDArray[np.int8], au_names: Sequence[str], *, count: int, samples: int, seed: int
) -> list[Combination]:
    """Find the most frequent AU combinations of two AUs or more; fewer AUs where they are few.

    Parameters
    ----------
    labels : (n, a) int8
        Frames with an unknown label are left out.
    au_names : sequence of str
        Of the columns.
    count : int
        Combinations.
    samples : int
        Of each, at most, drawn from the seed.
    seed : int
        Of the draw.

    Returns
    -------
    list of Combination
        The most frequent first.
    """
    random = np.random.default_rng(seed)
    known = np.flatnonzero((labels >= 0).all(1))
    rows, group, frequency = np.unique(
        labels[known], axis=0, return_inverse=True, return_counts=True
    )
    size = rows.sum(1)
    # Those of two AUs or more first; among these the frequent ones.
    order = np.lexsort((-frequency, np.where(size >= 2, 0, np.where(size == 1, 1, 2))))[:count]
    found = []
    for row in order:
        members = known[np.flatnonzero(group.reshape(-1) == row)]
        if len(members) > samples:
            members = np.sort(random.choice(members, samples, replace=False))
        names = [name for name, on in zip(au_names, rows[row], strict=True) if on]
        found.append(Combination("+".join(names) or "no AU", members))
    return found


def average_variance(vectors: Space, combinations: Sequence[Combination]) -> float:
    """Compute Ave-Var: the variance within each combination, averaged, as a share of the total.

    Variance is the mean squared distance to the mean vector. It is divided by that of all samples
    together, so that spaces of other widths and scales compare.

    Parameters
    ----------
    vectors : (n, width) float64
        Of all frames.
    combinations : sequence of Combination
        Whose samples count.

    Returns
    -------
    float
        NaN where nothing varies.
    """
    together = np.concatenate([vectors[one.samples] for one in combinations])
    total = _variance(together)
    within = [_variance(vectors[one.samples]) for one in combinations]
    return float(np.mean(within) / total) if total > 0 else float("nan")


def _variance(vectors: Space) -> float:
    return float(((vectors - vectors.mean(0)) ** 2).sum(1).mean())


def standardised(vectors: Space) -> Space:
    """Bring each coordinate of `vectors` (n, width) to mean 0 and deviation 1, for distances."""
    deviation = vectors.std(0)
    return np.asarray((vectors - vectors.mean(0)) / np.where(deviation > 1e-9, deviation, 1.0))


def nearest_of_others(
    vectors: Space, subject: npt.NDArray[np.str_], clip: npt.NDArray[np.str_], count: int
) -> npt.NDArray[np.int64]:
    """Find for each frame the nearest frames of other subjects, at most one of a clip.

    The frames of a clip that follow each other are one expression seen several times, so the
    nearest five of all would mostly be one neighbour.

    Parameters
    ----------
    vectors : (n, width) float64
        Of the frames.
    subject, clip : (n,) str
        Of each frame; two subjects share no clip.
    count : int
        Neighbours; fewer where a subject's others have fewer clips.

    Returns
    -------
    (n, count) int64
        Nearest first.
    """
    clips, number = np.unique(clip, return_inverse=True)
    square = (vectors**2).sum(1)
    found = []
    for index in range(len(vectors)):
        distance = square - 2 * vectors @ vectors[index]
        distance[subject == subject[index]] = np.inf
        order = np.argsort(distance, kind="stable")
        first = np.full(len(clips), len(order), np.int64)
        np.minimum.at(first, number[order], np.arange(len(order)))
        nearest = order[np.sort(first)]
        found.append(nearest[np.isfinite(distance[nearest])][:count])
    fewest = min(len(nearest) for nearest in found)
    return np.array([nearest[:fewest] for nearest in found], np.int64)


def shared_aus(labels: npt.NDArray[np.int8], others: npt.NDArray[np.int64]) -> float:
    """Measure how many AUs frames share with others: |both| / |either| (Jaccard), averaged.

    Parameters
    ----------
    labels : (n, a) int8
        1 present, 0 absent, -1 unknown (left out).
    others : (n, count) int64
        For each frame, those to compare it with.

    Returns
    -------
    float
        From 0 to 1; a pair where both have no AU counts as 1.
    """
    mine, theirs = labels[:, None, :], labels[others]
    known = (mine >= 0) & (theirs >= 0)
    both = ((mine == 1) & (theirs == 1) & known).sum(2)
    either = (((mine == 1) | (theirs == 1)) & known).sum(2)
    return float(np.where(either > 0, both / np.maximum(either, 1), 1.0).mean())


def in_the_plane(vectors: Space, seed: int) -> Space:
    """Lay vectors out in the plane by t-SNE.

    Parameters
    ----------
    vectors : (n, width) float64
        Too few of them for t-SNE stay at 0.
    seed : int
        Of t-SNE.

    Returns
    -------
    (n, 2) float64
        Positions.
    """
    if len(vectors) < 4:
        return np.zeros((len(vectors), 2))
    # Of the extra `figures`, which only those who draw install.
    from sklearn.manifold import TSNE

    perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
    machine = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    return np.asarray(machine.fit_transform(vectors.astype(np.float32)), np.float64)
