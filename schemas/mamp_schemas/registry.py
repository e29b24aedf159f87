"""Names of what can be plugged in: datasets, objectives and protocols, in-tree and from other distributions.

An entry says where an object and its options are: a dataset's reader, an objective's class, or a protocol. In-tree
entries are registered by `mamp_schemas.builtin`; those of other distributions (installed Python packages other than
mampctl) are the entry points of the registry's group. Both are written `module:attribute` and imported at first use: a
list of names costs no import of torch.
"""

import difflib
import importlib
import logging
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast

from mamp_schemas.errors import UsageError

logger = logging.getLogger(__name__)

T = TypeVar("T")
O = TypeVar("O")  # noqa: E741


@dataclass(frozen=True)
class Entry:
    """A name of a registry, and where its thing is.

    Attributes:
        target: `module:attribute` of the thing.
        options: `module:attribute` of its options model; None where the thing carries it, as `options`.
        summary: one line for lists and help; None where the thing carries it, as `summary`.
        distribution: which distribution brings it; None for an in-tree entry.
    """

    name: str
    target: str
    options: str | None = None
    summary: str | None = None
    distribution: str | None = None


class Registry(Generic[T, O]):
    """The things of one kind, by name.

    Args:
        noun: what a thing is, for messages: "dataset".
        group: the group of entry points that other distributions use.
    """

    def __init__(self, noun: str, group: str) -> None:
        self.noun, self.group = noun, group
        self._entries: dict[str, Entry] = {}
        self._things: dict[str, T] = {}
        self._complete = False

    def register(self, name: str, target: str, *, options: str | None = None, summary: str | None = None) -> None:
        """Add an in-tree entry.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._entries:
            raise ValueError(f"the {self.noun} '{name}' is registered twice")
        self._entries[name] = Entry(name, target, options, summary)

    def names(self) -> tuple[str, ...]:
        """Return all names, in-tree ones first, in the order of their registration."""
        return tuple(self._all())

    def entry(self, name: str) -> Entry:
        """Return the entry of a name.

        Raises:
            UsageError: there is none; the error lists those there are, and the nearest.
        """
        entries = self._all()
        if name not in entries:
            raise unknown_name(self.noun, name, tuple(entries))
        return entries[name]

    def get(self, name: str) -> T:
        """Return the thing of a name, imported at first use.

        Raises:
            UsageError: there is no such name, or what it names cannot be imported.
        """
        if name not in self._things:
            entry = self.entry(name)
            self._things[name] = cast("T", self._load(entry, entry.target))
        return self._things[name]

    def options(self, name: str) -> O:
        """Return the options model of a name, without importing the thing where the entry names the model.

        Raises:
            UsageError: there is no such name, or what it names cannot be imported.
        """
        entry = self.entry(name)
        if entry.options is not None:
            return cast("O", self._load(entry, entry.options))
        return cast("O", self.get(name).options)  # type: ignore[attr-defined]

    def summary(self, name: str) -> str:
        """Return one line about a name."""
        entry = self.entry(name)
        return entry.summary if entry.summary is not None else str(getattr(self.get(name), "summary", ""))

    def check(self, name: str) -> str:
        """Return a name that is registered; for pydantic fields.

        Raises:
            ValueError: it is not.
        """
        try:
            return self.entry(name).name
        except UsageError as problem:
            raise ValueError(str(problem)) from problem

    def _all(self) -> dict[str, Entry]:
        if not self._complete:
            importlib.import_module("mamp_schemas.builtin")
            for point in sorted(entry_points(group=self.group), key=lambda point: point.name):
                self._add_foreign(_foreign(point))
            self._complete = True
        return self._entries

    def _add_foreign(self, entry: Entry) -> None:
        """Add an entry of another distribution; one whose name is taken is left out, with a warning."""
        kept = self._entries.setdefault(entry.name, entry)
        if kept is not entry:
            logger.warning(
                f"the {self.noun} '{entry.name}' of {entry.distribution} is left out: "
                f"{kept.distribution or 'mampctl'} has one of that name"
            )

    def _load(self, entry: Entry, target: str) -> Any:
        module, _, attribute = target.partition(":")
        try:
            thing: Any = importlib.import_module(module)
            for part in attribute.split("."):
                thing = getattr(thing, part)
        except (ImportError, AttributeError) as problem:
            owner = f" of {entry.distribution}" if entry.distribution else ""
            raise UsageError(
                f"the {self.noun} '{entry.name}'{owner} cannot be loaded from {target}: {problem}",
                remedy="Install what it needs, or uninstall the distribution that brings it.",
            ) from problem
        return thing


def unknown_name(noun: str, name: str, names: tuple[str, ...]) -> UsageError:
    """Return the error about a name that does not exist; it lists those that do, and the nearest.

    Args:
        noun: what the name is of: "dataset".
        name: the name.
        names: those that exist.
    """
    near = difflib.get_close_matches(name, names, n=1)
    hint = f". Did you mean '{near[0]}'?" if near else ""
    return UsageError(f"there is no {noun} '{name}'{hint}", remedy=f"Choose one of: {', '.join(names)}.")


def _foreign(point: EntryPoint) -> Entry:
    return Entry(point.name, point.value, distribution=point.dist.name if point.dist else None)


DATASETS: Registry[Any, Any] = Registry("dataset", "mampctl.datasets")
"""Datasets: a reader of raw files (pipeline); its options are the dataset's description."""

OBJECTIVES: Registry[Any, Any] = Registry("objective", "mampctl.objectives")
"""Pre-training objectives (trainer); their options are a recipe with the objective's own fields."""

PROTOCOLS: Registry[Any, Any] = Registry("protocol", "mampctl.protocols")
"""Evaluation protocols (trainer); their options are a recipe, or a model of options for one that trains nothing."""
