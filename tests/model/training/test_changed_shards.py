"""Figures of a run whose shards were made again since: `evaluate` and the report say so."""

from __future__ import annotations

import logging
import shutil

import numpy as np
import pytest
import torch

from glee.cli import run as glee
from glee.errors import OptionsError
from glee.model.data.au_dataset import load_frames
from glee.model.options import train_options
from glee.model.prediction.evaluation import evaluate
from glee.model.training.run_folder import changed_shards, write_data
from glee.model.training.training import train
from glee.pipeline.images.crops import encode_crop
from glee.pipeline.shards.shard import (
    EmbedArrays,
    add_embed,
    add_fit,
    list_shards,
    read_shard,
    write_shard,
)
from glee.reports.run_report import run_report


@pytest.fixture(scope="module")
def trained(work, tmp_path_factory):
    """A work folder with a run of one fold in it."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("trained") / "work"
    shutil.copytree(work, folder)
    options = train_options("compact", epochs=1, batch=30)
    train(folder, folder / "runs/compact", options, fold="1")
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of it, elsewhere."""
    shutil.copytree(trained, tmp_path / "moved")
    return tmp_path / "moved"


def made_again(path, *, f_exp=0.0, label=None, transform=0.0):
    """Write a shard anew, with what differs."""
    shard = read_shard(path)
    shard.frames.transform[:] += transform
    if label is not None:
        shard.labels[3, 0] = label
    crops = [encode_crop(shard.crop(row), shard.encoding) for row in range(len(shard))]
    path.unlink()
    write_shard(path, shard.header, shard.frames, crops, shard.labels, encoding=shard.encoding)
    shard.fit.f_exp[:] += np.float32(f_exp)
    add_fit(path, shard.fit)


def test_nothing_is_said_of_shards_as_they_were(folder):
    run = folder / "runs/compact"
    assert changed_shards(run) == ""
    for path in list_shards(folder):
        made_again(path)
        zeros = np.zeros((len(read_shard(path)), 4), np.float16)
        add_embed(path, EmbedArrays(zeros, zeros, "weights"))
    assert changed_shards(run) == ""


@pytest.mark.parametrize("change", [{"f_exp": 0.01}, {"label": 5}, {"transform": 1.0}])
def test_shards_that_were_made_again(folder, change, caplog):
    run = folder / "runs/compact"
    figures = evaluate(run).table
    path = list_shards(folder)[2]
    if change == {"label": int(read_shard(path).labels[3, 0])}:
        change = {"label": 0}
    made_again(path, **change)
    with caplog.at_level(logging.WARNING):
        assert evaluate(run).table == figures
    (record,) = caplog.records
    name = path.relative_to(folder / "shards").as_posix()
    assert f"of 6 in {folder} since then 1 changed ({name})" in record.message
    assert "1 changed" in run_report(run).lead


def test_training_again_does_not_take_them_for_those_of_the_run(folder):
    """Nothing in data.json differs where faces are cut otherwise and crops have no encoding."""
    run, options = folder / "runs/compact", train_options("compact", epochs=1, batch=30)
    train(folder, run, options, fold="1")
    made_again(list_shards(folder)[1], transform=1.0)
    with pytest.raises(OptionsError, match="made otherwise"):
        train(folder, run, options, fold="1")
    assert "1 changed" in changed_shards(run)


def test_shards_that_went_and_came(folder, capsys):
    first, *_, last = list_shards(folder)
    shutil.copy(first, last.with_name("000001.h5"))
    first.unlink()
    last.write_bytes(b"no shard")
    assert glee(["evaluate", str(folder / "runs/compact")]) == 0
    out, err = capsys.readouterr()
    assert "of 6" in err
    assert "1 changed, 1 gone, 1 new" in err
    assert "unseen subjects" in out


def test_a_run_that_stands_alone_says_nothing(folder, tmp_path):
    shutil.copytree(folder / "runs/compact", tmp_path / "elsewhere/run")
    assert changed_shards(tmp_path / "elsewhere/run") == ""
    (folder / "runs/compact/shards.json").unlink()
    made_again(list_shards(folder)[0], f_exp=1.0)
    assert changed_shards(folder / "runs/compact") == ""


def test_another_fit_is_no_matter_without_the_coefficients(folder, tmp_path):
    frames = load_frames(folder, size=50)
    for name, own_f_exp in (("with", True), ("without", False)):
        (tmp_path / name).mkdir()
        write_data(tmp_path / name, frames, {}, work=folder, own_f_exp=own_f_exp)
    for path in list_shards(folder):
        made_again(path, f_exp=0.5)
    assert "6 changed" in changed_shards(tmp_path / "with")
    assert changed_shards(tmp_path / "without") == ""
