"""Owns the machine's side of a run: device, initial seed, interruption, and the versions of the record."""

import platform
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from types import FrameType

import torch

from mamp_schemas.errors import UsageError

_PACKAGES = ("mampctl", "torch", "numpy", "zarr", "pydantic", "safetensors")


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM, met where work can stop; its text is the signal's name."""


def choose_device(name: str) -> torch.device:
    """Return the device to train on.

    Args:
        name: `auto` (a GPU where there is one, else the CPU), `cpu`, `cuda` or `cuda:1`.

    Raises:
        UsageError: an unknown name, or a GPU that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdigit()):
        raise UsageError(f"there is no device '{name}'", remedy="Choose auto, cpu, cuda or cuda:0.")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"device '{name}' is not there: torch {torch.__version__} sees {torch.cuda.device_count()} GPUs",
            remedy="Choose --device cpu, or install a torch built for this machine's GPU.",
        )
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """Return a device's name for the run record."""
    if device.type == "cuda":
        return f"{device}: {torch.cuda.get_device_name(device)}"
    return f"cpu: {platform.machine()}, {torch.get_num_threads()} threads"


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw initial weights from a seed, on the CPU, and leave torch's global generator as it was."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        yield


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results may depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Hold back SIGINT and SIGTERM until the work is at a place where it can stop.

    Yields:
        A function to be called at such places: raises `Interrupted` when a signal came. A second signal does
        not wait: it raises a plain KeyboardInterrupt wherever the work is.
    """
    received: list[str] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        received.append(signal.Signals(number).name)
        if len(received) > 1:
            raise KeyboardInterrupt(received[-1])

    def pause() -> None:
        if received:
            raise Interrupted(received[0])

    # Python lets only the main thread handle signals.
    watched = (signal.SIGINT, signal.SIGTERM) if _in_main_thread() else ()
    before = {number: signal.signal(number, receive) for number in watched}
    try:
        yield pause
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
