"""What Figures 1, 4 and 5 show: computed from vectors and labels, and drawn.

Figure 1 is the expression embedding: a t-SNE of frequent AU combinations beside faces and their
nearest neighbours. Figure 4 is the t-SNE in four spaces, with Ave-Var; Figure 5 shows one face and
its nearest neighbours in the four spaces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...model.data.au_dataset import AUFrames
from .palette import COLOURS, GREY, MARKS, RED, new_figure
from .representations import (
    SPACES,
    Combination,
    Space,
    average_variance,
    in_the_plane,
    nearest_of_others,
    shared_aus,
    standardised,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Of Figure 1: the paper calls E_exp the expression embedding.
EMBEDDING = "GB & LB"
# Faces of Figure 1 whose neighbours are shown, each of another combination.
CENTRES = 4
NEIGHBOURS = 5


def figure1_data(
    vectors: Space,
    combinations: Sequence[Combination],
    labels: npt.NDArray[np.int8],
    subject: npt.NDArray[np.str_],
    clip: npt.NDArray[np.str_],
    *,
    seed: int,
) -> dict[str, Any]:
    """Lay the samples out in the plane, and find the neighbours of a face of each combination.

    Parameters
    ----------
    vectors : (n, width) float64
        E_exp, standardised here.
    combinations : sequence of Combination
        Whose samples are shown.
    labels : (n, a) int8
        1 present, 0 absent, -1 unknown.
    subject, clip : (n,) str
        Of each frame.
    seed : int
        Of t-SNE, and of the choice of the CENTRES faces, one of each of the first combinations.

    Returns
    -------
    dict
        {"combinations": {name: samples}, "plane": {name: [[x, y], ...]}, "centres":
        [{"combination", "sample", "frame", "neighbours"}], "ave_var", "agreement",
        "agreement_of_any"}. A centre's sample is its number among the combination's; the agreements
        are shares as `figure5_data` has them, of neighbours and of any frames of other people.
    """
    known = standardised(vectors)
    nearest = nearest_of_others(known, subject, clip, NEIGHBOURS)
    random = np.random.default_rng(seed)
    centres = []
    for one in combinations[:CENTRES]:
        sample = int(random.integers(len(one.samples)))
        frame = int(one.samples[sample])
        shown = {"combination": one.name, "sample": sample, "frame": frame}
        centres.append({**shown, "neighbours": nearest[frame].tolist()})
    return {
        "combinations": {one.name: len(one.samples) for one in combinations},
        "plane": _plane(known, combinations, seed),
        "centres": centres,
        "ave_var": average_variance(known, combinations),
        "agreement": shared_aus(labels, nearest),
        "agreement_of_any": shared_aus(labels, drawn_of_others(subject, nearest.shape[1], seed)),
    }


def drawn_of_others(subject: npt.NDArray[np.str_], count: int, seed: int) -> npt.NDArray[np.int64]:
    """Draw for each frame `count` frames of other subjects, (n, count): neighbours by chance."""
    random = np.random.default_rng(seed)
    return np.array(
        [random.choice(np.flatnonzero(subject != own), count) for own in subject], np.int64
    )


def _plane(
    vectors: Space, combinations: Sequence[Combination], seed: int
) -> dict[str, list[list[float]]]:
    """Positions of all samples together, by combination."""
    ends = np.cumsum([len(one.samples) for one in combinations])
    flat = in_the_plane(vectors[np.concatenate([one.samples for one in combinations])], seed)
    points = np.split(flat, ends[:-1])
    return {
        one.name: np.round(xy, 3).tolist() for one, xy in zip(combinations, points, strict=True)
    }


def figure1_plot(
    data: Mapping[str, Any], frames: AUFrames, index: npt.NDArray[np.int64], subtitle: str
) -> Figure:
    """Draw the plane on the left, and on the right each centre in red with its neighbours.

    Parameters
    ----------
    data : mapping
        Of `figure1_data`.
    frames : AUFrames
        All frames.
    index : (n,) int64
        Those that data's numbers refer to.
    subtitle : str
        Below the title.

    Returns
    -------
    Figure
        The picture.
    """
    figure = new_figure(13.6, 6.4)
    figure.suptitle(f"The expression embedding E_exp ({EMBEDDING})\n{subtitle}")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.35), squeeze=False)[0]
    axes = left.subplots()
    _scatter(axes, data["plane"])
    for number, centre in enumerate(data["centres"], 1):
        x, y = data["plane"][centre["combination"]][centre["sample"]]
        axes.scatter([x], [y], s=90, facecolors="none", edgecolors=RED, linewidths=1.6)
        offset = {"xytext": (6, 5), "textcoords": "offset points"}
        axes.annotate(str(number), (x, y), color=RED, weight="bold", **offset)
    axes.set_title(f"t-SNE of AU combinations: Ave-Var {data['ave_var']:.3f}")
    left.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False
    )
    shared, by_chance = (100 * data[key] for key in ("agreement", "agreement_of_any"))
    right.suptitle(
        f"Faces (red) and their nearest neighbours of other people: AUs shared {shared:.0f} %, "
        f"with any frame of others {by_chance:.0f} %",
        fontsize=9.5,
    )
    columns = 1 + max(len(centre["neighbours"]) for centre in data["centres"])
    grid = right.subplots(len(data["centres"]), columns, squeeze=False)
    for number, (row, centre) in enumerate(zip(grid, data["centres"], strict=True), 1):
        _faces(row, [centre["frame"], *centre["neighbours"]], frames, index)
        row[0].set_ylabel(str(number), color=RED, weight="bold", rotation=0, labelpad=8)
    return figure


def _scatter(axes: Axes, plane: Mapping[str, Any]) -> None:
    """Each combination's samples, by colour and mark."""
    for number, (name, points) in enumerate(plane.items()):
        x, y = np.array(points).reshape(-1, 2).T
        colour, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
        axes.scatter(x, y, s=16, c=colour, marker=mark, alpha=0.75, linewidths=0, label=name)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(GREY)


