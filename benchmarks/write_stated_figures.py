"""Measured figures that stand in sentences and tables of README.md and docs: whence each comes.

python benchmarks/write_stated_figures.py      # writes them anew from benchmarks/results

Whole tables between two marks are written by the other writers. A figure in a sentence is written
by its entry here: the sentence with {} for each figure, the results that it comes from, and what
gives the figures. A test (tests/docs/test_figures.py) finds a page whose figures are others than
those of the results, a sentence that was changed, and new figures that nothing here writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
NUMBER = r"[+-]?\d+(?:[.,]\d+)*"
Content = dict[str, Any]


@dataclass(frozen=True)
class Stated:
    """Figures of one sentence.

    page: below the repository. results: name of a file of results. sentence: with {} for each
    figure; its spaces match any, so that lines may break elsewhere. figures: as text, in order.
    """

    page: str
    results: str
    sentence: str
    figures: Callable[[Content], Sequence[str]]

    @property
    def pattern(self) -> re.Pattern[str]:
        """Matches the sentence with any figures."""
        parts = [
            r"\s+".join(map(re.escape, re.split(r"\s+", p))) for p in self.sentence.split("{}")
        ]
        return re.compile(f"({NUMBER})".join(parts))

    def rewritten(self, text: str) -> str:
        """The page's text with this sentence's figures as the results have them."""
        found = list(self.pattern.finditer(text))
        if len(found) != 1:
            raise ValueError(f"{self.page}: {len(found)} times, not once: {self.sentence}")
        figures = self.figures(result(self.results))
        (match,), out, end = found, [], 0
        for number, figure in enumerate(figures, 1):
            out += [text[end : match.start(number)], figure]
            end = match.end(number)
        if len(figures) != self.pattern.groups:
            raise ValueError(f"{self.page}: {len(figures)} figures for {self.sentence}")
        return "".join([*out, text[end:]])


@cache
def result(name: str) -> Content:
    """What a benchmark wrote."""
    content: Content = json.loads((RESULTS / f"{name}.json").read_text())
    return content


def percent(value: float, digits: int = 1) -> str:
    """A share in percent."""
    return f"{100 * value:.{digits}f}"


def gain(value: float) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * value:+.1f}"


def mean_f1(content: Content, row: str) -> float:
    """Of an ordering's row, over its seeds."""
    return float(np.mean([run["f1"] for run in content["rows"][row]]))


def _orderings() -> Iterator[Stated]:
    page = "docs/experiments.md"
    yield Stated(
        page,
        "orderings",
        "trains on {} rendered people and tests on {} others",
        lambda r: [str(r["trained"]), str(r["tested"])],
    )
    yield Stated(
        page, "orderings", "| full ({} %), less |", lambda r: [percent(mean_f1(r, "full"))]
    )
    for row in ("w/o 3DGB", "w/o GB & LB", "w/o pretrain"):

        def gaps(r: Content, row: str = row) -> list[str]:
            gap = r["full_less"][row]
            return [gain(gap[key]) for key in ("mean", "lowest", "highest")]

        yield Stated(page, "orderings", f"| {row} | {{}} | {{}}, {{}} |", gaps)

    def images(r: Content) -> list[str]:
        gap = r["images_pretrained_less"]
        both = (mean_f1(r, name) for name in ("w/o 3DGB", "w/o 3DGB, w/o pretrain"))
        return [*map(percent, both), *(gain(gap[key]) for key in ("mean", "lowest", "highest"))]

    sentence = '"w/o 3DGB" has {} % with it and {} % without ({} points, {} to {})'
    yield Stated(page, "orderings", sentence, images)


