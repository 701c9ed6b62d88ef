"""Runs a tutorial's code blocks in order, and holds what they print against what the page says.

python docs/run_tutorial.py docs/tutorials/analyze.md FOLDER [--write]

A fenced block of `bash` or `python` is run, in FOLDER; the blocks of Python share their names. A
`text` block right behind is what it prints: words must be equal, numbers nearly, and all
numbers are free below the comment `<!-- figures vary -->`. With --write the page's text blocks and
the pictures that it shows are made anew from what came out.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"!\[[^]]*]\(([\w.-]+)\)")
VARY = "<!-- figures vary -->"
RELATIVE, ABSOLUTE = 0.05, 0.03
# What a clock measured is never the same.
TIMES = re.compile(r"[\d.]+( s)\b")


@dataclass(frozen=True)
class Block:
    """A fenced block. start, end: of its content in the page. free: its numbers may be any."""

    language: str
    content: str
    start: int
    end: int
    free: bool


def blocks_of(page: str) -> list[Block]:
    """The fenced blocks of a page of Markdown."""
    return [
        Block(match[1], match[2], *match.span(2), page[: match.start()].rstrip().endswith(VARY))
        for match in FENCE.finditer(page)
    ]


def run_page(page: Path, folder: Path) -> tuple[list[str], str]:
    """What differs from the page, a line each, and the page as it should be.

    Raises RuntimeError where a block fails.
    """
    text = page.read_text()
    names: dict[str, object] = {"__name__": "__main__"}
    said, differences, pieces, done = "", [], [], 0
    for block in blocks_of(text):
        if block.language in ("bash", "python"):
            runs = run_shell if block.language == "bash" else run_python
            said = runs(block.content, folder, names)
            sys.stderr.write(f"{page.name}: {block.content.strip().splitlines()[0]}\n")
        elif block.language == "text":
            if not alike(block.content, said, free=block.free):
                differences.append(f"{page.name} says\n{block.content}and there came\n{said}")
            pieces += [text[done : block.start], said]
            done = block.end
    return differences, "".join([*pieces, text[done:]])


def run_shell(code: str, folder: Path, _names: dict[str, object]) -> str:
    """What a block of bash prints on stdout; the first command that fails ends it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{code}\nexit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def run_python(code: str, folder: Path, names: dict[str, object]) -> str:
    """What a block of Python prints; its names are there for the next."""
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        exec(compile(code, "<tutorial>", "exec"), names)
    return printed.getvalue()


def alike(stated: str, said: str, *, free: bool) -> bool:
    """Whether two outputs have the same words, and numbers that are nearly the same."""
    left, right = (TIMES.sub(r"0\1", output).split() for output in (stated, said))
    return len(left) == len(right) and all(
        _alike(one, other, free) for one, other in zip(left, right, strict=True)
    )


def _alike(one: str, other: str, free: bool) -> bool:
    if one == other:
        return True
    first, second = _number(one), _number(other)
    if first is None or second is None:
        return False
    return free or math.isclose(first, second, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def _number(word: str) -> float | None:
    """A word's number; a lone dash stands for one that there is not."""
    try:
        return float(word.strip("()[],;%:")) if word != "-" else math.nan
    except ValueError:
        return None


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("page", type=Path)
    parser.add_argument("folder", type=Path, help="to work in; empty")
    parser.add_argument("--write", action="store_true", help="outputs and pictures of the page")
    arguments = parser.parse_args()
    os.environ["MPLBACKEND"] = "Agg"
    arguments.folder.mkdir(parents=True, exist_ok=True)
    page: Path = arguments.page.resolve()
    differences, text = run_page(page, arguments.folder.resolve())
    if arguments.write:
        for name in PICTURE.findall(text):
            shutil.copyfile(arguments.folder / name, page.parent / name)
        page.write_text(text)
        return 0
    sys.stdout.write("\n".join(differences) + "\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
