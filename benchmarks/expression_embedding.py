"""What the expression embedding that comes with glee sees: on the other face model, on real clips.

python benchmarks/expression_embedding.py --json OUT [--alone FILE] [--demo DEMO]
    [--folder FOLDER] [--seed N] [--seeds 3] [--quick]

Two questions of faces that the training did not see. Triplets as FEC has them, three photographs of
three people who move by the rules of `glee synth`: are the two whose f_exp are nearest also nearest
in E_exp? And GLEE-Net compact, trained for Action Units on rendered people of our model, from
random weights and from the embedding, given images alone, f_exp alone, or both: mean area under the
curve on people of the other model, and on real clips that were coded by eye. The embedding that is
shipped has seen people of both models; --alone takes one that has seen ours alone (`--own` of the
training), which the other model can judge. A seed draws people, networks and their training; the
clips stay. --demo takes the folder of a finished `glee demo` and reports
its F1 from images alone with the embedding beside its own; its people are of our model.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from au_estimates import areas_of_intensities
from au_heads import DECAY, NET_BATCH, RATE, THERE, TRAINING
from au_people import UNTOLD
from embedding_faces import Photographs, ReadFaces, faces_of_clip, faces_of_kind, photographs
from face_measures import area_under_curve
from foreign_people import ICT
from landmark_videos import REAL
from machine import Target, write_results
from numpy.typing import NDArray
from seen_action_units import SEEN, read_seen
from torch.nn import functional

from glee.model.data.augmentation import resized_face, stored_size
from glee.model.expression_embedding import EMBEDDING_PATH, load_embedding
from glee.model.network.build_glee_net import build_glee_net
from glee.model.network.config import preset_config
from glee.model.network.glee_net import GLEENet
from glee.model.options import read_options
from glee.model.prediction.evaluation import evaluate
from glee.model.training.training import train
from glee.pipeline.action_units.readings import AUS
from glee.pipeline.synthesis.triplets import odd_one

Floats = NDArray[np.float64]

OWN, OTHER = ("own_single", "own_rules"), ("ict_alike", "ict_apart")
PEOPLE, FRAMES, JUDGED_PEOPLE = 6, 40, 5
PHOTOGRAPHED, TRIPLETS = {"own": (40, 5), "ict": (60, 6)}, 4000  # people, photographs of each
IMAGES_ALONE = "run_images"  # the demo's run
# What GLEE-Net is given, and its ablation.
GIVEN = {"images": "no-3dgb", "both": "full", "f_exp": "no-gb-lb"}
AT_ONCE = 64
EPOCHS = 6


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--demo", type=Path, help="Folder of a finished `glee demo`.")
    parser.add_argument("--folder", type=Path, help="What was read; kept. [default: a new one]")
    parser.add_argument("--alone", type=Path, help="An embedding that has seen our model alone.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="less than two minutes")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    content: dict[str, Any] = {
        "benchmark": "expression_embedding",
        "seed": given.seed,
        "seeds": 1 if given.quick else given.seeds,
        "quick": given.quick,
        "bytes": EMBEDDING_PATH.stat().st_size,
        "triplets": {},
        "action_units": {},
    }
    if not (ICT.is_file() and SEEN.is_file()):
        print(f"{ICT} or {SEEN}: it is not there; nothing is measured")
        write_results(given.json, content, [])
        return 0
    starts: dict[str, Path | None] = {"random": None}
    starts |= {} if given.alone is None else {"alone": given.alone}
    starts["shipped"] = EMBEDDING_PATH
    folder = given.folder or Path(tempfile.mkdtemp(prefix="expression-embedding-"))
    for seed in range(given.seed, given.seed + content["seeds"]):
        judge_triplets(content["triplets"], starts, folder, seed, quick=given.quick)
        judge_action_units(content["action_units"], starts, folder, seed, quick=given.quick)
    if given.demo is not None:
        content["demo"] = judge_demo(given.demo, folder)
    write_results(given.json, content, targets(content))
    return 0


def judge_demo(demo: Path, folder: Path) -> dict[str, float]:
    """Mean F1 of the demo's images alone, from random weights and from the embedding."""
    options = replace(read_options(demo / IMAGES_ALONE), init="")
    train(demo / "work", folder / "demo-images-random", options, device="cpu")
    runs = {"random": folder / "demo-images-random", "shipped": demo / IMAGES_ALONE}
    return {name: evaluate(run).results["f1"]["mean"] for name, run in runs.items()}


