"""The table of short messages that all ranks of a run see, and whoever started them: who is ready, who failed."""

from contextlib import suppress
from datetime import timedelta
from typing import Self

from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

_FAILED = "failed"


class RendezvousStore:
    """Messages kept by one process and reached by the others over TCP.

    Args:
        store: keeps them.
        attempt: how many times the ranks have been started before: each time has messages of its own.
    """

    def __init__(self, store: TCPStore, attempt: int = 0) -> None:
        self.port: int = store.port
        self.store = PrefixStore(f"mampctl/{attempt}", store)

    @classmethod
    def host(cls, address: str, port: int = 0) -> Self:
        """Keep the table in this process; port 0 takes a free one."""
        return cls(TCPStore(address, port, is_master=True, wait_for_workers=False))

    @classmethod
    def connect(cls, address: str, port: int, timeout: timedelta, attempt: int) -> Self:
        """Reach the table that another process keeps, or is soon to keep.

        Raises:
            RuntimeError: there is none in time.
        """
        return cls(TCPStore(address, port, is_master=False, timeout=timeout), attempt)

    def set_ready(self, rank: int) -> None:
        """Say that a rank may be sent signals."""
        self.store.set(f"ready/{rank}", "")

    def is_ready(self, rank: int) -> bool:
        """Return whether a rank may be sent signals."""
        return bool(self.store.check([f"ready/{rank}"]))

    def report_first_failure(self, rank: int) -> bool:
        """Return whether a rank is the first to fail; not where the table is gone, with the rank that kept it."""
        with suppress(RuntimeError):
            return bool(self.store.compare_set(_FAILED, "", str(rank)) == str(rank).encode())
        return False

    def first_failed_rank(self) -> int | None:
        """Return the first rank that failed; None before, and where the table is gone."""
        with suppress(RuntimeError):
            return int(self.store.get(_FAILED)) if self.store.check([_FAILED]) else None
        return None
