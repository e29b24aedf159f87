"""Runs jobs on Dask, on local processes or a scheduler elsewhere, and reports lost workers and jobs."""

import gc
import logging
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any

import dask
from distributed import Client, Future, KilledWorker, LocalCluster
from distributed.client import ClosedClientError

from mamp_pipeline.ingest.engines.base import Engine, Job, Result
from mamp_pipeline.ingest.engines.worker_check import ProbeResult, ProbeSpec, list_probe_differences, probe
from mamp_schemas.errors import ClusterError, MampctlError
from mamp_schemas.signals import block_sigint, defer_sigterm

logger = logging.getLogger(__name__)


SCHEDULER_TIMEOUT = 15.0
"""Seconds that a scheduler may take to answer."""

_JOBS_PER_THREAD = 2
"""Jobs in flight per thread: one runs, the next waits for it to end."""

_RETRIES = 2
"""Times a task is tried again after an error that is not a `MampctlError`, such as a file system's."""

POLL_SECONDS = 5.0
"""Seconds without a result after which the scheduler is asked how many workers it has."""

RECOUNT_SECONDS = 5.0
"""Seconds between two counts of the threads while results come in: batch systems start workers one by one."""

WORKER_TIMEOUT = 120.0
"""Seconds without any worker before giving up: a batch system may be about to start some."""

# Dask's CommClosedError and every timeout are OSErrors; a pool of closed connections raises RuntimeError.
_CONNECTION_ERRORS = (OSError, CancelledError, ClosedClientError, RuntimeError)


