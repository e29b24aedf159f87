"""Start the ranks of a run, connect them and end them together. Only the first failure is reported.

`launch` starts the ranks on this machine and waits for them. `rendezvous` runs inside each rank, whoever started it.

Why not `torch.distributed.launcher.api.elastic_launch`? It was tried with torch 2.13 in place of `launch`. Exit codes,
forwarded signals and a second SIGTERM worked, but four promises did not hold:

- If one rank fails, the agent sends SIGTERM to the others. Rank 0 then reports "interrupted" although nobody
  interrupted it, and the user sees two messages, one of them wrong.
- A signal while the agent starts the ranks raises inside the agent, which loses track of them: they keep running.
- One `shutdown_timeout` limits both the ranks that must end after a failure and the ranks that write a checkpoint after
  a signal. Here only the first has a limit.
- After a signal the exit codes of the ranks are lost, so the launcher cannot know whether rank 0 has told the user.
"""

import math
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Self, TypeVar

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from mamp_schemas.errors import EXIT_CODES, Interrupted, LostRankError, MampctlError, TrainingError
from mamp_schemas.signals import record_signals
from mamp_schemas.system import RANK_THREADS
from mamp_trainer.distributed.context import DistContext
from mamp_trainer.distributed.env import LAUNCHER_PID, RankEnv

HOST = "127.0.0.1"

GRACE_SECONDS = 10.0
"""How long the other ranks may run after the first failure, to report it or to finish a checkpoint."""

SECOND_SIGINT_SECONDS = 2.0
"""How long ranks may run after a second Ctrl-C: a rank that waits for another one cannot handle it."""

FAILURE_REPORT_SECONDS = 5.0
"""How long a rank that lost the others waits for one of them to report the cause."""

RENDEZVOUS_TIMEOUT = timedelta(minutes=10)
"""How long a rank waits for the others, to start or to take part in a collective operation."""

_POLL_SECONDS = 0.05

T = TypeVar("T")


class RendezvousStore:
    """Key-value store that the launcher or rank 0 hosts and that the other processes reach over TCP.

    Args:
        store: torch's store.
        attempt: how often the ranks have been restarted; each attempt has its own keys.
    """

    def __init__(self, store: TCPStore, attempt: int = 0) -> None:
        self.port: int = store.port
        self.store = PrefixStore(f"mampctl/{attempt}", store)

    @classmethod
    def host(cls, address: str, port: int = 0) -> Self:
        """Host the store in this process. Port 0 chooses a free one.

        Raises:
            RuntimeError: the port is in use.
        """
        return cls(TCPStore(address, port, is_master=True, wait_for_workers=False))

    @classmethod
    def connect(cls, address: str, port: int, timeout: timedelta, attempt: int) -> Self:
        """Connect to the store of another process; waits until that process hosts it.

        Raises:
            RuntimeError: the store did not answer in time.
        """
        return cls(TCPStore(address, port, is_master=False, timeout=timeout), attempt)

    def set_ready(self, rank: int) -> None:
        """Record that a rank handles signals."""
        self.store.set(f"ready/{rank}", "")

    def is_ready(self, rank: int) -> bool:
        """Return whether a rank handles signals."""
        return bool(self.store.check([f"ready/{rank}"]))

    def report_first_failure(self, rank: int) -> bool:
        """Record that a rank failed.

        Returns:
            Whether it is the first to fail; False if the store is gone.
        """
        with suppress(RuntimeError):
            return bool(self.store.compare_set("failed", "", str(rank)) == str(rank).encode())
        return False

    def first_failed_rank(self) -> int | None:
        """Return the first rank that failed; None if none did or the store is gone."""
        with suppress(RuntimeError):
            return int(self.store.get("failed")) if self.store.check(["failed"]) else None
        return None


