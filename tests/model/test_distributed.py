"""Two processes with half of each batch learn what one learns with all of it."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from glee.errors import UsageError
from glee.model.checkpoint import load_checkpoint
from glee.model.distributed import World, choose_device, joined_world

# The compact preset at a tenth of its cost.
TINY = {
    "image_size": 44,
    "global_size": 44,
    "local_size": 16,
    "backbone_widths": (8, 16, 24),
    "local_channels": (4, 8, 8, 12),
    "local_hidden": 32,
}

SCRIPT = f"""
import sys
from pathlib import Path
import torch
from glee.model.network import config
from glee.model.options import train_options
from glee.model.training.training import train

torch.set_num_threads(1)
# the processes' dropout and noise could not be the same
config.PRESETS["compact"] |= {{"dropout": 0.0, "coefficient_noise": 0.0, **{TINY}}}
options = train_options(
    "compact", init="random", epochs=2, batch=30, aus=(1, 12), learning_rate=0.01
)
train(Path(sys.argv[1]), Path(sys.argv[2]), options, fold="1", device="cpu")
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def train_with(work, out, variables):
    """Start one process for each set of environment variables and wait for all."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(work), str(out)],
            env={**os.environ, "OMP_NUM_THREADS": "1", **extra},
        )
        for extra in variables
    ]
    assert [process.wait(timeout=120) for process in started] == [0] * len(started)


def losses(out):
    return np.array([float(r["loss"]) for r in csv.DictReader((out / "fold1/log.csv").open())])


@pytest.mark.slow
def test_two_processes_give_the_loss_curve_of_one(work, tmp_path):
    train_with(work, tmp_path / "one", [{}])
    port = str(free_port())
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    two = [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    train_with(work, tmp_path / "two", two)
    one, other = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == 6
    assert other == pytest.approx(one, rel=2e-3)
    first, second = (
        load_checkpoint(tmp_path / name / "fold1/checkpoint.pt").weights for name in ("one", "two")
    )
    assert first.keys() == second.keys()
    key = "global_branch.face_model.bn1.running_var"
    assert torch.allclose(first[key], second[key], rtol=1e-3)


# `glee` with a compact preset at a tenth of its cost, without dropout and noise, which two
# processes cannot share.
SMALL_GLEE = f"""
from glee.cli import main
from glee.model import options
from glee.model.network import config

options.RECIPES["compact"]["init"] = ""
config.PRESETS["compact"] |= {{"dropout": 0.0, "coefficient_noise": 0.0, **{TINY}}}
main()
"""
TORCHRUN = [
    str(Path(sys.executable).with_name("torchrun")),
    "--standalone",
    "--nproc-per-node",
    "2",
]


def output_of(command, folder):
    """Standard output of a command that must succeed; it may import what lies in the folder."""
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, env=variables)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_torchrun_gives_the_loss_curve_of_one_process(work, tmp_path):
    """The command of docs/glee-net.md, but for the small network."""
    (tmp_path / "small_glee.py").write_text(SMALL_GLEE)
    words = ["train", str(work), "--preset", "compact", "--fold", "1", "--device", "cpu"]
    words += ["--batch", "30", "--epochs", "2", "--learning-rate", "0.01"]
    said = {
        name: output_of(
            [*launcher, "-m", "small_glee", *words, "--out", str(tmp_path / name)], tmp_path
        )
        for name, launcher in (("one", [sys.executable]), ("two", TORCHRUN))
    }
    one, other = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == 6
    assert other == pytest.approx(one, rel=2e-3)
    # the table of F1 is printed once, by the first process
    assert [text.count("AU12") for text in said.values()] == [1, 1]


@pytest.mark.slow
def test_torchrun_starts_the_command_line(work, tmp_path):
    """`-m glee.cli`, as it is."""
    words = ["-m", "glee.cli", "train", str(work), "--preset", "compact", "--ablation", "no-gb-lb"]
    words += ["--fold", "1", "--epochs", "1", "--device", "cpu", "--out", str(tmp_path / "run")]
    assert output_of([*TORCHRUN, *words, "--batch", "16"], tmp_path).count("AU12") == 1
    assert load_checkpoint(tmp_path / "run/fold1/checkpoint.pt").finished


def test_one_process_without_a_launcher(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    with joined_world("cpu") as world:
        assert world == World(0, 1, 0)
        assert world.leads
        assert world.mean(3.0) == 3.0


def test_processes_that_cannot_meet(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "SLURM_JOB_ID", "SLURM_STEP_NODELIST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_PROCID", "1")
    monkeypatch.setenv("SLURM_NTASKS", "4")
    with pytest.raises(UsageError, match="MASTER_ADDR"), joined_world("cpu"):
        pass
    with pytest.raises(UsageError, match="batch 30"):
        World(1, 4).check_batch(30)


@pytest.mark.slow
def test_slurms_processes_meet():
    """srun's variables are enough."""
    slurm = {
        "SLURM_JOB_ID": str(free_port() - 20_000),
        "SLURM_STEP_ID": "0",
        "SLURM_NTASKS": "2",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NODELIST": "localhost",
    }
    script = (
        "from glee.model.distributed import joined_world\n"
        "with joined_world('cpu') as world:\n"
        "    assert (world.size, world.mean(world.rank + 1.0)) == (2, 1.5)\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, **slurm, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)},
        )
        for rank in range(2)
    ]
    assert [process.wait(timeout=60) for process in started] == [0, 0]


def test_device_names():
    assert choose_device("cpu", World()).type == "cpu"
    with pytest.raises(UsageError, match="tpu"):
        choose_device("tpu", World())
