"""Figures 1, 4 and 5 on one's own data: one network, its test subjects' frames, four spaces.

What each of them shows is in drawings.py.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ...model.checkpoint import CHECKPOINT_FILE, load_checkpoint
from ...model.data.au_dataset import AUFrames, load_frames
from ...model.data.augmentation import stored_size
from ...model.data.person_specific import relative_to_person
from .comparison import QUICK_WARNING, SYNTHETIC_WARNING
from .drawings import (
    EMBEDDING,
    figure1_data,
    figure1_plot,
    figure4_data,
    figure4_plot,
    figure5_data,
    figure5_plot,
    telling_centre,
)
from .representations import SPACES, Combination, Space, common_combinations, representations
from .rows import GLEE_NET, Experiment, ExperimentData
from .trainings import Recipe, first_fold, pretrained, start_notes, trained

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Frames of the test subjects at most, evenly taken.
MOST_FRAMES = 3000

# As in the paper: seven combinations. Samples of each, so that t-SNE stays quick and even.
COMBINATIONS, SAMPLES = 7, 60
# Of a combination with fewer samples, variance and place say little.
FEWEST_SAMPLES = 10

_READING = (
    "Spaces: parts of the full network's joint representation, each coordinate standardised; "
    "3DGB is f_exp, GB is G_exp, GB & LB is E_exp. Only the name of the fourth stands in the "
    "paper's text, and no figures of Ave-Var: both are drawn in its pictures."
)
_READING_1 = (
    f"The space is E_exp ({EMBEDDING}) of the full network after the training on AUs, each "
    "coordinate standardised. The paper's text gives neither the combinations of its Figure 1 nor "
    "how its faces were chosen: here they are those of Figure 4, and one face of each of the first "
    "four, drawn from the seed (numbered in both halves)."
)


@dataclass(frozen=True)
class _Drawn:
    """found: for the JSON. figures: of the table below `head`. few: combinations of few samples."""

    found: dict[str, Any]
    figure: Figure
    head: tuple[str, str]
    figures: dict[str, float]
    note: str
    few: dict[str, int] = field(default_factory=dict)


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
        "figure1", "figure4" or "figure5".
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

    Raises
    ------
    DataError
        Where the first fold tests one person, who has no neighbours of other people.
    GleeError
        What training raises.
    """
    trained(GLEE_NET, work, pretrained(GLEE_NET, faces, out, recipe), out, recipe)
    frames, index, spaces = _spaces(work, first_fold(out, work, GLEE_NET))
    people = len(np.unique(frames.subject[index]))
    if people < 2 and experiment.name != "figure4":
        raise DataError(
            f"{work.folder}: the first fold tests one person, {experiment.name} shows neighbours "
            "of other people; preprocess more subjects, or give --split"
        )
    on = f"{len(index)} frames of {people} unseen {_people(work)} {work.dataset}"
    drawn = _DRAW[experiment.name](frames, index, spaces, recipe.seed, on)
    warnings = (*_warnings(work, faces, recipe), *_few_samples(drawn.few))
    title = f"Figure {experiment.name[-1]} of the paper, on {on}"
    notes = [drawn.note, *start_notes((GLEE_NET,), faces, recipe)]
    data = {
        "experiment": experiment.name,
        "title": title,
        "synthetic": SYNTHETIC_WARNING in warnings,
        "comparable_with_published": False,
        "quick": recipe.quick,
        "warnings": list(warnings),
        "notes": notes,
        "preset": recipe.preset,
        "seed": recipe.seed,
        **drawn.found,
    }
    text = "\n".join([title, *warnings, "", *_table(drawn), "", *notes])
    return data, drawn.figure, text, _markdown(experiment.name, data, drawn), _csv(drawn)


