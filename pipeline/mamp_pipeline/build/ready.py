"""What a worker process of this machine does before its first task: a module for Dask to preload."""

import atexit
import gc
import os

from mamp_pipeline.build import tasks
from mamp_pipeline.raw.ntu import load_reader

__all__ = ["dask_setup", "tasks"]


def dask_setup(_worker: object) -> None:
    """Load the compiled reader, and take the interpreter's own work out of the way of the tasks'.

    Nothing of what is loaded by now is ever garbage: frozen, it is not searched for any. And a worker leaves nothing
    to put in order behind it, so its end need not take a quarter of a second to unload compiled code.
    """
    load_reader()
    gc.freeze()
    atexit.register(os._exit, 0)
