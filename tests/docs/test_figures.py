"""Figures in the pages are those of the results, as the writer of the pages writes them."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

from glee.model.network.build_glee_net import build_glee_net, flop_count
from glee.model.network.config import preset_config

ROOT = Path(__file__).resolve().parents[2]

# Measured figures that no writer writes, by page: published ones, settings, and measurements whose
# results were not kept. These counts may only fall: a new measured figure gets an entry in
# benchmarks/write_stated_figures.py, or stands in a table that a writer writes.
UNWRITTEN = {
    "README.md": 5,
    "docs/comparison.md": 18,
    "docs/experiments.md": 69,
    "docs/fitting.md": 22,
    "docs/glee-net.md": 14,
    "docs/hpc.md": 36,
    "docs/landmarks.md": 24,
}


def module_of_benchmarks(name):
    """A module of benchmarks/, which is no package."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def writer():
    """benchmarks/write_docs.py, where the benchmarks are."""
    return module_of_benchmarks("write_docs")


@pytest.fixture(scope="module")
def stated():
    """benchmarks/write_stated_figures.py."""
    return module_of_benchmarks("write_stated_figures")


def test_the_marked_blocks_are_those_of_the_results(writer):
    for page, mark in writer.BLOCKS:
        text = (ROOT / "docs" / f"{page}.md").read_text()
        assert mark in text
        assert writer.with_blocks(page, text) == text


def test_the_page_of_benchmarks_is_that_of_the_results(writer):
    assert (ROOT / "docs/benchmarks.md").read_text() == writer.benchmarks_page()


def test_a_block_follows_its_results(writer):
    """By hand: scipy's time from the JSON stands in the page, rounded to three digits."""
    peers = json.loads((ROOT / "benchmarks/results/fit.json").read_text())["peers"]
    text = (ROOT / "docs/comparison.md").read_text()
    for name, peer in peers.items():
        (line,) = (line for line in text.splitlines() if line.startswith(f"| {name} |"))
        ms, ours, ratio = (float(cell) for cell in line.strip("| ").split("|")[1:])
        assert ms == pytest.approx(peer["ms"], rel=5e-3)
        assert ours == pytest.approx(peer["ours_ms"], abs=6e-3)
        assert ratio == pytest.approx(peer["ms"] / peer["ours_ms"], abs=0.51)


def test_the_compact_networks_share_of_operations():
    counts = []
    for preset in ("paper", "compact"):
        config = preset_config(preset, tuple(f"AU{number}" for number in range(12)))
        counts.append(flop_count(build_glee_net(config), config))
    assert f"at a {counts[0] / counts[1]:.0f}th of" in (ROOT / "docs/glee-net.md").read_text()


def test_stated_figures_are_those_of_the_results(stated):
    """In sentences and tables; `python benchmarks/write_stated_figures.py` writes them."""
    for page in stated.pages():
        text = (ROOT / page).read_text()
        assert stated.rewritten(page, text) == text, page


def test_every_stated_figure_is_found_when_it_is_stale(stated):
    for page, entries in stated.pages().items():
        text = (ROOT / page).read_text()
        for one in entries:
            (match,) = one.pattern.finditer(text)
            for number in range(1, one.pattern.groups + 1):
                begin, end = match.span(number)
                stale = text[:begin] + "98765.4" + text[end:]
                assert one.rewritten(stale) == text, (one.sentence, number)


def test_a_sentence_that_is_gone_is_named(stated):
    one = next(iter(stated.STATED))
    with pytest.raises(ValueError, match="0 times, not once"):
        one.rewritten("nothing of it")


def test_figures_without_results_only_become_fewer(stated):
    for page, most in UNWRITTEN.items():
        found = stated.unwritten(page, (ROOT / page).read_text())
        assert len(found) <= most, (page, found)


def test_a_new_figure_is_seen(stated):
    page, text = "docs/experiments.md", (ROOT / "docs/experiments.md").read_text()
    before = len(stated.unwritten(page, text))
    added = text + "\nIt is 12 % better, 3.4 points, in `0.5` and 17 ms a frame.\n"
    assert len(stated.unwritten(page, added)) == before + 3
