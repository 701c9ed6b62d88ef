"""Writes docs/benchmarks.md from the JSON files in benchmarks/results.

python benchmarks/fit.py --json benchmarks/results/fit.json
python benchmarks/recovery.py --json benchmarks/results/recovery.json
python benchmarks/train.py --json benchmarks/results/train.json
python benchmarks/preprocess.py --json benchmarks/results/preprocess.json
python benchmarks/write_docs.py
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from machine import least_disturbed
from write_experiments_docs import self_attention, table5_rows
from write_preprocess_docs import preprocess

HERE = Path(__file__).resolve().parent
TITLES = {
    "fit": "Speed of the fit",
    "recovery": "Accuracy of the fit",
    "train": "Training and the exported network",
    "preprocess": "Preprocessing: speed, memory, storage",
    "orderings": "Orderings of the ablations",
    "landmark_yaw": "Whitening by yaw",
    "turned_faces": "Faces turned in the picture",
    "landmarks": "Landmarks and what is fitted to them",
    "pretraining": "What the pre-training learns",
    "expression_embedding": "The expression embedding that comes with glee",
    "render_levers": "Parts of a render and the detectors",
    "bias": "Skin tone, sex and age",
    "hidden_regions": "What is hidden",
    "au_estimates": "Action Units without training",
    "many_clips": "Very many very short clips",
    "demo": "The demo",
    "self_attention": "The start of self-attention",
    "table5_rows": "All rows of Table 5",
}
# Where a benchmark's figures stand, if not here.
PAGES = {
    "bias": "model-card",
    "au_estimates": "action-units",
    "expression_embedding": "glee-net",
    **dict.fromkeys(("orderings", "pretraining"), "experiments"),
    **dict.fromkeys(("demo", "self_attention", "table5_rows"), "experiments"),
    **dict.fromkeys(
        ("landmarks", "landmark_yaw", "render_levers", "turned_faces", "hidden_regions"),
        "benchmarks-landmarks",
    ),
}


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def targets(content: dict[str, Any]) -> list[str]:
    """What was aimed at and what came out."""
    rows = []
    for target in content["targets"]:
        value = "not measured" if target["value"] is None else f"{target['value']:.4g}"
        sign = ">=" if target["better"] == "higher" else "<="
        met = {True: "yes", False: "**no**", None: ""}[target["met"]]
        rows.append([f"`{target['name']}`", value, f"{sign} {target['target']:g}", met])
    return table(["figure", "measured", "aimed at", "met"], rows)


def fit(content: dict[str, Any]) -> list[str]:
    """Our rates and the peers' times."""
    ours = [
        [name, f"{r['cold_per_s']:.0f}", f"{r['warm_per_s']:.0f}", f"{r['iterations']:.2f}"]
        for name, r in content["ours"].items()
    ]
    peers = [
        [
            name,
            f"{r['ms']:.2f}",
            f"{r['ours_ms']:.3f}",
            f"{r['ms'] / r['ours_ms']:.0f}",
            f"{r['energy_over_scipy']:.4f}" if "energy_over_scipy" in r else "",
        ]
        for name, r in content["peers"].items()
    ]
    joint = content["joint"]
    return [
        *_command(content),
        *table(["distance", "cold fits/s", "warm fits/s", "steps a fit"], ours),
        "",
        *table(["peer", "ms a fit", "ours, ms", "ratio", "our energy / its"], peers),
        "",
        f"One identity for {joint['frames']:.0f} frames: {joint['joint_s']:.2f} s; each frame with "
        f"its own: {joint['alone_s']:.2f} s; peak memory of the process {joint['peak_mb']:.0f} MB. "
        f"A new process that fits one frame takes {content['start_s']:.2f} s from start to end.",
        "",
        "Times are processor time of one thread. scipy gets our residuals, our analytic Jacobian "
        "and our relative tolerance; `lm` has no bounds, and neither has our fit beside it. "
        "eos is given our model, since its own is not in its wheel, and fits with the contour as "
        "its own demo does. The BLAS bound is one syrk and one posv of the smaller system a step; "
        "more than half of our steps use the factorisation of the step before again.",
    ]


