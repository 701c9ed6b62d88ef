"""Do heads that are trained on rendered people beat the table of Action Units? A trial.

python benchmarks/au_heads.py --json OUT [--seed N] [--quick]

Ridge regression on f_exp over rest, drawn to the table's reading, a small network on f_exp and the
blendshape network's outputs, and GLEE-Net compact on crops and f_exp, are trained on people of one
face model, of the other, and of both, and judged on other people of all, and on the real clips that
were coded by eye. Nothing of it is shipped unless it wins on the model that it has not seen and on
the real clips.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from au_estimates import areas_of_intensities
from au_people import UNTOLD, ReadPerson, by_au, read_clip, read_people
from face_measures import area_under_curve
from foreign_people import ICT
from landmark_videos import REAL
from machine import write_results
from numpy.typing import NDArray
from seen_action_units import SEEN, read_seen
from torch import nn

from glee.fitting.morphable_model.model_file import load_model
from glee.model.network.build_glee_net import build_glee_net
from glee.model.network.config import preset_config
from glee.pipeline.action_units.readings import AUS, au_readings
from glee.pipeline.images import CROP_SIZE

Floats = NDArray[np.float64]

OURS, OTHER = ("own_single", "own_rules"), ("ict_alike", "ict_apart")
JUDGED = ("own_single", "ict_alike", "ict_apart")
TRAINING, JUDGEMENT = 31, 0  # added to the seed
PEOPLE, FRAMES = 8, 60
QUICK_PEOPLE, QUICK_FRAMES = 2, 30
THERE = 1.5
CALM = 30.0
DRAWN = 30.0  # weight of the ridge's pull to the table
NET_EPOCHS, NET_BATCH = 8, 32
HIDDEN, EPOCHS, BATCH, RATE, DECAY = 64, 60, 256, 1e-3, 1e-3
READINGS = au_readings(load_model().expression_names)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="less than two minutes")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if not (ICT.is_file() and SEEN.is_file()):
        print(f"{ICT} or {SEEN}: it is not there; nothing is measured")
        write_results(arguments.json, {"benchmark": "au_heads", "rows": {}}, [])
        return 0
    content = {
        "benchmark": "au_heads",
        "seed": arguments.seed,
        "quick": arguments.quick,
        "rows": judge(arguments),
    }
    write_results(arguments.json, content, [])
    return 0


def judge(arguments: argparse.Namespace) -> dict[str, Any]:
    """A row a way to estimate: area and r by kind, and the mean area on real clips."""
    quick = arguments.quick
    people, frames = (QUICK_PEOPLE, QUICK_FRAMES) if quick else (PEOPLE, FRAMES)

    def read(kind: str, seed: int) -> list[ReadPerson]:
        return list(read_people(kind, arguments.seed + seed, people, frames, crops=True))

    trained = {kind: read(kind, TRAINING) for kind in (*OURS, *OTHER)}
    judged = {kind: read(kind, JUDGEMENT) for kind in JUDGED}
    seen = read_seen()
    clips = {name: read_clip(REAL / name, crops=True) for name in sorted({one[0] for one in seen})}
    sets = {
        "glee's people": [one for kind in OURS for one in trained[kind]],
        "the other model's people": [one for kind in OTHER for one in trained[kind]],
    }
    sets["both"] = [one for own in list(sets.values()) for one in own]
    ways: dict[str, Any] = {"the table": lambda person: by_au(risen(person), READINGS)}
    for whose, own in sets.items():
        ways[f"ridge, {whose}"] = ridge(own)
        ways[f"network, {whose}"] = network(own, arguments.seed)
        ways[f"GLEE-Net compact, {whose}"] = glee_net(own, arguments.seed)
    rows = {}
    for name, way in ways.items():
        row = {kind: measures(way, own) for kind, own in judged.items()}
        found = {clip: way(person) for clip, person in clips.items()}
        rows[name] = {**row, "real": areas_of_intensities(found, seen)}
        shown = "  ".join(f"{kind} {one['auc']:.3f}/{one['r']:.3f}" for kind, one in row.items())
        print(f"{name:34s} {shown}  real {rows[name]['real']['mean']:.3f}", flush=True)
    return rows


def over_rest(person: ReadPerson, values: Floats) -> Floats:
    """Values (n, k) over their median in the calmest frames, 0 below it and without a face."""
    calm = person.activity <= np.nanpercentile(person.activity, CALM)
    return np.nan_to_num(np.maximum(values - np.nanmedian(values[calm], axis=0), 0.0))


def risen(person: ReadPerson) -> Floats:
    """Readings (n, m) over rest."""
    return over_rest(person, person.read)


def truths(people: list[ReadPerson]) -> Floats:
    """Of the stronger side (n, a), 0 to 1; 0 for AUs without truth."""
    return np.nan_to_num(np.concatenate([by_au(one.truth, READINGS) for one in people])) / 5.0


def ridge(people: list[ReadPerson]) -> Any:
    """Linear weights, drawn to those of the table; a function of a person."""
    features = np.concatenate([over_rest(one, one.f_exp) for one in people])
    table = np.concatenate([by_au(risen(one), READINGS) for one in people])
    truth = truths(people)
    scale = (table * truth).sum(0) / np.maximum((table**2).sum(0), 1e-9)
    left = features.T @ features + DRAWN * np.eye(features.shape[1])
    more = np.linalg.solve(left, features.T @ (truth - scale * table))
    return lambda one: scale * by_au(risen(one), READINGS) + over_rest(one, one.f_exp) @ more


def network(people: list[ReadPerson], seed: int) -> Any:
    """A network with one hidden layer on f_exp and outputs over rest; a function of a person."""

    def features(one: ReadPerson) -> torch.Tensor:
        both = [over_rest(one, one.f_exp), over_rest(one, one.outputs)]
        return torch.tensor(np.concatenate(both, axis=1), dtype=torch.float32)

    torch.manual_seed(seed)
    inputs = torch.cat([features(one) for one in people])
    truth = torch.tensor(truths(people), dtype=torch.float32)
    net = nn.Sequential(
        nn.Linear(inputs.shape[1], HIDDEN), nn.ReLU(), nn.Dropout(0.3), nn.Linear(HIDDEN, len(AUS))
    )
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(inputs)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.mse_loss(net(inputs[batch]), truth[batch]).backward()
            optimizer.step()
    net.eval()

    def estimate(one: ReadPerson) -> Floats:
        with torch.no_grad():
            return np.asarray(net(features(one)).numpy(), np.float64)

    return estimate


def glee_net(people: list[ReadPerson], seed: int) -> Any:
    """GLEE-Net compact on crops and f_exp over rest, from nothing; a function of a person."""
    torch.manual_seed(seed)
    config = preset_config("compact", tuple(f"AU{au}" for au in AUS))
    net = build_glee_net(config)
    edge = (CROP_SIZE - config.image_size) // 2

    def faces(one: ReadPerson) -> torch.Tensor:
        assert one.crops is not None
        middle = slice(edge, edge + config.image_size)
        return torch.from_numpy(one.crops[:, middle, middle]).permute(0, 3, 1, 2)

    def coefficients(one: ReadPerson) -> torch.Tensor:
        return torch.tensor(over_rest(one, one.f_exp), dtype=torch.float32)

    images = torch.cat([faces(one) for one in people])
    f_exp = torch.cat([coefficients(one) for one in people])
    truth = torch.tensor(truths(people), dtype=torch.float32)
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    for _ in range(NET_EPOCHS):
        for batch in torch.randperm(len(images)).split(NET_BATCH):
            optimizer.zero_grad()
            found = net((images[batch].float() - 127.5) / 128, f_exp[batch])
            losses = [
                nn.functional.binary_cross_entropy_with_logits(logits, truth[batch])
                for logits in (found.initial, found.final)
            ]
            sum(losses).backward()
            optimizer.step()
    net.eval()

    def estimate(one: ReadPerson) -> Floats:
        with torch.no_grad():
            parts = zip(
                faces(one).split(NET_BATCH), coefficients(one).split(NET_BATCH), strict=True
            )
            logits = [net((image.float() - 127.5) / 128, shape).final for image, shape in parts]
            return np.asarray(torch.sigmoid(torch.cat(logits)).numpy(), np.float64)

    return estimate


def measures(way: Any, people: list[ReadPerson]) -> dict[str, float]:
    """Means over the AUs of the area and of r."""
    found = np.concatenate([way(one) for one in people])
    truth = 5.0 * truths(people)
    areas, r = [], []
    for place, au in enumerate(AUS):
        area = area_under_curve(found[:, place], truth[:, place] >= THERE)
        if au in UNTOLD or area is None:
            continue
        areas.append(area)
        r.append(float(np.corrcoef(found[:, place], truth[:, place])[0, 1]))
    return {"auc": float(np.mean(areas)), "r": float(np.nanmean(r))}


if __name__ == "__main__":
    sys.exit(main())
