"""How a run's frames were made: a network refuses frames that were made another way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ...errors import DataError
from ...pipeline.options import Fit3dOptions, PreprocessOptions
from ...pipeline.shards.shard import Shard

# Options of the fit that give the same face another f_exp. Not among them: the focal length and
# the frames that an identity is found from, which are the videos' own matter, and the model, which
# is known by its fingerprint.
_SHAPING_F_EXP = (
    "identity",
    "bounds",
    "expression_weight",
    "shape_weight",
    "curves",
    "jaw_by_pose",
    "robust",
    "units",
    "whiten",
    "prior",
    "smooth",
    "temporal",
    "dense",
    "witness",
)


@dataclass(frozen=True)
class Provenance:
    """How frames were made; empty where it is not known.

    Attributes
    ----------
    detector : str
        Name of the landmark detector.
    preprocess, fit3d : dict
        The stages' options.
    model : str
        Name of the morphable model.
    model_sha256 : str
        Its fingerprint.
    """

    detector: str = ""
    preprocess: dict[str, Any] = field(default_factory=dict)
    fit3d: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    model_sha256: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Give plain data, for a checkpoint."""
        return asdict(self)


def shard_provenance(shard: Shard) -> Provenance:
    """Read from the header of `shard` how its frames were made."""
    wanted = {item.name for item in fields(PreprocessOptions)}
    header, fit = shard.header, shard.fit
    found = Provenance(
        detector=header.detector.split(" ")[0],
        preprocess={name: value for name, value in header.options.items() if name in wanted},
    )
    if fit is None:
        return found
    known = {item.name for item in fields(Fit3dOptions)}
    return Provenance(
        found.detector,
        found.preprocess,
        {name: value for name, value in fit.options.items() if name in known},
        fit.model,
        fit.model_sha256,
    )


def check_provenance(trained: Provenance, given: Provenance, *, coefficients: bool) -> None:
    """Refuse frames that the network's training does not speak for.

    Parameters
    ----------
    trained : Provenance
        Of the network's training frames.
    given : Provenance
        Of the frames to predict.
    coefficients : bool
        Whether the network looks at f_exp.

    Raises
    ------
    DataError
        Saying what differs.
    """
    if coefficients:
        hashes = trained.model_sha256, given.model_sha256
        other = hashes[0] != hashes[1] if all(hashes) else False
        if trained.model != given.model or other:
            raise DataError(
                f"these frames were fitted with the morphable model {_model(given)}, the network "
                f"was trained with {_model(trained)}; fit them with that model"
            )
    differences = [
        f"{stage} {name} is {new!r} there, {old!r} in training"
        for stage, name, old, new in _compared(trained, given, coefficients)
        if old != new
    ]
    if differences:
        raise DataError(
            f"these frames were made with other options than the network's: "
            f"{'; '.join(differences)}; make them with the same"
        )


def _compared(
    trained: Provenance, given: Provenance, coefficients: bool
) -> list[tuple[str, str, Any, Any]]:
    rows: list[tuple[str, str, Any, Any]] = []
    if trained.detector and given.detector:
        rows.append(("preprocess", "detector", trained.detector, given.detector))
    if coefficients and trained.fit3d and given.fit3d:
        defaults = asdict(Fit3dOptions())
        for name in _SHAPING_F_EXP:
            old = trained.fit3d.get(name, defaults[name])
            rows.append(("fit3d", name, old, given.fit3d.get(name, defaults[name])))
    return rows


def _model(made: Provenance) -> str:
    return f"{made.model!r}" + (f" ({made.model_sha256[:12]})" if made.model_sha256 else "")


def fit_departures(shards: Iterable[Shard]) -> tuple[str, ...]:
    """Say wherein shards were fitted otherwise than by `glee fit3d --paper`.

    Parameters
    ----------
    shards : iterable of Shard
        Read one after the other.

    Returns
    -------
    tuple of str
        "fit3d whiten is True, with --paper False", sorted; with "in 3 of 8 shards" where some
        differ only; () where all are as the paper has it.
    """
    counts: Counter[str] = Counter()
    total = 0
    for shard in shards:
        total += 1
        counts.update(_fitted_otherwise(shard))
    return tuple(
        text if count == total else f"{text}, in {count} of {total} shards"
        for text, count in sorted(counts.items())
    )


def _fitted_otherwise(shard: Shard) -> list[str]:
    if shard.fit is None:
        return ["no 3D fit"]
    from ...fitting.options import PAPER_WEIGHT  # it imports Numba

    paper = asdict(Fit3dOptions().as_published())
    options = {**asdict(Fit3dOptions()), **shard.fit.options}
    # The weights that it leaves to --paper are its own; stated, they are the same.
    for name in ("expression_weight", "shape_weight"):
        if options["identity"] == "frame" and options[name] == PAPER_WEIGHT:
            options[name] = None
    return [
        f"fit3d {name} is {options[name]!r}, with --paper {paper[name]!r}"
        for name in (*_SHAPING_F_EXP, "visibility")
        if options[name] != paper[name]
    ]
