"""`glee demo --dry-run` says what is there already and what would stop it; nothing is written."""

from __future__ import annotations

from glee.pipeline.synthesis.clips import TRUTH
from glee.pipeline.work_folder import state_options
from glee.reports.demo.demo import demo_dry_run


def test_a_fresh_folder_and_one_that_goes_on(tmp_path):
    out = tmp_path / "demo"
    said = "\n".join(demo_dry_run(out))
    assert not out.exists()
    assert "9 subjects, 1080 frames of 640x480" in said
    assert "9 videos, 0 there already" in said
    out.mkdir()
    state_options(out, "demo", {"seed": 0}, overwrite=False)
    truth = out / "data" / TRUTH.format(subject="SN001")
    truth.parent.mkdir(parents=True)
    truth.touch()
    assert "9 videos, 1 there already" in "\n".join(demo_dry_run(out))
    other = demo_dry_run(out, seed=7)
    assert other[-1].startswith("would stop: demo ran here with other seed")
    assert "0 there already" in demo_dry_run(out, seed=7, overwrite=True)[1]
