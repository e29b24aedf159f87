"""Dask, and nothing else of the pipeline knows it: processes on this machine, or a scheduler that runs elsewhere."""

import logging
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from itertools import islice
from typing import Any

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed
from distributed.comm.core import CommClosedError

from mamp_pipeline.build.engine import Engine, Job, Result
from mamp_pipeline.build.sight import Sight, View, list_differences, look
from mamp_schemas.errors import ClusterError, MampctlError
from mamp_schemas.progress import Progress

_AHEAD = 2
"""Jobs in flight per thread: one runs, the next is there when it ends."""

_RETRIES = 2
"""Times a task is tried again after an error that is not one of ours: a file system that stumbled."""

_DEATHS = 10
"""Workers on this machine that may die at one task."""

_STARTS = 3
"""Times the start of processes is tried."""

_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**28), "MALLOC_TRIM_THRESHOLD_": str(2**28)}
"""Keeps up to 256 MB of freed memory in a process: given back, every array's pages would be made anew."""

_PATIENCE = "15s"


class _Dask:
    """Runs tasks on the workers of a client's scheduler."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def run(self, task: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[tuple[Job, Result]]:
        waiting = iter(jobs)
        room = _AHEAD * max(1, sum(self._client.nthreads().values()))
        flying = {self._submit(task, job): job for job in islice(waiting, room)}
        landed = as_completed(list(flying), loop=self._client.loop)
        for future in landed:
            job = flying.pop(future)
            result = self._take(future)
            for following in islice(waiting, 1):
                started = self._submit(task, following)
                flying[started] = following
                landed.add(started)
            yield job, result

    def _submit(self, task: Callable[[Job], Result], job: Job) -> Future[Any]:
        key = f"{task.__name__}-{uuid.uuid4().hex}"
        return self._client.submit(_attempt, task, job, key=key, pure=False, retries=_RETRIES)

    def _take(self, future: Future[Any]) -> Any:
        try:
            outcome = future.result()
        except KilledWorker as problem:
            raise ClusterError(
                f"the workers that took {problem.task} all died at it, the last was {problem.last_worker.address}",
                remedy="Their logs say why; often they lack memory. Then run the same command again.",
            ) from None
        except (CancelledError, CommClosedError) as problem:
            raise ClusterError(
                f"lost the connection to the scheduler ({problem})",
                remedy="What is staged is kept: start the scheduler, then run the same command again.",
            ) from None
        if isinstance(outcome, MampctlError):
            raise outcome
        return outcome


def _attempt(task: Callable[[Job], Result], job: Job) -> Result | MampctlError:
    """Run a task; its own errors are results, since trying again would not change them."""
    try:
        return task(job)
    except MampctlError as error:
        return error


@contextmanager
def start_cluster(count: int, progress: Progress) -> Iterator[Engine]:
    """Start processes of one thread each on this machine; they end with the context, and with this process.

    Raises:
        ClusterError: they do not start.
    """
    _silence()
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": _DEATHS}),
        _start_processes(count) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        progress.message(f"{count} worker processes{_dashboard(client)}")
        yield _Dask(client)


def _start_processes(count: int) -> LocalCluster:
    for _ in range(_STARTS):
        try:
            return LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                memory_limit=None,
                dashboard_address="127.0.0.1:0",
                preload=["mamp_pipeline.build.tasks"],
                env=_MEMORY,
                silence_logs=logging.CRITICAL,
            )
        except RuntimeError as problem:  # a process died before it could be watched over
            failure = problem
    raise ClusterError(
        f"worker processes do not start on this machine ({failure})",
        remedy="Give fewer --workers; with 0 the work runs in this process.",
    )


@contextmanager
def join_cluster(address: str, sight: Sight, progress: Progress) -> Iterator[Engine]:
    """Use the workers of a scheduler that runs elsewhere; they and it stay as they are.

    Raises:
        ClusterError: nobody answers at the address, or a worker cannot do this work.
    """
    _silence()
    with _connect(address) as client:
        workers = _check_workers(client, address, sight)
        progress.message(f"{workers} workers of {address}{_dashboard(client)}")
        yield _Dask(client)


def _connect(address: str) -> Client:
    try:
        with warnings.catch_warnings(), dask.config.set({"distributed.comm.timeouts.connect": _PATIENCE}):
            warnings.simplefilter("ignore")  # versions are compared below, in words of our own
            return Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as problem:
        raise ClusterError(
            f"{address}: no Dask scheduler answers there ({problem})",
            remedy="Start one with `dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1`.",
        ) from None


def _check_workers(client: Client, address: str, sight: Sight) -> int:
    if not client.nthreads():
        raise ClusterError(
            f"{address}: the scheduler has no workers", remedy=f"Start some with: dask worker {address} --nthreads 1"
        )
    installed = client.run(version, "mampctl", on_error="return")
    installed["the scheduler"] = _ask_scheduler(client)
    lacking = [place for place, found in installed.items() if isinstance(found, Exception)]
    if lacking:
        raise ClusterError(
            f"mampctl is not installed at {', '.join(lacking)}",
            remedy="Install mampctl[pipeline] in the environment of the scheduler and of every worker.",
        )
    own, views = look(sight), client.run(look, sight, on_error="return")
    problems = {place: _compare(own, view) for place, view in views.items()}
    for place, differences in problems.items():
        if differences:
            raise ClusterError(
                f"worker {place} cannot do this work: " + "; ".join(differences),
                remedy="Raw files and output must stand on a file system that every worker mounts under the same "
                "path, or in a bucket that the environment of every worker gives access to; and every worker needs "
                "the same versions.",
            )
    return len(views)


def _compare(own: View, view: View | Exception) -> list[str]:
    return [f"{type(view).__name__}: {view}"] if isinstance(view, Exception) else list_differences(own, view)


def _ask_scheduler(client: Client) -> str | Exception:
    try:
        return str(client.run_on_scheduler(version, "mampctl"))
    except ModuleNotFoundError as problem:  # PackageNotFoundError is one
        return problem


def _dashboard(client: Client) -> str:
    return f", dashboard at {client.dashboard_link}" if find_spec("bokeh") else ""


def _silence() -> None:
    """Keep Dask's logs off standard error, where progress is written; errors reach the user as ours."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
