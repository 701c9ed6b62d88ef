"""A folder's public names, loaded from their files when they are first asked for.

Importing one file of a folder then imports no other: `glee --help` loads no torch, and reading a
shard compiles no kernel.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


class _Folder(ModuleType):
    """A package whose public names lie in its files.

    A name can be that of its file, as `fit` of `fit.py`. Python makes an imported file an attribute
    of its package, which would hide the function behind the module; such attributes are not kept.
    """

    _homes: Mapping[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        if name not in self._homes:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{self._homes[name]}", self.__name__), name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and name in self._homes):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._homes})


def load_when_asked(package: str, files: Mapping[str, Iterable[str]]) -> None:
    """Let a package hand on names of its files without importing these.

    Parameters
    ----------
    package : str
        The package, `__name__` in its `__init__.py`, which states the same names in `__all__` and,
        for those who check types, under `if TYPE_CHECKING`.
    files : mapping
        File in the package, without its ending -> names that it defines. A file in a folder below
        is named from the package on: "morphable_model.model_file".
    """
    module = sys.modules[package]
    module.__class__ = _Folder
    module.__dict__["_homes"] = {name: file for file, names in files.items() for name in names}
