"""Runs one stage of glee under limits, as a process that a test may kill.

python run_stage.py preprocess|fit3d WORK [--root DISFA] [--workers N]
    [--cluster tcp://HOST:PORT] [--file-bytes N] [--open-files N] [--stuck-minutes N]
Exit code 0, or 1 with one line on stderr where glee reports an error; anything else is a defect.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
from pathlib import Path

from glee.errors import GleeError
from glee.pipeline.fit3d import fit3d
from glee.pipeline.options import PreprocessOptions
from glee.pipeline.preprocess import preprocess

OPTIONS = PreprocessOptions(chunk_frames=4, detector="steady")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("stage", choices=["preprocess", "fit3d"])
    parser.add_argument("work", type=Path)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cluster", default="local")
    parser.add_argument("--file-bytes", type=int)
    parser.add_argument("--open-files", type=int)
    parser.add_argument("--stuck-minutes", type=float)
    given = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    if given.file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (given.file_bytes, given.file_bytes))
    if given.open_files is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (given.open_files, given.open_files))
    where = {"cluster": given.cluster, "workers": given.workers, "progress": False}
    if given.cluster != "local":
        given.work.mkdir(exist_ok=True)
        config = given.work.with_suffix(".toml")
        config.write_text("[cluster]\nconnect_seconds = 10\nwait_minutes = 1\n")
        where |= {"workers": None, "cluster_config": config}
    elif given.stuck_minutes is not None:
        config = given.work.with_suffix(".toml")
        config.write_text(f"[cluster]\nstuck_minutes = {given.stuck_minutes}\n")
        where["cluster_config"] = config
    try:
        if given.stage == "preprocess":
            preprocess("disfa", given.root, given.work, options=OPTIONS, **where)
        else:
            fit3d(given.work, **where)
    except GleeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
