"""glee: from videos of faces to Action Units, every step checkable.

In a notebook:

>>> import glee
>>> talk = glee.analyze("talk.mp4")         # Action Units, blendshapes, pose as pandas tables
>>> talk.summary()
>>> work = glee.open("work/disfa")          # subjects, clips, frames as a pandas table, crops
>>> glee.plot.coefficients(work.frames)     # landmarks, mesh, coefficients, f1

What these need is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path as _Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .reports.notebook import plot as plot
    from .reports.notebook.analyze_videos import analyze_videos as analyze
    from .reports.notebook.work_table import open_work as open

from .cache_folder import choose_cache_folder as _choose_cache_folder

__version__ = "0.1.0"

__all__ = ["__version__", "analyze", "open", "plot"]

_choose_cache_folder(_Path(__file__).parent)


def __getattr__(name: str) -> Any:
    if name == "analyze":
        return import_module(".reports.notebook.analyze_videos", __name__).analyze_videos
    if name == "open":
        return import_module(".reports.notebook.work_table", __name__).open_work
    if name == "plot":
        from .errors import require_extra

        require_extra("figures", ("matplotlib",), "glee.plot")
        return import_module(".reports.notebook.plot", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
