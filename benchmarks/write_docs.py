"""Writes docs/benchmarks.md from the JSON files in benchmarks/results.

python benchmarks/fit.py --json benchmarks/results/fit.json
python benchmarks/recovery.py --json benchmarks/results/recovery.json
python benchmarks/train.py --json benchmarks/results/train.json
python benchmarks/preprocess.py --json benchmarks/results/preprocess.json
python benchmarks/write_docs.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
}
# Where a benchmark's figures stand, if not here.
PAGES = {
    "bias": "model-card",
    "au_estimates": "action-units",
    "expression_embedding": "glee-net",
    **dict.fromkeys(("orderings", "pretraining"), "experiments"),
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
        *table(["distance", "cold fits/s", "warm fits/s", "steps a fit"], ours),
        "",
        *table(["peer", "ms a fit", "ours, ms", "ratio", "our energy / its"], peers),
        "",
        f"One identity for {joint['frames']:.0f} frames: {joint['joint_s']:.2f} s; each frame with "
        f"its own: {joint['alone_s']:.2f} s; peak memory of the process {joint['peak_mb']:.0f} MB. "
        f"A new process that fits one frame takes {content['start_s']:.2f} s from start to end.",
        "",
        "Times are processor time of one thread. scipy gets our residuals, our analytic Jacobian "
        "and our relative tolerance (1e-4); `lm` has no bounds, and neither has our fit beside it. "
        "eos is given our model, since its own is not in its wheel, and fits with the contour as "
        "its own demo does. The BLAS bound is one syrk and one posv of the smaller system a step; "
        "more than half of our steps use the factorisation of the step before again.",
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
    worker, waiting = loading["one_worker"], loading["gpu_step"]
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
        f"the clock, on cores shared with other work). A step that sleeps {waiting['step_ms']:.0f} "
        f"ms at batch 64 waits {waiting['median_wait_ms']:.1f} ms for two workers in the median, "
        f"by the clock on the same shared cores.{_waiting_shares(waiting)}",
        "",
        *table([*head, "loss curve, rms from full shuffle"], orders),
        "",
        f"Preset `paper`, batch {step['batch']}, seconds of one core's processor time: bare "
        f"forward, loss and backward {step['bare_s']:.2f}; a trainer's step, which adds seeding, "
        f"the gradient's norm and SGD, {step['trainer_s']:.2f}; with V_id from the shards "
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


def _waiting_shares(waiting: dict[str, float]) -> str:
    """What decides whether a training is ever bound by its data."""
    if "wait_share" not in waiting:
        return ""
    return (
        f" Of all time {100 * waiting['wait_share']:.1f} % is waiting. A batch costs the two "
        f"workers {100 * waiting['busy_share']:.0f} % of the processor time that they have in a "
        f"step, where each has a core; here the processes stood {waiting['queued_ms']:.1f} ms a "
        "step in the system's queue for one."
    )


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
    "shipped": "the embedding",
}
GIVEN = {"images": "images alone", "both": "images and f_exp", "f_exp": "f_exp alone"}


def embedding(content: dict[str, Any]) -> list[str]:
    """Triplets of both models' people, and Action Units of the other model's and in real clips."""
    of = content["triplets"]
    triplets = [
        [said, *(f"{100 * of[whose]['right'][start]:.1f}" for whose in ("own", "ict"))]
        for start, said in STARTS.items()
        if start in of["own"]["right"]
    ]
    areas = [
        [
            f"{said}" if given == "f_exp" else f"{said}, from {STARTS[start]}",
            *(f"{row[kind]:.3f}" for kind in ("ict_alike", "ict_apart", "real")),
        ]
        for given, said in GIVEN.items()
        for start, row in content["action_units"][given].items()
    ]
    head = ["triplets right, % (chance 33.3)", "people of our model", "people of the other model"]
    kinds = ["other model, sides alike", "other model, sides apart", "real clips"]
    return [
        *table(head, triplets),
        "",
        *table(["Action Units, mean area under the curve", *kinds], areas),
        *(["", _of_demo(content["demo"])] if "demo" in content else []),
    ]


def _of_demo(f1: dict[str, float]) -> str:
    random, shipped = (f"{100 * f1[start]:.1f}" for start in ("random", "shipped"))
    return (
        f"`glee demo` given images alone has an F1 of {shipped} % from the embedding and {random} %"
        " from random weights; its people are of our model, and prove nothing about real ones."
    )


# What stands between two marks of another page: (page, first mark) -> (results, what writes it).
BLOCKS = {
    ("comparison", "<!-- peers of benchmarks/results/fit.json -->"): ("fit", peer_times),
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
