"""Regular expressions that users write: Python's syntax, matched within a time limit.

An expression such as `(a|a)*` takes Python's `re` longer than anyone waits, on a name of 40 letters. The package
`regex` has the same syntax, and a time limit.
"""

import re
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

from mamp_schemas.errors import ConfigError

if TYPE_CHECKING:
    import regex

MAX_LENGTH = 1000
"""The longest expression, in characters."""

MAX_SIZE = 100_000
"""The largest expression, in characters once its counted repeats are written out."""

TIME_LIMIT = 1.0
"""Seconds that one text may take; a name takes millionths."""

_CLASS = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_VERBOSE = re.compile(r"\(\?[a-zA-Z-]*x")
_COUNTS = re.compile(r"\{(\d*)(,?)(\d*)\}")


def pattern_groups(expression: str) -> set[str]:
    """Return the names of an expression's groups.

    Raises:
        ValueError: it is no regular expression, or too large.
    """
    return set(_compile(expression).groupindex)


def match_whole(expression: str, text: str) -> dict[str, str | None] | None:
    """Return what the named groups match where the expression matches the whole text; None where it does not.

    Raises:
        ValueError: it is no regular expression, or too large.
        ConfigError: it takes too long.
    """
    try:
        match = _compile(expression).fullmatch(text, timeout=TIME_LIMIT)
    except TimeoutError:
        raise ConfigError(
            f"the regular expression {expression} takes more than {TIME_LIMIT:.0f} s on '{text[:200]}'",
            remedy="Write it without repeats inside of repeats, such as (a+)+ or (a|a)*, and without many .* in a row.",
        ) from None
    return None if match is None else match.groupdict()


@lru_cache
def _compile(expression: str) -> "regex.Pattern[str]":
    import regex

    if len(expression) > MAX_LENGTH:
        raise ValueError(f"a regular expression has at most {MAX_LENGTH:,} characters, this one {len(expression):,}")
    if _written_out(expression) > MAX_SIZE:
        raise ValueError(f"{expression} with its counted repeats written out has more than {MAX_SIZE:,} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of what a later Python may read as a nested set
            re.compile(expression)  # `regex` takes more than Python's syntax
            return regex.compile(expression, regex.VERSION0)
    except (re.error, regex.error, OverflowError, RecursionError) as problem:
        raise ValueError(f"{expression} is not a regular expression: {problem}") from None


def _written_out(expression: str) -> int:
    """Return how many characters an expression has once its counted repeats are written out.

    What is no valid expression gets some number.
    """
    sizes, last, at = [0], 0, 0
    while at < len(expression):
        character = expression[at]
        counts = _COUNTS.match(expression, at) if character == "{" else None
        if counts and (counts[1] or counts[3]):
            repeats = max(int(digits[:9] or 0) for digits in (counts[1], counts[3]))
            sizes[-1] += last * (repeats - 1)
            at, last = counts.end(), last * repeats
            continue
        if character == "(":
            if expression.startswith("(?#", at):  # a comment
                closing = expression.find(")", at)
                at = closing + 1 if closing > 0 else len(expression)
                continue
            if _VERBOSE.match(expression, at):
                raise ValueError(f"{expression} has the flag x: write it without blanks and comments")
            sizes.append(1)
        elif character == ")" and len(sizes) > 1:
            last = sizes.pop()
            sizes[-1] += last
        else:
            last = 1
            sizes[-1] += 1
        if character == "{":
            raise ValueError(f"{expression} has a brace that is no count, as in {{2,3}}: write it as \\{{")
        if character == "\\":
            at += 1
        elif character == "[" and (characters := _CLASS.match(expression, at)):
            at = characters.end() - 1
        at += 1
    return sizes[0]
