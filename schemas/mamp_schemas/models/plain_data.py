"""YAML and JSON text to plain data, within bounds: of size, of depth, of numbers; no key twice.

Plain data are mappings with text as keys, lists, text, 64-bit integers, finite floats, booleans and None. Everything
else that the two formats can say is refused rather than changed: aliases, merged mappings, tags, dates (which stay
text), numbers that are infinite or none, halves of UTF-16 pairs.
"""

import json
import math
import re
from typing import Any, NoReturn

import yaml

MAX_YAML_CHARACTERS = 2**20
"""The longest YAML text; the longest built-in file has 2,000."""

MAX_DEPTH = 32
"""Mappings and lists inside each other in YAML; recipes and layouts have 5."""

MAX_INTEGER = 2**63 - 1
"""The largest integer, of either sign: 64 bits."""

_VALUE_BYTES = {"{": 232, "[": 64, ",": 32, '"': 8}
"""About how much memory a value takes, by the character that announces it: an object, a list, another number. Text
takes its length besides."""

_MAX_VALUE_BYTES = 1_500_000_000
"""The most memory that the values of a JSON text may take. An hour of 33 joints at 30 frames a second takes 1.2 GB."""

_PREFIX = "tag:yaml.org,2002:"
_TEXT_TAGS = ("timestamp", "merge", "value")
"""What plain text such as 2026-01-31, << and = would be in YAML 1.1, and is text here."""
_OTHER_BASE = re.compile(r"[-+]?(?:0[0-9_]+(?![0-9_.]|[eE][-+0-9])|[0-9][0-9_]*:)")
"""What YAML 1.1 takes for octal numbers, such as 010, and for numbers to the base of 60, such as 1:30."""
_SURROGATE = re.compile("[\ud800-\udfff]")


class PlainDataError(ValueError):
    """The text is not valid, or beyond the bounds; says where."""


def load_yaml(text: str) -> Any:
    """Return the plain data of one YAML document.

    Raises:
        PlainDataError: the text is not YAML, is too long or too deep, has a key twice, or something that is no plain
            data; names the line.
    """
    if len(text) > MAX_YAML_CHARACTERS:
        raise PlainDataError(f"{len(text):,} characters, at most {MAX_YAML_CHARACTERS:,} are read")
    try:
        return _PlainLoader(text).get_single_data()
    except yaml.YAMLError as problem:
        raise PlainDataError(_describe(problem)) from None
    except (ValueError, OverflowError, IndexError, KeyError) as problem:  # PyYAML meets such in escapes and directives
        raise PlainDataError(f"{type(problem).__name__}: {problem}") from None


def _describe(problem: yaml.YAMLError) -> str:
    """Return what is wrong, in one line where PyYAML names a place."""
    if isinstance(problem, yaml.MarkedYAMLError) and problem.problem_mark is not None:
        context = f"{problem.context}: " if problem.context else ""
        return f"line {problem.problem_mark.line + 1}: {context}{problem.problem}"
    return str(problem)


