"""Reads which rank this process is from the environment of torchrun, SLURM or `--devices`; pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mamp_schemas.errors import UsageError

_FIRST_PORT, _PORTS = 20_000, 10_000
"""Where SLURM's ranks meet: a port from the job's number, below those the system gives out."""

_START_REMEDY = "Start the ranks with --devices, torchrun or srun."


@dataclass(frozen=True, slots=True)
class RankEnv:
    """A process among those of a run.

    Attributes:
        rank, world_size: which one, of how many.
        local_rank, local_world_size: which one of how many on this host.
        address, port: where they meet.
        launcher_hosts_store: whether whoever started them keeps the meeting place; otherwise rank 0 does.
        attempt: how many times they have been started before, at the same meeting place.
    """

    rank: int
    world_size: int
    local_rank: int
    local_world_size: int
    address: str
    port: int
    launcher_hosts_store: bool
    attempt: int = 0


def read_rank_env(environment: Mapping[str, str]) -> RankEnv | None:
    """Return the place that the environment gives this process; None where it is the only one.

    torchrun, and `--devices`, set RANK and what goes with it. srun sets SLURM_STEP_ID and what goes with it; in a
    batch script outside of srun, SLURM's other variables do not make a process one of many.

    Raises:
        UsageError: a variable is missing or no number.
    """
    if "RANK" in environment and "WORLD_SIZE" in environment:
        place = _torchrun_env(environment)
    elif "SLURM_STEP_ID" in environment and "SLURM_PROCID" in environment:
        place = _slurm_env(environment)
    else:
        return None
    return place if place.world_size > 1 else None


def _torchrun_env(environment: Mapping[str, str]) -> RankEnv:
    count = _read_int(environment, "WORLD_SIZE")
    if count == 1:
        return RankEnv(0, 1, 0, 1, "", 0, launcher_hosts_store=False)
    return RankEnv(
        rank=_read_int(environment, "RANK"),
        world_size=count,
        local_rank=_read_int(environment, "LOCAL_RANK"),
        local_world_size=_read_int(environment, "LOCAL_WORLD_SIZE"),
        address=_read_variable(environment, "MASTER_ADDR"),
        port=_read_int(environment, "MASTER_PORT"),
        launcher_hosts_store=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        attempt=int(environment.get("TORCHELASTIC_RESTART_COUNT", "0")),
    )


def _slurm_env(environment: Mapping[str, str]) -> RankEnv:
    job, step = _read_int(environment, "SLURM_JOB_ID"), _read_int(environment, "SLURM_STEP_ID")
    hosts = _read_variable(environment, "SLURM_STEP_NODELIST")
    tasks = expand_tasks(_read_variable(environment, "SLURM_STEP_TASKS_PER_NODE"))
    return RankEnv(
        rank=_read_int(environment, "SLURM_PROCID"),
        world_size=_read_int(environment, "SLURM_STEP_NUM_TASKS"),
        local_rank=_read_int(environment, "SLURM_LOCALID"),
        local_world_size=tasks[_read_int(environment, "SLURM_NODEID")],
        address=environment.get("MASTER_ADDR") or first_host(hosts),
        port=_read_int(environment, "MASTER_PORT") if "MASTER_PORT" in environment else _slurm_port(job, step),
        launcher_hosts_store=False,
    )


def first_host(hosts: str) -> str:
    """Return the first host of SLURM's short form: `node[003-007,9],other` names `node003` first."""
    found = re.match(r"([^\[,]+)(?:\[([^\],-]+)[^\]]*\]([^,]*))?", hosts)
    if found is None:
        raise UsageError(f"'{hosts}' is no list of hosts", remedy="Set MASTER_ADDR to the host of rank 0.")
    return "".join(part or "" for part in found.groups())


def expand_tasks(short: str) -> list[int]:
    """Return the tasks of each node from SLURM's short form: `2(x3),1` is 2, 2, 2, 1."""
    parts = [re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part) for part in short.split(",")]
    if None in parts:
        raise UsageError(f"'{short}' does not say how many tasks each node has")
    return [int(part[1]) for part in parts if part for _ in range(int(part[2] or 1))]


def _slurm_port(job: int, step: int) -> int:
    return _FIRST_PORT + (job + step) % _PORTS


def _read_int(environment: Mapping[str, str], name: str) -> int:
    text = _read_variable(environment, name)
    if not text.isdigit():
        raise UsageError(
            f"{name} is '{text}', not a number", remedy="Start the ranks with --devices, torchrun or srun."
        )
    return int(text)


def _read_variable(environment: Mapping[str, str], name: str) -> str:
    if not environment.get(name):
        raise UsageError(
            f"{name} is not set, though other variables make this process one of several ranks",
            remedy=_START_REMEDY,
        )
    return environment[name]


LAUNCHER_PID = "MAMPCTL_LAUNCHER"
"""The variable by which a rank knows the process that started it."""
