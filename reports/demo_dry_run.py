"""What `demo` would do: how much of each stage is there already; nothing is written."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from .. import __version__
from ..model.checkpoint import CHECKPOINT_FILE
from ..pipeline.datasets import disfa
from ..pipeline.shards.shard import list_shards
from ..pipeline.synthesis.clips import TRUTH, subject_names
from ..pipeline.work_folder import read_options
from .demo.demo import DATA, EPOCHS, FRAMES, RESULTS_FILE, RUN, STAGE, WORK, DemoOptions

SUBJECTS, SIZE = 9, (640, 480)


def demo_dry_run(out: Path, *, seed: int = 0, overwrite: bool = False) -> list[str]:
    """Lines that say what `demo.demo` with these arguments would do. Raises OptionsError."""
    out = Path(out)
    options = DemoOptions(seed, subject_names(SUBJECTS), FRAMES, SIZE, EPOCHS)
    before = read_options(out).get(STAGE)
    stated = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(options).items()}
    stated["glee"] = __version__
    differing = [] if before is None else [k for k, v in stated.items() if before.get(k) != v]
    fresh = overwrite or before is None
    data, work, run = out / DATA, out / WORK, out / RUN
    videos = sum((data / TRUTH.format(subject=name)).exists() for name in options.subjects)
    shards = len(list_shards(work)) if (work / "shards").is_dir() else 0
    folds = len(list(run.glob(f"fold*/{CHECKPOINT_FILE}")))
    there = "0" if fresh else "{}"
    lines = [
        f"demo, seed {seed}: {len(options.subjects)} subjects, "
        f"{len(options.subjects) * FRAMES} frames of {SIZE[0]}x{SIZE[1]}",
        f"synth: {len(options.subjects)} videos, {there.format(videos)} there already",
        f"preprocess, fit3d: {len(options.subjects)} shards, {there.format(shards)} there already",
        f"train: {len(disfa.FOLDS)} folds of {EPOCHS} epochs, {there.format(folds)} begun already",
        f"report: {out / 'report.html'}, {out / RESULTS_FILE}",
    ]
    if differing and not overwrite:
        lines.append(
            f"would stop: demo ran here with other {', '.join(differing)}; see --overwrite"
        )
    return lines
