"""A trained run applied to shards and videos, and how good it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .analysis import RunScorer
    from .evaluation import Evaluation, evaluate, f1_difference, f1_interval, f1_score
    from .export_network import export_network
    from .predict import PredictionTable, predict, predict_table
    from .predictions import Predictions, load_predictions, predict_frames, save_predictions

__all__ = [
    "Evaluation",
    "PredictionTable",
    "Predictions",
    "RunScorer",
    "evaluate",
    "export_network",
    "f1_difference",
    "f1_interval",
    "f1_score",
    "load_predictions",
    "predict",
    "predict_frames",
    "predict_table",
    "save_predictions",
]

load_when_asked(
    __name__,
    {
        "analysis": ("RunScorer",),
        "evaluation": ("Evaluation", "evaluate", "f1_difference", "f1_interval", "f1_score"),
        "export_network": ("export_network",),
        "predict": ("PredictionTable", "predict", "predict_table"),
        "predictions": ("Predictions", "load_predictions", "predict_frames", "save_predictions"),
    },
)
