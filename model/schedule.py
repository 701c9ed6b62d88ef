"""Steps and learning rate of a training, as functions of the step alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .options import TrainOptions


@dataclass(frozen=True)
class Schedule:
    """How many steps an epoch has, and the learning rate of each.

    frames: trained on in an epoch; those that do not fill a last batch wait for another epoch's
    shuffle.
    """

    options: TrainOptions
    frames: int

    @property
    def batch(self) -> int:
        """Frames in a step."""
        return min(self.options.batch, self.frames)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch."""
        return self.frames // self.batch

    @property
    def total(self) -> int:
        """Steps in all."""
        return self.options.epochs * self.steps_per_epoch

    def learning_rate(self, step: int) -> float:
        """Linear warm-up, then constant, or half a cosine down to zero."""
        options = self.options
        warmup = options.warmup * self.total
        if step < warmup:
            return options.learning_rate * (step + 1) / (warmup + 1)
        if options.schedule == "constant":
            return options.learning_rate
        share = (step - warmup) / max(self.total - warmup, 1)
        return options.learning_rate * 0.5 * (1 + math.cos(math.pi * share))

    def saves_at(self, done: int) -> bool:
        """Whether a checkpoint is due after `done` steps (the last one is written apart)."""
        every = self.options.checkpoint_steps
        due = done % self.steps_per_epoch == 0 or (every > 0 and done % every == 0)
        return due and done < self.total