def _command(content: dict[str, Any]) -> list[str]:
    """What the command takes, and Eq. 3 on real landmarks."""
    ran, own = content["command"], content["ours"]["curves and contour"]
    lines = [
        f"Eq. 3 with curves and contour, cold, takes {1e3 / own['cold_per_s']:.2f} ms a fit: "
        f"{own['cold_per_s']:.0f} a second. After an installation all kernels compile in "
        f"{content['first_run_s']:.0f} s, in two processes.",
        "",
    ]
    real, again = ran["real"], ran["restarts"]
    return [
        *lines,
        "`glee fit3d` as the command runs it, with whitening, prior, witness and smoothing, shards "
        f"read and written: {ran['short_ms']:.2f} ms a frame on a real clip of 472 frames, "
        f"{ran['long_ms']:.2f} on 4,845; whitened without the prior "
        f"{ran['whitened_no_prior_ms']:.2f}.",
        "",
        f"Eq. 3 as published on {real['frames']} real frames, beside scipy (`trf`, tolerance "
        "1e-10) from the same start with the same contour: our energy over its "
        f"{real['energy_over_scipy']:.5f} in the median; f_exp lies "
        f"{real['f_exp_from_scipy_median']:.4f} from it in the median, "
        f"{real['f_exp_from_scipy_most']:.3f} at most (curves have kinks, and minima close to each "
        "other). A restart from our solution moves f_exp by "
        f"{real['restart_median']:.4f} in the median, {real['restart_most']:.3f} at most. Where "
        "the jaw's points are chosen too, a restart chooses others in "
        f"{100 * again['command']['other_jaw_points']:.0f} % of a real clip's frames as "
        "the command fits them (one identity), and moves f_exp by "
        f"{again['command']['moved_median']:.5f} in the median, by "
        f"{again['command']['moved_90']:.4f} in one frame of ten; with `--paper`, an "
        f"identity a frame, in {100 * again['paper']['other_jaw_points']:.0f} %, by "
        f"{again['paper']['moved_median']:.4f} and {again['paper']['moved_90']:.2f}.",
        "",
    ]


def recovery(content: dict[str, Any]) -> list[str]:
    """Noise, other models, the detector."""
    lines: list[str] = []
    for part, title in (("noise", "noise"), ("across_models", "across models")):
        rows = [
            [
                name,
                f"{r['r_median']:.3f}",
                f"{r['r_worst']:.2f}",
                f"{r['pose_deg']:.2f}",
                f"{r['rmse_percent']:.2f}",
            ]
            for name, r in content[part].items()
        ]
        head = [title, "median r of f_exp", "worst r", "pose, degrees", "rmse, % of eye distance"]
        lines += [*table(head, rows), ""]
    if "detector" in content:
        lines += detector(content["detector"])
    return lines


def detector(content: dict[str, Any]) -> list[str]:
    """Through dlib: by variant, by AU, by blendshape."""
    errors = ", ".join(f"{name} {100 * value:.1f}" for name, value in content["nme"].items())
    fits = content["fits"]
    aus = list(next(iter(fits.values()))["r_by_au"])
    rows = [
        [name, f"{r['r_median']:.3f}", *(f"{r['r_by_au'][au]:.2f}" for au in aus)]
        for name, r in fits.items()
    ]
    exact, best = fits["true landmarks, points"], fits["whitened, prior"]
    shapes = [
        [name, f"{std:.2f}", f"{exact['r'][name]:.2f}", f"{best['r'][name]:.2f}"]
        for name, std in sorted(exact["std"].items(), key=lambda item: -item[1])
    ]
    return [
        f"Through dlib on synthetic videos (landmark error in % of the eye distance: {errors}); "
        "by AU the best correlation of its intensity with a blendshape that it moves:",
        "",
        *table(["fit", "median r", *aus], rows),
        "",
        "What 68 points cannot see: the standard deviation that the Hessian predicts from true "
        "landmarks, and the correlations that come out:",
        "",
        *table(["blendshape", "predicted std", "r, true landmarks", "r, dlib"], shapes),
    ]


