"""Engines run the tasks of an ingest: in this process, in local processes, or on a cluster.

`open_engine` opens the one that the user asked for; Dask is imported only where it is needed.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mamp_pipeline.ingest.engines.worker_check import ProbeSpec
from mamp_schemas.errors import MissingExtraError

logger = logging.getLogger(__name__)

Job = TypeVar("Job")
Result = TypeVar("Result")


class Engine(Protocol):
    """Runs tasks. Jobs and results are small and picklable: paths and specifications, no arrays."""

    def run(self, task: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[tuple[Job, Result]]:
        """Run a task on every job; yield each job with its result when it ends, in any order.

        Jobs are taken from the iterable only as there is room for them, so any number needs little memory.

        Raises:
            MampctlError: a task raised it, or the engine was lost.
        """


@dataclass(frozen=True, slots=True)
class Workers:
    """Which engine to use.

    Attributes:
        count: processes of one thread each on this machine; 0 is this process itself.
        scheduler: address of a running Dask scheduler, used instead.
    """

    count: int = 0
    scheduler: str | None = None


class LocalEngine:
    """Runs tasks one after the other in this process."""

    def run(self, task: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[tuple[Job, Result]]:
        """Run a task on every job, in order."""
        for job in jobs:
            yield job, task(job)


def open_engine(workers: Workers, parts: int, probe_spec: ProbeSpec) -> AbstractContextManager[Engine]:
    """Open the engine to use for an ingest; leaving its context ends its processes.

    Args:
        workers: which.
        parts: of the ingest; for a single one no processes are started.
        probe_spec: what the workers of a cluster elsewhere must see.

    Raises:
        MissingExtraError: Dask is needed and not installed.
        ClusterError: there is no scheduler at the address, or its workers cannot do this work.
    """
    if workers.scheduler is None and workers.count and parts == 1:
        logger.info("one part: it is done in this process")
    elif workers.scheduler or workers.count:
        return _open_cluster(workers, parts, probe_spec)
    return nullcontext(LocalEngine())


def _open_cluster(workers: Workers, parts: int, probe_spec: ProbeSpec) -> AbstractContextManager[Engine]:
    try:
        from mamp_pipeline.ingest.engines import dask_engine as cluster
    except ModuleNotFoundError as problem:
        raise MissingExtraError(
            f"work in several processes needs the package {problem.name}, which is not installed",
            remedy="Install it with: pip install 'mampctl[pipeline]', or run in one process with --workers 0.",
        ) from None
    if workers.scheduler:
        return cluster.connect_cluster(workers.scheduler, probe_spec)
    return cluster.start_local_cluster(min(workers.count, parts))
