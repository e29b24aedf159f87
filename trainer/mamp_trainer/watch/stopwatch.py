"""How long the phases of training take on the device that trains, without waiting for it."""

import time

import torch

Mark = float | torch.cuda.Event


class Stopwatch:
    """Measures phases: on a GPU by events in its queue, elsewhere by the host's clock.

    Args:
        device: the one that trains.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._laps: list[tuple[str, Mark, Mark]] = []
        self._last = self._mark()

    def lap(self, phase: str) -> None:
        """Count the time since the last lap as a phase's."""
        now = self._mark()
        self._laps.append((phase, self._last, now))
        self._last = now

    def read(self) -> dict[str, float]:
        """Return the seconds of each phase since the last reading; called when the device has done the last lap."""
        seconds: dict[str, float] = {}
        for phase, start, end in self._laps:
            seconds[phase] = seconds.get(phase, 0.0) + _seconds(start, end)
        self._laps.clear()
        return seconds

    def _mark(self) -> Mark:
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event


def _seconds(start: Mark, end: Mark) -> float:
    if isinstance(start, float) and isinstance(end, float):
        return end - start
    milliseconds: float = start.elapsed_time(end)  # type: ignore[union-attr, arg-type]
    return milliseconds / 1000
