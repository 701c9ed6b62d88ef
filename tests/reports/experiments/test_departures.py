"""What stands between an experiment and the published figures, on hand-made shards."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from glee.model.data.provenance import fit_departures
from glee.pipeline.datasets import bp4d, bp4d_plus, disfa
from glee.pipeline.images.crops import encode_crop
from glee.pipeline.options import Fit3dOptions
from glee.pipeline.shards import shard
from glee.reports.experiments.comparison import (
    TableComparison,
    data_of,
    markdown_of,
    measured_row,
    published_table,
    text_of,
)
from glee.reports.experiments.departures import departures_of
from glee.reports.experiments.rows import ABLATION_ROWS, GLEE_NET, find_data
from glee.reports.experiments.trainings import Recipe

PAPER_FIT = asdict(Fit3dOptions().as_published())
PAPER = Recipe("paper", 0, False, "cpu", "facenet.pt", "", {})


def write(folder, dataset, subject, options):
    """One shard of one frame; no fit where `options` is None."""
    head = shard.ShardHeader(
        dataset=dataset,
        subject=subject,
        clip="clip",
        start=0,
        stop=1,
        source="clip.avi",
        source_size=1,
        source_hash="00" * 32,
        fps=20.0,
        frame_size=(640, 480),
        detector="none",
        options={},
        glee_version="0",
        au_names=("AU1",),
        label_kind="intensity",
    )
    frames = shard.FrameArrays(
        frame_id=np.array([1]),
        valid=np.array([True]),
        reason=np.zeros(1, np.uint8),
        confidence=np.ones(1, np.float32),
        landmarks=np.zeros((1, 68, 2), np.float32),
        transform=np.zeros((1, 2, 3)),
    )
    path = shard.shard_path(folder, subject, "clip", 0)
    crop = encode_crop(np.zeros((200, 200, 3), np.uint8))
    shard.write_shard(path, head, frames, [crop], np.zeros((1, 1), np.int8))
    if options is not None:
        shard.add_fit(
            path,
            shard.FitArrays(
                f_exp=np.zeros((1, 51), np.float32),
                f_exp_std=np.zeros((1, 51), np.float32),
                f_shape=np.zeros((1, 60), np.float32),
                pose=np.zeros((1, 6)),
                energy=np.zeros(1, np.float32),
                rmse=np.zeros(1, np.float32),
                iterations=np.ones(1, np.int32),
                converged=np.ones(1, bool),
                model="made-up",
                image_size=(640, 480),
                focal=960.0,
                options=options,
            ),
        )
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three datasets, fitted as the paper has it, and one face of FEC.

    Each has the shard of one subject and names all of them.
    """
    root = tmp_path_factory.mktemp("works")
    modules = (disfa, bp4d, bp4d_plus)
    for module in modules:
        write(root / module.NAME, module.NAME, module.SUBJECTS[0], PAPER_FIT)
    write(root / "fec", "fec", "faces", None)
    found = find_data(root / name for name in ("disfa", "bp4d", "bp4d-plus", "fec"))
    assert found["disfa"].subjects == ("SN001",)
    return found | {
        module.NAME: replace(found[module.NAME], subjects=tuple(sorted(module.SUBJECTS)))
        for module in modules
    }


def listed(data, recipe=PAPER, work="disfa", tested=None, faces="fec", given=None):
    work = given or data[work]
    faces = data[faces] if faces else None
    return departures_of((GLEE_NET,), work, data[tested] if tested else None, faces, recipe)


def test_nothing_is_listed_where_all_is_as_published(data):
    assert listed(data) == ()
    assert listed(data, work="bp4d") == ()
    assert listed(data, work="bp4d", tested="bp4d-plus") == ()


@pytest.mark.parametrize(
    ("recipe", "line"),
    [
        ({"facenet": ""}, "weights: random ones in both FaceNets"),
        ({"changes": {"epochs": 3}}, "training: epochs 3, not 10"),
        ({"changes": {"batch": 6}}, "training: batch 6, not 32"),
        ({"changes": {"person_specific": True}}, "training: person_specific True, not False"),
        ({"quick": True}, "folds: 1 alone"),
        ({"preset": "compact"}, "preset: compact, not paper"),
        ({"preset": "compact"}, "network: backbone 'resnet', not 'inception_resnet'"),
        ({"preset": "compact"}, "person_specific True, not False"),
        ({"preset": "compact"}, "pre-training: learning_rate 0.05, not 0.0002"),
    ],
)
def test_what_the_recipe_departs_in(data, recipe, line):
    assert any(line in one for one in listed(data, replace(PAPER, **recipe)))


