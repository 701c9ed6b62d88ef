"""A refused training run leaves nothing behind; one that has trained keeps all."""

from __future__ import annotations

import logging

import pytest

from glee.errors import DataError, GleeError
from glee.model.network import config
from glee.model.options import train_options
from glee.model.training.run_folder import remove_if_refused
from glee.model.training.training import train

STATED = ("options.toml", "data.json")


def test_a_checkpoint_that_is_missing(work, tmp_path):
    options = train_options("compact", epochs=1, batch=30, init=str(tmp_path / "none.pt"))
    with pytest.raises(GleeError, match=r"none\.pt"):
        train(work, tmp_path / "run", options, fold="1")
    assert not (tmp_path / "run").exists()


def write_and_fail(run, files):
    with remove_if_refused(run, STATED, leads=True):
        for name in files:
            (run / name).parent.mkdir(parents=True, exist_ok=True)
            (run / name).touch()
        raise DataError("no")


def refused(run, *files):
    with pytest.raises(DataError, match="no"):
        write_and_fail(run, files)


def test_a_run_that_has_trained_stays(tmp_path):
    refused(tmp_path / "run", *STATED, "fold1/log.csv")
    assert len(list((tmp_path / "run").rglob("*.*"))) == 3


def test_what_was_there_stays(tmp_path):
    (tmp_path / "options.toml").touch()
    refused(tmp_path, "data.json")
    assert (tmp_path / "options.toml").exists()
    refused(tmp_path / "new", *STATED)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("preset", "said"), [("paper", 1), ("compact", 0)])
def test_the_papers_preset_says_how_shards_were_fitted(
    work, tmp_path, monkeypatch, caplog, tiny, preset, said
):
    """At its start, so also where nothing comes of the run."""
    monkeypatch.setitem(config.PRESETS, "paper", config.PRESETS["compact"])
    options = train_options(preset, epochs=1, batch=30, init=str(tmp_path / "none.pt"))
    with caplog.at_level(logging.WARNING), pytest.raises(GleeError):
        train(work, tmp_path / "run", options, fold="1")
    lines = [text for text in caplog.messages if "fitted otherwise than the paper" in text]
    assert len(lines) == said
    assert all("fit3d identity is 'subject', with --paper 'frame'" in line for line in lines)
