"""Dask's clusters: processes on this machine, or a scheduler that runs elsewhere."""

import gc
import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing import resource_tracker

import dask
from distributed import Client, LocalCluster

from mamp_pipeline.build.dask_engine import WORKER_TIMEOUT, SCHEDULER_TIMEOUT, DaskEngine, translate_connection_errors
from mamp_pipeline.build.engine import Engine
from mamp_pipeline.build.sight import ProbeSpec, ProbeResult, list_probe_differences, probe
from mamp_schemas.errors import ClusterError
from mamp_schemas.progress import Progress

_ALLOWED_FAILURES = 10
"""Workers on this machine that may die at one task."""

_START_ATTEMPTS = 3
"""Times the start of processes is tried."""

_MALLOC_ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": 2**28, "MALLOC_TRIM_THRESHOLD_": 2**28, "MALLOC_ARENA_MAX": 1}
"""Keeps up to 256 MB of freed memory in a process: given back, every array's pages would be made anew.

The C library reads these when a process starts, so they must be in its environment before.
"""


@contextmanager
def start_local_cluster(count: int, progress: Progress) -> Iterator[Engine]:
    """Start processes of one thread each on this machine; they end with the context, and with this process.

    Raises:
        ClusterError: they do not start.
    """
    _silence_dask_logs()
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": _ALLOWED_FAILURES}),
        dask.config.set({"distributed.nanny.pre-spawn-environ": _MALLOC_ENVIRONMENT}),
        ExitStack() as stack,
    ):
        with defer_sigterm(), block_sigint():
            cluster = stack.enter_context(_start_processes(count))
            client = stack.enter_context(Client(cluster, set_as_default=False))
        progress.message(f"{count} worker processes{_dashboard_text(client)}")
        # Dask's own objects are no garbage: to search them for any would stop its scheduler for 40 ms at a time.
        gc.freeze()
        yield DaskEngine(client, progress)


@contextmanager
def defer_sigterm() -> Iterator[None]:
    """Hold SIGTERM back until the context ends: Dask cannot close a cluster that has not started yet.

    From this process only: its workers end by SIGTERM.
    """
    if threading.current_thread() is not threading.main_thread():  # only there are signals heard
        yield
        return
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: received.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if received:
            signal.raise_signal(signal.SIGTERM)


@contextmanager
def block_sigint() -> Iterator[None]:
    """Hold SIGINT back until the context ends, and for good from threads and processes that are started in it.

    A terminal sends Ctrl-C to all processes. This one ends the others in order; they are not to end by themselves,
    each with a traceback, nor is it to be interrupted between starting them and knowing them.
    """
    resource_tracker.ensure_running()  # a process that all others share; to start it lets signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_processes(count: int) -> LocalCluster:
    for _ in range(_START_ATTEMPTS):
        try:
            return LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                memory_limit=None,
                dashboard_address="127.0.0.1:0",
                preload=["mamp_pipeline.build.ready"],
                silence_logs=logging.CRITICAL,
            )
        except RuntimeError as problem:  # a process died before it could be watched over
            failure = problem
    raise ClusterError(
        f"worker processes do not start on this machine ({failure})",
        remedy="Give fewer --workers; with 0 the work runs in this process.",
    )


@contextmanager
def connect_cluster(address: str, probe_spec: ProbeSpec, progress: Progress) -> Iterator[Engine]:
    """Use the workers of a scheduler that runs elsewhere; they and it stay as they are.

    Raises:
        ClusterError: nobody answers at the address, or a worker cannot do this work.
    """
    _silence_dask_logs()
    # Not only the first connection: whatever Dask connects to later must not wait for longer either.
    with dask.config.set({"distributed.comm.timeouts.connect": SCHEDULER_TIMEOUT}), _connect(address) as client:
        with translate_connection_errors():
            _await_workers(client, address, progress)
            workers = _check_workers(client, probe_spec)
        progress.message(f"{workers} workers of {address}{_dashboard_text(client)}")
        yield DaskEngine(client, progress)


def _connect(address: str) -> Client:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # versions are compared below, in words of our own
            return Client(address, timeout=SCHEDULER_TIMEOUT, set_as_default=False)
    except (OSError, ValueError) as problem:
        raise ClusterError(
            f"{address}: no Dask scheduler answers there ({problem})",
            remedy="Start one with `dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1`.",
        ) from None


def _await_workers(client: Client, address: str, progress: Progress) -> None:
    """Wait for a first worker: a batch system starts them at the same time as the command, or later."""
    if client.nthreads():
        return
    progress.message(f"no worker yet: waiting up to {WORKER_TIMEOUT:.0f} s for one to come")
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
    lacking = [place for place, found in installed.items() if isinstance(found, Exception)]
    if lacking:
        raise ClusterError(
            f"mampctl is not installed at {', '.join(lacking)}",
            remedy="Install mampctl[pipeline] in the environment of the scheduler and of every worker.",
        )
    own, views = probe(probe_spec), client.run(probe, probe_spec, on_error="return")
    problems = {place: _worker_problems(own, view) for place, view in views.items()}
    for place, differences in problems.items():
        if differences:
            raise ClusterError(
                f"worker {place} cannot do this work: " + "; ".join(differences),
                remedy="Raw files and output must stand on a file system that every worker mounts under the same "
                "path, or in a bucket that the environment of every worker gives access to; and every worker needs "
                "the same versions.",
            )
    return len(views)


def _worker_problems(own: ProbeResult, view: ProbeResult | Exception) -> list[str]:
    return [f"{type(view).__name__}: {view}"] if isinstance(view, Exception) else list_probe_differences(own, view)


def _scheduler_version(client: Client) -> str | Exception:
    try:
        return str(client.run_on_scheduler(version, "mampctl"))
    except ModuleNotFoundError as problem:  # PackageNotFoundError is one
        return problem


def _dashboard_text(client: Client) -> str:
    """Return where to watch the work: without Bokeh, Dask has no dashboard, but pages of workers, tasks and logs."""
    link = client.dashboard_link
    if not link:
        return ""
    return f", dashboard at {link if find_spec('bokeh') else link.removesuffix('status') + 'info/main/workers.html'}"


def _silence_dask_logs() -> None:
    """Keep Dask's logs off standard error, where progress is written; errors reach the user as ours."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
