"""Dask's own logs, which are silenced: what a user must know, glee says in one line."""

from __future__ import annotations

import logging

# Dask gives some of them levels of their own, so that their parent's does not do.
_LOGGERS = ("distributed", "distributed.client", "tornado", "tornado.application", "asyncio")


def silence_dask() -> None:
    """After `distributed` has been imported, which sets the levels."""
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
