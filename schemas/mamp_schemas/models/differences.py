"""Settings as flat fields with dotted keys, and where several of them differ."""

from collections.abc import Mapping, Sequence
from typing import Any

from mamp_schemas.models.base import Model

UNKNOWN = "unknown"


class Difference(Model):
    """A field on which several sides differ.

    Attributes:
        key: with dots.
        values: of each side; None where it has no such field, `unknown` where nothing is known of that side.
    """

    key: str
    values: tuple[Any, ...]

    def __str__(self) -> str:
        """Return `key: value / value`."""
        return f"{self.key}: {self.show_values()}"

    def show_values(self) -> str:
        """Return `value / value`."""
        return " / ".join(map(show_value, self.values))


def flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def find_differences(settings: Sequence[Mapping[str, Any] | None]) -> tuple[Difference, ...]:
    """Return the fields on which the known sides differ, in the order in which they have them.

    Args:
        settings: flat fields of each; None of a side of which nothing is known.
    """
    known = [side for side in settings if side is not None]
    keys = dict.fromkeys(key for side in known for key in side)
    return tuple(
        Difference(key=key, values=tuple(side.get(key) if side is not None else UNKNOWN for side in settings))
        for key in keys
        if any(side.get(key) != known[0].get(key) for side in known)
    )


def show_value(value: object) -> str:
    """Return a value for a line of text; of a digest, its first digits."""
    return f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else str(value)
