"""Figure 5: a face and its nearest neighbours in the four representation spaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from ...model.data.au_dataset import AUFrames
from .palette import RED, new_figure
from .representations import SPACES, Space, standardised

NEIGHBOURS = 5


def figure5_data(
    spaces: Mapping[str, Space],
    labels: npt.NDArray[np.int8],
    subject: npt.NDArray[np.str_],
    *,
    centre: int,
) -> dict[str, Any]:
    """The nearest frames of other people to one frame, and how alike neighbours' AUs are.

    spaces: vectors (n, width), standardised here. labels: (n, a). subject: (n,). centre: of the
    picture, a place among the n. Returns {"centre": place, "neighbours": {space: places},
    "agreement": {space: share}}: the share of AUs with the centre's label, over all frames as
    centres and their NEIGHBOURS nearest frames of other people, absent AUs left out where both
    lack them (Jaccard).
    """
    neighbours, agreement = {}, {}
    for name in SPACES:
        nearest = nearest_of_others(standardised(spaces[name]), subject, NEIGHBOURS)
        neighbours[name] = nearest[centre].tolist()
        agreement[name] = _jaccard(labels, nearest)
    return {"centre": int(centre), "neighbours": neighbours, "agreement": agreement}


def nearest_of_others(
    vectors: Space, subject: npt.NDArray[np.str_], count: int
) -> npt.NDArray[np.int64]:
    """For each frame the nearest frames of other subjects: (n, count), nearest first."""
    square = (vectors**2).sum(1)
    found = []
    for index in range(len(vectors)):
        distance = square - 2 * vectors @ vectors[index]
        distance[subject == subject[index]] = np.inf
        near = np.argpartition(distance, min(count, len(distance) - 1))[:count]
        found.append(near[np.argsort(distance[near], kind="stable")])
    return np.array(found, np.int64)


def _jaccard(labels: npt.NDArray[np.int8], nearest: npt.NDArray[np.int64]) -> float:
    """Mean over frames and neighbours of |both| / |either| of their AUs; 1 where both have none."""
    mine, theirs = labels[:, None, :], labels[nearest]
    known = (mine >= 0) & (theirs >= 0)
    both = ((mine == 1) & (theirs == 1) & known).sum(2)
    either = (((mine == 1) | (theirs == 1)) & known).sum(2)
    return float(np.where(either > 0, both / np.maximum(either, 1), 1.0).mean())


def telling_centre(labels: npt.NDArray[np.int8], seed: int) -> int:
    """A frame whose AUs are many but not unique: of the frequent combinations the largest."""
    random = np.random.default_rng(seed)
    rows, place, counts = np.unique(
        np.maximum(labels, 0), axis=0, return_inverse=True, return_counts=True
    )
    score = rows.sum(1) * np.minimum(counts, NEIGHBOURS)
    members = np.flatnonzero(place.reshape(-1) == int(score.argmax()))
    return int(random.choice(members))


def figure5_plot(
    data: Mapping[str, Any],
    frames: AUFrames,
    index: npt.NDArray[np.int64],
    subtitle: str,
) -> Figure:
    """One row a space: the centre framed in red, then its neighbours with their AUs.

    index: (n,) of the frames that data's places refer to.
    """
    figure = new_figure(10.5, 8.4)
    figure.suptitle(f"A face (red) and its nearest neighbours of other people\n{subtitle}")
    grid = figure.subplots(len(SPACES), NEIGHBOURS + 1)
    for row, space in zip(grid, SPACES, strict=True):
        places = [data["centre"], *data["neighbours"][space]]
        for column, axes in enumerate(row):
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(column == 0)
            if column >= len(places):
                axes.axis("off")
                continue
            frame = int(index[places[column]])
            axes.imshow(frames.crop(frame))
            axes.set_xlabel(_aus(frames.labels[frame], frames.au_names), size=7)
            for side in axes.spines.values():
                side.set(edgecolor=RED, linewidth=2.5)
        agreement = data["agreement"][space]
        row[0].set_ylabel(f"{space}\nAUs shared {100 * agreement:.0f} %", size=8)
    return figure


def _aus(labels: npt.NDArray[np.int8], names: Sequence[str]) -> str:
    present = [
        name.removeprefix("AU") for name, value in zip(names, labels, strict=True) if value == 1
    ]
    return "AU " + " ".join(present) if present else "no AU"