def launch(command: Sequence[str], world_size: int, cores: int, grace_seconds: float = GRACE_SECONDS) -> int:
    """Run a command as the ranks of one run on this machine, and wait for all of them.

    SIGINT and SIGTERM are forwarded to every rank.

    Args:
        command: what every rank runs; its environment says which rank it is.
        world_size: the number of ranks.
        cores: the free cores of this machine, which the ranks share.
        grace_seconds: how long the other ranks may run after the first failure.

    Returns:
        The exit code: 0 if every rank succeeded, otherwise that of the rank that reported the error.

    Raises:
        Interrupted: a signal stopped the ranks.
        TrainingError: a rank ended without reporting an error; says how.
    """
    store = RendezvousStore.host(HOST)
    ranks: list[subprocess.Popen[bytes]] = []
    with record_signals() as received:
        try:
            for rank in range(world_size):
                environment = os.environ | _rank_environment(rank, world_size, store.port, cores)
                ranks.append(_start_rank(command, environment))
            first_failed = _wait_for_ranks(ranks, store, received, grace_seconds)
        finally:
            _kill(ranks)
    return _exit_code([rank.wait() for rank in ranks], first_failed, store, received)


def _rank_environment(rank: int, world_size: int, port: int, cores: int) -> Mapping[str, str]:
    threads = os.environ.get("OMP_NUM_THREADS", str(max(cores // world_size, 1)))
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world_size),
        "LOCAL_WORLD_SIZE": str(world_size),
        "MASTER_ADDR": HOST,
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "OMP_NUM_THREADS": threads,
        LAUNCHER_PID: str(os.getpid()),
        **({} if "OMP_NUM_THREADS" in os.environ else {RANK_THREADS: threads}),
    }


def _start_rank(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a rank in its own session, so that the terminal's Ctrl-C reaches it once, from the launcher."""
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603


def _wait_for_ranks(
    ranks: Sequence[subprocess.Popen[bytes]], store: RendezvousStore, received: Sequence[int], grace_seconds: float
) -> int | None:
    """Wait until every rank has ended, or until the grace period after the first failure is over.

    Returns:
        The first rank that failed, or None.
    """
    num_forwarded, first_failed, deadline = 0, None, math.inf
    while any(rank.poll() is None for rank in ranks) and time.monotonic() < deadline:
        for number in received[num_forwarded:]:
            _forward_signal(ranks, store, number)
            num_forwarded += 1
            if received[:num_forwarded].count(signal.SIGINT) > 1:
                deadline = min(deadline, time.monotonic() + SECOND_SIGINT_SECONDS)
        if first_failed is None and (first_failed := _first_failed(ranks)) is not None:
            deadline = time.monotonic() + grace_seconds
            if ranks[first_failed].returncode < 0:
                # A killed rank cannot report; suppress the "lost rank" errors of the others.
                store.report_first_failure(first_failed)
        time.sleep(_POLL_SECONDS)
    return _first_failed(ranks) if first_failed is None else first_failed


def _first_failed(ranks: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Return the first rank whose exit code is neither success nor that of a stop by a signal."""
    expected = (None, 0, *EXIT_CODES.values())
    return next((number for number, rank in enumerate(ranks) if rank.poll() not in expected), None)


def _forward_signal(ranks: Sequence[subprocess.Popen[bytes]], store: RendezvousStore, number: int) -> None:
    """Send a signal to the ranks. A rank that does not handle signals yet has nothing to save and is killed."""
    for index, rank in enumerate(ranks):
        if rank.poll() is None:
            with suppress(ProcessLookupError):
                rank.send_signal(number if store.is_ready(index) else signal.SIGKILL)


def _kill(ranks: Sequence[subprocess.Popen[bytes]]) -> None:
    for rank in ranks:
        if rank.poll() is None:
            rank.kill()


def _exit_code(codes: Sequence[int], first_failed: int | None, store: RendezvousStore, received: Sequence[int]) -> int:
    """Return the exit code of the run from the exit codes of its ranks."""
    reporter = store.first_failed_rank()
    if reporter is not None and codes[reporter] > 0:
        return codes[reporter]
    if received and any(codes):
        # Rank 0 told the user, unless it was killed before it could.
        raise Interrupted(received[0], user_informed=codes[0] >= 0)
    if first_failed is None:
        return max(codes)
    code = codes[first_failed]
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    reason = "SIGKILL often means that memory ran out. " if code == -signal.SIGKILL else ""
    raise TrainingError(
        f"rank {first_failed} of {len(codes)} {how}; the other ranks were ended",
        remedy=f"{reason}Run the same command again, a training with --resume.",
    )


Connect = Callable[[torch.device], DistContext]
"""Connects the ranks. Each passes its device: gloo connects host memory, NCCL the memory of GPUs."""


@contextmanager
def rendezvous(rank_env: RankEnv) -> Iterator[Connect]:
    """Meet the other ranks, train with them and end together with them.

    Args:
        rank_env: which rank this process is.

    Raises:
        TrainingError: the other ranks did not come.
        SystemExit: another rank reports the error.
    """
    _end_with_launcher()
    store = _open_store(rank_env)
    store.set_ready(rank_env.rank)
    contexts: list[DistContext] = []

    def connect(device: torch.device) -> DistContext:
        contexts.append(_init_process_group(rank_env, store, device))
        return contexts[-1]

    try:
        yield connect
    except MampctlError as error:
        # The process group stays open: closing it could wait for ranks that are gone.
        if _should_report(rank_env, store, error):
            raise
        raise SystemExit(1) from error
    except Interrupted:
        _close_all(contexts)
        raise
    _close_all(contexts)


def _open_store(rank_env: RankEnv) -> RendezvousStore:
    if rank_env.rank == 0 and not rank_env.launcher_hosts_store:
        return _host_store(rank_env)
    try:
        return _wait_in_thread(
            lambda: RendezvousStore.connect(rank_env.address, rank_env.port, RENDEZVOUS_TIMEOUT, rank_env.attempt)
        )
    except RuntimeError as error:
        raise _unreachable_error(rank_env) from error


def _host_store(rank_env: RankEnv) -> RendezvousStore:
    try:
        return RendezvousStore.host(rank_env.address, rank_env.port)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise TrainingError(
            f"rank 0 cannot host the rendezvous store at {rank_env.address}:{rank_env.port}: {reason}",
            remedy="Set MASTER_PORT to a port that is free on the host of rank 0.",
        ) from error


def _init_process_group(rank_env: RankEnv, store: RendezvousStore, device: torch.device) -> DistContext:
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        _wait_in_thread(
            lambda: dist.init_process_group(
                backend,
                store=store.store,
                rank=rank_env.rank,
                world_size=rank_env.world_size,
                timeout=RENDEZVOUS_TIMEOUT,
            )
        )
    except RuntimeError as error:
        raise _unreachable_error(rank_env) from error
    return DistContext(
        rank_env.rank, rank_env.world_size, rank_env.local_rank, rank_env.local_world_size, dist.group.WORLD
    )


def _wait_in_thread(wait: Callable[[], T]) -> T:
    """Call `wait` in a thread and return its result.

    torch waits for other ranks in compiled code, for minutes; Python would run no signal handler in the meantime. If
    a signal ends the process, the daemon thread ends with it.
    """
    result: Future[T] = Future()

    def work() -> None:
        try:
            result.set_result(wait())
        except Exception as error:  # noqa: BLE001 - the main thread raises it
            result.set_exception(error)

    threading.Thread(target=work, name="mampctl-rendezvous", daemon=True).start()
    return result.result()


def _close_all(contexts: Sequence[DistContext]) -> None:
    for context in contexts:
        context.close()


def _unreachable_error(rank_env: RankEnv) -> TrainingError:
    minutes = int(RENDEZVOUS_TIMEOUT.total_seconds() // 60)
    return TrainingError(
        f"rank {rank_env.rank}: the {rank_env.world_size} ranks did not meet at "
        f"{rank_env.address}:{rank_env.port} within {minutes} minutes",
        remedy="Check that all ranks were started and that their hosts can reach that port.",
    )


def _should_report(rank_env: RankEnv, store: RendezvousStore, error: MampctlError) -> bool:
    """Return whether this rank reports its error. A rank that lost the others first waits for the cause."""
    deadline = time.monotonic() + (FAILURE_REPORT_SECONDS if isinstance(error, LostRankError) else 0)
    while store.first_failed_rank() is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return store.report_first_failure(rank_env.rank)


def _end_with_launcher() -> None:
    """End this process soon after its launcher, which cannot end its ranks if it is killed.

    The launcher may be gone already. `launch` passes its process ID in the environment, so that this is noticed too.
    """
    launcher = int(os.environ.get(LAUNCHER_PID, os.getppid()))

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, name="mampctl-launcher-watch", daemon=True).start()
