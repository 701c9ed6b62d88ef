"""Options of a training run, each preset's recipe, and the schedule of steps that follows.

The options are written beside what came of them, once.
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
from .network.config import ABLATIONS

OPTIONS_FILE = "options.toml"
# Values of `init` that are no path: the embedding that comes with glee, and random weights, which
# the options write as "".
EMBEDDED, RANDOM = "embedded", "random"
SCHEDULES = ("constant", "cosine")
PRECISIONS = ("float32", "bfloat16", "float16")
IDENTITIES = ("live", "cached")
CROPS = ("rgb", "i420", "auto")


@dataclass(frozen=True)
class TrainOptions:
    """Every choice that shapes a run's weights, besides the data.

    Attributes
    ----------
    preset, ablation : str
        Of the network, keys of config.PRESETS and config.ABLATIONS.
    aus : tuple of int
        AU numbers; () takes those that papers report.
    epochs : int
        Passes over the frames.
    batch : int
        Frames (or triplets) of a step.
    learning_rate, momentum, weight_decay : float
        Of SGD.
    schedule : str
        "constant" or "cosine", of the learning rate.
    warmup : float
        Share of all steps before it, linear.
    clip : float
        Largest norm of the gradient, 0 for none.
    accumulate : int
        Shares that a batch is computed in.
    ema : float
        Decay of the averaged weights, 0 for none.
    precision : str
        Of the forward pass: "float32", "bfloat16" or "float16".
    deterministic : bool
        Refuse algorithms of a GPU whose bits differ from run to run.
    identity : str
        "live", V_id of every crop, or "cached", that of the centre crop as `glee embed` keeps it.
    crops : str
        What training sees of the crops: "rgb", as they are, or "i420", with colours at half the
        resolution, as they are kept in half the space. "auto" is settled by the free space when a
        run begins; a run's own options never hold it.
    mirror : bool
        Mirror half of the faces.
    light : float
        Strength of the change of light, 0 for none.
    person_specific : bool
        f_exp relative to the person's median (beyond the paper).
    seed : int
        Of every random choice.
    folds : int
        Of a seeded split.
    facenet, split : str
        Paths of weights and of folds; "" for none.
    init : str
        Path of a pre-trained run, EMBEDDED for the expression embedding that comes with glee, ""
        for random weights.
    triplets : int
        Drawn for an epoch of pre-training where the data has no table of its own.
    shared_triplets : int
        Instead so many among the 3 `batch` faces of each step, 0 for none.
    most_triplets : int
        Of a table of triplets, only so many of each split, 0 for all.
    margin : float
        Of Eq. 4 for all triplets, 0 for each type's own.
    centre : bool
        Pre-training standardises E_exp over the batch before Eq. 4, without which a network from
        random weights collapses to one point.
    identity_adversary : float
        Strength of its reversed gradient, 0 for none (beyond the paper; docs/experiments.md
        measures it).
    checkpoint_steps : int
        Also write a checkpoint every so many steps, 0 for epochs only.
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
    crops: str = "rgb"
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
    most_triplets: int = 0
    margin: float = 0.0
    centre: bool = False
    identity_adversary: float = 0.0
    checkpoint_steps: int = 0

    def __post_init__(self) -> None:
        for name, choices in (
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
            ("identity", IDENTITIES),
            ("crops", CROPS),
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
RECIPES: dict[str, dict[str, Any]] = {
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
        "init": EMBEDDED,
    },
}


# Of the pre-training (§4.2), and one for labels' triplets on a CPU.
PRETRAIN_RECIPES: dict[str, dict[str, Any]] = {
    "paper": {"learning_rate": 2e-4, "batch": 30},
    "compact": {
        **RECIPES["compact"],
        "init": "",
        "epochs": 10,
        "batch": 30,
        "learning_rate": 0.05,
        "triplets": 1500,
        "shared_triplets": 600,
        "centre": True,
    },
}


# Keys of config.ABLATIONS whose networks have a global branch, which the embedding is of.
_EMBEDDED_ABLATIONS = tuple(
    name for name, changes in ABLATIONS.items() if changes.get("expression") in (None, "global")
)


