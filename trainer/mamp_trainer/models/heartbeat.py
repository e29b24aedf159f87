"""Beats during long computations: between the operations of a forward and a backward pass other work may be done.

A pass over a batch can take minutes on a CPU, and Python handles no signal while torch computes. So the linear layers
of the network call `beat` and `beat_in_backward`, and whoever computes may listen: to show progress, or to abandon the
pass. Listening changes no number.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_listener: ContextVar[Callable[[], None] | None] = ContextVar("heartbeat", default=None)


class Abandoned(Exception):  # noqa: N818 - no error: the work is given up on purpose
    """Raised by a listener to give up the pass that is being computed."""


@contextmanager
def heartbeat(listener: Callable[[], None]) -> Iterator[None]:
    """Have a function called many times during the passes inside, in this thread; it may raise `Abandoned`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def beat() -> None:
    """Call the listener, if there is one."""
    if torch.compiler.is_compiling():
        return
    listener = _listener.get()
    if listener is not None:
        listener()


def beat_in_backward(output: Tensor) -> None:
    """Call the listener once more when the gradient of a layer's output is there.

    On a CPU only: there the backward pass runs in the thread that called it.
    """
    if torch.compiler.is_compiling() or output.device.type != "cpu" or not output.requires_grad:
        return
    if _listener.get() is not None:
        output.register_hook(_on_gradient)  # type: ignore[no-untyped-call]


def _on_gradient(_gradient: Tensor) -> None:
    beat()


@contextmanager
def abandonable(then: Callable[[], None]) -> Iterator[None]:
    """Compute something that a listener may abandon, then ask whether to stop.

    Args:
        then: called after the work, finished or abandoned; it must raise after work that was abandoned.
    """
    abandoned: Abandoned | None = None
    try:
        yield
    except Abandoned as error:
        abandoned = error
    then()
    if abandoned is not None:
        raise abandoned