class DaskEngine:
    """Runs tasks on the workers of a client's scheduler."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._no_worker_since: float | None = None
        self._max_in_flight, self._counted_at = 0, -RECOUNT_SECONDS

    def run(self, task: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[tuple[Job, Result]]:
        """Run a task on every job; see `Engine`.

        Raises:
            MampctlError: a task raised it.
            ClusterError: the scheduler, or all of its workers, were lost.
        """
        landed: SimpleQueue[Future[Any]] = SimpleQueue()
        waiting = iter(jobs)
        flying: dict[Future[Any], Job] = {}
        self._submit_jobs(task, waiting, flying, landed)
        while flying:
            future = self._next_done(landed)
            job = flying.pop(future)
            result = self._collect_result(future)
            self._submit_jobs(task, waiting, flying, landed)
            yield job, result

    def _submit_jobs(
        self,
        task: Callable[[Job], Result],
        waiting: Iterator[Job],
        flying: "dict[Future[Any], Job]",
        landed: "SimpleQueue[Future[Any]]",
    ) -> None:
        """Submit as many jobs as the present threads have room for."""
        if time.monotonic() - self._counted_at >= RECOUNT_SECONDS:
            self._max_in_flight, self._counted_at = _JOBS_PER_THREAD * max(1, self._count_threads()), time.monotonic()
        for job in islice(waiting, max(0, self._max_in_flight - len(flying))):
            flying[self._submit(task, job, landed)] = job

    def _submit(self, task: Callable[[Job], Result], job: Job, landed: "SimpleQueue[Future[Any]]") -> Future[Any]:
        key = f"{task.__name__}-{uuid.uuid4().hex}"
        with translate_connection_errors():
            future = self._client.submit(_run_task, task, job, key=key, pure=False, retries=_RETRIES)
            future.add_done_callback(landed.put)
        return future

    def _next_done(self, landed: "SimpleQueue[Future[Any]]") -> Future[Any]:
        while True:
            try:
                future = landed.get(timeout=POLL_SECONDS)
            except Empty:
                self._expect_workers()
            else:
                return future

    def _collect_result(self, future: Future[Any]) -> Any:
        """Return a result; if it was lost with its worker, wait until another worker computes it again."""
        while not _has_failed(future):
            try:
                outcome = future.result(timeout=POLL_SECONDS)
            except TimeoutError:
                self._expect_workers()
            except _CONNECTION_ERRORS as problem:
                if not _has_failed(future):
                    raise _connection_lost_error(problem) from None
            else:
                self._no_worker_since = None
                if isinstance(outcome, MampctlError):
                    raise outcome
                return outcome
        raise _task_error(future.exception())

    def _count_threads(self) -> int:
        """Ask the scheduler for the threads of all its workers."""
        with translate_connection_errors():
            if self._client.scheduler is None:
                raise ClosedClientError("given up")
            return sum(self._client.sync(self._client.scheduler.ncores, callback_timeout=SCHEDULER_TIMEOUT).values())

    def _expect_workers(self) -> None:
        """Ask the scheduler for its workers; if there are none, warn once, and give up after a while."""
        threads, now = self._count_threads(), time.monotonic()
        if threads:
            self._no_worker_since = None
        elif self._no_worker_since is None:
            self._no_worker_since = now
            logger.warning(f"no worker is left: waiting up to {WORKER_TIMEOUT:.0f} s for one to come")
        elif now - self._no_worker_since > WORKER_TIMEOUT:
            raise ClusterError(
                f"no worker was left, and none came for {WORKER_TIMEOUT:.0f} s",
                remedy="What is staged is kept: start workers, then run the same command again.",
            )


@contextmanager
def translate_connection_errors() -> Iterator[None]:
    """Turn what Dask raises when its scheduler is gone into a `ClusterError`.

    Raises:
        ClusterError: the scheduler is gone, or does not answer.
    """
    try:
        yield
    except _CONNECTION_ERRORS as problem:
        raise _connection_lost_error(problem) from None


def _connection_lost_error(problem: BaseException) -> ClusterError:
    return ClusterError(
        f"lost the connection to the scheduler ({problem or type(problem).__name__})",
        remedy="What is staged is kept: start the scheduler, then run the same command again.",
    )


def _has_failed(future: Future[Any]) -> bool:
    return bool(future.status == "error")


def _task_error(problem: BaseException) -> BaseException:
    if not isinstance(problem, KilledWorker):
        return problem
    return ClusterError(
        f"the workers that took {problem.task} all died at it, the last was {problem.last_worker.address}",
        remedy="Their logs say why; often they lack memory. Then run the same command again.",
    )


def _run_task(task: Callable[[Job], Result], job: Job) -> Result | MampctlError:
    """Run a task; a `MampctlError` is returned, because trying again would not help."""
    try:
        return task(job)
    except MampctlError as error:
        return error


_ALLOWED_FAILURES = 10
"""How many workers on this machine may die at one task."""

_START_ATTEMPTS = 3
"""Times the start of processes is tried."""

MALLOC_ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": 2**28, "MALLOC_TRIM_THRESHOLD_": 2**28, "MALLOC_ARENA_MAX": 1}
"""Keeps up to 256 MB of freed memory in a process, so that arrays do not fault in new pages every time.

