"""Which rank this process is, according to the environment of torchrun, SLURM or `--devices`; pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mamp_schemas.errors import UsageError, printable

LAUNCHER_PID = "MAMPCTL_LAUNCHER"
"""The environment variable that tells a rank the process ID of its launcher."""

_FIRST_PORT, _PORTS = 20_000, 10_000
"""The rendezvous port of a SLURM job step is derived from its numbers; it lies below the ephemeral ports."""

_ALL_PORTS = 2**16

_START_REMEDY = "Start the ranks with --devices, torchrun or srun."


@dataclass(frozen=True, slots=True)
class RankEnv:
    """The number of a rank and the address of the rendezvous store.

    Attributes:
        rank: the number of this process, from 0.
        world_size: the number of ranks.
        local_rank: the number of this process on its host, from 0.
        local_world_size: the number of ranks on this host.
        address: the host of the rendezvous store.
        port: the port of the rendezvous store.
        launcher_hosts_store: whether the launcher hosts the store; otherwise rank 0 does.
        attempt: how often the launcher has restarted the ranks with the same store.
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
    """Read which rank the environment makes this process.

    torchrun and `--devices` set RANK and the variables that go with it; srun sets SLURM_STEP_ID and others. A batch
    script outside srun has some of SLURM's variables too, but is not a rank.

    Returns:
        The rank; None for a single process.

    Raises:
        UsageError: a variable is missing or is not a number.
    """
    if "RANK" in environment and "WORLD_SIZE" in environment:
        rank_env = _torchrun_env(environment)
    elif "SLURM_STEP_ID" in environment and "SLURM_PROCID" in environment:
        rank_env = _slurm_env(environment)
    else:
        return None
    return rank_env if rank_env.world_size > 1 else None


def _torchrun_env(environment: Mapping[str, str]) -> RankEnv:
    world_size = _read_int(environment, "WORLD_SIZE")
    if world_size == 1:
        return RankEnv(0, 1, 0, 1, "", 0, launcher_hosts_store=False)
    return RankEnv(
        rank=_read_int(environment, "RANK", world_size),
        world_size=world_size,
        local_rank=_read_int(environment, "LOCAL_RANK"),
        local_world_size=_read_int(environment, "LOCAL_WORLD_SIZE"),
        address=_read_variable(environment, "MASTER_ADDR"),
        port=_read_int(environment, "MASTER_PORT", _ALL_PORTS),
        launcher_hosts_store=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        attempt=_read_int({"TORCHELASTIC_RESTART_COUNT": "0", **environment}, "TORCHELASTIC_RESTART_COUNT"),
    )


def _slurm_env(environment: Mapping[str, str]) -> RankEnv:
    job, step = _read_int(environment, "SLURM_JOB_ID"), _read_int(environment, "SLURM_STEP_ID")
    hosts = _read_variable(environment, "SLURM_STEP_NODELIST")
    tasks = expand_tasks(_read_variable(environment, "SLURM_STEP_TASKS_PER_NODE"))
    world_size = _read_int(environment, "SLURM_STEP_NUM_TASKS")
    if world_size == 1:
        return RankEnv(0, 1, 0, 1, "", 0, launcher_hosts_store=False)
    return RankEnv(
        rank=_read_int(environment, "SLURM_PROCID", world_size),
        world_size=world_size,
        local_rank=_read_int(environment, "SLURM_LOCALID"),
        local_world_size=tasks[_read_int(environment, "SLURM_NODEID", len(tasks))],
        address=environment.get("MASTER_ADDR") or first_host(hosts),
        port=_read_int(environment, "MASTER_PORT", _ALL_PORTS)
        if "MASTER_PORT" in environment
        else _slurm_port(job, step),
        launcher_hosts_store=False,
    )


def first_host(hosts: str) -> str:
    """Return the first host of a SLURM node list: `node003` of `node[003-007,9],other`.

    Raises:
        UsageError: the text is not a node list.
    """
    match = re.match(r"([^\[,]+)(?:\[([^\],-]+)[^\]]*\]([^,]*))?", hosts)
    if match is None:
        raise UsageError(f"'{hosts}' is not a list of hosts", remedy="Set MASTER_ADDR to the host of rank 0.")
    return "".join(group or "" for group in match.groups())


def expand_tasks(short: str) -> list[int]:
    """Return the number of tasks of each node from SLURM's short form: `2(x3),1` is 2, 2, 2, 1.

    Raises:
        UsageError: the text has another form.
    """
    matches = [re.fullmatch(r"([0-9]{1,6})(?:\(x([0-9]{1,6})\))?", entry) for entry in short.split(",")]
    if None in matches:
        raise UsageError(
            f"SLURM_STEP_TASKS_PER_NODE is '{short}', expected the number of tasks of each node, such as 2(x3),1",
            remedy=_START_REMEDY,
        )
    return [int(match[1]) for match in matches if match for _ in range(int(match[2] or 1))]


def _slurm_port(job: int, step: int) -> int:
    return _FIRST_PORT + (job + step) % _PORTS


def _read_int(environment: Mapping[str, str], name: str, below: int = 2**31) -> int:
    text = _read_variable(environment, name)
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"{name} is '{printable(text[:40])}', not a number", remedy=_START_REMEDY)
    if len(text) > 10 or int(text) >= below:
        raise UsageError(f"{name} is {text[:40]}, expected a number below {below:,}", remedy=_START_REMEDY)
    return int(text)


def _read_variable(environment: Mapping[str, str], name: str) -> str:
    if not environment.get(name):
        raise UsageError(
            f"{name} is not set, although other variables make this process one of several ranks",
            remedy=_START_REMEDY,
        )
    return environment[name]
