"""The bar of a training: over all folds and epochs, with the time left; none where unwanted."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stderr

from glee.cli import run
from glee.model.options import train_options
from glee.model.training.steps import RuntimeOptions
from glee.model.training.training import train

OPTIONS = train_options("compact", init="random", epochs=2, batch=46)
# 92 frames a fold: two batches an epoch.
STEPS, FOLDS = 2 * 2, 3


class Terminal(io.StringIO):
    """A stream that is a terminal, and keeps what it is shown."""

    def isatty(self):
        return True


def states(terminal):
    """Each state of the bars that was drawn: (name, steps done, steps in all)."""
    found = re.findall(r"(fold \d):.*?(\d+)/(\d+) \[", terminal.getvalue())
    return [(name, int(done), int(total)) for name, done, total in found]


def test_the_bar_counts_the_steps_of_all_folds(work, tmp_path, tiny):
    with redirect_stderr(Terminal()) as terminal:
        train(work, tmp_path, OPTIONS)
    drawn = states(terminal)
    assert {total for *_, total in drawn} == {FOLDS * STEPS}
    for fold in range(FOLDS):
        counts = [done for name, done, _ in drawn if name == f"fold {fold + 1}"]
        assert (counts[0], counts[-1]) == (fold * STEPS, (fold + 1) * STEPS)
    last = terminal.getvalue().rsplit("\r", 1)[1]
    assert "epoch 2 of 2, loss " in last
    assert "<00:00" in last  # nothing is left


def test_one_fold_counts_its_own(work, tmp_path, tiny):
    with redirect_stderr(Terminal()) as terminal:
        train(work, tmp_path, OPTIONS, fold="2")
    assert states(terminal)[-1] == ("fold 2", STEPS, STEPS)


def test_a_run_that_goes_on_begins_where_it_stands(work, tmp_path, tiny):
    """Finished folds count as done."""
    with redirect_stderr(Terminal()) as terminal:
        train(work, tmp_path, OPTIONS, fold="1", runtime=RuntimeOptions(progress=False))
        assert not states(terminal)
        train(work, tmp_path, OPTIONS)
    assert states(terminal)[0] == ("fold 2", STEPS, FOLDS * STEPS)


def test_quiet_shows_no_bar(work, tmp_path, tiny):
    words = ["--preset", "compact", "--epochs", "1", "--batch", "46", "--fold", "1"]
    with redirect_stderr(Terminal()) as terminal:
        assert run(["-q", "train", str(work), "-o", str(tmp_path / "run"), *words]) == 0
    assert not states(terminal)
