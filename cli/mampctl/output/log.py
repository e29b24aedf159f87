"""The log on standard error: text on a terminal, elsewhere one JSON object a line that names the run.

Messages come from `logging`: those of our own packages from INFO on, those of other libraries from WARNING on. The keys
of a line are `event` (`message`, `log` for other libraries, `error`, `crash`, and `start`, `progress`, `end` of a
task), `run_id`, and the values of the event.
"""

import io
import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TextIO

from mamp_schemas.errors import printable

PACKAGES = ("mampctl", "mamp_pipeline", "mamp_trainer", "mamp_schemas")

_run_id = ""
"""One for the whole process: threads log, too, and so does what is left when a call has failed."""


def printable_lines(text: str) -> str:
    """Return text as a terminal can show it: names of files and other text from outside cannot steer it."""
    return text if text.isprintable() else "\n".join(map(printable, text.split("\n")))


def run_id() -> str:
    """Return the name of this command's run."""
    return _run_id


def set_run_id(run_id: str) -> None:
    """Give this command's run a name, which every line of its log has."""
    global _run_id
    _run_id = run_id


def event_line(event: str, **values: object) -> str:
    """Return an event as one line of JSON, with the name of the run."""
    name = {"run_id": run_id()} if run_id() else {}
    return json.dumps({"event": event, **name, **values})


def log_event(event: str, **values: object) -> None:
    """Write an event to standard error that is not a terminal."""
    sys.stderr.write(f"{event_line(event, **values)}\n")
    sys.stderr.flush()


class LogHandler(logging.Handler):
    """Writes log records to `sys.stderr`, which is another one while bars are shown.

    A record that cannot be written is lost: a full disk, or a reader that is gone, must not end a training of days.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; of other libraries warnings and errors only."""
        from_mampctl = is_own_record(record)
        if not from_mampctl and record.levelno < logging.WARNING:
            return
        text, level = record.getMessage(), record.levelname.lower()
        if record.exc_info:
            text += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
        with suppress(OSError):
            if sys.stderr.isatty():
                text = printable_lines(text)
                sys.stderr.write(f"{text if record.levelno < logging.WARNING else f'{level}: {text}'}\n")
            else:
                task = {"task": name} if (name := getattr(record, "task", "")) else {}
                log_event("message" if from_mampctl else "log", level=level, **task, text=text)


def is_own_record(record: logging.LogRecord) -> bool:
    """Return whether a log record is of one of our packages."""
    return record.name.partition(".")[0] in PACKAGES


_handler = LogHandler()


@contextmanager
def handle_log(level: int = logging.INFO) -> Iterator[None]:
    """Write log records to standard error inside, those of our packages from a level on."""
    root, before = logging.getLogger(), [logging.getLogger(name).level for name in PACKAGES]
    root.addHandler(_handler)
    set_log_level(level)
    try:
        yield
    finally:
        root.removeHandler(_handler)
        for name, earlier in zip(PACKAGES, before, strict=True):
            logging.getLogger(name).setLevel(earlier)


def set_log_level(level: int) -> None:
    """Log the records of our packages from this level on."""
    for name in PACKAGES:
        logging.getLogger(name).setLevel(level)


def is_quiet() -> bool:
    """Return whether only warnings and errors are logged."""
    return not logging.getLogger(PACKAGES[0]).isEnabledFor(logging.INFO)


@contextmanager
def filter_log(prepare: "logging._FilterType") -> Iterator[None]:
    """Show every record to a function before it is written; the function may add a `task` to it."""
    _handler.addFilter(prepare)
    try:
        yield
    finally:
        _handler.removeFilter(prepare)


def install_json_log() -> None:
    """Turn everything that this process writes to a standard error that is not a terminal into JSON lines.

    Lines of ours are JSON already. Text from libraries and warnings of Python become events `log`, a traceback becomes
    one event `crash`. What compiled code writes to the file descriptor itself is not seen here.
    """
    if sys.stderr is None:  # closed by whoever started this process
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if not sys.stderr.isatty():
        sys.stderr = JsonLinesStream(sys.stderr)
        sys.excepthook = _log_crash
        logging.captureWarnings(True)


class JsonLinesStream(io.TextIOBase):
    """Writes JSON lines to a stream as they are, and others as the text of an event `log`.

    What cannot be written is lost, as in `LogHandler`.

    Args:
        stream: receives the lines.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._begun = stream, ""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream."""
        return self._stream.encoding

    def fileno(self) -> int:
        """Return that of the stream: processes that are started from here write to it."""
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
        """Flush the stream."""
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