def train(content: dict[str, Any]) -> list[str]:
    """Loading, order of frames, steps, memory, exported network."""
    loading, step, inferred = content["loading"], content["step"], content["inference"]
    worker, kept = loading["one_worker"], loading["kept"]
    waiting = least_disturbed(kept["rgb"])
    orders = [
        [
            row["order"],
            f"{row['blocks_read_a_step']:.1f}",
            f"{row['std_of_batch_mean']:.4f}",
            f"{row['last_loss']:.4f}",
            f"{row['rms_to_full_shuffle']:.4f}",
        ]
        for row in content["order"]
    ]
    head = ["order of frames", "reads a step", "std of a batch's label mean", "last loss"]
    memory = [[str(row["batch"]), f"{row['peak_mb']:.0f}"] for row in content.get("memory", [])]
    return [
        f"One worker process makes {worker['crops_per_processor_s']:.0f} augmented 176x176 crops "
        f"with f_exp and labels in a second of processor time, from JPEG faces of "
        f"{loading['bytes_a_crop'] / 1000:.0f} KB in shards ({worker['crops_per_wall_s']:.0f} by "
        "the clock, on cores shared with other work). Then each crop is decoded once, in the first "
        f"epoch, and looked at in a memory-mapped file. A step that sleeps "
        f"{waiting['step_ms']:.0f} ms, as long as a GPU would work on 64 frames, and two workers, "
        f"on {loading['crops']} crops:",
        "",
        *waiting_times(content),
        "",
        "Busy is the processor time that a batch costs the workers, of what they have in a step; "
        "below 100 % they keep up where each has a core. Waiting is the share of all time by the "
        "clock; of the later epochs the one is shown whose processes queued least for a core, on "
        f"cores that others used too: they stood {waiting['queued_ms']:.1f} ms a step in the "
        "queue. Taking is the share that the step's own thread works to take its batch, which is "
        "what remains of waiting where the workers keep up.",
        "",
        *table([*head, "loss curve, rms from full shuffle"], orders),
        "",
        f"Preset `paper`, batch {step['batch']}, seconds of one core's processor time: a "
        f"plain PyTorch loop's step over ready tensors {step['bare_s']:.2f}; a trainer's, which "
        f"adds seeding, input and the gradient's norm, {step['trainer_s']:.2f}; with V_id from the "
        "shards "
        f"{step['cached_s']:.2f}. V_id's forward pass alone is {step['identity_forward_s']:.2f}: "
        "no more than that can be saved, since the face model and the local branch go forward and "
        "backward as before (17.7 of 20.5 GFLOPs a frame). 0.6 was out of reach from the start.",
        "",
        *table(["batch", "peak memory of a training process, MB"], memory),
        "",
        f"Inference on one core, batch {inferred['batch']}: eager "
        f"{inferred['eager_frames_per_s']:.1f} frames/s, exported and read back "
        f"{inferred['exported_frames_per_s']:.1f}; probabilities differ by at most "
        f"{inferred['largest_difference']:.1e}.",
    ]


WAITING = [
    *("crops", "us a look", "first epoch: busy", "waiting", "taking"),
    *("later epochs: busy", "waiting", "taking"),
]


def _waiting(name: str, row: dict[str, Any]) -> list[str]:
    """How long a training waits for its batches, by the way in which crops are kept."""
    cells = [name, f"{row['us_a_look']:.0f}"]
    for epoch in (row["first_epoch"], least_disturbed(row)):
        keys = ("busy_share", "wait_share", "taking_share")
        cells += [f"{100 * epoch[key]:.0f} %" for key in keys]
    return cells


def many_clips(content: dict[str, Any]) -> list[str]:
    """What both commands took over very many clips."""
    rows = [
        [
            f"`glee {name}`",
            f"{content[name]['cpu_s']:.0f}",
            f"{content[name]['wall_s']:.0f}",
            f"{content[name]['command_mb']:.0f}",
            f"{content[name]['worker_mb']:.0f}",
        ]
        for name in ("preprocess", "report")
    ]
    head = ["command", "processor time, s", "clock, s", "memory, MB", "a worker's, MB"]
    own = content["preprocess"]
    return [
        f"{content['clips']} clips of two frames each, {content['workers']} workers; the report "
        f"has {content['report']['mb']:.2f} MB.",
        "",
        *table(head, rows),
        "",
        f"{own['cpu_s'] / content['clips'] * 1e3:.0f} ms of processor time a clip, on cores shared "
        "with other work. Most of it is the networks: a clip's first frame is searched for faces "
        "in more than one orientation, so that two frames need three calls of the face detector "
        "and of the mesh. The command's own memory is that of PyTorch and of a detector, "
        "which it makes to refuse what is missing before any worker starts: with two clips it "
        "takes 476 MB.",
    ]


def peer_times(content: dict[str, Any]) -> list[str]:
    """The peers' times beside ours, for the page that compares tools."""
    rows = [
        [name, f"{peer['ms']:.3g}", f"{peer['ours_ms']:.2f}", f"{peer['ms'] / peer['ours_ms']:.0f}"]
        for name, peer in content["peers"].items()
    ]
    return table(["fit of one frame by", "ms", "ours beside it, ms", "ratio"], rows)


STARTS = {
    "random": "random weights",
    "alone": "one of our model alone",
    "shipped": "the embedding",
}
GIVEN = {"images": "images alone", "both": "images and f_exp", "f_exp": "f_exp alone"}


def embedding(content: dict[str, Any]) -> list[str]:
    """Triplets of both models' people, and Action Units of the other model's and in real clips."""
    of = content["triplets"]
    triplets = [
        [said, *(f"{100 * np.mean(of[whose]['right'][start]):.1f}" for whose in ("own", "ict"))]
        for start, said in STARTS.items()
        if start in of["own"]["right"]
    ]
    areas = [
        [
            f"{said}" if given == "f_exp" else f"{said}, from {STARTS[start]}",
            *(_over_seeds([row[kind] for row in rows]) for kind in ("ict_alike", "ict_apart")),
            _over_seeds([row["real"] for row in rows]),
        ]
        for given, said in GIVEN.items()
        for start, rows in content["action_units"][given].items()
    ]
    head = ["triplets right, % (chance 33.3)", "people of our model", "people of the other model"]
    kinds = ["other model, sides alike", "other model, sides apart", "real clips"]
    return [
        *table(head, triplets),
        "",
        *table(["Action Units, mean area under the curve", *kinds], areas),
        *(["", _of_demo(content["demo"])] if "demo" in content else []),
    ]


