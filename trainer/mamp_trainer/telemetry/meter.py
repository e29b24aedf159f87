"""Throughput, phase times, memory and FLOP rate of training, the peak rate of the device, and profiles of steps."""

import logging
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from mamp_schemas.io.atomic import atomic_file
from mamp_trainer.models.transformer import Linear

logger = logging.getLogger(__name__)

_SIZE = {"cuda": 8192, "cpu": 1024}
_REPEATS = 5


def device_peak_flops(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Measure the device's peak rate: operations per second of the fastest of five products of large square matrices.

    This takes a fraction of a second and waits for the device.

    Args:
        device: the device.
        dtype: of the matrices; float32 products have the precision that torch is set to.
    """
    size = _SIZE[device.type]
    layer = Linear(size, size, bias=False).to(device, dtype)
    matrix = torch.rand(size, size, device=device).to(dtype)
    with torch.no_grad():
        return 2 * size**3 / min(_time_matmul(layer, matrix) for _ in range(_REPEATS))


def _time_matmul(layer: Linear, matrix: torch.Tensor) -> float:
    """Time a matrix product, computed as in the network."""
    synchronise(matrix.device)
    start = time.perf_counter()
    layer(matrix)
    synchronise(matrix.device)
    return time.perf_counter() - start


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


DeviceEvent = float | torch.cuda.Event


class PhaseTimer:
    """Measures the time of phases: on a GPU by events in its queue, elsewhere by the host's clock.

    Args:
        device: the training device.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._intervals: list[tuple[str, DeviceEvent, DeviceEvent]] = []
        self._last = self._record_event()

    def end_phase(self, phase: str) -> None:
        """Count the time since the last call as a phase's."""
        now = self._record_event()
        self._intervals.append((phase, self._last, now))
        self._last = now

    def read(self) -> dict[str, float]:
        """Return the seconds of each phase since the last reading; called when the device has finished the last one."""
        seconds: dict[str, float] = {}
        for phase, start, end in self._intervals:
            seconds[phase] = seconds.get(phase, 0.0) + _elapsed_seconds(start, end)
        self._intervals.clear()
        return seconds

    def _record_event(self) -> DeviceEvent:
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event


def _elapsed_seconds(start: DeviceEvent, end: DeviceEvent) -> float:
    if isinstance(start, float) and isinstance(end, float):
        return end - start
    milliseconds: float = start.elapsed_time(end)  # type: ignore[union-attr, arg-type]
    return milliseconds / 1000


PEAK_AFTER = 30.0
"""Seconds of training before the device's peak rate is measured: short runs do not need it."""

T = TypeVar("T")


class ThroughputMeter:
    """Measures rates, times and memory of training between two readings.

    Args:
        device: the device of this rank.
        flops: operations of a loss term.
        world_size: number of devices that train together, all of them alike.
        dtype: of the network's matrix products.
    """

    def __init__(
        self, device: torch.device, flops: int = 0, world_size: int = 1, dtype: torch.dtype = torch.float32
    ) -> None:
        self._device, self._flops, self._ranks, self._dtype = device, flops, world_size, dtype
        self._timer = PhaseTimer(device)
        self._started, self._peak = time.monotonic(), 0.0
        self._steps, self._clips, self._terms = 0, 0, 0
        self._since = self._started

    def timed_microbatches(self, microbatches: Iterator[T]) -> Iterator[T]:
        """Yield microbatches; time waiting for them and computing with them apart."""
        self._timer.end_phase("other")
        for microbatch in microbatches:
            self._timer.end_phase("data")
            yield microbatch
            self._timer.end_phase("compute")

    def add_step(self, clips: int, loss_terms: int) -> None:
        """End a step.

        Args:
            clips: of the global batch.
            loss_terms: of its loss.
        """
        self._timer.end_phase("compute")
        self._steps, self._clips, self._terms = self._steps + 1, self._clips + clips, self._terms + loss_terms

    def read(self, *, with_peak: bool) -> dict[str, float]:
        """Return the measurements of the steps since the last reading; called when the device has finished them.

        Args:
            with_peak: whether to measure the device's peak rate, once the run is long enough.
        """
        seconds, phases = max(time.monotonic() - self._since, 1e-9), self._timer.read()
        steps, rate = max(self._steps, 1), self._terms * self._flops / seconds
        measured = {
            "clips_per_s": self._clips / seconds,
            "step_s": (phases.get("data", 0.0) + phases.get("compute", 0.0)) / steps,
            "data_s": phases.get("data", 0.0) / steps,
            "memory_gb": peak_memory(self._device) / 1e9,
            "tflops": rate / 1e12,
        }
        if with_peak and time.monotonic() - self._started > PEAK_AFTER:
            self._peak = self._peak or device_peak_flops(self._device, self._dtype)
            measured["peak_share"] = rate / (self._peak * self._ranks)
        self._begin()
        return measured

    def reset(self) -> None:
        """Drop the time since the last reading, which was not spent on training alone."""
        self._timer.read()
        self._begin()

    def _begin(self) -> None:
        self._since = time.monotonic()
        self._steps = self._clips = self._terms = 0


def peak_memory(device: torch.device) -> int:
    """Return the peak bytes so far: of tensors on a GPU, or of this process in host memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


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
