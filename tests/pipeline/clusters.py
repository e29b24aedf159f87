"""A Dask scheduler and its workers as processes of their own, as they run elsewhere."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import HANG_SECONDS, wait_until


@dataclass(frozen=True)
class Cluster:
    """Its scheduler's address and the processes."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: tuple[subprocess.Popen[bytes], ...]


@contextmanager
def run_cluster(
    folder: Path, workers: int = 1, before: Sequence[str] = (), ahead: Sequence[str] = ()
) -> Iterator[Cluster]:
    """Run a scheduler and workers without nannies.

    `before` is put in front of the workers' command lines, `ahead` in front of the scheduler's.
    """
    file = folder / "scheduler.json"
    with ExitStack() as stack:
        command = ["dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        scheduler = stack.enter_context(_run(ahead, *command, "--scheduler-file", str(file)))
        address = str(_wait(file)["address"])
        started = [stack.enter_context(run_worker(address, before)) for _ in range(workers)]
        wait_for_workers(address, workers)
        yield Cluster(address, scheduler, tuple(started))


def run_worker(address: str, before: Sequence[str] = ()) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Run a worker of a scheduler."""
    return _run(before, "dask_worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny")


@contextmanager
def _run(before: Sequence[str], *command: str) -> Iterator[subprocess.Popen[bytes]]:
    line = [*before, sys.executable, "-m", f"distributed.cli.{command[0]}", *command[1:]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait(file: Path) -> dict[str, object]:
    found: dict[str, object] = {}

    def read() -> bool:
        with suppress(FileNotFoundError, ValueError):
            found.update(json.loads(file.read_text()))
        return bool(found)

    wait_until(read, "the scheduler starts")
    return found


def wait_for_workers(address: str, count: int) -> None:
    """Return once a scheduler has so many workers."""
    from distributed import Client

    if count:
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=HANG_SECONDS)
