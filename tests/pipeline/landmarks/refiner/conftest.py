"""Renders for the refiner's tests: a few of them, drawn once."""

from __future__ import annotations

import pytest

from glee.pipeline.landmarks.backends import load_detector
from glee.pipeline.landmarks.refiner import renders


@pytest.fixture(scope="session")
def few_renders():
    """Six renders of two people, with mesh's own landmarks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(renders, "PEOPLE", 2)
        patch.setattr(renders, "PER_PERSON", 3)
        return renders.render_block(41, 0, {"mesh": load_detector("mesh")})
