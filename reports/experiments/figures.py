"""Figures 4 and 5 on one's own data: one network, its test subjects' frames, four spaces.

Figure 4 is a t-SNE of frequent AU combinations, with Ave-Var; Figure 5 shows a face and its nearest
neighbours.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...model.checkpoint import CHECKPOINT_FILE, load_checkpoint
from ...model.data.au_dataset import AUFrames, load_frames
from ...model.data.augmentation import stored_size
from ...model.data.person_specific import relative_to_person
from .comparison import QUICK_WARNING, SYNTHETIC_WARNING
from .palette import COLOURS, MARKS, RED, new_figure
from .representations import (
    SPACES,
    Combination,
    Space,
    average_variance,
    common_combinations,
    nearest_of_others,
    representations,
    standardised,
)
from .rows import GLEE_NET, Experiment, ExperimentData
from .trainings import Recipe, first_fold, pretrained, trained

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Frames of the test subjects at most, evenly taken.
MOST_FRAMES = 3000

# As in the paper: seven combinations. Samples of each, so that t-SNE stays quick and even.
COMBINATIONS, SAMPLES = 7, 60
_PERPLEXITY = 30.0

NEIGHBOURS = 5
_READING = (
    "Spaces: parts of the full network's joint representation, each coordinate standardised; "
    "3DGB is f_exp, GB is G_exp, GB & LB is E_exp. Only the name of the fourth stands in the "
    "paper's text, and no figures of Ave-Var: both are drawn in its pictures."
)


def representation_figure(
    experiment: Experiment,
    work: ExperimentData,
    faces: ExperimentData | None,
    out: Path,
    recipe: Recipe,
) -> tuple[dict[str, Any], Figure, str, str, str]:
    """Train the full network if need be, and draw what its test subjects' faces become.

    Parameters
    ----------
    experiment : Experiment
        "figure4" or "figure5".
    work : ExperimentData
        Trained and tested on.
    faces : ExperimentData or None
        For the pre-training.
    out : Path
        The experiment's folder.
    recipe : Recipe
        How to train.

    Returns
    -------
    (dict, Figure, str, str, str)
        Data for JSON, the picture, text for a terminal, Markdown, and CSV.
    """
    trained(GLEE_NET, work, pretrained(GLEE_NET, faces, out, recipe), out, recipe)
    frames, index, spaces = _spaces(work, first_fold(out, work, GLEE_NET))
    warnings = _warnings(work, faces, recipe)
    people = len(np.unique(frames.subject[index]))
    on = f"{len(index)} frames of {people} unseen {_people(work)} {work.dataset}"
    labels = frames.labels[index]
    if experiment.name == "figure4":
        chosen = common_combinations(
            labels, frames.au_names, count=COMBINATIONS, samples=SAMPLES, seed=recipe.seed
        )
        found = figure4_data(spaces, chosen, seed=recipe.seed)
        figure, figures, what = figure4_plot(found, on), found["ave_var"], "Ave-Var"
    else:
        centre = telling_centre(labels, recipe.seed)
        found = figure5_data(spaces, labels, frames.subject[index], centre=centre)
        found["frames"] = {name: _names(frames, index, found, name) for name in SPACES}
        figure = figure5_plot(found, frames, index, on)
        figures, what = found["agreement"], "share of AUs that neighbours have in common"
    title = f"Figure {experiment.name[-1]} of the paper, on {on}"
    data = {
        "experiment": experiment.name,
        "title": title,
        "synthetic": SYNTHETIC_WARNING in warnings,
        "comparable_with_published": False,
        "quick": recipe.quick,
        "warnings": list(warnings),
        "notes": [_READING],
        "preset": recipe.preset,
        "seed": recipe.seed,
        **found,
    }
    text = "\n".join([title, *warnings, "", *_table(figures, what), "", _READING])
    return data, figure, text, _markdown(experiment.name, data, figures, what), _csv(figures, what)


def _spaces(
    work: ExperimentData, fold: Path
) -> tuple[AUFrames, npt.NDArray[np.int64], dict[str, Space]]:
    """Frames of a fold's test subjects, which of all frames they are, and their vectors."""
    checkpoint = load_checkpoint(fold / CHECKPOINT_FILE)
    config = checkpoint.config
    aus = [int(name.removeprefix("AU")) for name in config.au_names]
    frames = load_frames(work.folder, size=stored_size(config.image_size), aus=aus)
    if checkpoint.reference is not None:
        frames = relative_to_person(frames, checkpoint.reference.numpy())
    index = frames.of_subjects(checkpoint.test_subjects)
    if len(index) > MOST_FRAMES:
        index = index[np.linspace(0, len(index) - 1, MOST_FRAMES).astype(np.int64)]
    network = checkpoint.network()
    return frames, index, representations(network, frames, index, image_size=config.image_size)


