"""What a local worker process does before its first task. Dask preloads this module by its name."""

import atexit
import gc

import numpy as np

from mamp_pipeline.cleaning.denoise import sum_variances
from mamp_pipeline.datasets.ntu.parse import warm_up_parser
from mamp_pipeline.ingest import tasks

__all__ = ["dask_setup", "tasks"]


def dask_setup(_worker: object) -> None:
    """Load the compiled code, and spare the tasks the search for garbage among what is loaded by now: none is.

    Nor is there any to search for at the process's end, which would take 0.2 s.
    """
    warm_up_parser()
    sum_variances(np.zeros((1, 3), np.float32))
    gc.freeze()
    atexit.register(gc.freeze)
