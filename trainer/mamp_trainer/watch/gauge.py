"""What the clock and the machine tell of training: rates, times, memory."""

import resource
import sys
import time
from collections.abc import Iterator
from typing import TypeVar

import torch

from mamp_trainer.watch.peak import device_peak_flops
from mamp_trainer.watch.stopwatch import PhaseTimer

PEAK_AFTER = 30.0
"""Seconds of training before the device's peak is measured: short runs do without."""

T = TypeVar("T")


class ThroughputMeter:
    """Measures training between two readings.

    Args:
        device: the one that this rank trains on.
        flops: operations that a term of the loss takes.
        ranks: devices that train together, taken for equal.
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
            terms: of its loss.
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