def _faces(
    row: Sequence[Axes], shown: Sequence[int], frames: AUFrames, index: npt.NDArray[np.int64]
) -> None:
    """A face framed in red, then its neighbours, each with its AUs; what is too few stays empty."""
    for column, axes in enumerate(row):
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(column == 0)
        if column >= len(shown):
            axes.axis("off")
            continue
        frame = int(index[shown[column]])
        axes.imshow(frames.crop(frame))
        axes.set_xlabel(_aus(frames.labels[frame], frames.au_names), size=7)
        for side in axes.spines.values():
            side.set(edgecolor=RED, linewidth=2.5)


def figure4_data(
    spaces: Mapping[str, Space], combinations: Sequence[Combination], *, seed: int
) -> dict[str, Any]:
    """Compute each space's Ave-Var and the samples' positions in the plane.

    Parameters
    ----------
    spaces : mapping of str to (n, width) float64
        Vectors, standardised here.
    combinations : sequence of Combination
        Whose samples are shown.
    seed : int
        Of t-SNE.

    Returns
    -------
    dict
        {"ave_var": {space: share}, "combinations": {name: samples}, "plane": {space: {name: [[x,
        y], ...]}}}.
    """
    plane, variance = {}, {}
    for name in SPACES:
        vectors = standardised(spaces[name])
        variance[name] = average_variance(vectors, combinations)
        plane[name] = _plane(vectors, combinations, seed)
    counts = {one.name: len(one.samples) for one in combinations}
    return {"ave_var": variance, "combinations": counts, "plane": plane}


