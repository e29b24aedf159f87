"""How long the phases of training take on the device that trains, without waiting for it."""

import time

import torch

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
