"""Training on a GPU: goes on after a kill, learns in half precision; NCCL with one process."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from glee.model.checkpoint import load_checkpoint
from glee.model.data.decoded_crops import CropFileOptions
from glee.model.distributed import SynchronisedBatchNorm, gathered_sum
from glee.model.options import train_options
from glee.model.prediction.predictions import load_predictions
from glee.model.training import steps
from glee.model.training.steps import RuntimeOptions
from glee.model.training.training import train

from ..model.conftest import make_tiny
from ..model.test_distributed import free_port

pytestmark = pytest.mark.gpu


class Killed(BaseException):
    """Stands for a signal that ends the process at once."""


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    make_tiny(monkeypatch)


def losses(out):
    return np.array([float(r["loss"]) for r in csv.DictReader((out / "fold1/log.csv").open())])


def trained(work, out, device, *, workers=0, **changes):
    options = train_options("compact", **{"epochs": 2, "batch": 30, "aus": (1, 12), **changes})
    runtime = RuntimeOptions(workers=workers, crop_file=CropFileOptions(folder=out.parent))
    train(work, out, options, fold="1", device=device.type, runtime=runtime)
    return losses(out)


def test_a_run_goes_on_after_a_kill(work, tmp_path, device, monkeypatch):
    whole = trained(work, tmp_path / "whole", device, checkpoint_steps=1, deterministic=True)
    take, calls = steps.take_step, []

    def dying(*arguments):
        if len(calls) == 4:
            raise Killed
        calls.append(None)
        return take(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(steps, "take_step", dying)
        with pytest.raises(Killed):
            trained(work, tmp_path / "killed", device, checkpoint_steps=1, deterministic=True)
    again = trained(work, tmp_path / "killed", device, checkpoint_steps=1, deterministic=True)
    assert again == pytest.approx(whole, rel=1e-4)
    one, other = (
        load_checkpoint(tmp_path / name / "fold1/checkpoint.pt").weights
        for name in ("whole", "killed")
    )
    assert all(torch.allclose(one[name], other[name], rtol=1e-3, atol=1e-5) for name in one)


def test_the_losses_are_those_of_the_cpu_at_first(work, tmp_path, device):
    here = trained(work, tmp_path / "cpu", torch.device("cpu"), epochs=1)
    there = trained(work, tmp_path / "gpu", device, epochs=1, workers=1)
    # Dropout draws other numbers on a GPU.
    assert there[0] == pytest.approx(here[0], rel=0.15)
    assert np.isfinite(there).all()


def test_half_precision_learns(work, tmp_path, device, half):
    curve = trained(work, tmp_path / "run", device, epochs=6, precision=half)
    assert np.isfinite(curve).all()
    assert curve[-3:].mean() < 0.95 * curve[:3].mean()
    probability = load_predictions(tmp_path / "run/fold1/predictions.npz").probability
    assert probability.shape == (46, 2)
    assert ((probability >= 0) & (probability <= 1)).all()


@pytest.fixture
def alone(device):
    """A process group of this process: NCCL on a GPU, gloo on a CPU."""
    backend = "nccl" if device.type == "cuda" else "gloo"
    meeting = f"tcp://127.0.0.1:{free_port()}"
    distributed.init_process_group(backend, init_method=meeting, rank=0, world_size=1)
    yield device
    distributed.destroy_process_group()


def test_one_process_of_a_group_computes_what_one_alone_does(alone):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(288, 2))
    shared = nn.Sequential(
        nn.Conv2d(3, 8, 3), SynchronisedBatchNorm(8), nn.Flatten(), nn.Linear(288, 2)
    )
    shared.load_state_dict(plain.state_dict())
    images = torch.randn(5, 3, 8, 8, device=alone)
    plain = plain.to(alone)
    parallel = DistributedDataParallel(shared.to(alone), broadcast_buffers=False)
    for network in (plain, parallel):
        network(images).square().mean().backward()
    pairs = zip(plain.parameters(), shared.parameters(), strict=True)
    assert all(torch.allclose(a.grad, b.grad, rtol=1e-3, atol=1e-5) for a, b in pairs)


def test_a_group_gathers_numbers_and_texts(alone):
    values = torch.arange(4.0, device=alone, requires_grad=True)
    total = gathered_sum(values)
    total.square().sum().backward()
    assert torch.equal(total.detach(), values.detach())
    assert torch.equal(values.grad, 2 * values.detach())
    texts = [""]
    distributed.all_gather_object(texts, "here")
    assert texts == ["here"]