def _over_seeds(areas: list[float]) -> str:
    return f"{np.mean(areas):.2f} ({min(areas):.2f} to {max(areas):.2f})"


def _of_demo(f1: dict[str, float]) -> str:
    random, shipped = (f"{100 * f1[start]:.1f}" for start in ("random", "shipped"))
    return (
        f"`glee demo` given images alone has an F1 of {shipped} % from the embedding and {random} %"
        " from random weights; its people are of our model, and prove nothing about real ones."
    )


# What stands between two marks of another page: (page, first mark) -> (results, what writes it).
def waiting_times(content: dict[str, Any]) -> list[str]:
    """How long a training waits, by the way in which crops are kept."""
    return table(WAITING, [_waiting(name, row) for name, row in content["loading"]["kept"].items()])


def cached_step(content: dict[str, Any]) -> list[str]:
    """What kept identity features save."""
    share = content["step"]["cached_s"] / content["step"]["trainer_s"]
    return [
        f"A step then takes {share:.2f} of the time, not half of it: the frozen model only goes "
        "forward, 2.8 of a step's",
        "20.5 GFLOPs a frame; the face model and the local branch go forward and backward as "
        "before.",
    ]


def export_speed(content: dict[str, Any]) -> list[str]:
    """What an exported network gains."""
    inferred = content["inference"]
    ratio = inferred["exported_frames_per_s"] / inferred["eager_frames_per_s"]
    return [
        f"On one core the exported network is {ratio:.2f} times as fast as eager mode; "
        "convolutions, which both share, are three quarters of the time."
    ]


def marked(what: str, name: str) -> str:
    """The line before a block that is written from results."""
    return f"<!-- {what} of benchmarks/results/{name}.json -->"


BLOCKS = {
    ("comparison", marked("peers", "fit")): ("fit", peer_times),
    ("glee-net", marked("waiting", "train")): ("train", waiting_times),
    ("glee-net", marked("kept identity", "train")): ("train", cached_step),
    ("glee-net", marked("export", "train")): ("train", export_speed),
    ("experiments", "<!-- benchmarks/results/self_attention.json -->"): (
        "self_attention",
        partial(self_attention, table=table),
    ),
    ("experiments", "<!-- benchmarks/results/table5_rows.json -->"): (
        "table5_rows",
        partial(table5_rows, table=table),
    ),
    ("glee-net", "<!-- benchmarks/results/expression_embedding.json -->"): (
        "expression_embedding",
        embedding,
    ),
}
END = "<!-- end -->"


def with_blocks(page: str, text: str) -> str:
    """A page's text with the figures between its marks written anew."""
    for (where, mark), (name, write) in BLOCKS.items():
        if where == page:
            content = json.loads((HERE / "results" / f"{name}.json").read_text())
            before, _, rest = text.partition(mark)
            after = rest.partition(END)[2]
            text = "\n".join([before + mark, *write(content), END]) + after
    return text


SECTIONS = {"fit": fit, "recovery": recovery, "train": train, "many_clips": many_clips}


def benchmarks_page() -> str:
    """docs/benchmarks.md, from all results."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `benchmarks/write_docs.py`; every figure comes from a script in `benchmarks/` "
        "that runs the peer beside us in the same run. Missed targets are shown as missed.",
        "",
    ]
    for path in sorted((HERE / "results").glob("*.json")):
        content = json.loads(path.read_text())
        where = content["machine"]
        versions = ", ".join(f"{k} {v}" for k, v in where["versions"].items() if v)
        aims = [*targets(content), ""] if content["targets"] else []
        lines += [f"## {TITLES.get(path.stem, path.stem)}", "", *aims]
        section = SECTIONS.get(path.stem)
        if section is not None:
            lines += [*section(content), ""]
        elif path.stem == "preprocess":
            lines += [*preprocess(content, table), ""]
        elif path.stem in PAGES:
            page = PAGES[path.stem]
            lines += [f"Shown in [{page}]({page}.md).", ""]
        seed = f" --seed {content['seed']}" if "seed" in content else ""
        lines += [
            f"`benchmarks/{path.stem}.py{seed}` on {where['processor']}, "
            f"{where['cores']} cores, Python {where['python']}, {versions}.",
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Write the pages."""
    docs = HERE.parent / "docs"
    for page in {page for page, _ in BLOCKS}:
        path = docs / f"{page}.md"
        path.write_text(with_blocks(page, path.read_text()))
    (docs / "benchmarks.md").write_text(benchmarks_page())


if __name__ == "__main__":
    main()
