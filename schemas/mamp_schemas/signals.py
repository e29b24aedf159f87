"""How SIGINT and SIGTERM are handled."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

from mamp_schemas.errors import Interrupted


@contextmanager
def defer_sigterm() -> Iterator[None]:
    """Hold SIGTERM back until the context ends: Dask cannot close a cluster that has not started yet.

    From this process only: its workers end by SIGTERM.
    """
    if threading.current_thread() is not threading.main_thread():  # only there are signals heard
        yield
        return
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: received.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if received:
            signal.raise_signal(signal.SIGTERM)


@contextmanager
def block_sigint() -> Iterator[None]:
    """Hold SIGINT back until the context ends, and for good from threads and processes that are started in it.

    A terminal sends Ctrl-C to all processes. This one ends the others in order; they are not to end by themselves,
    each with a traceback, nor is it to be interrupted between starting them and knowing them.
    """
    from multiprocessing import resource_tracker  # not at the start of every command

    resource_tracker.ensure_running()  # a process that all others share; to start it lets signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_RESEND_DELAY_S = 0.05


@contextmanager
def handle_sigterm() -> Iterator[None]:
    """Stop at SIGTERM as at Ctrl-C: batch systems send it, and the first process of a container would not hear it."""

    def receive(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # what is being put in order now is not to be interrupted again
        raise Interrupted(number)

    before = signal.signal(signal.SIGTERM, receive)
    try:
        with reraise_signals_from_destructors():
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def reraise_signals_from_destructors() -> Iterator[None]:
    """Send a signal again whose exception had nowhere to go: raised in a callback of compiled code, as h5py's.

    Python tells of such an exception and goes on, and so would the command.
    """
    before, heard = sys.unraisablehook, signal.getsignal(signal.SIGTERM)
    again: list[threading.Timer] = []

    def tell(lost: "sys.UnraisableHookArgs") -> None:
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            before(lost)
            return
        number = lost.exc_value.signal if isinstance(lost.exc_value, Interrupted) else signal.SIGINT
        if number == signal.SIGTERM:
            signal.signal(number, heard)
        # Not from here, which is that callback still.
        again.append(threading.Timer(_RESEND_DELAY_S, os.kill, (os.getpid(), number)))
        again[-1].start()

    sys.unraisablehook = tell
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in again:
            timer.cancel()


@contextmanager
def signal_handlers(numbers: Iterable[int], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle signals by `handler` within the context, and as before after it."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def interrupt_immediately() -> Iterator[None]:
    """Raise `Interrupted` as soon as SIGINT or SIGTERM comes, where nothing is lost by it: before training."""

    def receive(number: int, _frame: FrameType | None) -> None:
        raise Interrupted(number)

    with signal_handlers((signal.SIGINT, signal.SIGTERM), receive):
        yield


def in_main_thread() -> bool:
    """Whether this is the main thread, the only one that may set signal handlers."""
    return threading.current_thread() is threading.main_thread()
