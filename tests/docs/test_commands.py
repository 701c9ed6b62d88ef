"""docs/commands.md: the list of commands is current, and its examples can be given."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from glee.cli import commands

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXAMPLE = re.compile(r"^    (?:.* -m glee\.cli|glee) (.*)$", re.MULTILINE)
EXAMPLES = EXAMPLE.findall((DOCS / "commands.md").read_text(encoding="utf-8"))


def test_the_list_of_commands_is_current():
    command = [sys.executable, DOCS / "write_commands.py", "--check"]
    assert subprocess.run(command).returncode == 0, "run python docs/write_commands.py"


def test_there_are_examples():
    assert len(EXAMPLES) > 20


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_has_words_that_its_command_takes(example):
    words = shlex.split(example, comments=True)
    command, context = commands, click.Context(commands, info_name="glee")
    while isinstance(command, click.Group):
        name = words.pop(0)
        command = command.get_command(context, name)
        assert command is not None, example
        context = click.Context(command, info_name=name, parent=context)
    command.make_context(context.info_name, words, parent=context.parent)
