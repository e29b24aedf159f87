"""The errors that a user can meet, as one tree, and the exit codes."""

import signal
import unicodedata
from enum import IntEnum


class MampctlError(Exception):
    """What went wrong and where, and what to do next. Every error that a user can meet is one of these.

    Args:
        message: what happened and where, what was found and what was expected.
        remedy: what to do next; may be empty.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message


class UsageError(MampctlError):
    """A command line with a mistake (exit code 2)."""


class MissingExtraError(MampctlError):
    """An optional package is needed and not installed."""


class ConfigError(MampctlError):
    """A recipe, policy or layout that is not valid."""


class RecipeError(ConfigError):
    """A recipe that does not fit the data or the model."""


class RawInputError(MampctlError):
    """The raw input as a whole cannot be used."""


class RawFileError(RawInputError):
    """One raw file cannot become a clip.

    Args:
        reason: what is wrong.
        line: the 1-based line; 0 if it is not about a line.
    """

    def __init__(self, reason: str, *, line: int = 0) -> None:
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.reason = reason
        self.line = line

    def __reduce__(self) -> tuple[object, ...]:
        return _raw_file_error, (self.reason, self.line)


def _raw_file_error(reason: str, line: int) -> RawFileError:
    return RawFileError(reason, line=line)


class StoreError(MampctlError):
    """A store cannot be read or written."""


class IncompleteStoreError(StoreError):
    """A store has no completion mark."""


class DamagedStoreError(StoreError):
    """A store's content does not match its digests."""


class StoreExistsError(StoreError):
    """The output already exists and was made from something else."""


class ManifestError(MampctlError):
    """A split manifest is missing, damaged or belongs to another store."""


class CheckpointError(MampctlError):
    """A checkpoint cannot be read or does not fit."""


class RecordError(MampctlError):
    """A run's record is missing, damaged or of an unknown format."""


class ExportError(MampctlError):
    """An exported model gives other numbers than the model it was made from."""


class ObjectStoreError(MampctlError):
    """An object store cannot be used: no such bucket, access denied, unreachable or overloaded."""


class ClusterError(MampctlError):
    """Remote workers cannot be used or were lost."""


class OutputError(MampctlError):
    """An output cannot be written."""


class TrainingError(MampctlError):
    """Training cannot start or continue."""


class LostRankError(TrainingError):
    """Another rank of the run is gone. The error of that rank is the cause."""


def is_nul(data: bytes) -> bool:
    """Return whether a file's bytes are all NUL, as an interrupted download or copy leaves them."""
    return data[:1] == b"\0" and data.count(0) == len(data)


def printable(name: str) -> str:
    r"""Return a line of outside as it can be printed: control characters and bytes that are no UTF-8 become `\xNN`."""
    return name if name.isprintable() else "".join(map(_printable_character, name))


def _printable_character(character: str) -> str:
    if unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp"):
        return character
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else repr(character)[1:-1]


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    """The command line or a variable has a mistake."""
    QUARANTINED = 3
    """Done, but files were quarantined and --strict was given."""
    TERMINATED = 75
    """Stopped by SIGTERM: run it again. EX_TEMPFAIL of sysexits.h."""
    INTERRUPTED = 130
    """Stopped by SIGINT (Ctrl-C)."""


EXIT_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}
"""Exit codes of a command that a signal stopped."""


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM, raised where work can stop; its text is the name of the signal.

    Args:
        number: the signal.
        user_informed: whether the log already says how to continue.
    """

    def __init__(self, number: int, *, user_informed: bool = False) -> None:
        self.signal, self.user_informed = signal.Signals(number), user_informed
        super().__init__(self.signal.name)

    @property
    def exit_code(self) -> int:
        """The exit code of a command that this signal stopped."""
        return EXIT_CODES[self.signal]


def exit_code(stop: KeyboardInterrupt) -> int:
    """Return the exit code of a command that was stopped; without a known signal, that of SIGINT."""
    return stop.exit_code if isinstance(stop, Interrupted) else EXIT_CODES[signal.SIGINT]
