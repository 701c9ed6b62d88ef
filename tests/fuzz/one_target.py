"""Fuzzes one parser in this process: python -m tests.fuzz.one_target NAME CORPUS [OPTION ...].

The options are libFuzzer's. Whatever the bytes, the parser must raise a GleeError of one line or
give something; anything else ends the process with a finding. The valid file is the first seed.
"""

from __future__ import annotations

import logging
import resource
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

from glee.errors import GleeError

from .targets import TARGETS, followed_functions

# Address space beyond what the process has at the start: a parser that asks for more is a finding.
ROOM = 3 << 30


def main() -> None:
    """Never returns: libFuzzer ends the process."""
    name, corpus, *options = sys.argv[1:]
    target = TARGETS[name]
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    folder = Path(tempfile.mkdtemp(prefix="glee-fuzz-"))
    path = folder / target.file
    target.write(path)
    seed = Path(corpus) / "valid"
    seed.write_bytes(path.read_bytes())
    target.read(path)
    for function in followed_functions():
        atheris.instrument_func(function)

    def attempt(content: bytes) -> None:
        path.write_bytes(target.right(content))
        try:
            target.read(path)
        except GleeError as error:
            if "\n" in str(error):
                raise AssertionError(f"more than one line: {error}") from error

    _limit_memory()
    largest = f"-max_len={2 * len(seed.read_bytes()) + 1000}"
    atheris.Setup([sys.argv[0], corpus, largest, *options], attempt)
    atheris.Fuzz()


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main()