def figure4_plot(data: Mapping[str, Any], subtitle: str) -> Figure:
    """Draw four panels, one a space; colour and mark distinguish the combinations.

    Parameters
    ----------
    data : mapping
        Of `figure4_data`.
    subtitle : str
        Below the title.

    Returns
    -------
    Figure
        The picture.
    """
    figure = new_figure(9.4, 8.6)
    figure.suptitle(f"AU combinations in four representation spaces (t-SNE)\n{subtitle}")
    panels = figure.subplots(2, 2).ravel()
    for axes, space in zip(panels, SPACES, strict=True):
        _scatter(axes, data["plane"][space])
        axes.set_title(f"{space}: Ave-Var {data['ave_var'][space]:.3f}")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def figure5_data(
    spaces: Mapping[str, Space],
    labels: npt.NDArray[np.int8],
    subject: npt.NDArray[np.str_],
    clip: npt.NDArray[np.str_],
    *,
    centre: int,
) -> dict[str, Any]:
    """Find the nearest frames of other people to one frame, and how alike neighbours' AUs are.

    Parameters
    ----------
    spaces : mapping of str to (n, width) float64
        Vectors, standardised here.
    labels : (n, a) int8
        1 present, 0 absent, -1 unknown.
    subject, clip : (n,) str
        Of each frame.
    centre : int
        Frame in the middle of the picture, 0 to n - 1.

    Returns
    -------
    dict
        {"centre": frame, "neighbours": {space: frames}, "agreement": {space: share}}: the share of
        AUs with the centre's label, over all frames as centres and their NEIGHBOURS nearest frames
        of other people, one of a clip, absent AUs left out where both lack them (Jaccard).
    """
    neighbours, agreement = {}, {}
    for name in SPACES:
        nearest = nearest_of_others(standardised(spaces[name]), subject, clip, NEIGHBOURS)
        neighbours[name] = nearest[centre].tolist()
        agreement[name] = shared_aus(labels, nearest)
    return {"centre": int(centre), "neighbours": neighbours, "agreement": agreement}


def telling_centre(labels: npt.NDArray[np.int8], seed: int) -> int:
    """Choose a frame whose AUs are many but not unique: the largest frequent combination.

    Parameters
    ----------
    labels : (n, a) int8
        1 present, 0 absent, -1 unknown.
    seed : int
        Of the choice among frames with it.

    Returns
    -------
    int
        The frame.
    """
    random = np.random.default_rng(seed)
    rows, group, counts = np.unique(
        np.maximum(labels, 0), axis=0, return_inverse=True, return_counts=True
    )
    score = rows.sum(1) * np.minimum(counts, NEIGHBOURS)
    members = np.flatnonzero(group.reshape(-1) == int(score.argmax()))
    return int(random.choice(members))


def figure5_plot(
    data: Mapping[str, Any],
    frames: AUFrames,
    index: npt.NDArray[np.int64],
    subtitle: str,
) -> Figure:
    """Draw one row a space: the centre framed in red, then its neighbours with their AUs.

    Parameters
    ----------
    data : mapping
        Of `figure5_data`.
    frames : AUFrames
        All frames.
    index : (n,) int64
        Those that data's numbers refer to.
    subtitle : str
        Below the title.

    Returns
    -------
    Figure
        The picture.
    """
    figure = new_figure(10.5, 8.4)
    figure.suptitle(f"A face (red) and its nearest neighbours of other people\n{subtitle}")
    grid = figure.subplots(len(SPACES), NEIGHBOURS + 1)
    for row, space in zip(grid, SPACES, strict=True):
        shown = [data["centre"], *data["neighbours"][space]]
        _faces(row, shown, frames, index)
        agreement = data["agreement"][space]
        row[0].set_ylabel(f"{space}\nAUs shared {100 * agreement:.0f} %", size=8)
    return figure


def _aus(labels: npt.NDArray[np.int8], names: Sequence[str]) -> str:
    present = [
        name.removeprefix("AU") for name, value in zip(names, labels, strict=True) if value == 1
    ]
    return "AU " + " ".join(present) if present else "no AU"
