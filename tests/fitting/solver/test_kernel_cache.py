"""Processes that compile and processes that load the kernels compute the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import hashlib
import numpy as np
from glee.fitting import Camera, fit, load_model
model = load_model()
points = model.landmarks["anatomical"].on(model.mean)
noise = np.random.default_rng(0).normal(0, 1.0, (8, 68, 2))
camera = Camera.for_image(600, 600)
result = fit(points[None, :, :2] * [100, -100] + 300 + noise, model, camera=camera)
print(hashlib.sha256(result.f_exp.tobytes() + result.pose.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_first_and_second_process_agree(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    digests = [
        subprocess.run(
            [sys.executable, "-c", CODE],
            env=environment,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for _ in range(2)
    ]
    assert digests[0] == digests[1]
    assert list(tmp_path.rglob("glee-kernels-*"))
