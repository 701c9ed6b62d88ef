"""Frames, batches, triplets and folds, each a function of seed and step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .au_dataset import AUFrames, Batch, load_frames
    from .batches import TrainingBatches, batches_ahead
    from .decoded_crops import CropFileOptions, with_decoded_crops
    from .folds import Split, choose_split
    from .person_specific import common_reference, relative_to_person
    from .provenance import Provenance, check_provenance
    from .triplets import TripletBatch, TripletBatches, Triplets, find_triplets

__all__ = [
    "AUFrames",
    "Batch",
    "CropFileOptions",
    "Provenance",
    "Split",
    "TrainingBatches",
    "TripletBatch",
    "TripletBatches",
    "Triplets",
    "batches_ahead",
    "check_provenance",
    "choose_split",
    "common_reference",
    "find_triplets",
    "load_frames",
    "relative_to_person",
    "with_decoded_crops",
]

load_when_asked(
    __name__,
    {
        "au_dataset": ("AUFrames", "Batch", "load_frames"),
        "batches": ("TrainingBatches", "batches_ahead"),
        "decoded_crops": ("CropFileOptions", "with_decoded_crops"),
        "folds": ("Split", "choose_split"),
        "person_specific": ("common_reference", "relative_to_person"),
        "provenance": ("Provenance", "check_provenance"),
        "triplets": ("TripletBatch", "TripletBatches", "Triplets", "find_triplets"),
    },
)
