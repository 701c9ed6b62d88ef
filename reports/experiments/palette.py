"""Colours and marks that colour-blind readers tell apart, and how figures are written."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from ...whole_files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito (2008): eight colours told apart with every colour vision; yellow left out on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
GREY, RED = "#8a8a8a", "#d00000"
_DOTS_AN_INCH = 130


def new_figure(width: float, height: float) -> Figure:
    """Make a figure without pyplot's global state.

    Parameters
    ----------
    width, height : float
        Inches.

    Returns
    -------
    Figure
        Empty.
    """
    # Of the extra `figures`, which only those who draw install.
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"font.size": 9, "axes.titlesize": 9.5, "svg.hashsalt": "glee"})
    return Figure(figsize=(width, height), layout="constrained")


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole; the same figure gives the same bytes.

    Parameters
    ----------
    figure : Figure
        To write.
    path : Path
        PNG file.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_AN_INCH, metadata={"Software": None})
    write_whole(path, buffer.getbuffer())
