"""Waiting for other processes: for what they do, not for a time. The only limit is a guard against hanging."""

import subprocess
import time
from collections.abc import Callable, Iterable

import psutil

HANG_SECONDS = 300.0
"""No wait of a test comes near this limit, however slow the machine is; a wait that reaches it never ends."""


def wait_until(condition: Callable[[], object], what: Callable[[], str] | str, seconds: float = HANG_SECONDS) -> None:
    """Return once a condition holds.

    Args:
        condition: polled; anything true ends the wait.
        what: what is waited for, for the message of a wait that hangs; a function is called then.
        seconds: the guard.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what if isinstance(what, str) else what()
        time.sleep(0.005)


def finish(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """Return what a process wrote to standard output and standard error, once it has ended."""
    try:
        return process.communicate(timeout=HANG_SECONDS)
    finally:
        process.kill()


def assert_gone(processes: Iterable[psutil.Process]) -> None:
    """Return once all processes have ended."""
    _, alive = psutil.wait_procs(list(processes), timeout=HANG_SECONDS)
    assert not alive
