"""The section on whether labels belong to the faces they stand beside."""

from __future__ import annotations

import numpy as np

from ..errors import UsageError
from ..pipeline.verification.labels import Agreement, label_agreement
from .frame_charts import heat_map
from .report import Chart, Section, Table
from .work_frames import WorkFrames


def agreement_section(frames: WorkFrames) -> list[Section]:
    """Correlation of each AU with the blendshapes of each; empty where nothing can be compared."""
    if not frames.names or not frames.au_names:
        return []
    aus = tuple(int(name.removeprefix("AU")) for name in frames.au_names)
    try:
        found = label_agreement(frames.labelled(), aus, frames.names)
    except UsageError:  # a morphable model with other blendshapes
        return []
    if not found.aus:
        return []
    names = [f"AU{au}" for au in found.aus]
    chart = heat_map(
        [f"labels of {name}" for name in names],
        names,
        np.maximum(found.r, 0.0),
        title="Correlation of the labels of each AU with the blendshapes of each",
        width=560,
    )
    return [
        Section(
            "labels",
            "Labels against coefficients",
            "Labels of an AU should go with the blendshapes that it moves: the diagonal is dark. "
            "Columns in the wrong order are dark elsewhere; labels that lag agree best when moved.",
            [
                Chart(
                    [chart], "Pearson's r about each clip's mean; columns are blendshapes of an AU."
                ),
                _table(found, names),
            ],
        )
    ]


def _table(found: Agreement, names: list[str]) -> Table:
    rows = []
    for i, name in enumerate(names):
        best = int(np.argmax(found.r[i]))
        moved = found.moved.get(found.aus[i])
        said = f"follow AU{moved}: swapped?" if moved is not None else "in place"
        rows.append([name, f"{found.r[i, i]:.2f}", names[best], f"{found.r[i, best]:.2f}", said])
    lag = "too little moves to tell" if found.lag is None else f"{found.lag:+.1f} frames"
    return Table(
        f"Labels come after the images by: {lag}.",
        ("Labels", "own r", "best with", "its r", "verdict"),
        rows,
        numbers=(1, 3),
    )
