"""Progress that keeps what it is told."""

from mamp_schemas.progress import NullProgress


class Told(NullProgress):
    """Keeps every message."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        """Keep one line."""
        self.messages.append(text)
