"""Options from the command line, the environment and glee.toml, in that order."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import click
import pytest

from glee.cli import commands, run
from glee.commands.settings import commands_below, options_of, variable_of


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder to be in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(capsys, *words):
    """Option -> (value, origin), as `glee config show` prints them."""
    assert run(["config", "show", *words, "--json"]) == 0
    settings = json.loads(capsys.readouterr().out)
    return {item["option"]: (item["value"], item["origin"]) for item in settings}


@pytest.fixture
def taken(monkeypatch):
    """What `glee verify` passes on to the library."""
    seen = {}

    def verify_dataset(dataset, root, **options):
        seen.update(dataset=dataset, root=str(root), **options)
        raise KeyboardInterrupt

    from glee.pipeline import verification

    monkeypatch.setattr(verification, "verify_dataset", verify_dataset)
    return seen


def test_command_line_then_environment_then_file(here, monkeypatch, taken, capsys):
    (here / "glee.toml").write_text('[verify]\ndataset = "fec"\nroot = "/file"\n')
    assert run(["verify"]) == 130
    assert (taken["dataset"], taken["root"]) == ("fec", "/file")
    monkeypatch.setenv("GLEE_VERIFY_DATASET", "bp4d")
    run(["verify"])
    assert (taken["dataset"], taken["root"]) == ("bp4d", "/file")
    run(["verify", "--dataset", "disfa"])
    assert taken["dataset"] == "disfa"


def test_origins_are_shown(here, monkeypatch, capsys):
    monkeypatch.setenv("GLEE_PREPROCESS_WORKERS", "3")
    (here / "glee.toml").write_text("[preprocess]\ndetect-every = 5\ncrop_size = 112\n")
    found = shown(capsys, "preprocess")
    assert found["workers"] == (3, "$GLEE_PREPROCESS_WORKERS")
    assert found["detect-every"] == (5, "glee.toml")
    assert found["crop-size"] == (112, "glee.toml")
    assert found["minimum-confidence"] == (0.4, "default")
    assert found["root"] == (None, "default")


def test_a_number_stands_for_text_and_for_a_fraction(here, capsys):
    (here / "glee.toml").write_text("[train]\nfold = 1\nema = 0\n[synth]\nwith = ['lip-texture']\n")
    assert shown(capsys, "train")["fold"] == ("1", "glee.toml")
    assert shown(capsys, "train")["ema"] == (0.0, "glee.toml")
    assert shown(capsys, "synth")["with"] == (["lip-texture"], "glee.toml")


def test_another_file(here, capsys):
    (here / "other.toml").write_text("[fit3d]\nwhiten = true\n[model.import]\nunit = 'mm'\n")
    assert run(["--config", "other.toml", "config", "show", "fit3d", "--json"]) == 0
    assert '"value": true' in capsys.readouterr().out
    assert run(["--config", "none.toml", "config", "show"]) == 1
    assert "no such settings file" in capsys.readouterr().err


def test_a_subcommand_and_its_variable(here, monkeypatch, capsys):
    (here / "glee.toml").write_text("[model.import]\nunit = 'mm'\n")
    monkeypatch.setenv("GLEE_MODEL_IMPORT_IDENTITY_MODES", "40")
    found = shown(capsys, "model", "import")
    assert found["unit"] == ("mm", "glee.toml")
    assert found["identity-modes"] == (40, "$GLEE_MODEL_IMPORT_IDENTITY_MODES")


def test_every_option_has_a_variable_of_its_own():
    context = click.Context(commands, info_name="glee", auto_envvar_prefix="GLEE")
    below = list(commands_below(commands, context))
    names = [variable_of(at, option) for _, at in below for option in options_of(at.command)]
    assert len(names) == len(set(names)) > 100
    assert "GLEE_TRAIN_LANDMARKS_RENDERS_FOLDER" in names
    assert "GLEE_STATUS_JSON" in names


def test_glee_s_own_options_and_their_origins(here, monkeypatch, capsys):
    (here / "glee.toml").write_text("[glee]\nquiet = true\n")
    monkeypatch.setenv("GLEE_LOG_FORMAT", "json")
    found = shown(capsys)
    assert found["quiet"] == (True, "glee.toml")
    assert found["log-format"] == ("json", "$GLEE_LOG_FORMAT")
    assert run(["--log-format", "text", "config", "show", "--json"]) == 0
    own = [item for item in json.loads(capsys.readouterr().out) if item["command"] == "glee"]
    origins = {item["option"]: item["origin"] for item in own}
    assert origins["log-format"] == "command line"


def test_a_setting_that_may_be_given_several_times(monkeypatch, capsys):
    monkeypatch.setenv("GLEE_SYNTH_WITHOUT", "lashes brows")
    assert shown(capsys, "synth")["without"] == (["lashes", "brows"], "$GLEE_SYNTH_WITHOUT")


def test_a_module_s_variable_of_the_version_is_left_alone(monkeypatch, capsys):
    monkeypatch.setenv("GLEE_VERSION", "0.1.0")
    assert run(["config", "show", "status"]) == 0


def test_a_wrong_value_in_the_environment_is_one_line_that_names_it(monkeypatch, capsys):
    monkeypatch.setenv("GLEE_FIT3D_WORKERS", "many")
    assert run(["fit3d", "work"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "$GLEE_FIT3D_WORKERS" in lines[0]
    assert "'many' is not a valid integer" in lines[0]


def test_variables_of_train_landmarks_are_none_of_train(monkeypatch, capsys):
    monkeypatch.setenv("GLEE_TRAIN_LANDMARKS_STEPS", "3")
    assert run(["train", "no-such-folder"]) == 1
    monkeypatch.setenv("GLEE_TRAIN_LANDMARK", "3")
    assert run(["train", "no-such-folder"]) == 2


def test_the_table_of_a_cluster_holds_its_own_options_too(here, capsys):
    (here / "glee.toml").write_text("[cluster]\ncores = 4\n[cluster.preview]\ncluster = 'pbs'\n")
    assert shown(capsys, "cluster", "preview")["cluster"] == ("pbs", "glee.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[preproces]\n", "did you mean preprocess?"),
        ("[preprocess]\ndetct-every = 5\n", "did you mean detect-every?"),
        ("[model.imprt]\nunit = 'mm'\n", "did you mean import?"),
        ("[glee]\nqiet = true\n", "did you mean quiet?"),
        ("preprocess = 3\n", "write its options as a table"),
        ("[preprocess]\nworkers = 'many'\n", "[preprocess] workers"),
        ("[preprocess]\nworkers = 1.5\n", "1.5 is not a valid integer"),
        ("[preprocess]\nworkers = true\n", "True is not a valid integer"),
        ("[analyze]\nfaces = [1, 2]\n", "[1, 2] is not one value"),
        ("[analyze]\nvideo = 3\n", "3 is not a valid boolean"),
        ("[analyze]\nout = 3\n", "3 is not a valid directory"),
        ("[analyze]\nformat = 2\n", "2 is not a valid choice"),
        ("[experiment]\nwork = 'a'\n", "'a' is not a list"),
        ("glee = 3\n", "write its options as a table"),
        ("[preprocess\n", "cannot be read"),
    ],
)
def test_wrong_files_are_one_line(here, capsys, text, said):
    (here / "glee.toml").write_text(text)
    assert run(["config", "show"]) in (1, 2)
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "glee.toml" in lines[0]
    assert said in lines[0]


def test_a_wrong_variable_is_refused_by_its_command_alone(monkeypatch, capsys):
    monkeypatch.setenv("GLEE_VERIFY_DATSET", "disfa")
    assert run(["verify"]) == 2
    assert "did you mean GLEE_VERIFY_DATASET?" in capsys.readouterr().err
    assert run(["config", "show", "verify"]) == 0


def test_the_statement_of_a_work_folder_is_no_settings_file(here, capsys):
    (here / "glee.toml").write_text('format = 1\n[preprocess]\ndataset = "disfa"\n')
    assert shown(capsys, "preprocess")["dataset"] == (None, "default")


def test_glee_s_own_options(here, monkeypatch, capsys):
    (here / "glee.toml").write_text("[glee]\nlog-format = 'json'\n")
    assert run(["inspect", "none.h5"]) == 1
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["logger"]) == ("error", "glee.cli")
    assert "none.h5" in line["message"]
    # The command line is stronger.
    assert run(["--log-format", "text", "inspect", "none.h5"]) == 1
    assert capsys.readouterr().err.startswith("glee: error: ")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_scripts(shell, capsys):
    assert run(["completion", shell]) == 0
    assert "_GLEE_COMPLETE" in capsys.readouterr().out


def test_completion_answers():
    code = "from glee.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"_GLEE_COMPLETE": "fish_complete", "COMP_WORDS": "glee pre", "COMP_CWORD": "pre"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "preprocess" in done.stdout
    assert "analyze" not in done.stdout


def test_the_settings_table_of_a_cluster_is_the_cluster_config(here, capsys):
    (here / "glee.toml").write_text('[cluster]\nprologue = ["module load x"]\n')
    assert shown(capsys, "preprocess")["cluster-config"] == ("glee.toml", "glee.toml")
    assert run(["cluster", "preview", "--cluster", "slurm"]) == 0
    assert "module load x" in capsys.readouterr().out
    (here / "mine.toml").write_text('[cluster]\nprologue = ["module load y"]\n')
    words = ["--cluster", "slurm", "--cluster-config", "mine.toml"]
    assert run(["cluster", "preview", *words]) == 0
    assert "module load y" in capsys.readouterr().out


def test_settings_of_another_user_are_left_out(here, monkeypatch, capsys):
    (here / "glee.toml").write_text("[preprocess]\nworkers = 3\n")
    owner = (here / "glee.toml").stat().st_uid
    assert shown(capsys, "preprocess")["workers"] == (3, "glee.toml")
    if owner == 0:  # what root owns is taken by everybody
        os.chown(here / "glee.toml", 12345, -1)
    else:
        monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    assert shown(capsys, "preprocess")["workers"] == (None, "default")
    assert "belongs to another user" in run_and_stderr(capsys)
    monkeypatch.setenv("GLEE_PREPROCESS_WORKERS", "5")
    assert run(["--config", "glee.toml", "config", "show", "preprocess", "--json"]) == 0


def run_and_stderr(capsys):
    assert run(["config", "show", "preprocess"]) == 0
    return capsys.readouterr().err
