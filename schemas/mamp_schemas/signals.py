"""What happens on SIGINT (Ctrl-C) and SIGTERM (a batch system, a container's end, `timeout`).

The policy of the whole project. No other module sets a signal handler.

What a user sees: the command ends within seconds, with one line that says how to continue, and nothing unfinished under
a final name. The exit code is 130 after SIGINT and 75 after SIGTERM (EX_TEMPFAIL: batch systems run the job again); see
`errors.ExitCode`. While a signal stops a command it is an exception: `errors.Interrupted`, a `KeyboardInterrupt` that
knows its signal; or a plain `KeyboardInterrupt` for SIGINT under Python's own handler and for a second SIGINT. The
training loop catches it to save a checkpoint and raises it again; only the command line (`mampctl.runtime`) ends the
process and chooses the exit code.

Who handles a signal, and when it raises:

- Any command, from its first line on (`handle_sigterm`): both raise at once. SIGINT has Python's own handler. After a
  SIGTERM further ones are ignored, so that cleaning up is not interrupted.
- A training outside its loop (`interrupt_immediately`), before the first step and while its results are analysed: both
  raise at once, whenever they come.
- The training loop (`interruptible`): both are recorded. On a CPU the step or test batch at hand is abandoned between
  two operations (`mamp_trainer.models.heartbeat`); elsewhere it is finished. Then all ranks stop, and the first one
  writes a checkpoint of the last finished step. A second SIGINT raises at once; a second SIGTERM changes nothing.
- Writing predictions (`interruptible`): both wait until the lines at hand are written.
- The launcher of ranks, `--devices` (`record_signals`): both are forwarded to the ranks, which stop as above. The
  launcher waits for them; after a second SIGINT it ends those that are left.
- The start of local Dask workers (`block_sigint`, `defer_sigterm`): both wait until the workers are known, then raise,
  and the workers are closed. The workers themselves never see SIGINT.

Ingest needs no handler of its own: whatever raises, staging files stay and the same command continues. An ingest on a
remote scheduler leaves the workers as they are.

Python runs handlers in the main thread only, between two bytecodes. In any other thread no handler is set.
An exception that a handler raises inside a destructor or a callback of compiled code (h5py) would be lost;
`handle_sigterm` sends such a signal again. Waiting inside compiled code for long (torch's rendezvous) is done in a
thread, so that the main thread can handle signals.

SIGKILL cannot be handled. What it leaves behind is unfinished under a `.partial` name or in staging; locks are released
by the operating system (`io.locks`); ranks notice that their launcher is gone and end.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from mamp_schemas.errors import Interrupted

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_RESEND_DELAY_S = 0.05


@contextmanager
def handle_sigterm() -> Iterator[None]:
    """Raise `Interrupted` at the first SIGTERM, for any command. SIGINT keeps Python's own handler.

    Without it the first process of a container would not react to SIGTERM at all.
    """

    def receive(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # cleaning up is not interrupted again
        raise Interrupted(number)

    with _handlers((signal.SIGTERM,), receive), _resend_lost_signals():
        yield


@contextmanager
def interrupt_immediately() -> Iterator[None]:
    """Raise `Interrupted` as soon as SIGINT or SIGTERM comes: where nothing is lost by it."""

    def receive(number: int, _frame: FrameType | None) -> None:
        raise Interrupted(number)

    with _handlers(_STOP_SIGNALS, receive):
        yield


class InterruptCheck:
    """Asks whether work is to stop. Called as a function, it raises `Interrupted` in all processes if any got a signal.

    Args:
        agree: as in `interruptible`.
    """

    def __init__(self, agree: Callable[[int], int]) -> None:
        self._agree = agree
        self._received: list[int] = []

    def __call__(self) -> None:
        """Raise `Interrupted` in all processes that work together if any got a signal; all call it."""
        number = self._agree(self._received[0] if self._received else 0)
        if number:
            raise Interrupted(number)

    @property
    def pending(self) -> bool:
        """Whether this process got a signal: the next call raises."""
        return bool(self._received)

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Record a signal; a second SIGINT raises a plain `KeyboardInterrupt`."""
        self._received.append(number)
        if len(self._received) > 1 and number == signal.SIGINT:
            raise KeyboardInterrupt(signal.Signals(number).name)


@contextmanager
def interruptible(agree: Callable[[int], int] = int) -> Iterator[InterruptCheck]:
    """Hold back SIGINT and SIGTERM until the work asks for them, where it can stop.

    A second SIGINT does not wait: it raises a plain `KeyboardInterrupt` wherever the work is. A second SIGTERM does:
    `timeout` sends two, one to the process and one to its group.

    Args:
        agree: returns the largest number of all processes that work together, of which 0 means no signal. All call it
            at the same points of the work.

    Yields:
        The check to call at these points. In between, its `pending` tells whether this process got a signal.
    """
    check = InterruptCheck(agree)
    with _handlers(_STOP_SIGNALS, check.handle):
        yield check


@contextmanager
def record_signals() -> Iterator[list[int]]:
    """Yield a list to which every SIGINT and SIGTERM is appended, for a process that forwards them."""
    received: list[int] = []
    with _handlers(_STOP_SIGNALS, lambda number, _frame: received.append(number)):
        yield received


@contextmanager
def defer_sigterm() -> Iterator[None]:
    """Hold SIGTERM back until the context ends: Dask cannot close a cluster that has not started yet.

    Child processes do not inherit this: the workers still end by SIGTERM.
    """
    received: list[int] = []
    try:
        with _handlers((signal.SIGTERM,), lambda number, _frame: received.append(number)):
            yield
    finally:
        if received:
            signal.raise_signal(signal.SIGTERM)


@contextmanager
def block_sigint() -> Iterator[None]:
    """Hold SIGINT back until the context ends, and forever in threads and processes that are started inside.

    A terminal sends Ctrl-C to all processes. This process ends the others in order, so they must not end by themselves
    with tracebacks, and it must not be interrupted between starting them and knowing them.
    """
    from multiprocessing import resource_tracker  # slow to import, and only ingest needs it

    # It is shared by all child processes, and starting it unblocks signals: so it is started before they are blocked.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _handlers(numbers: tuple[signal.Signals, ...], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle signals by `handler` inside the context, and as before after it. Does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def _resend_lost_signals() -> Iterator[None]:
    """Send a signal again whose exception was lost in a destructor or a callback of compiled code (h5py).

    Python only prints such an exception and continues, and so would the command.
    """
    hook_before, sigterm_handler = sys.unraisablehook, signal.getsignal(signal.SIGTERM)
    timers: list[threading.Timer] = []

    def resend(lost: "sys.UnraisableHookArgs") -> None:
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            hook_before(lost)
            return
        number = lost.exc_value.signal if isinstance(lost.exc_value, Interrupted) else signal.SIGINT
        if number == signal.SIGTERM:
            signal.signal(number, sigterm_handler)
        # Not from here: this still runs inside that callback.
        timers.append(threading.Timer(_RESEND_DELAY_S, os.kill, (os.getpid(), number)))
        timers[-1].start()

    sys.unraisablehook = resend
    try:
        yield
    finally:
        sys.unraisablehook = hook_before
        for timer in timers:
            timer.cancel()
