"""The log on standard error when it is not a terminal. Every line is a JSON object that names the run."""

import io
import json
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TextIO

_run_id = ""
"""Of the process, not of a context: threads write to its log as well, and what is left when a call has failed."""


def run_id() -> str:
    """Return the name of this command's run."""
    return _run_id


def set_run_id(run_id: str) -> None:
    """Give this command's run a name, which its log bears."""
    global _run_id
    _run_id = run_id


def event_line(event: str, **facts: object) -> str:
    """Return an event as one line of JSON, with the name of the run."""
    named = {"run_id": run_id()} if run_id() else {}
    return json.dumps({"event": event, **named, **facts})


def log_event(event: str, **facts: object) -> None:
    """Write an event to standard error, where nobody sits in front of it."""
    sys.stderr.write(f"{event_line(event, **facts)}\n")
    sys.stderr.flush()


def install_json_log() -> None:
    """From now on turn what this process writes to a standard error that is no terminal into JSON lines.

    Lines of ours are JSON already. Others come from libraries: they become events `log`. What ends in a traceback
    becomes one event `crash`. What compiled code writes to the file descriptor itself is not seen from here.
    """
    if sys.stderr is None:  # closed by whoever started this process
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if not sys.stderr.isatty():
        sys.stderr = JsonLinesStream(sys.stderr)
        sys.excepthook = _log_crash


class JsonLinesStream(io.TextIOBase):
    """Writes JSON lines to a stream as they are, and others as the text of an event.

    What cannot be written is lost: a log whose disk is full, or whose reader is gone, is to end no training of days.

    Args:
        stream: where they go.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._begun = stream, ""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream."""
        return self._stream.encoding

    def fileno(self) -> int:
        """Return the stream's: processes that are started from here write to it."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """Return true."""
        return True

    def write(self, text: str) -> int:
        """Write whole lines; keep the beginning of one until its end comes."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line.strip():
                with suppress(OSError):
                    self._stream.write((line if _is_event(line) else event_line("log", text=line)) + "\n")
        return len(text)

    def flush(self) -> None:
        """Write what is there of the stream's whole lines."""
        with suppress(OSError):
            self._stream.flush()

    def end_line(self) -> None:
        """Write the line that has not ended."""
        if self._begun:
            self.write("\n")


def _is_event(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _log_crash(kind: type[BaseException], problem: BaseException, trace: TracebackType | None) -> None:
    if isinstance(sys.stderr, JsonLinesStream):
        sys.stderr.end_line()
    lines = traceback.format_exception(kind, problem, trace)
    log_event("crash", text=lines[-1].strip(), traceback="".join(lines))
