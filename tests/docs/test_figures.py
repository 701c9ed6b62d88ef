"""Figures in the pages are those of the results, as the writer of the pages writes them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from glee.model.network.build_glee_net import build_glee_net, flop_count
from glee.model.network.config import preset_config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def writer():
    """benchmarks/write_docs.py, where the benchmarks are."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import write_docs
    finally:
        sys.path.pop(0)
    return write_docs


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
