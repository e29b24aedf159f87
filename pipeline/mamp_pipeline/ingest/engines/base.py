"""Engines run the tasks of an ingest: in this process, in local processes, or on a cluster."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

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
