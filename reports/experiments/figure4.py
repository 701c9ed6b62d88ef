"""Figure 4: t-SNE of frequent AU combinations in the four representation spaces, with Ave-Var."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.manifold import TSNE

from .palette import COLOURS, MARKS, new_figure
from .representations import SPACES, Combination, Space, average_variance, standardised

# As in the paper: seven combinations. Samples of each, so that t-SNE stays quick and even.
COMBINATIONS, SAMPLES = 7, 60
_PERPLEXITY = 30.0


def figure4_data(
    spaces: Mapping[str, Space], combinations: Sequence[Combination], *, seed: int
) -> dict[str, Any]:
    """Each space's Ave-Var and the samples' places in the plane.

    spaces: vectors (n, width), standardised here. Returns {"ave_var": {space: share},
    "combinations": {name: samples}, "plane": {space: {name: [[x, y], ...]}}}.
    """
    places = np.concatenate([one.samples for one in combinations])
    ends = np.cumsum([len(one.samples) for one in combinations])
    plane, variance = {}, {}
    for name in SPACES:
        vectors = standardised(spaces[name])
        variance[name] = average_variance(vectors, combinations)
        flat = _flattened(vectors[places], seed)
        parts = np.split(flat, ends[:-1])
        plane[name] = {
            one.name: np.round(part, 3).tolist()
            for one, part in zip(combinations, parts, strict=True)
        }
    counts = {one.name: len(one.samples) for one in combinations}
    return {"ave_var": variance, "combinations": counts, "plane": plane}


def _flattened(vectors: Space, seed: int) -> Space:
    """(n, width) -> (n, 2). Too few samples for t-SNE stay at 0."""
    if len(vectors) < 4:
        return np.zeros((len(vectors), 2))
    perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
    machine = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    return np.asarray(machine.fit_transform(vectors.astype(np.float32)), np.float64)


def figure4_plot(data: Mapping[str, Any], subtitle: str) -> Figure:
    """Four panels, one a space; colour and mark tell the combinations apart."""
    figure = new_figure(9.4, 8.6)
    figure.suptitle(f"AU combinations in four representation spaces (t-SNE)\n{subtitle}")
    panels = figure.subplots(2, 2).ravel()
    for axes, space in zip(panels, SPACES, strict=True):
        for number, (name, points) in enumerate(data["plane"][space].items()):
            x, y = np.array(points).reshape(-1, 2).T
            colour, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
            axes.scatter(x, y, s=16, c=colour, marker=mark, alpha=0.75, linewidths=0, label=name)
        axes.set_title(f"{space}: Ave-Var {data['ave_var'][space]:.3f}")
        axes.set_xticks([])
        axes.set_yticks([])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure
