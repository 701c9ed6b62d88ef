"""The report of a work folder: frames by outcome, jitter, the fit, coefficients, labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from .. import __version__
from ..errors import UsageError
from ..pipeline.shards.shard import REASONS
from ..pipeline.verification.labels import Agreement, label_agreement
from . import charts
from .frame_charts import Dots, dots_chart, heat_map, outcome_legend, strip_chart
from .pictures import jpeg_uri
from .report import Chart, KeyFigure, Picture, PictureRow, Report, Section, Table
from .work_frames import ClipFrames, WorkFrames, gather_frames

NBSP = "\u00a0"
STRIPS = 60  # clips whose frames are drawn, those with most invalid frames first
WORST, SAMPLED = 9, 120  # frames that are shown; frames that are dots in the charts over time
FACE_SIDE = 170  # of the face that a dot shows, pixels
YAWS = (-90, -45, -30, -15, -5, 5, 15, 30, 45, 90)  # edges of the bins, degrees
SPREAD = 2.0  # a frame is among the worst once a clip and so many seconds


def work_report(work: Path) -> Report:
    """Report everything that can be said of shards without a truth to hold them against.

    Parameters
    ----------
    work : Path
        The work folder.

    Returns
    -------
    Report
        To write.

    Raises
    ------
    DataError
        Where the folder holds no shards.
    ShardError
        Where one cannot be read.
    """
    frames = gather_frames(work)
    chosen = _sampled(frames)
    faces = {name: _face(frames, clip, row) for name, clip, row in chosen}
    sections = [_outcomes(frames), _strips(frames)]
    if frames.fitted:
        sections += [_errors(frames, chosen), _worst(frames), _coefficients(frames)]
    sections += [_jitter(frames), *agreement_section(frames)]
    return Report(
        title=f"{work.name}: frames, fits and labels",
        lead=f"{_count(frames)} frames of {len(_subjects(frames))} subjects in "
        f"{len(frames.clips)} clips of {frames.dataset}, landmarks by {frames.detector}; "
        f"{frames.fitted} of {len(frames.paths)} shards are fitted.",
        figures=_key_figures(frames),
        sections=sections,
        foot=f"Made by glee {__version__} with `glee report`; nothing in this file is loaded "
        "from elsewhere. It shows faces: treat it as the dataset's licence asks.",
        faces=faces,
    )


def _count(frames: WorkFrames) -> int:
    return sum(len(clip.reason) for clip in frames.clips)


def _subjects(frames: WorkFrames) -> list[str]:
    return sorted({clip.subject for clip in frames.clips})


def _percent(share: float, decimals: int = 1) -> str:
    return f"{100 * share:.{decimals}f}{NBSP}%" if np.isfinite(share) else "not defined"


def _median(values: Sequence[npt.NDArray[np.float32]]) -> float:
    every = np.concatenate(values)
    every = every[np.isfinite(every)]
    return float(np.median(every)) if len(every) else float("nan")


def _key_figures(frames: WorkFrames) -> list[KeyFigure]:
    valid = sum(int((clip.reason == 0).sum()) for clip in frames.clips)
    iod = "of the inter-ocular distance"
    found = [
        KeyFigure("Valid frames", _percent(valid / _count(frames)), f"of {_count(frames)}"),
        KeyFigure(
            "Jitter", _percent(_median([c.jitter for c in frames.clips]), 2), f"{iod}, median"
        ),
    ]
    if frames.fitted:
        error = _median([clip.error for clip in frames.clips])
        found.append(KeyFigure("Fit residual", _percent(error, 2), f"{iod}, median"))
    return found


def _outcomes(frames: WorkFrames) -> Section:
    found = Counter(int(kind) for clip in frames.clips for kind in clip.reason.tolist())
    kinds = sorted(found)
    rows = []
    for name in (*_subjects(frames), "all"):
        mine = [clip for clip in frames.clips if name in (clip.subject, "all")]
        reason = np.concatenate([clip.reason for clip in mine])
        fitted = sum(int(np.isfinite(clip.error).sum()) for clip in mine)
        counts = [str(int((reason == kind).sum())) for kind in kinds]
        rows.append([name, str(len(mine)), str(len(reason)), *counts, str(fitted)])
    header = (
        "Subject",
        "clips",
        "frames",
        *(REASONS[k].replace("_", " ") for k in kinds),
        "fitted",
    )
    return Section(
        "outcomes",
        "Frames by outcome",
        "No frame is dropped: one that fails stays in its place, marked invalid, with the reason.",
        [Table("Frames of each subject.", header, rows, range(1, len(header)), [len(rows) - 1])],
    )


def _strips(frames: WorkFrames) -> Section:
    order = sorted(frames.clips, key=lambda clip: -int((clip.reason != 0).sum()))[:STRIPS]
    order.sort(key=lambda clip: (clip.subject, clip.clip))
    kinds = sorted({int(kind) for clip in order for kind in np.unique(clip.reason)})
    chart = strip_chart(
        [_label(clip) for clip in order],
        [clip.reason for clip in order],
        REASONS,
        title="Outcome of every frame, one strip a clip",
    )
    text = (
        "All clips" if len(order) == len(frames.clips) else f"The {STRIPS} clips with most invalid"
    )
    return Section(
        "timeline",
        "Invalid frames over time",
        "Long runs mean an occluded or turned face, or a clip of another kind; single frames mean "
        "a blink of the detector. Point at a run to read its frames.",
        [Chart([chart], f"{text}; light is valid.", outcome_legend(REASONS, kinds))],
    )


def _label(clip: ClipFrames) -> str:
    same = clip.subject in clip.clip
    return (clip.clip if same else f"{clip.subject} {clip.clip}")[-28:]


def _sampled(frames: WorkFrames) -> list[tuple[str, ClipFrames, int]]:
    """Frames spread evenly over all clips, by name."""
    every = [(clip, row) for clip in frames.clips for row in range(len(clip.reason))]
    step = max(len(every) // SAMPLED, 1)
    return [(f"{_label(c)} {c.frame_id[row]}", c, row) for c, row in every[step // 2 :: step]]


def _errors(frames: WorkFrames, chosen: list[tuple[str, ClipFrames, int]]) -> Section:
    dots = Dots(
        x=[row / (clip.fps or 1.0) for _, clip, row in chosen],
        y=[100 * float(clip.error[row]) for _, clip, row in chosen],
        frame=[name for name, _, _ in chosen],
        text=[f"{name}: {_percent(float(c.error[row]), 2)}" for name, c, row in chosen],
    )
    over = dots_chart(
        dots,
        title="Fit residual of sampled frames over the time in their clip",
        x_label="seconds in the clip",
        y_label="residual, % of the inter-ocular distance",
    )
    error = np.concatenate([clip.error for clip in frames.clips])
    yaw = np.concatenate([clip.yaw for clip in frames.clips])
    labels, values = [], []
    for low, high in zip(YAWS[:-1], YAWS[1:], strict=True):
        inside = error[(yaw >= low) & (yaw < high) & np.isfinite(error)]
        labels.append(f"{low} to {high}\u00b0 ({len(inside)})")
        values.append(100 * float(np.median(inside)) if len(inside) else float("nan"))
    bars = charts.bar_chart(
        labels, values, title="Median fit residual by yaw", unit=f"{NBSP}%", decimals=2
    )
    return Section(
        "fit",
        "Fit residual",
        "How far the fitted model's landmarks stay from the detected ones. It grows where "
        "landmarks are wrong and where the model cannot make the face; it says nothing of errors "
        "that a face could have. Point at a dot, or reach it by keyboard, to see the face.",
        [
            Chart([over], f"{len(chosen)} frames spread over all clips."),
            Chart(
                [bars],
                "Median by yaw of the head, degrees (frames); positive to the person's left.",
            ),
        ],
    )


def _worst(frames: WorkFrames) -> Section:
    threes = list(_in_threes(_worst_pictures(frames)))
    said = "Valid frames with the largest fit residual, the worst first."
    rows = [
        PictureRow(pictures, said if number == len(threes) else "")
        for number, pictures in enumerate(threes, 1)
    ]
    return Section(
        "worst",
        "Worst frames",
        "What to look at first: most of these are occlusions, extreme poses or wrong landmarks.",
        rows,
    )


def _worst_pictures(frames: WorkFrames) -> list[Picture]:
    every = [
        (float(clip.error[row]), clip, int(row))
        for clip in frames.clips
        for row in np.argsort(-np.nan_to_num(clip.error, nan=-1.0))[: 10 * WORST]
        if np.isfinite(clip.error[row])
    ]
    taken: set[tuple[str, int]] = set()
    pictures = []
    for error, clip, row in sorted(every, key=lambda item: -item[0]):
        where = (_label(clip), int(row / (SPREAD * (clip.fps or 1.0))))
        if where in taken:
            continue
        taken.add(where)
        name = f"{_label(clip)}, frame {clip.frame_id[row]}"
        said = f"{name}: residual {_percent(error, 2)}, yaw {clip.yaw[row]:.0f}\u00b0"
        pictures.append(Picture(jpeg_uri(frames.crop(clip, row)), f"aligned face, {name}", said))
        if len(pictures) == WORST:
            break
    return pictures


def _in_threes(pictures: list[Picture]) -> list[list[Picture]]:
    return [pictures[start : start + 3] for start in range(0, len(pictures), 3)]


def _face(frames: WorkFrames, clip: ClipFrames, row: int) -> str:
    crop = frames.crop(clip, row)
    small = cv2.resize(crop, (FACE_SIDE, FACE_SIDE), interpolation=cv2.INTER_AREA)
    return jpeg_uri(np.asarray(small, np.uint8))


def _coefficients(frames: WorkFrames) -> Section:
    subjects = _subjects(frames)
    columns = []
    for subject in subjects:
        f_exp = np.concatenate([c.f_exp for c in frames.clips if c.subject == subject])
        f_exp = f_exp[np.isfinite(f_exp).all(axis=1)]
        nothing = np.full(len(frames.names), np.nan)
        columns.append(np.quantile(f_exp, 0.95, axis=0) if len(f_exp) else nothing)
    chart = heat_map(
        frames.names,
        subjects,
        np.stack(columns, axis=1),
        title="95th percentile of each coefficient, by subject",
    )
    return Section(
        "coefficients",
        "Expression coefficients",
        "What each person does strongly in one frame of twenty. A row that is dark for everybody, "
        "or a column that is dark throughout, is the detector's or the identity's doing rather "
        "than an expression.",
        [
            Chart(
                [chart],
                "95th percentile of f_exp; light is 0, dark is 1. Point at a cell for its value.",
            )
        ],
    )


def _jitter(frames: WorkFrames) -> Section:
    subjects = _subjects(frames)
    values = [100 * _median([c.jitter for c in frames.clips if c.subject == s]) for s in subjects]
    chart = charts.bar_chart(
        subjects, values, title="Jitter of each subject", unit=f"{NBSP}%", decimals=2
    )
    return Section(
        "jitter",
        "Landmark jitter",
        "Second difference of the inner landmarks over time: what shakes from frame to frame. "
        "Movement counts too, so compare people of the same task.",
        [Chart([chart], "Median over frames, of the inter-ocular distance.")],
    )


def agreement_section(frames: WorkFrames) -> list[Section]:
    """Correlate the labels of each AU with the blendshapes of each.

    Parameters
    ----------
    frames : WorkFrames
        Of a work folder.

    Returns
    -------
    list of Section
        One; none where nothing can be compared.
    """
    if not frames.names or not frames.au_names:
        return []
    aus = tuple(int(name.removeprefix("AU")) for name in frames.au_names)
    try:
        found = label_agreement(frames.labelled(), aus, frames.names)
    except UsageError:  # a morphable model with other blendshapes
        return []
    if not found.aus:
        return []
    names = [f"AU{au}" for au in found.aus]
    chart = heat_map(
        [f"labels of {name}" for name in names],
        names,
        np.maximum(found.r, 0.0),
        title="Correlation of the labels of each AU with the blendshapes of each",
        width=560,
    )
    return [
        Section(
            "labels",
            "Labels against coefficients",
            "Labels of an AU should go with the blendshapes that it moves: the diagonal is dark. "
            "Columns in the wrong order are dark elsewhere; labels that lag agree best when moved.",
            [
                Chart(
                    [chart], "Pearson's r about each clip's mean; columns are blendshapes of an AU."
                ),
                _table(found, names),
            ],
        )
    ]


def _table(found: Agreement, names: list[str]) -> Table:
    rows = []
    for i, name in enumerate(names):
        best = int(np.argmax(found.r[i]))
        moved = found.moved.get(found.aus[i])
        said = f"follow AU{moved}: swapped?" if moved is not None else "in place"
        rows.append([name, f"{found.r[i, i]:.2f}", names[best], f"{found.r[i, best]:.2f}", said])
    lag = "too little moves to tell" if found.lag is None else f"{found.lag:+.1f} frames"
    return Table(
        f"Labels come after the images by: {lag}.",
        ("Labels", "own r", "best with", "its r", "verdict"),
        rows,
        numbers=(1, 3),
    )
