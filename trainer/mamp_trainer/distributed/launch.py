"""Starts the ranks of a run on this machine, as torchrun would, and ends them together."""

import math
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from mamp_schemas.errors import EXIT_CODES, Interrupted, TrainingError
from mamp_trainer.distributed.env import LAUNCHER_PID
from mamp_trainer.distributed.rendezvous import RendezvousStore

GRACE_SECONDS = 10.0
"""How long the other ranks may go on once one has failed, to say why and to finish writing a checkpoint."""

HOST = "127.0.0.1"


def launch(command: Sequence[str], world_size: int, cores: int) -> int:
    """Run a command as the ranks of one run, and wait for all of them.

    SIGINT and SIGTERM go on to every rank.

    Args:
        command: what every rank runs; the environment tells it which one it is.
        world_size: ranks.
        cores: of this machine, which they share.

    Returns:
        The exit code: 0 when every rank ended well, otherwise that of the rank that told its error.

    Raises:
        Interrupted: a signal stopped them.
        TrainingError: a rank ended without a word; says how.
    """
    table = RendezvousStore.host(HOST)
    ranks: list[subprocess.Popen[bytes]] = []
    with _collect_signals() as received:
        try:
            for rank in range(world_size):
                environment = os.environ | _rank_environment(rank, world_size, table.port, cores)
                ranks.append(_start_rank(command, environment))
            first = _wait_for_ranks(ranks, table, received)
        finally:
            _kill(ranks)
    return _exit_code([rank.wait() for rank in ranks], first, table, received)


def _rank_environment(rank: int, count: int, port: int, cores: int) -> Mapping[str, str]:
    threads = os.environ.get("OMP_NUM_THREADS", str(max(cores // count, 1)))
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": HOST,
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "OMP_NUM_THREADS": threads,
        LAUNCHER_PID: str(os.getpid()),
    }


def _start_rank(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a rank in a session of its own: a terminal's Ctrl-C comes to it once, from here."""
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603


def _wait_for_ranks(
    ranks: Sequence[subprocess.Popen[bytes]], table: RendezvousStore, received: Sequence[int]
) -> int | None:
    """Return once every rank has ended, or has had its time to; returns the first that failed."""
    passed_on, first, deadline = 0, None, math.inf
    while any(rank.poll() is None for rank in ranks) and time.monotonic() < deadline:
        for number in received[passed_on:]:
            _forward_signal(ranks, table, number)
        passed_on = len(received)
        if first is None and (first := _first_failed(ranks)) is not None:
            deadline = time.monotonic() + GRACE_SECONDS
            if ranks[first].returncode < 0:
                # The dead cannot speak: the others are to keep silent about having lost it.
                table.report_first_failure(first)
        time.sleep(0.05)
    return _first_failed(ranks) if first is None else first


def _first_failed(ranks: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Return the first rank that has ended, but neither well nor stopped by a signal as it should."""
    well = (None, 0, *EXIT_CODES.values())
    return next((number for number, rank in enumerate(ranks) if rank.poll() not in well), None)


def _forward_signal(ranks: Sequence[subprocess.Popen[bytes]], table: RendezvousStore, number: int) -> None:
    """Send a signal to the ranks; those that are not yet ready for it have nothing to lose."""
    for place, rank in enumerate(ranks):
        if rank.poll() is None:
            with suppress(ProcessLookupError):
                rank.send_signal(number if table.is_ready(place) else signal.SIGKILL)


def _kill(ranks: Sequence[subprocess.Popen[bytes]]) -> None:
    for rank in ranks:
        if rank.poll() is None:
            rank.kill()


def _exit_code(codes: Sequence[int], first: int | None, table: RendezvousStore, received: Sequence[int]) -> int:
    """Return the exit code of ranks of which `first` failed first."""
    told = table.first_failed_rank()
    if told is not None and codes[told] > 0:
        return codes[told]
    if received and any(codes):
        raise Interrupted(received[0], user_informed=codes[0] >= 0)  # the first rank speaks for all, if it came to it
    if first is None:
        return max(codes)
    how = f"was ended by {signal.Signals(-codes[first]).name}" if codes[first] < 0 else f"ended with {codes[first]}"
    raise TrainingError(
        f"rank {first} of {len(codes)} {how}, and so the others were ended",
        remedy="SIGKILL often means that memory ran out. Go on with --resume.",
    )


@contextmanager
def _collect_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM."""
    received: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
