"""Throughput, phase times, memory and FLOP rate of training, and the peak rate of the device."""

import resource
import sys
import time
from collections.abc import Iterator
from typing import TypeVar

import torch

from mamp_trainer.models.transformer import Linear

_SIZE = {"cuda": 8192, "cpu": 1024}
_REPEATS = 5


def device_peak_flops(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Return floating-point operations a second of the fastest of five products of large square matrices.

    Takes a fraction of a second, and waits for the device.

    Args:
        device: the one to measure.
        dtype: of the matrices, float32 under the precision that torch is set to.
    """
    size = _SIZE[device.type]
    layer = Linear(size, size, bias=False).to(device, dtype)
    matrix = torch.rand(size, size, device=device).to(dtype)
    with torch.no_grad():
        return 2 * size**3 / min(_time_matmul(layer, matrix) for _ in range(_REPEATS))


def _time_matmul(layer: Linear, matrix: torch.Tensor) -> float:
    """Time a product, made as the network makes its own."""
    _synchronise(matrix.device)
    start = time.perf_counter()
    layer(matrix)
    _synchronise(matrix.device)
    return time.perf_counter() - start


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


DeviceEvent = float | torch.cuda.Event


class PhaseTimer:
    """Measures phases: on a GPU by events in its queue, elsewhere by the host's clock.

    Args:
        device: the one that trains.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._laps: list[tuple[str, DeviceEvent, DeviceEvent]] = []
        self._last = self._record_event()

    def end_phase(self, phase: str) -> None:
        """Count the time since the last lap as a phase's."""
        now = self._record_event()
        self._laps.append((phase, self._last, now))
        self._last = now

    def read(self) -> dict[str, float]:
        """Return the seconds of each phase since the last reading; called when the device has done the last lap."""
        seconds: dict[str, float] = {}
        for phase, start, end in self._laps:
            seconds[phase] = seconds.get(phase, 0.0) + _elapsed_seconds(start, end)
        self._laps.clear()
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
"""Seconds of training before the device's peak is measured: short runs do without."""

T = TypeVar("T")


class ThroughputMeter:
    """Measures training between two readings.

    Args:
        device: the one that this rank trains on.
        flops: operations that a term of the loss takes.
        world_size: devices that train together, taken for equal.
        dtype: of the products that most operations are.
    """

    def __init__(
        self, device: torch.device, flops: int = 0, world_size: int = 1, dtype: torch.dtype = torch.float32
    ) -> None:
        self._device, self._flops, self._ranks, self._dtype = device, flops, world_size, dtype
        self._watch = PhaseTimer(device)
        self._started, self._peak = time.monotonic(), 0.0
        self._steps, self._clips, self._terms = 0, 0, 0
        self._since = self._started

    def timed_microbatches(self, microbatches: Iterator[T]) -> Iterator[T]:
        """Yield parts of a batch, and tell waiting for them from computing with them."""
        self._watch.end_phase("other")
        for part in microbatches:
            self._watch.end_phase("data")
            yield part
            self._watch.end_phase("compute")

    def add_step(self, clips: int, loss_terms: int) -> None:
        """End a step.

        Args:
            clips: of the global batch.
            loss_terms: of its loss.
        """
        self._watch.end_phase("compute")
        self._steps, self._clips, self._terms = self._steps + 1, self._clips + clips, self._terms + loss_terms

    def read(self, *, with_peak: bool) -> dict[str, float]:
        """Return what the steps since the last reading showed; called when the device has done them.

        Args:
            with_peak: whether to measure the device's peak, once the run is long enough.
        """
        seconds, laps = max(time.monotonic() - self._since, 1e-9), self._watch.read()
        steps, rate = max(self._steps, 1), self._terms * self._flops / seconds
        facts = {
            "clips_per_s": self._clips / seconds,
            "step_s": (laps.get("data", 0.0) + laps.get("compute", 0.0)) / steps,
            "data_s": laps.get("data", 0.0) / steps,
            "memory_gb": peak_memory(self._device) / 1e9,
            "tflops": rate / 1e12,
        }
        if with_peak and time.monotonic() - self._started > PEAK_AFTER:
            self._peak = self._peak or device_peak_flops(self._device, self._dtype)
            facts["peak_share"] = rate / (self._peak * self._ranks)
        self._begin()
        return facts

    def reset(self) -> None:
        """Leave out what has passed since the last reading: it was not training alone."""
        self._watch.read()
        self._begin()

    def _begin(self) -> None:
        self._since = time.monotonic()
        self._steps = self._clips = self._terms = 0


def peak_memory(device: torch.device) -> int:
    """Return the most bytes that tensors took on a GPU, or this process in host memory, so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
