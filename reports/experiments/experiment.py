"""`glee experiment`: runs or resumes an experiment's trainings, and writes what it shows."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import __version__
from ...errors import require_extra
from ...model.prediction.evaluation import missing_text
from ...model.prediction.left_out import SKIP
from ...whole_files import write_whole
from .comparison import (
    TableComparison,
    comparison_plot,
    csv_of,
    data_of,
    markdown_of,
    measured_row,
    published_table,
    text_of,
)
from .departures import departures_of
from .figures import representation_figure
from .palette import write_figure
from .rows import (
    RESNET_BASELINE,
    Experiment,
    ExperimentData,
    Row,
    experiment_called,
    find_data,
    needed_data,
    pretraining_data,
)
from .trainings import Recipe, pretrained, start_notes, svm_baselines, trained, trained_across

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExperimentSummary:
    """What came of an experiment.

    Attributes
    ----------
    text : str
        For a terminal.
    files : tuple of Path
        What was written.
    data : dict
        What stands in the JSON file.
    """

    text: str
    files: tuple[Path, ...]
    data: dict[str, Any]


def run_experiment(
    name: str,
    folders: Iterable[Path],
    out: Path,
    *,
    preset: str = "paper",
    seed: int = 0,
    quick: bool = False,
    device: str = "auto",
    facenet: str = "",
    split: str = "",
    missing: str = SKIP,
    changes: Mapping[str, Any] | None = None,
) -> ExperimentSummary:
    """Run one of the paper's experiments; one that was killed goes on where it stopped.

    Parameters
    ----------
    name : str
        A key of rows.EXPERIMENTS.
    folders : iterable of Path
        Work folders with shards, of the datasets that the experiment needs and of FEC for the
        pre-training.
    out : Path
        Folder for runs and results.
    preset : str
        "paper" or "compact".
    seed : int
        Of every training.
    quick : bool
        One epoch of one fold, to see that it works.
    device : str
        "auto", "cpu" or "cuda".
    facenet, split : str
        Paths as for training; "" for none.
    missing : str
        What becomes of labelled frames without a usable face, as `measure` takes it.
    changes : mapping, optional
        Of the training options, for every row (None keeps the recipe's value).

    Returns
    -------
    ExperimentSummary
        What came of it.

    Raises
    ------
    UsageError
        For an unknown name, a dataset that is not among the folders, or where the extra `figures`
        is missing.
    GleeError
        What training raises.
    """
    experiment = experiment_called(name)
    # Here and not after hours of training.
    require_extra("figures", ("matplotlib", "sklearn"), "glee experiment")
    given_data = find_data(folders)
    given = {key: value for key, value in (changes or {}).items() if value is not None}
    recipe = Recipe(preset, seed, quick, device, facenet, split, given, missing)
    work = needed_data(given_data, experiment.dataset, name)
    faces = pretraining_data(given_data)
    if not experiment.published:
        data, figure, text, markdown, table = representation_figure(
            experiment, work, faces, Path(out), recipe
        )
        return _write(Path(out), name, text, markdown, table, data, figure)
    tested = needed_data(given_data, experiment.tested, name) if experiment.tested else None
    comparison = _comparison(experiment, work, tested, faces, Path(out), recipe)
    data = {
        "experiment": name,
        "glee": __version__,
        "recipe": _recipe_data(recipe),
        "data": {one.dataset: _work_data(one) for one in (work, tested, faces) if one is not None},
        **data_of(comparison),
    }
    markdown = markdown_of(comparison, [f"{name}.png"])
    figure = comparison_plot(comparison)
    return _write(Path(out), name, text_of(comparison), markdown, csv_of(comparison), data, figure)


def _comparison(
    experiment: Experiment,
    work: ExperimentData,
    tested: ExperimentData | None,
    faces: ExperimentData | None,
    out: Path,
    recipe: Recipe,
) -> TableComparison:
    results: dict[str, dict[str, Any]] = {}
    if experiment.baselines:
        results.update(svm_baselines(work, out, recipe))
    rows = (RESNET_BASELINE, *experiment.rows) if experiment.baselines else experiment.rows
    departures = departures_of(rows, work, tested, faces, recipe)
    for one in departures:
        logger.info("not as published: %s", one)
    for row in rows:
        start = pretrained(row, faces, out, recipe)
        if tested is None:
            results[row.name] = trained(row, work, start, out, recipe)
        else:
            results[row.name] = trained_across(row, work, tested, start, out, recipe)
    on = tested or work
    return TableComparison(
        title=_title(experiment, on),
        published=published_table(experiment.published),
        measured=tuple(measured_row(name, result) for name, result in results.items()),
        on=on.in_words,
        synthetic=any(one.synthetic for one in (work, tested, faces) if one is not None),
        quick=recipe.quick,
        notes=(
            *_notes(experiment, work, tested, faces, recipe, rows),
            *(f"{name}: {missing_text(result)}." for name, result in results.items()),
        ),
        departures=departures,
    )


def _title(experiment: Experiment, on: ExperimentData) -> str:
    where = f"SYNTHETIC people in the layout of {on.dataset}" if on.synthetic else on.dataset
    return f"Table {experiment.published} of the paper, on {where}"


def _notes(
    experiment: Experiment,
    work: ExperimentData,
    tested: ExperimentData | None,
    faces: ExperimentData | None,
    recipe: Recipe,
    rows: Iterable[Row],
) -> tuple[str, ...]:
    trained_on = "one network of all subjects" if tested is not None else "subject-exclusive folds"
    notes = [
        f"This run: preset {recipe.preset}, seed {recipe.seed}, {trained_on} of {work.dataset}; "
        "F1 on frames with known labels, pooled over folds, then averaged over AUs; "
        "intervals by bootstrap over subjects."
    ]
    notes += start_notes(rows, faces, recipe)
    if faces is not None and faces.synthetic:
        notes.append("The faces of the pre-training are rendered too.")
    table = published_table(experiment.published)
    own = [row.name for row in rows if table.method(row.name) is None]
    if own:
        word = "is no row" if len(own) == 1 else "are no rows"
        notes.append(f"{', '.join(own)} {word} of the paper's.")
    wrong = [m.name for m in table.methods if m.recomputed is not None]
    if wrong:
        notes.append(
            "The paper's printed averages of these rows are not the mean of their AUs: "
            f"{', '.join(wrong)}."
        )
    return tuple(notes)


def _recipe_data(recipe: Recipe) -> dict[str, Any]:
    return {**asdict(recipe), "changes": dict(recipe.changes)}


def _work_data(work: ExperimentData) -> dict[str, Any]:
    return {
        "synthetic": work.synthetic,
        "subjects": len(work.subjects),
        "shards": work.shards,
        "detector": work.detector,
    }


def _write(
    out: Path,
    name: str,
    text: str,
    markdown: str,
    table: str,
    data: dict[str, Any],
    figure: Figure,
) -> ExperimentSummary:
    files = {
        f"{name}.md": markdown,
        f"{name}.csv": table,
        f"{name}.json": json.dumps(data, indent=1) + "\n",
    }
    for file, content in files.items():
        write_whole(out / file, content.encode())
    write_figure(figure, out / f"{name}.png")
    paths = tuple(out / file for file in (*files, f"{name}.png"))
    return ExperimentSummary(text, paths, data)