def network_from(start: Path | None, ablation: str, seed: int) -> GLEENet:
    """GLEE-Net compact for the AUs of `glee analyze`, from random weights or from an embedding."""
    torch.manual_seed(seed)
    network = build_glee_net(preset_config("compact", tuple(f"AU{au}" for au in AUS), ablation))
    if start is not None and ablation != "no-gb-lb":
        load_embedding(network, start)
    return network


def faces(crops: NDArray[np.uint8], size: int) -> torch.Tensor:
    """Aligned faces (n, 200, 200, 3) as a network of `size` pixels sees them."""
    stored = stored_size(size)
    edge = (stored - size) // 2
    middle = slice(edge, edge + size)
    shrunk = np.stack([resized_face(crop, stored)[middle, middle] for crop in crops])
    return torch.from_numpy(shrunk).permute(0, 3, 1, 2)


def normed(image: torch.Tensor) -> torch.Tensor:
    """Bytes as network input."""
    return (image.float() - 127.5) / 128


def judge_triplets(
    rows: dict[str, Any],
    starts: Mapping[str, Path | None],
    folder: Path,
    seed: int,
    *,
    quick: bool,
) -> None:
    """Add shares of FEC-form triplets right, by model and start."""
    for whose, sizes in PHOTOGRAPHED.items():
        people, each = (9, 4) if quick else sizes
        seen = photographs(whose, seed, people, each, folder)
        row = rows.setdefault(whose, {"faces": len(seen.crops), "people": people, "right": {}})
        for name, start in starts.items():
            right = triplets_right(network_from(start, "no-3dgb", seed), seen, seed)
            row["right"].setdefault(name, []).append(right)
            print(f"triplets of {whose} people, {name}: {100 * right:.1f} %", flush=True)


def triplets_right(network: GLEENet, seen: Photographs, seed: int) -> float:
    """Share of triplets of three people whose nearest pair in f_exp is nearest in E_exp."""
    network.eval()
    images = faces(seen.crops, preset_config("compact", ()).image_size)
    with torch.inference_mode():
        parts = [network.embed(normed(part)) for part in images.split(AT_ONCE)]
    embedding = functional.normalize(torch.cat(parts), dim=1).double().numpy()
    rng = np.random.default_rng([seed, 4])
    right = 0
    for _ in range(TRIPLETS):
        people = rng.choice(np.unique(seen.person), 3, replace=False)
        rows = [int(rng.choice(np.flatnonzero(seen.person == one))) for one in people]
        odd, _ = odd_one(seen.f_exp[rows].astype(np.float32))
        found, _ = odd_one(embedding[rows])
        right += odd == found
    return right / TRIPLETS


def judge_action_units(
    rows: dict[str, Any],
    starts: Mapping[str, Path | None],
    folder: Path,
    seed: int,
    *,
    quick: bool,
) -> None:
    """Add mean areas of each network by what it is given, where it starts, and who is judged."""
    people, frames, judged = (2, 30, 2) if quick else (PEOPLE, FRAMES, JUDGED_PEOPLE)
    trained = [faces_of_kind(kind, seed + TRAINING, people, frames, folder) for kind in OWN]
    other = {kind: faces_of_kind(kind, seed, judged, frames, folder) for kind in OTHER}
    seen = read_seen()
    # A frame's place among those of its clip that were coded, in which it is kept.
    coded = {name: sorted({one[1] for one in seen if one[0] == name}) for name in names_of(seen)}
    clips = {name: faces_of_clip(REAL / name, wanted, folder) for name, wanted in coded.items()}
    seen = [(clip, coded[clip].index(frame), au, there) for clip, frame, au, there in seen]
    for what, ablation in GIVEN.items():
        for name, start in starts.items():
            if what == "f_exp" and name != "random":
                continue
            network = network_from(start, ablation, seed)
            fit_network(network, trained, seed)
            row: dict[str, Any] = {
                kind: mean_area(estimates(network, one), one.truth) for kind, one in other.items()
            }
            found = {clip: estimates(network, one) for clip, one in clips.items()}
            row["real"] = areas_of_intensities(found, seen)["mean"]
            rows.setdefault(what, {}).setdefault(name, []).append(row)
            shown = "  ".join(f"{kind} {area:.3f}" for kind, area in row.items())
            print(f"{what:7s} from {name:15s} {shown}", flush=True)


