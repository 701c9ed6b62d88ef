"""What multiprocessing's forkserver does first, from which this machine's workers are forked.

Named in the forkserver's list of modules and imported there before all others; imported anywhere
else it does nothing. `local_cluster` makes the list.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from multiprocessing import forkserver, spawn
from typing import Any

from .options import ONE_THREAD, WORKER_NAME


def _prepare() -> None:
    # Ctrl-C and a closed terminal are for the driver, which ends its workers in its turn.
    os.setsid()
    # BLAS reads these when it is loaded, which importing Dask does.
    os.environ.update(ONE_THREAD)
    spawn.prepare = _without_main(spawn.prepare)
    if sys.platform.startswith("linux"):
        import_module("distributed.nanny")
        import_module(".dask_cluster", __package__).silence_dask()


def _without_main(prepare: Any) -> Any:
    """multiprocessing's preparation of a child, which for Dask's workers leaves out the script.

    It would run the user's script again, to its end where nothing in it asks for `__main__`. No
    task needs it: what a script defines travels by value.
    """

    def prepare_worker(data: dict[str, Any]) -> None:
        if data.get("name", "").startswith(WORKER_NAME):
            data = {key: value for key, value in data.items() if not key.startswith("init_main")}
        prepare(data)

    return prepare_worker


# The forkserver's program is one line, which takes this function into `__main__`.
if getattr(sys.modules["__main__"], "main", None) is forkserver.main:
    _prepare()
