"""How signals reach a command: SIGTERM as Ctrl-C does, and neither gets lost."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mamp_schemas.errors import Interrupted

INTERRUPTED_NOTE = "interrupted: nothing unfinished is left under a final name; run the same command again"
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
