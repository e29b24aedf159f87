"""What a worker process of this machine does before its first task: a module for Dask to preload."""

import atexit
import gc

from mamp_pipeline.build import tasks
from mamp_pipeline.raw.ntu import load_reader

__all__ = ["dask_setup", "tasks"]


def dask_setup(_worker: object) -> None:
    """Load the compiled reader, and spare the tasks the search for garbage among what is loaded by now: none is.

    Nor is there any to search for at the process's end, which would take 0.2 s.
    """
    load_reader()
    gc.freeze()
    atexit.register(gc.freeze)
