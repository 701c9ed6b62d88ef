"""What torchrun or Slurm's srun says, in environment variables, about the processes of a run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import UsageError

# Ports from which a job's is taken, so that two jobs on one machine do not meet.
_FIRST_PORT, _PORTS = 20_000, 20_000


@dataclass(frozen=True)
class Launch:
    """rank: of this process, from 0. size: processes in all. local_rank: on its machine, from 0.

    address, port: where they meet; "" where nobody says.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    address: str = ""
    port: str = ""


def read_launch(variables: Mapping[str, str]) -> Launch:
    """How this process was started; a single one where neither launcher speaks.

    torchrun sets RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT. srun sets SLURM_PROCID,
    SLURM_STEP_NUM_TASKS (before that, SLURM_NTASKS), SLURM_LOCALID, SLURM_STEP_NODELIST and
    SLURM_JOB_ID; the first node and a port by the job's number are where its processes meet,
    unless MASTER_ADDR and MASTER_PORT say otherwise. A job's script itself, which has no step, is
    a single process whatever the job's number of tasks.

    Raises UsageError where a variable is not a number or contradicts another.
    """
    address, port = variables.get("MASTER_ADDR", ""), variables.get("MASTER_PORT", "")
    if "RANK" in variables and "WORLD_SIZE" in variables:
        return _checked(variables, ("RANK", "WORLD_SIZE", "LOCAL_RANK"), address, port)
    tasks = "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in variables else "SLURM_NTASKS"
    in_script = "SLURM_JOB_ID" in variables and "SLURM_STEP_ID" not in variables
    if "SLURM_PROCID" not in variables or tasks not in variables or in_script:
        return Launch()
    nodes = variables.get("SLURM_STEP_NODELIST", variables.get("SLURM_JOB_NODELIST", ""))
    address = address or first_node(nodes)
    if not port and variables.get("SLURM_JOB_ID", "").isdigit():
        port = str(_FIRST_PORT + int(variables["SLURM_JOB_ID"]) % _PORTS)
    return _checked(variables, ("SLURM_PROCID", tasks, "SLURM_LOCALID"), address, port)


def first_node(nodes: str) -> str:
    """The first name of Slurm's list: "gpu[03-05,9],login" -> "gpu03"."""
    found = re.match(r"([^,\[]*)(?:\[(\w+)[^\]]*\])?([^,\[]*)", nodes)
    return "" if found is None else "".join(part or "" for part in found.groups())


def _checked(
    variables: Mapping[str, str], names: tuple[str, str, str], address: str, port: str
) -> Launch:
    try:
        rank, size, local = (int(variables.get(name, "0")) for name in names)
    except ValueError:
        said = ", ".join(f"{name}={variables.get(name, '')}" for name in names)
        raise UsageError(f"{said}: not numbers; unset them or use torchrun or srun") from None
    if not 0 <= rank < size or local < 0:
        raise UsageError(
            f"{names[0]} is {rank} of {names[1]} {size}; unset both or use torchrun or srun"
        )
    return Launch(rank, size, local, address, port)
