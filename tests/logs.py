"""Acting on what our packages log."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class _Listener(logging.Handler):
    def __init__(self, act: Callable[[str], object]) -> None:
        super().__init__()
        self.act = act

    def emit(self, record: logging.LogRecord) -> None:
        self.act(record.getMessage())


@contextmanager
def on_log(act: Callable[[str], object]) -> Iterator[None]:
    """Call `act` with the text of every log record inside; what it raises reaches the code that logs."""
    handler, root = _Listener(act), logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