def _warnings(
    work: ExperimentData, faces: ExperimentData | None, recipe: Recipe
) -> tuple[str, ...]:
    synthetic = work.synthetic or (faces is not None and faces.synthetic)
    warnings = (SYNTHETIC_WARNING,) if synthetic else ()
    return (*warnings, *((QUICK_WARNING,) if recipe.quick else ()))


def _people(work: ExperimentData) -> str:
    return "SYNTHETIC people in the layout of" if work.synthetic else "people of"


def _names(
    frames: AUFrames, index: npt.NDArray[np.int64], found: dict[str, Any], space: str
) -> list[str]:
    shown = [found["centre"], *found["neighbours"][space]]
    return [frames.frame_name(int(index[one])) for one in shown]


def _table(figures: dict[str, float], what: str) -> list[str]:
    return [f"{'space'.ljust(16)}  {what}"] + [
        f"{space.ljust(16)}  {value:.3f}" for space, value in figures.items()
    ]


def _markdown(name: str, data: dict[str, Any], figures: dict[str, float], what: str) -> str:
    lines = [f"# {data['title']}", ""]
    for warning in data["warnings"]:
        lines += [f"> **{warning}**", ""]
    lines += [f"| space | {what} |", "|---|---:|"]
    lines += [f"| {space} | {value:.3f} |" for space, value in figures.items()]
    lines += ["", f"![{data['title']}]({name}.png)", "", *(f"- {note}" for note in data["notes"])]
    return "\n".join(lines) + "\n"


def _csv(figures: dict[str, float], what: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["space", what])
    writer.writerows([space, f"{value:.4f}"] for space, value in figures.items())
    return text.getvalue()


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
    samples = np.concatenate([one.samples for one in combinations])
    ends = np.cumsum([len(one.samples) for one in combinations])
    plane, variance = {}, {}
    for name in SPACES:
        vectors = standardised(spaces[name])
        variance[name] = average_variance(vectors, combinations)
        flat = _flattened(vectors[samples], seed)
        points = np.split(flat, ends[:-1])
        plane[name] = {
            one.name: np.round(xy, 3).tolist() for one, xy in zip(combinations, points, strict=True)
        }
    counts = {one.name: len(one.samples) for one in combinations}
    return {"ave_var": variance, "combinations": counts, "plane": plane}


def _flattened(vectors: Space, seed: int) -> Space:
    """(n, width) -> (n, 2). Too few samples for t-SNE stay at 0."""
    if len(vectors) < 4:
        return np.zeros((len(vectors), 2))
    perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
    from sklearn.manifold import TSNE

    machine = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    return np.asarray(machine.fit_transform(vectors.astype(np.float32)), np.float64)


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


def figure5_data(
    spaces: Mapping[str, Space],
    labels: npt.NDArray[np.int8],
    subject: npt.NDArray[np.str_],
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
    subject : (n,) str
        Of each frame.
    centre : int
        Frame in the middle of the picture, 0 to n - 1.

    Returns
    -------
    dict
        {"centre": frame, "neighbours": {space: frames}, "agreement": {space: share}}: the share of
        AUs with the centre's label, over all frames as centres and their NEIGHBOURS nearest frames
        of other people, absent AUs left out where both lack them (Jaccard).
    """
    neighbours, agreement = {}, {}
    for name in SPACES:
        nearest = nearest_of_others(standardised(spaces[name]), subject, NEIGHBOURS)
        neighbours[name] = nearest[centre].tolist()
        agreement[name] = _jaccard(labels, nearest)
    return {"centre": int(centre), "neighbours": neighbours, "agreement": agreement}


def _jaccard(labels: npt.NDArray[np.int8], nearest: npt.NDArray[np.int64]) -> float:
    """Mean over frames and neighbours of |both| / |either| of their AUs; 1 where both have none."""
    mine, theirs = labels[:, None, :], labels[nearest]
    known = (mine >= 0) & (theirs >= 0)
    both = ((mine == 1) & (theirs == 1) & known).sum(2)
    either = (((mine == 1) | (theirs == 1)) & known).sum(2)
    return float(np.where(either > 0, both / np.maximum(either, 1), 1.0).mean())


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
        agreement = data["agreement"][space]
        row[0].set_ylabel(f"{space}\nAUs shared {100 * agreement:.0f} %", size=8)
    return figure


def _aus(labels: npt.NDArray[np.int8], names: Sequence[str]) -> str:
    present = [
        name.removeprefix("AU") for name, value in zip(names, labels, strict=True) if value == 1
    ]
    return "AU " + " ".join(present) if present else "no AU"