def _pretraining() -> Iterator[Stated]:
    names = (
        "30 a step, FEC's form",
        "600 a step, by the AUs of DISFA",
        "the same, trained longer",
        "600 a step, by the AUs of DISFA",
        "600 a step, by the AUs of DISFA",
        "600 a step, by those that BP4D has too",
    )
    for number, name in enumerate(names):
        row = result("pretraining")["rows"][number]
        bold = "**" if row["held_out"] == max(r["held_out"] for r in _rows("pretraining")) else ""

        def figures(r: Content, number: int = number) -> list[str]:
            row = r["rows"][number]
            return [str(row["steps"]), percent(row["own"]), percent(row["held_out"])]

        sentence = f"| {name} | {row['people']} | {{}} | {{}} | {bold}{{}}{bold} |"
        yield Stated("docs/experiments.md", "pretraining", sentence, figures)


def _rows(name: str) -> list[Content]:
    rows: list[Content] = result(name)["rows"]
    return rows


def _demo() -> Iterator[Stated]:
    for row in result("demo")["f1_of"]:

        def figures(r: Content, row: str = row) -> list[str]:
            one = r["f1_of"][row]
            ends = [percent(end, 0) for end in one["interval"] or ()]
            return [percent(one["f1"]), *ends]

        given = result("demo")["f1_of"][row]["given"]
        for code in ("fit3d --paper",):
            given = given.replace(code, f"`{code}`")
        ends = "{} to {} " if result("demo")["f1_of"][row]["interval"] else ""
        yield Stated("README.md", "demo", f"| {given} | {{}} | {ends}|", figures)

    def added(r: Content) -> list[str]:
        gap = r["images_add"]
        return [gain(gap["f1"]), *(gain(end) for end in gap["interval"])]

    yield Stated(
        "README.md", "demo", "they change the F1 by {} points ({} to {} over people)", added
    )
    yield Stated(
        "docs/experiments.md",
        "demo",
        "they change its mean F1 by {} points, 95 % interval over people {} to {}",
        added,
    )


def _network() -> Iterator[Stated]:
    page = "docs/glee-net.md"

    def size(r: Content) -> list[str]:
        millions, billions = r["size"]["parameters_m"], r["size"]["gflops"]
        return [
            *(f"{millions:.2f}", f"{100 * (millions / 56.6 - 1):+.1f}"),
            *(f"{billions:.2f}", f"{100 * (billions / 8.72 - 1):+.1f}"),
        ]

    sentence = (
        "**{} M** ({} %). A multiply-add of convolutions and matrix products is two operations, as "
        "torch's `FlopCounterMode` counts: **{} GFLOPs** ({} %)"
    )
    yield Stated(page, "train", sentence, size)

    def order(r: Content) -> list[str]:
        full, ours = (
            next(row for row in r["order"] if row["order"] == name)
            for name in ("full shuffle", "blocks and window (ours)")
        )
        more = ours["std_of_batch_mean"] / full["std_of_batch_mean"] - 1
        reads = (f"{row['blocks_read_a_step']:.0f}" for row in (ours, full))
        return [*reads, f"{100 * more:.0f}"]

    sentence = (
        "a step reads {} blocks instead of {}, and the mean label of its batch deviates {} % more "
        "than with a full shuffle"
    )
    yield Stated(page, "train", sentence, order)


