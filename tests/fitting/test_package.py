"""The package's public names, and that asking for one loads no other."""

from __future__ import annotations

import subprocess
import sys

import pytest

import glee.fitting


def test_every_public_name_is_there():
    for name in glee.fitting.__all__:
        assert getattr(glee.fitting, name).__doc__
    with pytest.raises(AttributeError):
        _ = glee.fitting.nonsense


def test_the_model_alone_needs_no_compiler():
    code = "import glee.fitting, sys; glee.fitting.load_model(); assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