def test_an_embedding_in_place_of_facenet_and_fec_is_named(data):
    """Not where FEC's shards are given, or FaceNet, or no row starts from any pre-training."""
    compact = replace(PAPER, preset="compact", facenet="")
    lines = listed(data, compact, faces=None)
    assert any("init embedded" in line for line in lines)
    assert not any("not pre-trained" in line or "random ones" in line for line in lines)
    assert not any("init embedded" in line for line in listed(data, compact))
    assert not any("init embedded" in line for line in listed(data, faces=None))
    elsewhere = replace(compact, changes={"init": "runs/x"})
    assert any("weights: init runs/x" in line for line in listed(data, elsewhere, faces=None))
    row = next(row for row in ABLATION_ROWS if row.name == "w/o pretrain")
    assert compact.training(row, None).init == ""
    assert compact.training(GLEE_NET, None).init == "embedded"
    assert compact.training(GLEE_NET, Path("runs/full")).init == "runs/full"
    assert compact.pretraining("full").init == ""


def test_what_the_people_and_folds_depart_in(data, tmp_path):
    assert any("not pre-trained" in one for one in listed(data, faces=None))
    few = replace(data["disfa"], subjects=disfa.SUBJECTS[:6])
    lines = listed(data, given=few)
    assert "subjects: 6 of 27 of disfa; SN007, SN008, SN009, ... lack" in lines
    rendered = replace(data["disfa"], synthetic=True)
    assert any("rendered by `glee synth` (disfa)" in one for one in listed(data, given=rendered))
    own = listed(data, work="bp4d-plus")
    assert own == ("folds: glee's own, no published ones of bp4d-plus are known",)
    split = tmp_path / "folds.json"
    named = {str(number): fold for number, fold in enumerate(disfa.FOLDS)}
    split.write_text(json.dumps(named))
    assert listed(data, replace(PAPER, split=str(split))) == ()
    named["0"], named["1"] = named["0"][1:], (*named["1"], named["0"][0])
    split.write_text(json.dumps(named))
    (line,) = listed(data, replace(PAPER, split=str(split)))
    assert line == f"folds: those of {split}, not the published ones"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, True) for name in ("whiten", "prior", "smooth", "witness", "visibility")],
        *(("identity", "subject"), ("bounds", False), ("curves", False), ("robust", "huber")),
        *(("expression_weight", 1e-3), ("temporal", 0.1), ("dense", "beside")),
        *(("units", "pixels"), ("jaw_by_pose", False)),
    ],
)
def test_every_option_of_the_fit_is_named(tmp_path, name, value):
    path = write(tmp_path, "disfa", "SN001", {**PAPER_FIT, name: value})
    (line,) = fit_departures([shard.read_shard(path)])
    assert line == f"fit3d {name} is {value!r}, with --paper {PAPER_FIT[name]!r}"


def test_the_papers_weights_may_be_stated_and_shards_may_differ(tmp_path):
    stated = {**PAPER_FIT, "expression_weight": 1e-4, "shape_weight": 1e-4}
    paths = [write(tmp_path, "disfa", "SN001", stated)]
    assert fit_departures(map(shard.read_shard, paths)) == ()
    paths.append(write(tmp_path, "disfa", "SN002", {**PAPER_FIT, "smooth": True}))
    paths.append(write(tmp_path, "disfa", "SN003", None))
    assert fit_departures(map(shard.read_shard, paths)) == (
        "fit3d smooth is True, with --paper False, in 1 of 3 shards",
        "no 3D fit, in 1 of 3 shards",
    )


def test_the_list_stands_above_the_table_and_in_the_json():
    aus = published_table(2).au_names
    f1 = {**dict.fromkeys(aus, 0.7), "mean": 0.7}
    row = measured_row("GLEE-Net", {"aus": list(aus), "f1": f1, "f1_interval": [0.6, 0.8]})
    lines = ("training: epochs 3, not 10", "subjects: 6 of 27")
    table = TableComparison("Table 2", published_table(2), (row,), "disfa", False, False)
    assert data_of(table)["comparable_with_published"]
    assert data_of(table)["departures"] == []
    assert "DEPARTURES" not in text_of(table)
    table = replace(table, departures=lines)
    content = data_of(table)
    assert not content["comparable_with_published"]
    assert content["departures"] == list(lines)
    for text in (text_of(table), markdown_of(table)):
        assert all(f"- {line}" in text for line in lines)
        assert text.index("epochs 3") < text.index("GLEE-Net")
        assert "not comparable with the published ones" in text


def test_epochs_batch_and_quick_reach_the_pretraining():
    given = replace(PAPER, changes={"epochs": 3, "batch": 6, "person_specific": True})
    options = given.pretraining("full")
    assert (options.epochs, options.batch, options.person_specific) == (3, 6, False)
    assert (options.most_triplets, options.learning_rate) == (0, 2e-4)
    quick = replace(PAPER, quick=True).pretraining("no-lb")
    assert (quick.epochs, quick.triplets, quick.most_triplets, quick.batch) == (1, 60, 60, 30)
    assert replace(given, quick=True).pretraining("full").epochs == 3
    assert PAPER.pretraining("full").epochs == 10
