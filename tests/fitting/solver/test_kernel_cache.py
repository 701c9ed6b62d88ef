"""Processes that compile and processes that load the kernels compute the same bytes.

And whatever is asked of a fit, no process compiles by itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from glee.fitting.solver import kernel_cache

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

ALL_KINDS = """
import numpy as np
from numba.core import event
from glee.fitting import Camera, fit, load_model
from glee.fitting.options import expression_prior
from glee.fitting.witness import Witness
compiled = event.RecordingListener()
event.register("numba:compile", compiled)
model = load_model()
points = model.landmarks["anatomical"].on(model.mean)
noise = np.random.default_rng(0).normal(0, 1.0, (8, 68, 2))
landmarks = points[None, :, :2] * [100, -100] + 300 + noise
camera, known = Camera.for_image(600, 600), next(iter(model.noise.values()))
for options in (
    {},
    {"identity": "frame"},
    {"curves": False, "contour": False},
    {"bounds": False},
    {"noise": known, "temporal": 1e-3},
    {"robust": "huber"},
    {"prior": expression_prior(model.expression_names), "visibility": np.ones((8, 7))},
    {"prior": expression_prior(model.expression_names), "witness": Witness.silent(8)},
):
    fit(landmarks, model, camera=camera, **options)
print([one.data["dispatcher"].py_func.__name__ for _, one in compiled.buffer])
"""


def test_no_kind_of_fit_compiles_in_its_own_process():
    ran = subprocess.run(
        [sys.executable, "-c", ALL_KINDS], capture_output=True, check=True, text=True
    )
    assert ran.stdout.strip() == "[]"


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


@pytest.mark.parametrize("gone", ["kernels", "nothing", "marker"])
def test_kernels_that_were_removed_are_compiled_again(tmp_path, monkeypatch, gone):
    compiled = []
    monkeypatch.delenv(kernel_cache.COMPILING, raising=False)
    monkeypatch.setattr(kernel_cache, "_cache_folder", lambda: tmp_path)
    monkeypatch.setattr(kernel_cache, "_compile", compiled.append)
    marker = tmp_path / f"glee-kernels-{kernel_cache._fingerprint()}"
    kept = tmp_path / "levenberg_marquardt._fit_frames-1.py311.nbi"
    for path, left_out in ((marker, "marker"), (kept, "kernels")):
        if gone != left_out:
            path.touch()
    kernel_cache.ensure_compiled.__wrapped__()
    assert compiled == ([] if gone == "nothing" else [tmp_path])


def test_kernels_of_every_folder_are_compiled_again(tmp_path, monkeypatch):
    solver = Path(kernel_cache.__file__).parent
    sources = {path.parent for path in solver.rglob("*.py") if "@njit(" in path.read_text()}
    assert len(kernel_cache._folders()) == len(sources) > 1
    folders = tmp_path / "one", tmp_path / "two"
    for folder, stem in zip(folders, ("levenberg_marquardt._fit", "triangular.dots"), strict=True):
        folder.mkdir()
        for ending in ("nbi", "1.nbc"):
            (folder / f"{stem}-1.py311.{ending}").touch()

    class Compiled:
        returncode = 0

        def communicate(self, timeout=None):
            return None, ""

        def kill(self):
            pass

    monkeypatch.setattr(kernel_cache, "_folders", lambda: set(folders))
    monkeypatch.setattr(kernel_cache, "_start", lambda *_: Compiled())
    kernel_cache._compile(folders[0])
    assert not list(tmp_path.rglob("*.nb?"))