def _preprocessing() -> Iterator[Stated]:
    for name in ("dlib", "mesh", "mesh+refiner"):

        def one(r: Content, name: str = name) -> list[str]:
            return [f"{r['path'][name]['ms']:.1f}"]

        yield Stated(
            "docs/comparison.md", "preprocess", f"| glee `--detector {name}` | {{}} |", one
        )

    def peer(r: Content) -> list[str]:
        return [f"{r['peer'][kind]['ms']:.1f}" for kind in ("default", "landmarker")]

    def all_three(r: Content) -> list[str]:
        return [f"{r['path'][name]['ms']:.1f}" for name in ("dlib", "mesh", "mesh+refiner")]

    sentence = "| MediaPipe 0.10.21, FaceMesh and Face Landmarker | {} and {} |"
    yield Stated("docs/comparison.md", "preprocess", sentence, peer)
    sentence = "{} ms with `--detector dlib`, {} with `mesh`, {} with `mesh+refiner`"
    yield Stated("docs/hpc.md", "preprocess", sentence, all_three)

    def clips(r: Content) -> list[str]:
        cpu = r["preprocess"]["cpu_s"]
        return [f"{r['clips']:,}", f"{cpu:.0f}", f"{1000 * cpu / r['clips']:.0f}"]

    sentence = (
        "{} clips of two frames with two workers: {} s of processor time in all, {} ms a clip"
    )
    yield Stated("docs/hpc.md", "many_clips", sentence, clips)

    def memory(r: Content) -> list[str]:
        return [f"{r['preprocess']['command_mb']:.0f}"]

    yield Stated("docs/hpc.md", "many_clips", "own process held {} MB at most", memory)

    def worker(r: Content) -> list[str]:
        return [f"{r['preprocess']['worker_mb']:.0f}", f"{r['report']['mb']:.1f}"]

    sentence = "A worker held {} MB, and the report has {} MB however many clips there are"
    yield Stated("docs/hpc.md", "many_clips", sentence, worker)


def _recovery() -> Iterator[Stated]:
    def joint(r: Content) -> list[str]:
        names = ("no noise, subject, points", "no noise, frame, points")
        noisy = ("1 %, subject, points", "1 %, frame, points")
        return [f"{r['noise'][name]['r_median']:.2f}" for name in (*names, *noisy)]

    sentence = (
        "Without noise the joint fit recovers f_exp with a median correlation of {}, one identity "
        "a frame with the paper's weights {}. At noise of 1 % of the inter-ocular distance they "
        "fall to {} and {}."
    )
    yield Stated("docs/fitting.md", "recovery", sentence, joint)

    def sliding(r: Content) -> list[str]:
        names = (f"sliding 5 %, subject, {distance}" for distance in ("curves", "points"))
        return [f"{r['noise'][name]['r_median']:.2f}" for name in names]

    sentence = "point-to-curve distances recover more than point-to-point ones ({} against {})"
    yield Stated("docs/fitting.md", "recovery", sentence, sliding)

    def detected(r: Content) -> list[str]:
        fits = r["detector"]["fits"]
        return [f"{fits[name]['r_median']:.2f}" for name in ("plain", "whitened, prior")]

    sentence = (
        "(median correlation {} with dlib on that benchmark's videos): its points are 2 to 3 % of "
        "the inter-ocular distance off, with errors that do not average out. Whitening by the "
        "calibrated noise and a prior of plausible expressions bring back much of it ({})"
    )
    yield Stated("docs/fitting.md", "recovery", sentence, detected)


def _without_own_model() -> Iterator[Stated]:
    def left_out(r: Content) -> list[str]:
        kinds = ("ict_apart", "ict_alike", "own_single", "own_rules")
        return [f"{r['kinds'][kind]['r']['left_out']:.2f}" for kind in kinds]

    sentence = "without the model's own people r is {}, {}, {} and {}"
    yield Stated("README.md", "foreign_faces", sentence, left_out)