class _PlainLoader(yaml.SafeLoader):
    """Composes and constructs plain data. Aliases are refused: nine of them can stand for a thousand million values."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag.removeprefix(_PREFIX) not in _TEXT_TAGS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose the next node."""
        if self.check_event(yaml.AliasEvent):
            self._refuse(self.peek_event(), "aliases (*name) are not taken")  # type: ignore[no-untyped-call]
        if self._depth > MAX_DEPTH:
            self._refuse(self.peek_event(), f"more than {MAX_DEPTH} levels of nesting")  # type: ignore[no-untyped-call]
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ARG002
        """Return the plain data of a node."""
        kind = node.tag.removeprefix(_PREFIX)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return [self.construct_object(item) for item in node.value]
        if not isinstance(node, yaml.ScalarNode) or kind not in ("null", "bool", "int", "float", "str"):
            self._refuse(node, f"the tag {node.tag} is not taken: write plain text, numbers, lists and mappings")
        if kind == "str":
            return self._text(node)
        return None if kind == "null" else self._boolean(node) if kind == "bool" else self._number(node, kind)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key, line = self._key(key_node), key_node.start_mark.line + 1
            if key in lines:
                self._refuse(key_node, f"the key '{key}' is given twice, first in line {lines[key]}")
            lines[key] = line
            mapping[key] = self.construct_object(value_node)
        return mapping

    def _key(self, node: yaml.Node) -> str:
        key = self.construct_object(node) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(key, int) and str(key) == node.value:
            return str(node.value)
        if not isinstance(key, str):
            shown = f"'{node.value[:40]}'" if isinstance(node, yaml.ScalarNode) else "a list or mapping"
            self._refuse(node, f"{shown} is read as no text and cannot be a key: quote it")
        return key

    def _text(self, node: yaml.ScalarNode) -> str:
        text: str = node.value
        if _SURROGATE.search(text) is None:
            return text
        try:  # both halves of a pair, as JSON escapes them, are one character
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            self._refuse(node, "half of a UTF-16 pair (\\ud800 to \\udfff) is no character")

    def _boolean(self, node: yaml.ScalarNode) -> bool:
        if node.value.lower() not in self.bool_values:
            self._refuse(node, f"'{node.value[:40]}' is not true or false")
        return bool(self.bool_values[node.value.lower()])

    def _number(self, node: yaml.ScalarNode, kind: str) -> int | float:
        if _OTHER_BASE.match(node.value):
            self._refuse(
                node,
                f"'{node.value[:40]}' would be read in another base, 8 after a leading zero, 60 with colons: write a "
                "decimal number, or quote it as text",
            )
        try:
            number: int | float = self.construct_yaml_int(node) if kind == "int" else self.construct_yaml_float(node)
        except (ValueError, OverflowError):
            number = math.inf
        if not math.isfinite(number) if isinstance(number, float) else abs(number) > MAX_INTEGER:
            shown = node.value if len(node.value) <= 40 else f"{node.value[:20]}… ({len(node.value):,} characters)"
            self._refuse(node, f"{shown} is not a finite number of 64 bits")
        return number

    def _refuse(self, at: Any, problem: str) -> NoReturn:
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


def check_json_memory(text: str | bytes) -> None:
    """Refuse JSON text whose values would fill the memory, before it is parsed.

    Raises:
        PlainDataError: it has too many.
    """
    counts = {mark: text.count(mark) if isinstance(text, str) else text.count(mark.encode()) for mark in _VALUE_BYTES}
    need = sum(count * _VALUE_BYTES[mark] for mark, count in counts.items())
    if need > _MAX_VALUE_BYTES:
        raise PlainDataError(
            f"JSON whose values would take {need / 1e9:.1f} GB of memory, more than {_MAX_VALUE_BYTES / 1e9:.1f}"
        )


def load_json(text: str | bytes) -> Any:
    """Return the plain data of JSON text.

    Raises:
        PlainDataError: the text is not JSON or nested too deep, an object has a key twice, or a number is infinite,
            none, or an integer of more than 64 bits.
    """
    try:
        check_json_memory(text)
        return json.loads(
            text, object_pairs_hook=unique_keys, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_float
        )
    except RecursionError:
        raise PlainDataError("lists and objects are nested too deep") from None
    except ValueError as problem:  # UnicodeDecodeError too
        raise PlainDataError(str(problem)) from None


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs of a JSON object as a dictionary.

    Raises:
        PlainDataError: a key is there twice.
    """
    entries = dict(pairs)
    if len(entries) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise PlainDataError(f"the key '{twice[:100]}' is given twice in one object")
    return entries


def _refuse_constant(name: str) -> NoReturn:
    raise PlainDataError(f"{name} is not a number")


def _integer(digits: str) -> int:
    number = int(digits) if len(digits) <= 20 else MAX_INTEGER + 1
    if abs(number) > MAX_INTEGER:
        shown = digits if len(digits) <= 40 else f"{digits[:20]}… ({len(digits):,} digits)"
        raise PlainDataError(f"the integer {shown} has more than 64 bits")
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise PlainDataError(f"{digits[:40]} is not a finite number")
    return number
