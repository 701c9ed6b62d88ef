"""Draws docs/demo.jpg, the README's picture, from the first rows of a demo's report.

make demo && .venv/bin/python docs/draw_demo.py
"""

from __future__ import annotations

import base64
import re
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
REPORT = HERE.parent / "demo" / "report.html"
ROWS, COLUMNS, SIDE = 2, 3, 320


def main() -> None:
    """Stack the report's first pictures: landmarks, crop, mesh of two people."""
    found = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", REPORT.read_text())
    pictures = [
        cv2.resize(
            cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR),
            (SIDE, SIDE),
            interpolation=cv2.INTER_CUBIC,
        )
        for text in found[: ROWS * COLUMNS]
    ]
    rows = [np.hstack(pictures[r * COLUMNS : (r + 1) * COLUMNS]) for r in range(ROWS)]
    cv2.imwrite(str(HERE / "demo.jpg"), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