def names_of(seen: list[tuple[str, int, int, bool]]) -> list[str]:
    """The clips that were coded."""
    return sorted({one[0] for one in seen})


def fit_network(network: GLEENet, people: list[ReadFaces], seed: int) -> None:
    """Eq. 5's cross entropy with intensities, on frames in random order."""
    size = preset_config("compact", ()).image_size
    images = torch.cat([faces(one.crops, size) for one in people])
    f_exp = torch.from_numpy(np.concatenate([one.f_exp for one in people])).float()
    truth = np.nan_to_num(np.concatenate([one.truth for one in people])) / 5.0
    aim = torch.from_numpy(truth).float()
    torch.manual_seed(seed)
    trained = [one for one in network.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(trained, RATE, weight_decay=DECAY)
    network.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images)).split(NET_BATCH):
            optimizer.zero_grad()
            found = network(normed(images[batch]), f_exp[batch])
            losses = [
                functional.binary_cross_entropy_with_logits(logits, aim[batch])
                for logits in (found.initial, found.final)
            ]
            torch.stack(losses).sum().backward()
            optimizer.step()
    network.eval()


def estimates(network: GLEENet, people: ReadFaces) -> Floats:
    """Probabilities (n, a)."""
    images = faces(people.crops, preset_config("compact", ()).image_size)
    f_exp = torch.from_numpy(people.f_exp).float()
    with torch.inference_mode():
        parts = zip(images.split(AT_ONCE), f_exp.split(AT_ONCE), strict=True)
        logits = torch.cat([network(normed(image), own).final for image, own in parts])
    return np.asarray(torch.sigmoid(logits).numpy(), np.float64)


def mean_area(found: Floats, truth: Floats) -> float:
    """Mean over the AUs of the area under the curve."""
    areas = []
    for place, au in enumerate(AUS):
        if au not in UNTOLD:
            area = area_under_curve(found[:, place], np.nan_to_num(truth[:, place]) >= THERE)
            areas += [] if area is None else [area]
    return float(np.mean(areas))


def targets(content: dict[str, Any]) -> list[Target]:
    """On the other model by an embedding that has not seen it; on real clips by what is shipped."""
    right = content["triplets"]["ict"]["right"].get("alone")
    rows = content["action_units"]["images"].get("alone")
    area = None if rows is None else np.mean([row[kind] for row in rows for kind in OTHER])
    real = {
        what: np.mean([row["real"] for row in content["action_units"][what][name]])
        for what, name in (("images", "random"), ("both", "shipped"), ("f_exp", "random"))
    }
    images = np.mean([row["real"] for row in content["action_units"]["images"]["shipped"]])
    measured = not content["quick"]
    return [
        Target(
            "triplets_right_other_model",
            float(np.mean(right)) if measured and right else None,
            0.70,
            "higher",
        ),
        Target(
            "auc_images_alone_other_model",
            float(area) if measured and area is not None else None,
            0.75,
            "higher",
        ),
        Target(
            "auc_real_images_over_random",
            float(images - real["images"]) if measured else None,
            0.0,
            "higher",
        ),
        Target(
            "auc_real_full_over_f_exp",
            float(real["both"] - real["f_exp"]) if measured else None,
            0.0,
            "higher",
        ),
        Target("embedding_bytes", content["bytes"], 6_000_000, "lower"),
    ]


if __name__ == "__main__":
    sys.exit(main())
