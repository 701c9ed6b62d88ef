"""Verification of a work folder: shards whole, of one making, complete, and as the dataset is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError, GleeError, ShardError, UsageError
from ...whole_files import TEMPORARY_SUFFIX
from ..clips import Clip
from ..cluster.options import OPTIONS_FILE
from ..datasets import DATASETS, dataset_module, find_content
from ..datasets.triplets import TRIPLET_FILE, read_triplets, shard_triplets
from ..images.frames import FrameIndex, index_frames
from ..shards.shard import REASONS, SHARD_FOLDER, Shard, ShardHeader, list_shards, read_shard
from ..summary import progress_bar
from ..work_folder import read_options, read_plan
from .labels import LAG, LabelCounts, LabelledClip, label_agreement
from .report import Problem, SubjectCount, Verification

ClipKey = tuple[str, str]


@dataclass
class _ShardClip:
    """What is kept of one clip's shards: everything but the crops."""

    headers: list[ShardHeader] = field(default_factory=list)
    frame_id: list[npt.NDArray[np.int64]] = field(default_factory=list)
    labels: list[npt.NDArray[np.int8]] = field(default_factory=list)
    f_exp: list[npt.NDArray[np.float32]] = field(default_factory=list)


def verify_shards(
    work: Path,
    *,
    root: Path | None = None,
    dataset_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Verification:
    """Look at all shards of a work folder; nothing is changed.

    Parameters
    ----------
    work : Path
        The work folder.
    root : Path or None
        The dataset's folder; with it, clips, frames, frame numbers, labels and sources are compared
        with the dataset.
    dataset_options : mapping or None
        As `preprocess` was given.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Verification
        What was found.

    Raises
    ------
    UsageError
        For options that the dataset does not have.
    ShardError
        Where the folder holds no shards.
    OptionsError
        Where its `glee.toml` cannot be read.
    """
    check = _ShardCheck(Path(work))
    paths = list_shards(work)
    with progress_bar("verify", len(paths), "shard", shown=progress) as bar:
        for path in paths:
            try:
                check.add(read_shard(path))
            except GleeError as error:
                check.problems.append(Problem("shard", str(error)))
                check.unreadable.add((path.parts[-3], path.parts[-2]))
            bar.update(1)
    check.whole_clips()
    check.whole_plan()
    if root is not None:
        check.compare(Path(root), dict(dataset_options or {}))
    return check.report()


class _ShardCheck:
    """What is seen of the shards, one after the other."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._stated = read_options(work).get("preprocess", {})
        self._clips: dict[ClipKey, _ShardClip] = defaultdict(_ShardClip)
        self._reasons: dict[str, Counter[str]] = defaultdict(Counter)
        self._labelled: Counter[str] = Counter()
        self._labels = LabelCounts()
        self._versions: Counter[tuple[str, str, str]] = Counter()
        self._processors: dict[str, Counter[str]] = defaultdict(Counter)
        self._fitted = 0
        self._embedded: Counter[str] = Counter()
        self._expressions: set[tuple[str, ...]] = set()
        self._shards = 0
        self.unreadable: set[ClipKey] = set()
        self.problems: list[Problem] = []

    def add(self, shard: Shard) -> None:
        """Look at one whole shard."""
        header, frames = shard.header, shard.frames
        where = shard.path.relative_to(self._work).as_posix()
        place = header.subject, header.clip
        if place != (shard.path.parts[-3], shard.path.parts[-2]):
            self._wrong("misplaced", f"{where}: holds {header.subject}/{header.clip}")
        if (frames.valid != (frames.reason == 0)).any():
            self._wrong("frames", f"{where}: valid frames and reasons contradict each other")
        if (frames.reason >= len(REASONS)).any():
            self._wrong("frames", f"{where}: reasons that this glee does not know")
        if not np.isfinite(frames.landmarks[frames.valid]).all():
            self._wrong("frames", f"{where}: valid frames without landmarks")
        dense = frames.landmarks_dense
        if dense is not None and not np.isfinite(dense[frames.valid]).all():
            self._wrong("frames", f"{where}: valid frames without dense points")
        shapes = frames.blendshapes
        if shapes is not None and not np.isfinite(shapes[frames.valid]).all():
            self._wrong("frames", f"{where}: valid frames without blendshapes")
        seen = frames.visibility
        if seen is not None and not ((seen >= 0) & (seen <= 1))[frames.valid].all():
            self._wrong("frames", f"{where}: valid frames without visibility from 0 to 1")
        self._compare_options(where, header)
        self._versions[header.dataset, header.detector, header.glee_version] += 1
        self._processors["made"][header.processor] += 1
        self._shards += 1
        numbers, times = np.unique(frames.reason, return_counts=True)
        for number, count in zip(numbers.tolist(), times.tolist(), strict=True):
            name = REASONS[number] if number < len(REASONS) else f"reason {number}"
            self._reasons[header.subject][name] += count
        if header.au_names:
            self._labelled[header.subject] += int((shard.labels >= 0).any(1).sum())
            self._labels.add(header.au_names, header.label_kind, shard.labels)
        clip = self._clips[place]
        clip.headers.append(header)
        clip.frame_id.append(frames.frame_id)
        clip.labels.append(shard.labels)
        if shard.fit is not None:
            clip.f_exp.append(shard.fit.f_exp)
            self._expressions.add(shard.fit.expression_names)
            self._fitted += 1
            self._processors["fitted"][shard.fit.processor] += 1
        if shard.embed is not None:
            self._embedded[shard.embed.weights] += 1
            if not np.isfinite(shard.embed.identity[frames.valid]).all():
                self._wrong("embed", f"{where}: valid frames without identity features")

    def _wrong(self, kind: str, text: str, *, wrong: bool = True) -> None:
        self.problems.append(Problem(kind, text, wrong))

    def _compare_options(self, where: str, header: ShardHeader) -> None:
        stated = {key: value for key, value in self._stated.items() if key != "dataset"}
        if not self._stated:
            return
        if header.dataset != self._stated.get("dataset") or header.options != stated:
            keys = sorted(
                key
                for key in {*stated, *header.options}
                if stated.get(key) != header.options.get(key)
            )
            self._wrong("options", f"{where}: {', '.join(keys) or 'dataset'} not as {OPTIONS_FILE}")

    def whole_clips(self) -> None:
        """Chunks of each clip follow each other without gaps, and so do the folder's versions."""
        for (subject, name), clip in sorted(self._clips.items()):
            where = f"{subject}/{name}"
            expected = 0
            for header in sorted(clip.headers, key=lambda header: header.start):
                if header.start != expected and (subject, name) not in self.unreadable:
                    self._wrong("missing", f"{where}: frames {expected} to {header.start - 1}")
                expected = header.stop
            sources = {(h.source, h.source_size, h.source_hash, h.au_names) for h in clip.headers}
            if len(sources) > 1:
                self._wrong("source", f"{where}: shards of different sources or label files")
            if (np.diff(np.concatenate(clip.frame_id)) <= 0).any():
                self._wrong("misnumbered", f"{where}: frame numbers do not ascend")
        for index, what in enumerate(("dataset", "detector")):
            found = sorted({version[index] for version in self._versions})
            if len(found) > 1:
                self._wrong("versions", f"shards of more than one {what}: {', '.join(found)}")
        made = sorted({version[2] for version in self._versions})
        if len(made) > 1:
            self._wrong("versions", f"made by glee {', '.join(made)}", wrong=False)
        for work, kinds in self._processors.items():
            if len(kinds) > 1:
                each = "; ".join(
                    f"{n} on {kind or 'one unknown'}" for kind, n in kinds.most_common()
                )
                self._wrong(
                    "processors",
                    f"shards were {work} on {len(kinds)} kinds of processor: {each}; their last "
                    "digits may differ (docs/hpc.md)",
                    wrong=False,
                )
        if 0 < self._fitted < self._shards:
            self._wrong("fit", f"{self._shards - self._fitted} of {self._shards} are not fitted")
        if self._embedded and (len(self._embedded) > 1 or self._embedded.total() < self._shards):
            self._wrong("embed", "identity features of other weights, or not in every shard")
        folder = self._work / SHARD_FOLDER
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            if path.name.endswith(TEMPORARY_SUFFIX):
                self._wrong(
                    "temporary", f"{path}: of a killed run; the next removes it", wrong=False
                )
            elif path.suffix != ".h5" or len(path.relative_to(folder).parts) != 3:
                self._wrong("surplus", f"{path}: is no shard", wrong=False)

    def whole_plan(self) -> None:
        """Every chunk that `preprocess` planned has its shard: a run may have ended before."""
        try:
            plan = read_plan(self._work)
        except ShardError as error:
            self._wrong("plan", str(error))
            return
        for clip in () if plan is None else plan.clips:
            folder = self._work / SHARD_FOLDER / clip.subject / clip.clip
            there = sum(1 for path in folder.glob("*.h5") if path.is_file())
            if there < clip.shards:
                self._wrong(
                    "missing",
                    f"{clip.subject}/{clip.clip}: {there} of {clip.shards} planned shards; the "
                    "same `glee preprocess` makes the others",
                )

    def compare(self, root: Path, options: dict[str, Any]) -> None:
        """Hold the shards against the dataset."""
        name = self._dataset
        try:
            content = find_content(name, root, **options)
        except UsageError:
            raise
        except GleeError as error:
            self._wrong("dataset", str(error))
            return
        found = {(clip.subject, clip.name): clip for clip in content.clips}
        for place in sorted({*found} - {*self._clips} - self.unreadable):
            self._wrong("missing", f"{'/'.join(place)}: no shard of this clip")
        for place in sorted({*self._clips} - {*found}):
            self._wrong("surplus", f"{'/'.join(place)}: shards of a clip that is not in {root}")
        for place in sorted({*found} & {*self._clips}):
            try:
                clip = found[place].read()
                self._compare_clip(place, clip, index_frames(clip))
            except GleeError as error:
                self._wrong("clip", f"{'/'.join(place)}: {error}")

    def _compare_clip(self, place: ClipKey, clip: Clip, index: FrameIndex) -> None:
        where = "/".join(place)
        ours = self._clips[place]
        header = ours.headers[0]
        same = (header.source_size, header.source_hash) == (index.source_size, index.source_hash)
        if header.source != clip.relative_source:
            text = f"{where}: the shards are of {header.source}, not of {clip.relative_source}"
            self._wrong("source", text)
        elif not same:
            self._wrong("source", f"{where}: {header.source} is not the file the shards are of")
        last = max(header.stop for header in ours.headers)
        if last != index.count and place not in self.unreadable:
            self._wrong(
                "missing", f"{where}: {last} frames in shards, {index.count} in the dataset"
            )
        labels = clip.labels
        kind = "none" if labels is None else labels.kind
        names = () if labels is None else labels.au_names
        if (header.label_kind, header.au_names) != (kind, names):
            self._wrong("labels", f"{where}: labels of other AUs or another kind; make them again")
            return
        for chunk, ids, values in zip(ours.headers, ours.frame_id, ours.labels, strict=True):
            rows = slice(chunk.start, min(chunk.stop, index.count))
            if not np.array_equal(ids, clip.numbers(chunk.start, chunk.stop)[: len(ids)]):
                self._wrong("misnumbered", f"{where}: frame numbers are not the dataset's")
            if labels is not None and not np.array_equal(values, labels.values[rows]):
                self._wrong("labels", f"{where}: labels are not the dataset's; make them again")

    @property
    def _dataset(self) -> str:
        return (
            next(iter(self._versions))[0]
            if self._versions
            else str(self._stated.get("dataset", ""))
        )

    def _agreement(self) -> dict[str, Any] | None:
        """Labels against coefficients, where shards are labelled and fitted with our names."""
        au_names = {header.au_names for clip in self._clips.values() for header in clip.headers}
        clips = [
            LabelledClip(
                np.concatenate(clip.frame_id),
                np.concatenate(clip.labels),
                np.concatenate(clip.f_exp),
            )
            for _, clip in sorted(self._clips.items())
            if len(clip.f_exp) == len(clip.headers)
        ]
        if not clips or len(au_names) != 1 or len(self._expressions) != 1 or not any(au_names):
            return None
        aus = tuple(int(name.removeprefix("AU")) for name in next(iter(au_names)))
        try:
            found = label_agreement(clips, aus, next(iter(self._expressions)))
        except UsageError:
            return None  # a morphable model with other blendshapes
        for au, other in found.moved.items():
            # One alone may be the landmarks' doing; a wrong order of columns moves two at least.
            wrong = len(found.moved) > 1
            text = f"labels of AU{au} follow the movements of AU{other}: are columns swapped?"
            self._wrong("swapped", text, wrong=wrong)
        if found.lag is not None and abs(found.lag) >= LAG:
            side = "after" if found.lag > 0 else "before"
            text = f"labels come {abs(found.lag):.1f} frames {side} the images; check frame_offset"
            self._wrong("offset", text)
        own = {f"AU{au}": float(found.r[i, i]) for i, au in enumerate(found.aus)}
        return {"own": own, "lag": found.lag, "r": found.r.tolist()}

    def _triplet_counts(self) -> dict[str, int]:
        path = self._work / TRIPLET_FILE
        if not path.exists():
            return {}
        counts = {}
        try:
            for split, table in read_triplets(path).items():
                usable = shard_triplets(self._work, split)
                counts[f"triplets of {split}"] = len(table)
                counts[f"triplets of {split} with three valid faces"] = len(usable.table)
        except DataError as error:
            self._wrong("triplets", str(error))
        except GleeError:
            return counts  # damaged shards are problems of their own
        return counts

    def report(self) -> Verification:
        """Everything seen."""
        module = dataset_module(self._dataset) if self._dataset in DATASETS else None
        table = self._labels.table(
            getattr(module, "OCCURRENCE_THRESHOLD", 2), getattr(module, "RELATIVE_RATIOS", None)
        )
        agreement = self._agreement()
        counts = {"shards": self._shards, "fitted": self._fitted, **self._triplet_counts()}
        clips = Counter(subject for subject, _ in self._clips)
        subjects = getattr(module, "SUBJECTS", ())
        share = sum(subject in clips for subject in subjects) / max(len(subjects), 1)
        problems = [*self.problems, *self._labels.problems(table, share=share)]
        return Verification(
            what=f"shards of {self._dataset} in {self._work}",
            problems=tuple(problems),
            subjects=tuple(
                SubjectCount(
                    subject=subject,
                    clips=clips[subject],
                    frames=sum(reasons.values()),
                    labelled=self._labelled[subject],
                    valid=reasons["ok"],
                    invalid={name: n for name, n in sorted(reasons.items()) if name != "ok" and n},
                )
                for subject, reasons in sorted(self._reasons.items())
            ),
            aus=table,
            counts=counts,
            agreement=agreement,
        )
