"""Tests of a GPU: skipped, saying so, where torch finds none.

With GLEE_TEST_DEVICE=cpu they run on the CPU, to see that they work (`benchmarks/gpu.py --device
cpu` does so).
"""

from __future__ import annotations

import os

import pytest
import torch

from ..model.conftest import SUBJECTS, write_subject


@pytest.fixture(scope="session", autouse=True)
def _kernels() -> None:
    """Nothing here needs the fit's kernels, which take a minute to compile."""


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The GPU, or the CPU where that is asked for."""
    name = os.environ.get("GLEE_TEST_DEVICE", "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device here")
    return torch.device(name, 0) if name == "cuda" else torch.device(name)


@pytest.fixture(params=["bfloat16", "float16"])
def half(request, device):
    """A precision of half the width, by name."""
    if device.type == "cpu" and request.param == "float16":
        pytest.skip("float16 is for GPUs")
    return request.param


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    """Six of DISFA's subjects, two of each fold, 24 frames each."""
    folder = tmp_path_factory.mktemp("work")
    for subject in SUBJECTS:
        write_subject(folder, subject)
    return folder