The C library reads these when a process starts, so they must be set before.
"""


@contextmanager
def start_local_cluster(count: int) -> Iterator[Engine]:
    """Start processes of one thread each on this machine; they end with the context, and with this process.

    Raises:
        ClusterError: they do not start.
    """
    _silence_dask_logs()
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": _ALLOWED_FAILURES}),
        dask.config.set({"distributed.nanny.pre-spawn-environ": MALLOC_ENVIRONMENT}),
        ExitStack() as stack,
    ):
        with defer_sigterm(), block_sigint():
            cluster = stack.enter_context(_start_processes(count))
            client = stack.enter_context(Client(cluster, set_as_default=False))
        logger.info(f"{count} worker processes{_dashboard_text(client)}")
        # Dask's objects are no garbage: collecting among them stops its scheduler for 40 ms at a time.
        gc.freeze()
        yield DaskEngine(client)


def _start_processes(count: int) -> LocalCluster:
    for _ in range(_START_ATTEMPTS):
        try:
            return LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                memory_limit=None,
                dashboard_address="127.0.0.1:0",
                preload=["mamp_pipeline.ingest.engines.dask_preload"],
                silence_logs=logging.CRITICAL,
            )
        except RuntimeError as problem:  # a process died before its nanny watched it
            failure = problem
    raise ClusterError(
        f"worker processes do not start on this machine ({failure})",
        remedy="Give fewer --workers; with 0 the work runs in this process.",
    )


@contextmanager
def connect_cluster(address: str, probe_spec: ProbeSpec) -> Iterator[Engine]:
    """Use the workers of a running scheduler; scheduler and workers stay as they are.

    Raises:
        ClusterError: no scheduler answers at the address, or a worker cannot do this work.
    """
    _silence_dask_logs()
    # For all connections, not only the first one.
    with dask.config.set({"distributed.comm.timeouts.connect": SCHEDULER_TIMEOUT}), connect_client(address) as client:
        with translate_connection_errors():
            _await_workers(client, address)
            workers = _check_workers(client, probe_spec)
        logger.info(f"{workers} workers of {address}{_dashboard_text(client)}")
        yield DaskEngine(client)


def connect_client(address: str) -> Client:
    """Connect to a scheduler.

    Raises:
        ClusterError: there is none at the address, or it does not answer.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # versions are compared below
            return Client(address, timeout=SCHEDULER_TIMEOUT, set_as_default=False)
    except (OSError, ValueError) as problem:
        raise ClusterError(
            f"{address}: no Dask scheduler answers there ({problem})",
            remedy="Start one with `dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1`.",
        ) from None


def _await_workers(client: Client, address: str) -> None:
    """Wait for a first worker: a batch system starts them at the same time as the command, or later."""
    if client.nthreads():
        return
    logger.info(f"no worker yet: waiting up to {WORKER_TIMEOUT:.0f} s for one to come")
    try:
        client.wait_for_workers(1, timeout=WORKER_TIMEOUT)
    except TimeoutError:
        raise ClusterError(
            f"{address}: the scheduler has no workers, and none came for {WORKER_TIMEOUT:.0f} s",
            remedy=f"Start some with: dask worker {address} --nthreads 1",
        ) from None


def _check_workers(client: Client, probe_spec: ProbeSpec) -> int:
    installed = client.run(version, "mampctl", on_error="return")
    installed["the scheduler"] = _scheduler_version(client)
    lacking = [worker for worker, answer in installed.items() if isinstance(answer, Exception)]
    if lacking:
        raise ClusterError(
            f"mampctl is not installed at {', '.join(lacking)}",
            remedy="Install mampctl[pipeline] in the environment of the scheduler and of every worker.",
        )
    expected, results = probe(probe_spec), client.run(probe, probe_spec, on_error="return")
    problems = {worker: _worker_problems(expected, result) for worker, result in results.items()}
    for worker, differences in problems.items():
        if differences:
            raise ClusterError(
                f"worker {worker} cannot do this work: " + "; ".join(differences),
                remedy="Raw files and output must be on a file system that every worker mounts under the same "
                "path, or in a bucket that the environment of every worker gives access to; and every worker needs "
                "the same versions.",
            )
    return len(results)


def _worker_problems(expected: ProbeResult, result: ProbeResult | Exception) -> list[str]:
    if isinstance(result, Exception):
        return [f"{type(result).__name__}: {result}"]
    return list_probe_differences(expected, result)


def _scheduler_version(client: Client) -> str | Exception:
    try:
        return str(client.run_on_scheduler(version, "mampctl"))
    except ModuleNotFoundError as problem:  # PackageNotFoundError is one
        return problem


def _dashboard_text(client: Client) -> str:
    """Return the dashboard's address; without Bokeh, Dask has pages of workers, tasks and logs instead."""
    link = client.dashboard_link
    if not link:
        return ""
    return f", dashboard at {link if find_spec('bokeh') else link.removesuffix('status') + 'info/main/workers.html'}"


def _silence_dask_logs() -> None:
    """Keep Dask's logs off standard error, where progress is written; errors reach the user as `ClusterError`."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
