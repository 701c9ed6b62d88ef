"""Figures 4 and 5.

Figures 4 and 5 on one's own data: one network, its test subjects' frames, four spaces.

What a trained network makes of faces, in the four spaces of Figures 4 and 5.

The paper's figures show GB & LB & 3DGB and three other spaces, whose names are drawn in the
pictures alone. Here they are the parts of one network's joint representation: f_exp (3DGB), G_exp
(GB), E_exp (GB & LB), and F_exp (all three).

Figure 4: t-SNE of frequent AU combinations in the four representation spaces, with Ave-Var.

Figure 5: a face and its nearest neighbours in the four representation spaces.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from sklearn.manifold import TSNE

from ...model.checkpoint import CHECKPOINT_FILE, load_checkpoint
from ...model.data.au_dataset import AUFrames, load_frames, make_batch
from ...model.data.augmentation import stored_size
from ...model.data.person_specific import relative_to_person
from ...model.network.glee_net import GLEENet
from ...model.prediction.predictions import network_input
from .comparison import QUICK_WARNING, SYNTHETIC_WARNING
from .palette import COLOURS, MARKS, RED, new_figure
from .trainings import GLEE_NET, Experiment, Recipe, Work, first_fold, pretrained, trained

# Frames of the test subjects at most, evenly taken.
MOST_FRAMES = 3000
_READING = (
    "Spaces: parts of the full network's joint representation, each coordinate standardised; "
    "3DGB is f_exp, GB is G_exp, GB & LB is E_exp. Only the name of the fourth stands in the "
    "paper's text, and no figures of Ave-Var: both are drawn in its pictures."
)


def representation_figure(
    experiment: Experiment, work: Work, faces: Work | None, out: Path, recipe: Recipe
) -> tuple[dict[str, Any], Figure, str, str, str]:
    """Train the full network if need be, and draw what its test subjects' faces become.

    Returns data for JSON, the picture, text for a terminal, Markdown, and CSV.
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


def _spaces(work: Work, fold: Path) -> tuple[AUFrames, npt.NDArray[np.int64], dict[str, Space]]:
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


def _warnings(work: Work, faces: Work | None, recipe: Recipe) -> tuple[str, ...]:
    synthetic = work.synthetic or (faces is not None and faces.synthetic)
    warnings = (SYNTHETIC_WARNING,) if synthetic else ()
    return (*warnings, *((QUICK_WARNING,) if recipe.quick else ()))


def _people(work: Work) -> str:
    return "SYNTHETIC people in the layout of" if work.synthetic else "people of"


def _names(
    frames: AUFrames, index: npt.NDArray[np.int64], found: dict[str, Any], space: str
) -> list[str]:
    places = [found["centre"], *found["neighbours"][space]]
    return [frames.frame_name(int(index[place])) for place in places]


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


Space = npt.NDArray[np.float64]
SPACES = ("3DGB", "GB", "GB & LB", "GB & LB & 3DGB")
_FRAMES_AT_ONCE = 64


@dataclass(frozen=True)
class Combination:
    """An AU combination: its name, such as "AU6+AU12", and the places of its samples (k,)."""

    name: str
    samples: npt.NDArray[np.int64]


def representations(
    network: GLEENet, frames: AUFrames, index: npt.NDArray[np.int64], *, image_size: int
) -> dict[str, Space]:
    """Each space's vectors (n, width) of some frames, from their centre crops, on the CPU.

    network: with all three branches. index: (n,) of the frames.
    """
    parts: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in SPACES}
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
                parts[name].append(vector.numpy())
    return {name: np.concatenate(part).astype(np.float64) for name, part in parts.items()}


def common_combinations(
    labels: npt.NDArray[np.int8], au_names: Sequence[str], *, count: int, samples: int, seed: int
) -> list[Combination]:
    """The most frequent AU combinations of two AUs or more; of fewer where there are not so many.

    labels: (n, a); frames with an unknown label are left out. count: of combinations. samples: of
    each, at most, drawn from the seed.
    """
    random = np.random.default_rng(seed)
    known = np.flatnonzero((labels >= 0).all(1))
    rows, place, frequency = np.unique(
        labels[known], axis=0, return_inverse=True, return_counts=True
    )
    size = rows.sum(1)
    # Those of two AUs or more first; among these the frequent ones.
    order = np.lexsort((-frequency, np.where(size >= 2, 0, np.where(size == 1, 1, 2))))[:count]
    found = []
    for row in order:
        members = known[np.flatnonzero(place.reshape(-1) == row)]
        if len(members) > samples:
            members = np.sort(random.choice(members, samples, replace=False))
        names = [name for name, on in zip(au_names, rows[row], strict=True) if on]
        found.append(Combination("+".join(names) or "no AU", members))
    return found


def average_variance(vectors: Space, combinations: Sequence[Combination]) -> float:
    """Ave-Var: the variance within each combination, averaged, as a share of the total variance.

    Variance: mean squared distance to the mean vector. Divided by that of all samples together, so
    that spaces of other widths and scales compare. vectors: (n, width).
    """
    together = np.concatenate([vectors[one.samples] for one in combinations])
    total = _variance(together)
    within = [_variance(vectors[one.samples]) for one in combinations]
    return float(np.mean(within) / total) if total > 0 else float("nan")


def _variance(vectors: Space) -> float:
    return float(((vectors - vectors.mean(0)) ** 2).sum(1).mean())


def standardised(vectors: Space) -> Space:
    """Each coordinate at mean 0 and deviation 1, for distances."""
    deviation = vectors.std(0)
    return np.asarray((vectors - vectors.mean(0)) / np.where(deviation > 1e-9, deviation, 1.0))


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
