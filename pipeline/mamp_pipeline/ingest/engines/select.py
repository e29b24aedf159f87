"""Opens the engine that the user asked for; Dask is imported only where it is needed."""

import logging
from contextlib import AbstractContextManager, nullcontext

from mamp_pipeline.ingest.engines.base import Engine, LocalEngine, Workers
from mamp_pipeline.ingest.engines.worker_check import ProbeSpec
from mamp_schemas.errors import MissingExtraError

logger = logging.getLogger(__name__)


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
