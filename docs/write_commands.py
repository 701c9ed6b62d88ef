"""Writes the list of commands into docs/commands.md: python docs/write_commands.py [--check].

A line a command, with the first sentence of its help, in the order of `glee --help`; the page's
rest, every option, is made by mkdocs-click when the site is built. With --check nothing is written,
and the exit status is 1 where the page says something else.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from glee.cli import commands
from glee.commands.options import summary
from glee.commands.settings import commands_below

PAGE = Path(__file__).with_name("commands.md")
BEGIN = "<!-- by docs/write_commands.py -->\n"
END = "<!-- end -->\n"


def command_list() -> str:
    """All commands as a Markdown table."""
    context = click.Context(commands)
    rows = [
        f"| `glee {' '.join(words)}` | {summary(at.command)} |"
        for words, at in commands_below(commands, context)
    ]
    return "\n".join(["| command | what it does |", "|---|---|", *rows, ""])


def with_list(page: str) -> str:
    """The page with its list made anew."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{command_list()}\n{END}{tail}"


def main(words: list[str]) -> int:
    """Write the page, or look whether it is current."""
    written = PAGE.read_text(encoding="utf-8")
    current = with_list(written)
    if "--check" in words:
        return int(current != written)
    PAGE.write_text(current, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
