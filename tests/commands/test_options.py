"""Options: one meaning a name, whole sentences, former names that are still taken."""

from __future__ import annotations

import json
from collections import defaultdict

import click
import pytest

from glee.cli import commands, run
from glee.commands.options import former_name, output_option, summary
from glee.commands.settings import commands_below, options_of
from glee.pipeline.datasets import DATASETS

BELOW = [at for _, at in commands_below(commands, click.Context(commands, info_name="glee"))]


def first_sentence(text):
    return text.split(". ")[0].split(" [default")[0].rstrip(".")


def test_an_option_has_one_meaning_in_all_commands():
    said = defaultdict(dict)
    for at in BELOW:
        for option in options_of(at.command):
            for name in option.opts:
                if name.startswith("--"):
                    said[name][first_sentence(option.help), type(option.type)] = at.command_path
    assert len(said) > 80
    several = {name: meanings for name, meanings in said.items() if len(meanings) > 1}
    assert several == {}


def test_every_option_is_told_of_in_a_whole_sentence():
    for at in BELOW:
        for option in options_of(at.command):
            where = f"{at.command_path} {option.opts[0]}"
            assert option.help, where
            text = option.help.split(" [default")[0]
            assert text[0].isupper() or text.startswith("f_exp"), where
            assert text.endswith("."), where
            assert not text.startswith("Of "), where


def test_an_option_s_parameter_is_its_long_name():
    """So the key of the file and the variable follow from the name alone."""
    for at in BELOW:
        for option in options_of(at.command):
            longest = next(name for name in option.opts if name.startswith("--"))
            assert option.name == longest[2:].replace("-", "_"), at.command_path


def test_the_help_of_dataset_names_all_of_them():
    helps = [o.help for at in BELOW for o in options_of(at.command) if o.opts == ["--dataset"]]
    assert helps
    for text in helps:
        named = text.removeprefix("Layout of the dataset: ").partition(".")[0]
        assert sorted(named.replace(" or ", ", ").split(", ")) == list(DATASETS)


def test_no_summary_is_cut(capsys):
    assert run(["--help"]) == 0
    shown = " " + " ".join(capsys.readouterr().out.partition("Commands:")[2].split())
    assert "..." not in shown
    for name in commands.list_commands(click.Context(commands)):
        said = summary(commands.get_command(click.Context(commands), name))
        assert said.endswith(".")
        assert f" {name} {said}" in shown


@pytest.fixture
def trained(monkeypatch):
    """What `glee train` passes on to the library."""
    seen = {}

    def train(work, run, options, **more):
        seen.update(options=options, **more)
        raise KeyboardInterrupt

    from glee.model.training import training

    monkeypatch.setattr(training, "train", train)
    return seen


def test_a_former_name_is_taken_with_a_note(trained, capsys):
    assert run(["train", "work", "--identity", "cached", "--workers", "3"]) == 130
    assert trained["options"].identity == "cached"
    notes = capsys.readouterr().err
    assert "--identity is called --identity-branch now" in notes
    assert "--workers is called --loaders now" in notes
    assert run(["train", "work", "--identity-branch", "cached"]) == 130
    assert "is called" not in capsys.readouterr().err


def test_the_present_name_is_stronger(trained, capsys):
    words = ["--identity-branch", "live", "--identity", "cached"]
    assert run(["train", "work", *words]) == 130
    assert trained["options"].identity == "live"


def test_a_value_of_a_former_name_is_checked(capsys):
    assert run(["train", "work", "--identity", "subject"]) == 2
    assert "'subject' is not one of 'live', 'cached'" in capsys.readouterr().err


def test_former_names_in_the_environment_and_in_the_file(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLEE_TRAIN_IDENTITY", "cached")
    assert run(["train", "work"]) == 130
    assert trained["options"].identity == "cached"
    note = "$GLEE_TRAIN_IDENTITY is called $GLEE_TRAIN_IDENTITY_BRANCH now"
    assert note in capsys.readouterr().err
    monkeypatch.delenv("GLEE_TRAIN_IDENTITY")
    (tmp_path / "glee.toml").write_text("[train]\nidentity = 'cached'\n")
    assert run(["train", "work"]) == 130
    assert trained["options"].identity == "cached"
    assert "[train] identity is called identity-branch now" in capsys.readouterr().err
    # The environment is stronger than the file, whichever name is used.
    monkeypatch.setenv("GLEE_TRAIN_IDENTITY", "live")
    assert run(["train", "work"]) == 130
    assert trained["options"].identity == "live"


def test_former_names_are_not_in_the_help(capsys):
    assert run(["predict", "--help"]) == 0
    assert "--work " not in capsys.readouterr().out


def test_a_required_option_may_have_its_former_name(tmp_path, capsys):
    @click.command()
    @output_option("It is small.")
    @click.option("--folder")
    @former_name("--place", "folder")
    def command(**options):
        click.echo(json.dumps({name: str(value) for name, value in options.items()}))

    command.main(["--out", "a.txt", "--place", "b"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out) == {"output": "a.txt", "folder": "b"}
    with pytest.raises(click.MissingParameter):
        command.main([], standalone_mode=False)
    with pytest.raises(click.NoSuchOption):
        command.main(["--output", "a.txt", "--plac", "b"], standalone_mode=False)