def _small_faces() -> Iterator[Stated]:
    page = "docs/landmarks.md"
    sizes = list(result("faces_found")["by_distance"]["1080p"])
    for picture, name in (("1080p", "1920 x 1080"), ("4K", "3840 x 2160")):

        def shares(r: Content, picture: str = picture) -> list[str]:
            found = (r["by_distance"][picture][size] for size in sizes)
            return [percent(one["found"] / one["faces"], 0) for one in found]

        sentence = f"| in {name}, % |" + " {} |" * len(sizes)
        yield Stated(page, "faces_found", sentence, shares)

    def errors(r: Content) -> list[str]:
        return [f"{r['by_distance']['1080p'][size]['nme_inner']:.1f}" for size in sizes[1:]]

    sentence = "| error of the inner 51 points, % | |" + " {} |" * len(sizes[1:])
    yield Stated(page, "faces_found", sentence, errors)

    def mixed(r: Content) -> list[str]:
        found = (r["mixed"][picture] for picture in ("1080p", "4K"))
        return [percent(one["found"] / one["faces"], 0) for one in found]

    yield Stated(page, "faces_found", "{} % are found in 1080p and {} % in 4K", mixed)

    def times(r: Content) -> list[str]:
        searched = [f"{r['ms'][picture]['thorough']:.0f}" for picture in ("720p", "1080p", "4K")]
        return [*searched, f"{r['ms']['1080p']['quick']:.0f}"]

    sentence = (
        "takes time ({} ms in 1280 x 720, {} in 1080p, {} in 4K without a face, on a busy machine; "
        "a quick look takes {})"
    )
    yield Stated(page, "faces_found", sentence, times)


def _hidden() -> Iterator[Stated]:
    page = "docs/landmarks.md"

    def parts(r: Content) -> list[str]:
        hand, thing = (r["rows"]["photographs"][what] for what in ("hand", "thing"))
        hits = (percent(one["mean_hit"], 0) for one in (hand, thing))
        brows = sorted(hand[f"{side}_brow"]["hit"] for side in ("left", "right"))
        areas = (f"{one['mean_area']:.3f}" for one in (hand, thing))
        return [*hits, *areas, *(percent(hit, 0) for hit in brows)]

    sentence = (
        "{} % of the hidden parts are found, with boxes and other things {} %; the area under the "
        "curve is {} and {}. Brows under a hand are missed most often ({} and {} % found)"
    )
    yield Stated(page, "hidden_regions", sentence, parts)

    def heeded(r: Content) -> list[str]:
        hand = r["rows"]["hand"]
        frown = (hand[name]["largest_frown"] for name in ("not_heeded", "heeded"))
        quality = (hand["heeded"][f"quality_{clip}"] for clip in ("clean", "hand"))
        return [f"{value:.2f}" for value in (*frown, *quality)]

    sentence = "largest mouthFrown falls from {} to {}, median quality from {} to {}."
    yield Stated(page, "hidden_regions", sentence, heeded)


STATED: tuple[Stated, ...] = (
    *_orderings(),
    *_pretraining(),
    *_demo(),
    *_network(),
    *_preprocessing(),
    *_recovery(),
    *_without_own_model(),
    *_small_faces(),
    *_hidden(),
)


def pages() -> Mapping[str, tuple[Stated, ...]]:
    """The entries of each page."""
    names = sorted({one.page for one in STATED})
    return {name: tuple(one for one in STATED if one.page == name) for name in names}


def rewritten(page: str, text: str) -> str:
    """A page's text with all its stated figures as the results have them."""
    for one in pages()[page]:
        text = one.rewritten(text)
    return text


# Measured figures: decimals, or a number with a unit in which something is measured.
_MEASURED = re.compile(
    r"(?<![\w.#/-])[+-]?\d+\.\d+\b|"
    r"(?<![\w.#/-])\d[\d,]*\s+(?:%|ms\b|points?\b|seconds?\b|s\b|frames/s|fits/s|MB\b|GFLOPs)"
)
# What is written by other writers, code, and links.
_APART = re.compile(
    r"<!-- (?!end)[^>]*-->.*?<!-- end[^>]*-->|^    [^\n]*$|`[^`\n]*`|\]\([^)]*\)", re.S | re.M
)


def unwritten(page: str, text: str) -> list[str]:
    """Measured figures of a page that no writer writes."""
    for one in pages().get(page, ()):
        text = one.pattern.sub(" ", text, count=1)
    return _MEASURED.findall(_APART.sub(" ", text))


def main() -> None:
    """Write the pages."""
    for page in pages():
        path = ROOT / page
        path.write_text(rewritten(page, path.read_text()))


if __name__ == "__main__":
    main()
