"""Options from the command line, glee.toml and the environment, in that order."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from glee.cli import commands, run


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


def test_command_line_then_file_then_environment(here, monkeypatch, taken, capsys):
    monkeypatch.setenv("GLEE_VERIFY_DATASET", "bp4d")
    monkeypatch.setenv("GLEE_VERIFY_ROOT", "/environment")
    assert run(["verify"]) == 130
    assert (taken["dataset"], taken["root"]) == ("bp4d", "/environment")
    (here / "glee.toml").write_text('[verify]\ndataset = "fec"\n')
    run(["verify"])
    assert (taken["dataset"], taken["root"]) == ("fec", "/environment")
    run(["verify", "--dataset", "disfa"])
    assert taken["dataset"] == "disfa"


def test_origins_are_shown(here, monkeypatch, capsys):
    monkeypatch.setenv("GLEE_PREPROCESS_WORKERS", "3")
    (here / "glee.toml").write_text("[preprocess]\ndetect-every = 5\ncrop_size = 112\n")
    found = shown(capsys, "preprocess")
    assert found["workers"] == ("3", "$GLEE_PREPROCESS_WORKERS")
    assert found["detect-every"] == (5, "glee.toml")
    assert found["crop-size"] == (112, "glee.toml")
    assert found["minimum-confidence"] == (0.4, "default")
    assert found["root"] == (None, "default")


def test_a_number_stands_for_text_and_for_a_fraction(here, capsys):
    (here / "glee.toml").write_text("[train]\nfold = 1\nema = 0\n[synth]\nwith = ['lip-texture']\n")
    assert shown(capsys, "train")["fold"] == (1, "glee.toml")
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
    assert found["identity-modes"] == ("40", "$GLEE_MODEL_IMPORT_IDENTITY_MODES")


def test_every_option_has_a_variable_of_its_own(capsys):
    from glee.commands.settings import leaves, options_of, variable_name

    context = click.Context(commands)
    names = [
        variable_name(words, option)
        for words, command in leaves(commands, context)
        for option in options_of(command)
    ]
    assert len(names) == len(set(names)) > 100


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
