"""Profile some steps of a training, as a trace in Chrome's format."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from mamp_schemas.io.atomic import atomic_file

logger = logging.getLogger(__name__)

PROFILE_FILE = "profile.json"

WARMUP_STEPS = 2
"""Steps before the profile begins: the first ones allocate and compile."""


@contextmanager
def profile_steps(run: Path, steps: int) -> Iterator[Callable[[], None]]:
    """Profile some steps of the training in this context.

    Args:
        run: the run's folder, where the trace goes.
        steps: how many; 0 for none.

    Yields:
        A function to be called after every step.
    """
    if not steps:
        yield lambda: None
        return
    path, written = run / PROFILE_FILE, False

    def write(finished: profile) -> None:
        nonlocal written
        with atomic_file(path, overwrite=True) as partial:
            finished.export_chrome_trace(str(partial))
        written = True
        logger.info(f"profile: {path}; open it in ui.perfetto.dev or chrome://tracing")

    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    plan = schedule(wait=WARMUP_STEPS - 1, warmup=1, active=steps, repeat=1)
    with profile(activities=activities, schedule=plan, on_trace_ready=write) as running:
        yield running.step
    if not written:
        logger.info(f"profile: none, training ended within its first {WARMUP_STEPS} steps")
