"""Jobs on the workers of a Dask scheduler, and a watch over both: neither is lost without a word."""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any

from distributed import Client, Future, KilledWorker
from distributed.client import ClosedClientError

from mamp_pipeline.build.engine import Job, Result
from mamp_schemas.errors import ClusterError, MampctlError
from mamp_schemas.progress import Progress

SCHEDULER_TIMEOUT = 15.0
"""Seconds that a scheduler may take to answer."""

_JOBS_PER_THREAD = 2
"""Jobs in flight per thread: one runs, the next is there when it ends."""

_RETRIES = 2
"""Times a task is tried again after an error that is not one of ours: a file system that stumbled."""

_POLL_SECONDS = 5.0
"""Seconds without a result after which the scheduler is asked how many workers it has."""

_RECOUNT_SECONDS = 5.0
"""Seconds between two counts of the threads while results come in: batch systems start workers one by one."""

WORKER_TIMEOUT = 120.0
"""Seconds without any worker before the work is given up: a batch system may be about to start some."""

# Dask's CommClosedError and every timeout are OSErrors; a pool of closed connections raises RuntimeError.
_CONNECTION_ERRORS = (OSError, CancelledError, ClosedClientError, RuntimeError)


class DaskEngine:
    """Runs tasks on the workers of a client's scheduler."""

    def __init__(self, client: Client, progress: Progress) -> None:
        self._client, self._progress = client, progress
        self._no_worker_since: float | None = None
        self._max_in_flight, self._counted_at = 0, -_RECOUNT_SECONDS

    def run(self, task: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[tuple[Job, Result]]:
        """Run a task on every job; see `engine.Engine`.

        Raises:
            MampctlError: a task's own.
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
        """Put jobs into flight, as many as the threads there are now have room for."""
        if time.monotonic() - self._counted_at >= _RECOUNT_SECONDS:
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
                future = landed.get(timeout=_POLL_SECONDS)
            except Empty:
                self._expect_workers()
            else:
                return future

    def _collect_result(self, future: Future[Any]) -> Any:
        """Return a result. One that was lost with the worker that held it is waited for: another makes it again."""
        while not _has_failed(future):
            try:
                outcome = future.result(timeout=_POLL_SECONDS)
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
        """Ask the scheduler for its workers; where there are none, say so once, and give up after a while."""
        threads, now = self._count_threads(), time.monotonic()
        if threads:
            self._no_worker_since = None
        elif self._no_worker_since is None:
            self._no_worker_since = now
            self._progress.message(f"warning: no worker is left: waiting up to {WORKER_TIMEOUT:.0f} s for one to come")
        elif now - self._no_worker_since > WORKER_TIMEOUT:
            raise ClusterError(
                f"no worker was left, and none came for {WORKER_TIMEOUT:.0f} s",
                remedy="What is staged is kept: start workers, then run the same command again.",
            )


@contextmanager
def translate_connection_errors() -> Iterator[None]:
    """Turn what Dask raises when its scheduler is gone into an error of ours.

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
    """Run a task; its own errors are results, since trying again would not change them."""
    try:
        return task(job)
    except MampctlError as error:
        return error
