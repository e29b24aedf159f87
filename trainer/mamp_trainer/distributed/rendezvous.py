"""Rendezvous and shutdown of the ranks; only the first failure is reported."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Self, TypeVar

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from mamp_schemas.errors import Interrupted, LostRankError, MampctlError, TrainingError
from mamp_trainer.distributed.context import DistContext
from mamp_trainer.distributed.env import LAUNCHER_PID, RankEnv

_FAILED = "failed"


class RendezvousStore:
    """Messages kept by one process and reached by the others over TCP.

    Args:
        store: keeps them.
        attempt: how many times the ranks have been started before: each time has messages of its own.
    """

    def __init__(self, store: TCPStore, attempt: int = 0) -> None:
        self.port: int = store.port
        self.store = PrefixStore(f"mampctl/{attempt}", store)

    @classmethod
    def host(cls, address: str, port: int = 0) -> Self:
        """Keep the table in this process; port 0 takes a free one."""
        return cls(TCPStore(address, port, is_master=True, wait_for_workers=False))

    @classmethod
    def connect(cls, address: str, port: int, timeout: timedelta, attempt: int) -> Self:
        """Reach the table that another process keeps, or is soon to keep.

        Raises:
            RuntimeError: there is none in time.
        """
        return cls(TCPStore(address, port, is_master=False, timeout=timeout), attempt)

    def set_ready(self, rank: int) -> None:
        """Say that a rank may be sent signals."""
        self.store.set(f"ready/{rank}", "")

    def is_ready(self, rank: int) -> bool:
        """Return whether a rank may be sent signals."""
        return bool(self.store.check([f"ready/{rank}"]))

    def report_first_failure(self, rank: int) -> bool:
        """Return whether a rank is the first to fail; not where the table is gone, with the rank that kept it."""
        with suppress(RuntimeError):
            return bool(self.store.compare_set(_FAILED, "", str(rank)) == str(rank).encode())
        return False

    def first_failed_rank(self) -> int | None:
        """Return the first rank that failed; None before, and where the table is gone."""
        with suppress(RuntimeError):
            return int(self.store.get(_FAILED)) if self.store.check([_FAILED]) else None
        return None


RENDEZVOUS_TIMEOUT = timedelta(minutes=10)
"""How long a rank waits for the others, to come or to take part in a sum."""

FAILURE_REPORT_SECONDS = 5.0
"""How long a rank that lost the others waits for one of them to say why."""


T = TypeVar("T")

Connect = Callable[[torch.device], DistContext]
"""Connects the ranks, each with the device that it trains on: by gloo in host memory, by NCCL in a GPU's."""


@contextmanager
def rendezvous(rank_env: RankEnv) -> Iterator[Connect]:
    """Be one of the ranks: meet the others, train with them, and end together.

    Args:
        rank_env: which one.

    Raises:
        TrainingError: the others do not come.
        SystemExit: another rank has an error and tells it.
    """
    _end_with_parent()
    table = _connect_store(rank_env)
    table.set_ready(rank_env.rank)
    joined: list[DistContext] = []

    def connect(device: torch.device) -> DistContext:
        joined.append(_init_process_group(rank_env, table, device))
        return joined[-1]

    try:
        yield connect
    except MampctlError as problem:
        # The group is left as it is: taking it down could wait for ranks that are gone.
        if _should_report(rank_env, table, problem):
            raise
        raise SystemExit(1) from problem
    except Interrupted:
        _close_all(joined)
        raise
    _close_all(joined)


def _connect_store(rank_env: RankEnv) -> RendezvousStore:
    if rank_env.rank == 0 and not rank_env.launcher_hosts_store:
        return _host_store(rank_env)
    try:
        return _wait_in_thread(
            lambda: RendezvousStore.connect(rank_env.address, rank_env.port, RENDEZVOUS_TIMEOUT, rank_env.attempt)
        )
    except RuntimeError as problem:
        raise _unreachable_error(rank_env) from problem


def _host_store(rank_env: RankEnv) -> RendezvousStore:
    try:
        return RendezvousStore.host(rank_env.address, rank_env.port)
    except RuntimeError as problem:
        reason = str(problem).partition("\n")[0]
        raise TrainingError(
            f"rank 0 cannot keep the meeting place {rank_env.address}:{rank_env.port}: {reason}",
            remedy="Set MASTER_PORT to a port that is free on the host of rank 0.",
        ) from problem


def _init_process_group(rank_env: RankEnv, table: RendezvousStore, device: torch.device) -> DistContext:
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        _wait_in_thread(
            lambda: dist.init_process_group(
                backend,
                store=table.store,
                rank=rank_env.rank,
                world_size=rank_env.world_size,
                timeout=RENDEZVOUS_TIMEOUT,
            )
        )
    except RuntimeError as problem:
        raise _unreachable_error(rank_env) from problem
    return DistContext(
        rank_env.rank, rank_env.world_size, rank_env.local_rank, rank_env.local_world_size, dist.group.WORLD
    )


def _wait_in_thread(wait: Callable[[], T]) -> T:
    """Wait for other ranks in a thread: in compiled code the main thread would hear no signal for minutes.

    A process that a signal ends meanwhile takes the thread with it.
    """
    found: Future[T] = Future()

    def work() -> None:
        try:
            found.set_result(wait())
        except Exception as problem:  # noqa: BLE001 - it is raised where it is waited for
            found.set_exception(problem)

    threading.Thread(target=work, name="mampctl-meeting", daemon=True).start()
    return found.result()


def _close_all(joined: Sequence[DistContext]) -> None:
    for ranks in joined:
        ranks.close()


def _unreachable_error(rank_env: RankEnv) -> TrainingError:
    minutes = int(RENDEZVOUS_TIMEOUT.total_seconds() // 60)
    return TrainingError(
        f"rank {rank_env.rank}: the {rank_env.world_size} ranks did not meet at "
        f"{rank_env.address}:{rank_env.port} in {minutes} minutes",
        remedy="Check that all of them were started, and that their hosts reach that port.",
    )


def _should_report(rank_env: RankEnv, table: RendezvousStore, problem: MampctlError) -> bool:
    """Return whether this rank is the one to tell; having lost the others, it first waits for one of them to."""
    deadline = time.monotonic() + (FAILURE_REPORT_SECONDS if isinstance(problem, LostRankError) else 0)
    while table.first_failed_rank() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return table.report_first_failure(rank_env.rank)


def _end_with_parent() -> None:
    """End this process soon after the one that started it: nobody else would, were that one killed.

    It may be gone by now; a launcher of ours has told its number.
    """
    parent = int(os.environ.get(LAUNCHER_PID, os.getppid()))

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, name="mampctl-parent", daemon=True).start()
