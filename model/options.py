"""TrainOptions, recipes, and the schedule that follows.

Options of a training run: the recipe of each preset, written beside what came of it.

Steps and learning rate of a training, as functions of the step alone.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import tomli_w

from ..errors import OptionsError
from ..whole_files import write_whole

OPTIONS_FILE = "options.toml"
SCHEDULES = ("constant", "cosine")
PRECISIONS = ("float32", "bfloat16", "float16")
IDENTITIES = ("live", "cached")


@dataclass(frozen=True)
class TrainOptions:
    """Every choice that shapes a run's weights, besides the data.

    preset, ablation: of the network. aus: AU numbers; () takes those that papers report. epochs,
    batch (frames), learning_rate, momentum, weight_decay: of SGD. schedule: "constant" or "cosine",
    after `warmup` (share of all steps, linear). clip: largest norm of the gradient, 0 for none.
    accumulate: parts that a batch is computed in. ema: decay of the averaged weights, 0 for none.
    precision: of the forward pass. deterministic: refuse algorithms of a GPU whose bits differ from
    run to run. identity: "live", V_id of every crop, or "cached", that of the centre crop as
    `glee embed` keeps it. mirror, light: augmentation. person_specific: f_exp relative to
    the person's median (beyond the paper). folds: of a seeded split. facenet, split, init: paths of
    weights, of folds, and of a pre-trained run; "" for none. triplets: drawn for an epoch of
    pre-training where the data has no table of its own; shared_triplets: instead so many among the
    3 `batch` faces of each step, 0 for none. margin: of Eq. 4 for all triplets, 0 for
    each type's own. centre: pre-training standardises E_exp over the batch before Eq. 4, without
    which a network from random weights collapses to one point. checkpoint_steps: also write a
    checkpoint every so many steps, 0 for epochs only.

    Beyond the paper (docs/experiments.md measures it): identity_adversary: strength of its
    reversed gradient, 0 for none.
    """

    preset: str = "paper"
    ablation: str = "full"
    aus: tuple[int, ...] = ()
    epochs: int = 10
    batch: int = 32
    learning_rate: float = 2e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup: float = 0.0
    clip: float = 0.0
    accumulate: int = 1
    ema: float = 0.0
    precision: str = "float32"
    deterministic: bool = False
    identity: str = "live"
    mirror: bool = True
    light: float = 0.0
    person_specific: bool = False
    seed: int = 0
    folds: int = 3
    facenet: str = ""
    split: str = ""
    init: str = ""
    triplets: int = 0
    shared_triplets: int = 0
    margin: float = 0.0
    centre: bool = False
    identity_adversary: float = 0.0
    checkpoint_steps: int = 0

    def __post_init__(self) -> None:
        for name, choices in (
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
            ("identity", IDENTITIES),
        ):
            if getattr(self, name) not in choices:
                raise OptionsError(
                    f"option {name} = {getattr(self, name)!r}; choose one of {', '.join(choices)}"
                )
        for name in ("epochs", "batch", "accumulate", "folds"):
            if getattr(self, name) < 1:
                raise OptionsError(f"option {name} = {getattr(self, name)}; it must be at least 1")
        if self.batch % self.accumulate:
            raise OptionsError(
                f"option accumulate = {self.accumulate} does not divide batch = {self.batch}"
            )
        if self.identity_adversary < 0:
            raise OptionsError(
                f"option identity_adversary = {self.identity_adversary}; it must not be negative"
            )
        if self.facenet and self.init:
            raise OptionsError(
                f"options facenet = {self.facenet!r} and init = {self.init!r}: the pre-trained run "
                "holds both FaceNets; give one of them"
            )


# The paper's recipe (§4.2), and one for a network without pre-trained weights on a CPU.
_RECIPES: dict[str, dict[str, Any]] = {
    "paper": {},
    "compact": {
        "epochs": 10,
        "learning_rate": 0.02,
        "weight_decay": 5e-4,
        "schedule": "cosine",
        "warmup": 0.05,
        "clip": 5.0,
        "ema": 0.98,
        "light": 0.3,
        "person_specific": True,
    },
}


# Of the pre-training (§4.2), and one for labels' triplets on a CPU.
_PRETRAIN_RECIPES: dict[str, dict[str, Any]] = {
    "paper": {"learning_rate": 2e-4, "batch": 30},
    "compact": {
        **_RECIPES["compact"],
        "epochs": 10,
        "batch": 30,
        "learning_rate": 0.05,
        "triplets": 1500,
        "shared_triplets": 600,
        "centre": True,
    },
}


def train_options(preset: str, **changes: Any) -> TrainOptions:
    """A preset's recipe with changes; a change of None keeps the recipe's value.

    Raises OptionsError where the preset or a value is unknown.
    """
    return _with_changes(_RECIPES, preset, changes)


def pretrain_options(preset: str, **changes: Any) -> TrainOptions:
    """The same for the pre-training."""
    return _with_changes(_PRETRAIN_RECIPES, preset, changes)


def _with_changes(
    recipes: dict[str, dict[str, Any]], preset: str, changes: dict[str, Any]
) -> TrainOptions:
    if preset not in recipes:
        raise OptionsError(f"unknown preset {preset!r}; choose one of {', '.join(recipes)}")
    given = {name: value for name, value in changes.items() if value is not None}
    known = {item.name for item in fields(TrainOptions)}
    for name in given:
        if name not in known:
            raise OptionsError(f"unknown training option {name!r}")
    return replace(TrainOptions(preset), **{**recipes[preset], **given})


def write_options(run: Path, options: TrainOptions) -> None:
    """Write a run's options once, or check that a run to go on with has the same.

    Raises OptionsError naming what differs, OutputError where the folder cannot be written.
    """
    path = run / OPTIONS_FILE
    if path.exists():
        old, new = asdict(read_options(run)), asdict(options)
        for name, value in old.items():
            if value != new[name] and name != "checkpoint_steps":
                raise OptionsError(
                    f"{run}: was trained with {name} = {value!r}, now {new[name]!r}; "
                    "choose another folder or the same options"
                )
        return
    write_whole(path, tomli_w.dumps(asdict(options)).encode())


def read_options(run: Path) -> TrainOptions:
    """Read a run's options. Raises OptionsError where it is no run or the file is damaged."""
    path = run / OPTIONS_FILE
    try:
        content = tomllib.loads(path.read_text())
        return TrainOptions(**{**content, "aus": tuple(content.get("aus", ()))})
    except FileNotFoundError as error:
        raise OptionsError(f"{run}: is no training run; make one with `glee train`") from error
    except (OSError, ValueError, TypeError) as error:
        raise OptionsError(f"{path}: cannot be used ({error}); train into a new folder") from error


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
