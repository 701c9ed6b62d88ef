"""Verification of a dataset's folder before any work: clips, frames, labels, counts and ratios."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ...errors import GleeError, UsageError
from ..clips import Clip, DatasetContent
from ..datasets import dataset_module, find_content
from ..images.frames import index_frames
from ..summary import progress_bar
from .labels import LabelCounts
from .report import Problem, SubjectCount, Verification

# First bytes of the image files that are read: BMP, JPEG, PNG, TIFF, RIFF (WebP).
_IMAGE_HEADS = (b"BM", b"\xff\xd8\xff", b"\x89PNG", b"II*\0", b"MM\0*", b"RIFF")
# Label files may have so many rows more than the video has frames, as in DISFA.
_ROWS_BEYOND = 1


def verify_dataset(
    name: str,
    root: Path,
    *,
    dataset_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Verification:
    """Look at a dataset's clips, labels and frames without making anything.

    Every clip is looked at, whatever is wrong with the others; of a video the packets are counted,
    of an image the first bytes are read.

    Parameters
    ----------
    name, root, dataset_options
        As in `preprocess`.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Verification
        What was found.

    Raises
    ------
    UsageError
        Where the name or an option is unknown.
    """
    module = dataset_module(name)
    what = f"{name} in {root}"
    try:
        content = find_content(name, Path(root), **(dataset_options or {}))
    except UsageError:
        raise
    except GleeError as error:
        return Verification(what, (Problem("dataset", str(error)),))
    check = _DatasetCheck(module)
    with progress_bar("verify", len(content.clips), "clip", shown=progress) as bar:
        for found in content.clips:
            try:
                check.add(found.read())
            except GleeError as error:
                check.problems.append(Problem("clip", f"{found.subject}/{found.name}: {error}"))
            bar.update(1)
    return check.report(what, content)


class _DatasetCheck:
    """What is seen of the clips, one after the other."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._labels = LabelCounts()
        self._clips: Counter[str] = Counter()
        self._frames: Counter[str] = Counter()
        self._labelled: Counter[str] = Counter()
        self._files: set[Path] = set()
        self.problems: list[Problem] = []

    def add(self, clip: Clip) -> None:
        """Look at one clip; raises GleeError where its frames cannot be found."""
        images = clip.kind == "images"
        frames = len(clip.images) if images else index_frames(clip, identify=False).count
        self._files.update(clip.source / name for name in clip.images or ("",))
        where = f"{clip.subject}/{clip.name}"
        self._clips[clip.subject] += 1
        self._frames[clip.subject] += frames
        self.problems += [Problem("note", note, wrong=False) for note in clip.notes]
        if images:
            self._check_images(clip, where)
        else:
            self._compare_length(clip, where, frames)
        labels = clip.labels
        if labels is not None:
            values = labels.values[:frames]
            self._labelled[clip.subject] += int((values >= 0).any(1).sum())
            self._labels.add(labels.au_names, labels.kind, values)

    def _compare_length(self, clip: Clip, where: str, frames: int) -> None:
        rows = frames if clip.labels is None else len(clip.labels.values)
        source = clip.source.name
        if clip.labels is not None and rows < frames:
            text = f"{where}: {frames - rows} of {frames} frames of {source} have no labels"
            self.problems.append(Problem("missing", f"{text} ({clip.labels.shortest.name} ends)"))
        elif rows > frames:
            text = f"{where}: {rows - frames} rows of labels beyond the {frames} frames of {source}"
            self.problems.append(Problem("surplus", text, wrong=rows > frames + _ROWS_BEYOND))
        expected = getattr(self._module, "expected_frames", None)
        if expected is not None and frames != expected(clip.subject):
            text = f"{where}: {frames} frames, {expected(clip.subject)} as distributed"
            self.problems.append(Problem("length", text, wrong=False))

    def _check_images(self, clip: Clip, where: str) -> None:
        bad = [name for name in clip.images if not _is_image(clip.source / name)]
        if bad:
            text = f"{where}: {len(bad)} of {len(clip.images)} files are no images, first {bad[0]}"
            self.problems.append(Problem("image", text, wrong=not clip.boxes))
        gaps = int((np.diff(clip.numbers(0, len(clip.images))) > 1).sum())
        if gaps and not clip.boxes:
            text = f"{where}: coded frames in {gaps + 1} runs"
            self.problems.append(Problem("gaps", text, wrong=False))

    def report(self, what: str, content: DatasetContent) -> Verification:
        """Everything seen."""
        module = self._module
        problems = [Problem("missing", line) for line in content.missing]
        problems += [Problem("surplus", line, wrong=False) for line in content.surplus]
        subjects = getattr(module, "SUBJECTS", ())
        absent = [subject for subject in subjects if subject not in self._clips]
        share = 1 - len(absent) / max(len(subjects), 1)
        notes = []
        if absent:
            shown = " ".join(absent[:40]) + (" ..." if len(absent) > 40 else "")
            notes.append(f"{len(subjects) - len(absent)} of {len(subjects)} subjects; not: {shown}")
        table = self._labels.table(
            getattr(module, "OCCURRENCE_THRESHOLD", 2), getattr(module, "RELATIVE_RATIOS", None)
        )
        found = [*problems, *self.problems, *self._labels.problems(table, share=share)]
        return Verification(
            what=what,
            problems=tuple(found),
            subjects=tuple(
                SubjectCount(
                    subject, self._clips[subject], self._frames[subject], self._labelled[subject]
                )
                for subject in sorted(self._clips)
            ),
            aus=table,
            counts={**content.counts, "files read": len(self._files)},
            notes=tuple(notes),
        )


def _is_image(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(12).startswith(_IMAGE_HEADS)
    except OSError:
        return False
