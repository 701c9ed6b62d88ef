"""Figures 4 and 5 on one's own data: one network, its test subjects' frames, four spaces."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from ...model.checkpoint import CHECKPOINT_FILE, load_checkpoint
from ...model.data.au_dataset import AUFrames, load_frames
from ...model.data.augmentation import stored_size
from ...model.data.person_specific import relative_to_person
from .comparison import QUICK_WARNING, SYNTHETIC_WARNING
from .figure4 import COMBINATIONS, SAMPLES, figure4_data, figure4_plot
from .figure5 import figure5_data, figure5_plot, telling_centre
from .representations import SPACES, Space, common_combinations, representations
from .rows import GLEE_NET, Experiment
from .trainings import Recipe, first_fold, pretrained, trained
from .works import Work

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