def train_options(preset: str, **changes: Any) -> TrainOptions:
    """Give a preset's recipe of the training, with changes.

    Parameters
    ----------
    preset : str
        "paper" (§4.2) or "compact".
    **changes
        Fields of TrainOptions; None keeps the recipe's value.

    Returns
    -------
    TrainOptions
        The options.

    Raises
    ------
    OptionsError
        Where the preset, a name or a value is unknown.
    """
    return _with_changes(RECIPES, preset, changes)


def pretrain_options(preset: str, **changes: Any) -> TrainOptions:
    """Give a preset's recipe of the pre-training, with changes.

    Parameters
    ----------
    preset : str
        "paper" (§4.2) or "compact".
    **changes
        Fields of TrainOptions; None keeps the recipe's value.

    Returns
    -------
    TrainOptions
        The options.

    Raises
    ------
    OptionsError
        Where the preset, a name or a value is unknown.
    """
    return _with_changes(PRETRAIN_RECIPES, preset, changes)


def _with_changes(
    recipes: dict[str, dict[str, Any]], preset: str, changes: dict[str, Any]
) -> TrainOptions:
    if preset not in recipes:
        raise OptionsError(f"unknown preset {preset!r}; choose one of {', '.join(recipes)}")
    given = {name: value for name, value in changes.items() if value is not None}
    recipe = recipes[preset]
    if given.get("init") == RANDOM:
        given["init"] = ""
    elif given.get("facenet") or given.get("ablation", "full") not in _EMBEDDED_ABLATIONS:
        # The preset's own start is for networks without other weights that can take it.
        recipe = {**recipe, "init": ""}
    known = {item.name for item in fields(TrainOptions)}
    for name in given:
        if name not in known:
            raise OptionsError(f"unknown training option {name!r}")
    return replace(TrainOptions(preset), **{**recipe, **given})


def write_options(run: Path, options: TrainOptions) -> None:
    """Write a run's options once, or check that a run to go on with has the same.

    Parameters
    ----------
    run : Path
        The run's folder.
    options : TrainOptions
        Of the run.

    Raises
    ------
    OptionsError
        Naming what differs.
    OutputError
        Where the folder cannot be written.
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
    """Read a run's options.

    Parameters
    ----------
    run : Path
        The run's folder.

    Returns
    -------
    TrainOptions
        As they were written.

    Raises
    ------
    OptionsError
        Where it is no run or the file is damaged.
    """
    path = run / OPTIONS_FILE
    try:
        content = tomllib.loads(path.read_text())
        return TrainOptions(**{**content, "aus": tuple(content.get("aus", ()))})
    except FileNotFoundError as error:
        raise OptionsError(f"{run}: is no training run; make one with `glee train`") from error
    except (OSError, ValueError, TypeError) as error:
        raise OptionsError(f"{path}: cannot be used ({error}); train into a new folder") from error


def start_of(options: TrainOptions) -> str:
    """Say in words which weights a training starts from.

    Parameters
    ----------
    options : TrainOptions
        Of the run.

    Returns
    -------
    str
        The end of "starts from ...".
    """
    if options.init == EMBEDDED:
        return "the expression embedding that comes with glee (init embedded)"
    if options.init:
        return f"the pre-trained run {options.init}"
    if options.facenet:
        return f"FaceNet's weights, {options.facenet}, and a random local branch"
    return "random weights"


@dataclass(frozen=True)
class Schedule:
    """How many steps an epoch has, and the learning rate of each.

    Attributes
    ----------
    options : TrainOptions
        Of the run.
    frames : int
        Trained on in an epoch; those that do not fill a last batch wait for another epoch's
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
        """Give the rate of `step`: linear warm-up, then constant, or half a cosine down to zero."""
        options = self.options
        warmup = options.warmup * self.total
        if step < warmup:
            return options.learning_rate * (step + 1) / (warmup + 1)
        if options.schedule == "constant":
            return options.learning_rate
        share = (step - warmup) / max(self.total - warmup, 1)
        return options.learning_rate * 0.5 * (1 + math.cos(math.pi * share))

    def saves_at(self, done: int) -> bool:
        """Say whether a checkpoint is due after `done` steps (the last one is written apart)."""
        every = self.options.checkpoint_steps
        due = done % self.steps_per_epoch == 0 or (every > 0 and done % every == 0)
        return due and done < self.total
