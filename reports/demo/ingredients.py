"""What the demo's F1 is made of: the same training given images alone, or f_exp alone.

Beside the demo's own network, which gets images and f_exp, `INGREDIENTS` names networks that get
less, each trained and tested on the same people. `measure_ingredients` gives their F1 in one table,
and how much images add to f_exp, with its interval over people.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...model.options import TrainOptions
from ...model.prediction.evaluation import evaluate, f1_difference
from ...pipeline.fit3d import fit3d
from ...pipeline.options import Fit3dOptions

# A second copy of the shards, since a shard holds one fit.
WORK, WORK_AS_PUBLISHED = "work", "work_as_published"
RUN = "run"
WHOLE, F_EXP_ALONE, IMAGES_ALONE = "images_and_f_exp", "f_exp", "images"
AS_PUBLISHED, TRUE_F_EXP = "f_exp_as_published", "true_f_exp"
ALWAYS_POSITIVE = "always_positive"
RULES = (
    "These people move by glee's own rules: they are rendered from the face model that is then "
    "fitted to them, their expressions follow the rules from which the fit's prior was estimated, "
    "and a label only says that a blendshape is strong. So these figures prove that the pipeline "
    "works. They do not prove that glee sees real people; docs/landmarks.md measures that on "
    "photographs and real clips."
)


@dataclass(frozen=True)
class Ingredients:
    """One network: what it is given, and how it is trained.

    Attributes
    ----------
    name : str
        Its key in results.json.
    run : str
        Folder of the run, in the demo's.
    given : str
        What it sees, in words.
    ablation : str
        Of the network, a row of Table 5.
    work : str
        Folder of the shards, in the demo's.
    person_specific : bool
        f_exp is given relative to the person's median.
    true_f_exp : bool
        The true f_exp is given instead of the fitted one.
    """

    name: str
    run: str
    given: str
    ablation: str
    work: str = WORK
    person_specific: bool = True
    true_f_exp: bool = False

    @property
    def sees_images(self) -> bool:
        """Whether images are among what it is given."""
        return self.ablation != "no-gb-lb"

    def training(self, base: TrainOptions) -> dict[str, Any]:
        """Say what differs from the recipe `base`, as `dataclasses.replace` takes it."""
        return {
            "ablation": self.ablation,
            # The embedding is of images.
            "init": base.init if self.sees_images else "",
            "person_specific": base.person_specific and self.person_specific,
        }


# In the order of the table.
INGREDIENTS = (
    Ingredients(WHOLE, RUN, "images and f_exp: the demo", "full"),
    Ingredients(F_EXP_ALONE, "run_f_exp", "f_exp alone", "no-gb-lb"),
    Ingredients(IMAGES_ALONE, "run_images", "images alone", "no-3dgb"),
    Ingredients(
        AS_PUBLISHED,
        "run_as_published",
        "f_exp alone, by fit3d --paper and without the person's median",
        "no-gb-lb",
        work=WORK_AS_PUBLISHED,
        person_specific=False,
    ),
    Ingredients(TRUE_F_EXP, "run_true_f_exp", "true f_exp alone", "no-gb-lb", true_f_exp=True),
)


def copy_shards(work: Path, copy: Path) -> None:
    """Copy a work folder before it is fitted; a copy that is there stays.

    Parameters
    ----------
    work : Path
        The work folder.
    copy : Path
        Its copy, whole or absent.
    """
    if copy.exists():
        return
    part = copy.with_name(f"{copy.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(work, part)
    part.rename(copy)


def fit_as_published(work: Path, *, workers: int | None, progress: bool) -> None:
    """Fit the shards of `work` as `glee fit3d --paper` does, in `workers` processes."""
    options = Fit3dOptions().as_published()
    fit3d(work, options=options, workers=workers, progress=progress)


def measure_ingredients(out: Path, whole: Mapping[str, Any]) -> dict[str, Any]:
    """Measure every network of INGREDIENTS on the people that it never saw.

    Parameters
    ----------
    out : Path
        The demo's folder, with all runs trained.
    whole : mapping
        `Evaluation.results` of the demo's own network.

    Returns
    -------
    dict
        Plain data. `f1_of`: by name, and "always_positive", a mapping with `given`, `f1` (mean
        over AUs, 0 to 1) and `interval` (95 %, over people; None for always positive).
        `images_add`: `f1` and `interval` of the demo's mean F1 less that of f_exp alone, both
        drawn on the same people.
    """
    f1_of: dict[str, Any] = {}
    for one in INGREDIENTS:
        found = whole if one.name == WHOLE else evaluate(out / one.run).results
        f1_of[one.name] = {
            "given": one.given,
            "f1": found["f1"]["mean"],
            "interval": list(found["f1_interval"]),
        }
    f1_of[ALWAYS_POSITIVE] = {
        "given": 'nothing: always "present"',
        "f1": whole["always_positive_f1"]["mean"],
        "interval": None,
    }
    runs = {one.name: out / one.run for one in INGREDIENTS}
    added, interval = f1_difference(runs[WHOLE], runs[F_EXP_ALONE])
    return {"f1_of": f1_of, "images_add": {"f1": added, "interval": list(interval)}}


def worth_of_images(images_add: Mapping[str, Any]) -> str:
    """Say in one sentence what images add to f_exp, from `measure_ingredients`'s figures."""
    added = images_add["f1"]
    if added is None or None in images_add["interval"]:
        return "What the images add to f_exp is not defined on these frames."
    low, high = images_add["interval"]
    if low > 0:
        verdict = "the images are worth something here"
    elif high < 0:
        verdict = "the images cost accuracy here"
    else:
        verdict = "nothing shows that the images are worth anything here"
    return (
        f"Images and f_exp less f_exp alone is {100 * added:+.2f} points of mean F1 (95 % interval "
        f"over people {100 * low:+.2f} to {100 * high:+.2f}): {verdict}."
    )