def _figure1(
    frames: AUFrames, index: npt.NDArray[np.int64], spaces: dict[str, Space], seed: int, on: str
) -> _Drawn:
    labels, chosen = frames.labels[index], _combinations(frames, index, seed)
    found = figure1_data(
        spaces[EMBEDDING], chosen, labels, *_subject_and_clip(frames, index), seed=seed
    )
    figure = figure1_plot(found, frames, index, on)
    for centre in found["centres"]:
        shown = [centre["frame"], *centre["neighbours"]]
        centre["frames"] = [frames.frame_name(int(index[one])) for one in shown]
    figures = {
        "Ave-Var": found["ave_var"],
        "share of AUs that neighbours have in common": found["agreement"],
        "the same of any frames of other people": found["agreement_of_any"],
    }
    few = _few(found["combinations"])
    return _Drawn(found, figure, (f"in {EMBEDDING}", "value"), figures, _READING_1, few)


def _figure4(
    frames: AUFrames, index: npt.NDArray[np.int64], spaces: dict[str, Space], seed: int, on: str
) -> _Drawn:
    found = figure4_data(spaces, _combinations(frames, index, seed), seed=seed)
    figure, few = figure4_plot(found, on), _few(found["combinations"])
    return _Drawn(found, figure, ("space", "Ave-Var"), found["ave_var"], _READING, few)


def _figure5(
    frames: AUFrames, index: npt.NDArray[np.int64], spaces: dict[str, Space], seed: int, on: str
) -> _Drawn:
    labels = frames.labels[index]
    centre = telling_centre(labels, seed)
    found = figure5_data(spaces, labels, *_subject_and_clip(frames, index), centre=centre)
    found["frames"] = {name: _names(frames, index, found, name) for name in SPACES}
    head = ("space", "share of AUs that neighbours have in common")
    return _Drawn(found, figure5_plot(found, frames, index, on), head, found["agreement"], _READING)


_DRAW = {"figure1": _figure1, "figure4": _figure4, "figure5": _figure5}


def _subject_and_clip(
    frames: AUFrames, index: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.str_]]:
    """Of each frame; a clip's name is that of its shards' folder."""
    clips = np.array([name.rpartition("/")[0] for name in frames.names])
    return frames.subject[index], clips[frames.shard_index[index]]


def _combinations(frames: AUFrames, index: npt.NDArray[np.int64], seed: int) -> list[Combination]:
    return common_combinations(
        frames.labels[index], frames.au_names, count=COMBINATIONS, samples=SAMPLES, seed=seed
    )


def _few(samples: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in samples.items() if count < FEWEST_SAMPLES}


def _few_samples(few: Mapping[str, int]) -> tuple[str, ...]:
    if not few:
        return ()
    named = ", ".join(f"{name} ({count})" for name, count in few.items())
    return (
        f"FEW SAMPLES: fewer than {FEWEST_SAMPLES} test frames show {named}; the place and the "
        "variance of so few say little, and Ave-Var counts them like the others.",
    )


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


def _table(drawn: _Drawn) -> list[str]:
    first, second = drawn.head
    width = max(16, *(len(name) for name in drawn.figures))
    return [f"{first.ljust(width)}  {second}"] + [
        f"{name.ljust(width)}  {value:.3f}" for name, value in drawn.figures.items()
    ]


def _markdown(name: str, data: dict[str, Any], drawn: _Drawn) -> str:
    lines = [f"# {data['title']}", ""]
    for warning in data["warnings"]:
        lines += [f"> **{warning}**", ""]
    lines += ["| {} | {} |".format(*drawn.head), "|---|---:|"]
    lines += [f"| {row} | {value:.3f} |" for row, value in drawn.figures.items()]
    lines += ["", f"![{data['title']}]({name}.png)", "", *(f"- {note}" for note in data["notes"])]
    return "\n".join(lines) + "\n"


def _csv(drawn: _Drawn) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(drawn.head)
    writer.writerows([name, f"{value:.4f}"] for name, value in drawn.figures.items())
    return text.getvalue()
