"""Prepares a local worker process before its first task. Dask preloads this module by its name."""

import atexit
import gc

import numpy as np

from mamp_pipeline.cleaning.denoise import sum_variances
from mamp_pipeline.datasets.ntu.parse import warm_up_parser
from mamp_pipeline.ingest import tasks

__all__ = ["dask_setup", "tasks"]


def dask_setup(_worker: object) -> None:
    """Load the compiled code, and exempt what is loaded so far from garbage collection, also at the process's end."""
    warm_up_parser()
    sum_variances(np.zeros((1, 3), np.float32))
    gc.freeze()
    atexit.register(gc.freeze)
