"""Labelled frames without a usable face: how many F1 leaves out, and F1 with them as absent.

A detector that fails on the hard frames makes the rest easier, so that nobody may leave them out
unsaid. Papers seldom say what becomes of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ..data.au_dataset import AUFrames, occurrence

if TYPE_CHECKING:
    from .predictions import Predictions

# What F1 makes of them: leave them out, or score them as predicted absent.
SKIP, ABSENT = "skip", "absent"
MISSING = (SKIP, ABSENT)


def labels_left_out(
    frames: AUFrames, subjects: Iterable[str]
) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.int8]]:
    """Find the labelled frames of subjects that have no usable face.

    Parameters
    ----------
    frames : AUFrames
        Whose shards know the frames that are not valid.
    subjects : iterable of str
        Names.

    Returns
    -------
    subject : (m,) str
        Name of each such frame's subject.
    labels : (m, a) int8
        1 present, 0 absent, -1 unknown; one at least is known.
    """
    wanted, people, labels = set(subjects), [], [np.empty((0, len(frames.au_names)), np.int8)]
    for shard in frames.shards:
        if shard.header.subject in wanted:
            lost = occurrence(shard, frames.au_names)[~shard.frames.valid]
            labels.append(lost[(lost >= 0).any(1)])
            people += [shard.header.subject] * len(labels[-1])
    return np.array(people, np.str_), np.concatenate(labels)


def with_left_out(predictions: Predictions, name: str = "") -> Predictions:
    """Give the predictions with the frames left out behind them, each AU predicted absent.

    Parameters
    ----------
    predictions : Predictions
        Of a fold.
    name : str
        The fold's, for the message.

    Returns
    -------
    Predictions
        Of n + m frames; of those left out nothing but subject, labels and probability counts.

    Raises
    ------
    DataError
        Where the predictions were made before frames left out were kept.
    """
    subject, labels = predictions.left_out_subject, predictions.left_out_labels
    if subject is None or labels is None:
        raise DataError(
            f"fold {name}: its predictions do not say which labelled frames have no face; run "
            "`glee train` with the run's folder again, or use --missing skip"
        )
    count = len(subject)
    nobody = np.array([""] * count, predictions.shard.dtype)
    numbers = np.full(count, -1, np.int64)
    return replace(
        predictions,
        shard=np.concatenate([predictions.shard, nobody]),
        row=np.concatenate([predictions.row, numbers]),
        subject=np.concatenate([predictions.subject, subject]),
        frame_id=np.concatenate([predictions.frame_id, numbers]),
        labels=np.concatenate([predictions.labels, labels]),
        probability=np.concatenate([predictions.probability, np.zeros(labels.shape, np.float32)]),
        left_out_subject=subject[:0],
        left_out_labels=labels[:0],
    )


def left_out_counts(predictions: Mapping[str, Predictions]) -> dict[str, Any] | None:
    """Count the frames left out, in all, a fold and an AU.

    Parameters
    ----------
    predictions : mapping of str to Predictions
        By fold.

    Returns
    -------
    dict or None
        {"frames": {"left_out": 11, "of": 240}, "aus": {AU: the same}, "folds": {fold: {"frames":
        the same, "aus": {AU: the same}}}}, of the frames with a known label; None where a fold's
        predictions do not say.
    """
    if any(one.left_out_labels is None for one in predictions.values()):
        return None
    folds = {
        name: _counts(one.au_names, one.labels, _labels(one)) for name, one in predictions.items()
    }
    each = list(predictions.values())
    labels = np.concatenate([one.labels for one in each])
    lost = np.concatenate([_labels(one) for one in each])
    return {**_counts(each[0].au_names, labels, lost), "folds": folds}


def _labels(one: Predictions) -> npt.NDArray[np.int8]:
    assert one.left_out_labels is not None
    return one.left_out_labels


def _counts(
    names: npt.NDArray[np.str_], labels: npt.NDArray[np.int8], lost: npt.NDArray[np.int8]
) -> dict[str, Any]:
    known, without = labels >= 0, lost >= 0
    return {
        "frames": _share(int(without.any(1).sum()), int(known.any(1).sum())),
        "aus": {
            str(name): _share(int(without[:, i].sum()), int(known[:, i].sum()))
            for i, name in enumerate(names)
        },
    }


def _share(lost: int, known: int) -> dict[str, int]:
    return {"left_out": lost, "of": lost + known}


def left_out_text(counts: Mapping[str, Any] | None) -> str:
    """Say in a sentence how many frames are left out, with each fold's.

    Parameters
    ----------
    counts : mapping or None
        As `left_out_counts` gives them.

    Returns
    -------
    str
        "11 of 240 labelled frames left out, without a usable face (fold 1: 3 of 80, ...)".
    """
    if counts is None:
        return "labelled frames without a usable face: not known of predictions of before"
    folds = ", ".join(
        f"fold {name}: {share_text(fold['frames'])}" for name, fold in counts["folds"].items()
    )
    return (
        f"{share_text(counts['frames'])} labelled frames left out, without a usable face ({folds})"
    )


def share_text(share: Mapping[str, int]) -> str:
    """Print a share as "11 of 240"."""
    return f"{share['left_out']} of {share['of']}"
