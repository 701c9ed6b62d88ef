"""Where the photographs with human landmarks lie that benchmarks look at, and how they are read."""

from __future__ import annotations

from pathlib import Path

from glee.pipeline.landmarks.refiner.photographs import Photograph, picture_of, read_photographs

FACES = Path(__file__).resolve().parents[2] / "shared" / "faces"

__all__ = ["FACES", "Photograph", "picture_of", "read_photographs"]
