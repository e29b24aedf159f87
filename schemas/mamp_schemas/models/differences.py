"""Settings as flat fields with dotted keys, and where several of them differ."""

from collections.abc import Mapping, Sequence
from typing import Any

from mamp_schemas.models.base import Model

UNKNOWN = "unknown"


class Difference(Model):
    """A field on which several settings differ.

    Attributes:
        key: with dots.
        values: in each of the settings; None where they have no such field, `unknown` where the settings are unknown.
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
    """Return the fields on which the known settings differ, in the order of their first occurrence.

    Args:
        settings: flat fields of each; None where nothing is known of it.
    """
    known = [fields for fields in settings if fields is not None]
    keys = dict.fromkeys(key for fields in known for key in fields)
    return tuple(
        Difference(key=key, values=tuple(UNKNOWN if fields is None else fields.get(key) for fields in settings))
        for key in keys
        if any(fields.get(key) != known[0].get(key) for fields in known)
    )


def show_value(value: object) -> str:
    """Return a value for a line of text; of a digest, its first digits."""
    return f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else str(value)
