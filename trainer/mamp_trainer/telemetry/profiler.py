"""Profiles some steps of a training, as a trace in Chrome's format."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from mamp_schemas.io.atomic import output_errors
from mamp_schemas.progress import Progress

PROFILE_FILE = "profile.json"

WARMUP_STEPS = 2
"""Steps before the profile begins: the first ones allocate and compile."""


@contextmanager
def profile_steps(run: Path, steps: int, progress: Progress) -> Iterator[Callable[[], None]]:
    """Profile some steps of the training inside.

    Args:
        run: the run's folder, where the trace goes.
        steps: how many; 0 for none.
        progress: is told where the trace is.

    Yields:
        A function to be called after every step.
    """
    if not steps:
        yield lambda: None
        return
    path, written = run / PROFILE_FILE, False

    def write(finished: profile) -> None:
        nonlocal written
        partial = path.with_name(f".{path.name}.partial")
        try:
            with output_errors(path):
                finished.export_chrome_trace(str(partial))
                partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        written = True
        progress.message(f"profile: {path}; open it in ui.perfetto.dev or chrome://tracing")

    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    plan = schedule(wait=WARMUP_STEPS - 1, warmup=1, active=steps, repeat=1)
    with profile(activities=activities, schedule=plan, on_trace_ready=write) as running:
        yield running.step
    if not written:
        progress.message(f"profile: none, training ended within its first {WARMUP_STEPS} steps")
