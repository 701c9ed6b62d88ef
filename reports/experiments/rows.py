"""The rows that an experiment measures: which network of Table 5, or which baseline."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import UsageError

FULL = "GLEE-Net"
# Which pre-training a row starts from: an ablation that has one, "" for none.
FULL_START, GLOBAL_START, NO_START = "full", "no-lb", ""


@dataclass(frozen=True)
class Row:
    """A row to measure. name: as the paper prints it. ablation: key of config.ABLATIONS. start:
    ablation of the pre-training it starts from, "" for none. folder: its runs'.
    """

    name: str
    ablation: str
    start: str
    folder: str


GLEE_NET = Row(FULL, "full", FULL_START, "full")
# Table 5, in the paper's order. An ImageNet start of "w. ResNet" is not what the paper says.
ABLATION_ROWS = (
    Row("w/o pretrain", "full", NO_START, "no-pretrain"),
    Row("w. fixed GB & LB", "fixed-gb-lb", FULL_START, "fixed-gb-lb"),
    Row("w. ResNet", "resnet", NO_START, "resnet"),
    Row("w/o GB & LB", "no-gb-lb", NO_START, "no-gb-lb"),
    Row("w/o 3DGB", "no-3dgb", FULL_START, "no-3dgb"),
    Row("w/o LB", "no-lb", GLOBAL_START, "no-lb"),
    Row("w/o TC", "no-tc", FULL_START, "no-tc"),
    Row("w/o joint FC", "no-joint-fc", FULL_START, "no-joint-fc"),
    GLEE_NET,
)
# A ResNet on the image and an MLP, nothing of the paper's; beside it two SVMs, see baselines.py.
RESNET_BASELINE = Row("ResNet baseline", "resnet-alone", NO_START, "resnet-alone")


@dataclass(frozen=True)
class Experiment:
    """A table or figure. dataset: trained on. tested: on all of which dataset, "" for the folds of
    `dataset` itself. rows: networks. baselines: whether SVMs and a ResNet stand beside them.
    published: number of the paper's table, 0 where it prints no figures.
    """

    name: str
    dataset: str
    rows: tuple[Row, ...] = (GLEE_NET,)
    tested: str = ""
    baselines: bool = True
    published: int = 0


EXPERIMENTS = {
    one.name: one
    for one in (
        Experiment("table1", "bp4d", published=1),
        Experiment("table2", "disfa", published=2),
        Experiment("table3", "bp4d-plus", published=3),
        Experiment("table4", "bp4d", tested="bp4d-plus", baselines=False, published=4),
        Experiment("table5", "bp4d", ABLATION_ROWS, baselines=False, published=5),
        Experiment("figure4", "bp4d", baselines=False),
        Experiment("figure5", "bp4d", baselines=False),
    )
}


def experiment_called(name: str) -> Experiment:
    """An experiment by its name. Raises UsageError where there is none."""
    if name not in EXPERIMENTS:
        raise UsageError(f"unknown experiment {name!r}; choose one of {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]
