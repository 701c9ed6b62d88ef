"""What torchrun and srun say about a run's processes."""

from __future__ import annotations

import pytest

from glee.errors import UsageError
from glee.model.distributed import Launch, first_node, read_launch

TORCHRUN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "node1",
    "MASTER_PORT": "29500",
}
# of `srun -n 4` in a job of two nodes, as Slurm 23 sets them
SRUN = {
    "SLURM_JOB_ID": "41234",
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_NTASKS": "4",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
}


def test_torchrun():
    assert read_launch(TORCHRUN) == Launch(5, 8, 1, "node1", "29500")


def test_srun_needs_nothing_else():
    assert read_launch(SRUN) == Launch(3, 4, 1, "gpu07", "21234")


def test_own_address_and_torchrun_come_first():
    own = {**SRUN, "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "4000"}
    assert read_launch(own) == Launch(3, 4, 1, "10.0.0.1", "4000")
    assert read_launch({**SRUN, **TORCHRUN}).size == 8


def test_a_step_may_have_fewer_tasks_than_its_job():
    assert read_launch({**SRUN, "SLURM_NTASKS": "16"}).size == 4


def test_the_jobs_script_is_one_process():
    script = {k: v for k, v in SRUN.items() if "STEP" not in k} | {"SLURM_PROCID": "0"}
    assert read_launch(script) == Launch()
    assert read_launch({}) == Launch()


def test_contradictions():
    with pytest.raises(UsageError, match="RANK is 8 of WORLD_SIZE 8"):
        read_launch({**TORCHRUN, "RANK": "8"})
    with pytest.raises(UsageError, match="LOCAL_RANK=x"):
        read_launch({**TORCHRUN, "LOCAL_RANK": "x"})


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node1", "node1"),
        ("node1,node2", "node1"),
        ("gpu[03-05,9],login", "gpu03"),
        ("rack[1-2]-ib", "rack1-ib"),
        ("a[12,14]", "a12"),
        ("", ""),
    ],
)
def test_first_node_of_slurms_list(nodes, first):
    assert first_node(nodes) == first
