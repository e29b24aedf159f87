"""How a process becomes a rank, and how the ranks end: one error of theirs is told, once."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from mamp_schemas.errors import Interrupted, LostRankError, MampctlError, TrainingError
from mamp_trainer.ranks.group import Ranks
from mamp_trainer.ranks.launch import LAUNCHER
from mamp_trainer.ranks.place import Place
from mamp_trainer.ranks.table import Table

PATIENCE = timedelta(minutes=10)
"""How long a rank waits for the others, to come or to take part in a sum."""

CLAIM_SECONDS = 5.0
"""How long a rank that lost the others waits for one of them to say why."""


T = TypeVar("T")

Connect = Callable[[torch.device], Ranks]
"""Connects the ranks, each with the device that it trains on: by gloo in host memory, by NCCL in a GPU's."""


@contextmanager
def join(place: Place) -> Iterator[Connect]:
    """Be one of the ranks: meet the others, train with them, and end together.

    Args:
        place: which one.

    Raises:
        TrainingError: the others do not come.
        SystemExit: another rank has an error and tells it.
    """
    _end_with_parent()
    table = _meet(place)
    table.set_ready(place.rank)
    joined: list[Ranks] = []

    def connect(device: torch.device) -> Ranks:
        joined.append(_connect(place, table, device))
        return joined[-1]

    try:
        yield connect
    except MampctlError as problem:
        # The group is left as it is: taking it down could wait for ranks that are gone.
        if _speaks(place, table, problem):
            raise
        raise SystemExit(1) from problem
    except Interrupted:
        _leave(joined)
        raise
    _leave(joined)


def _meet(place: Place) -> Table:
    if place.rank == 0 and not place.hosted:
        return _keep(place)
    try:
        return _aside(lambda: Table.reach(place.address, place.port, PATIENCE, place.attempt))
    except RuntimeError as problem:
        raise _unreachable(place) from problem


def _keep(place: Place) -> Table:
    try:
        return Table.keep(place.address, place.port)
    except RuntimeError as problem:
        reason = str(problem).partition("\n")[0]
        raise TrainingError(
            f"rank 0 cannot keep the meeting place {place.address}:{place.port}: {reason}",
            remedy="Set MASTER_PORT to a port that is free on the host of rank 0.",
        ) from problem


def _connect(place: Place, table: Table, device: torch.device) -> Ranks:
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        _aside(
            lambda: dist.init_process_group(
                backend, store=table.store, rank=place.rank, world_size=place.count, timeout=PATIENCE
            )
        )
    except RuntimeError as problem:
        raise _unreachable(place) from problem
    return Ranks(place.rank, place.count, place.local, place.local_count, dist.group.WORLD)


def _aside(wait: Callable[[], T]) -> T:
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


def _leave(joined: Sequence[Ranks]) -> None:
    for ranks in joined:
        ranks.leave()


def _unreachable(place: Place) -> TrainingError:
    minutes = int(PATIENCE.total_seconds() // 60)
    return TrainingError(
        f"rank {place.rank}: the {place.count} ranks did not meet at {place.address}:{place.port} in {minutes} minutes",
        remedy="Check that all of them were started, and that their hosts reach that port.",
    )


def _speaks(place: Place, table: Table, problem: MampctlError) -> bool:
    """Return whether this rank is the one to tell; having lost the others, it first waits for one of them to."""
    deadline = time.monotonic() + (CLAIM_SECONDS if isinstance(problem, LostRankError) else 0)
    while table.first_to_fail() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return table.claim_failure(place.rank)


def _end_with_parent() -> None:
    """End this process soon after the one that started it: nobody else would, were that one killed.

    It may be gone by now; a launcher of ours has told its number.
    """
    parent = int(os.environ.get(LAUNCHER, os.getppid()))

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, name="mampctl-parent", daemon=True).start()
