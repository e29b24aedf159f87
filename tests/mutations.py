"""Files as they come out of accidents and attacks, for the tests of readers."""

import random

from hypothesis import strategies as st

TOKENS = (
    *"[]{}:,-'\"~\n%?", "&a", "*a", "!!int ", "!!binary ", "null", "true", "1e999", "-1", "9" * 30, "\\ud800", "\x00",
    "a: 1\n", "<<: ", "0.0", "[[[[", "x" * 300, "../", "é", "(a|a)*", "{9999}", "|\n",
)  # fmt: skip


def mutated(text: str) -> st.SearchStrategy[str]:
    """Return texts in which some characters are replaced by others, or by what means something in YAML."""
    change = st.tuples(st.integers(0, len(text)), st.sampled_from((0, 0, 1, 2, 5)), st.sampled_from(TOKENS))

    def apply(changes: list[tuple[int, int, str]]) -> str:
        changed = text
        for at, length, token in changes:
            changed = changed[:at] + token + changed[at + length :]
        return changed

    return st.lists(change, min_size=1, max_size=3).map(apply)


PIECES = (
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\n", b"\n\n", b"\r", b",", b",,",
    b" ", b"\t", b'"', b'""', b"-", b".",
    b"1e999", b"nan", b"null", b"inf", b"9" * 30, b"9" * 5000, b"1_0",
    b"12:30", b"2026-01-31 12:00:00", b"[", b"]", b"{",
    b"}", b":", b"[" * 3000, b"{" * 3000, b'"x":' * 50, b"\xd9\xa1", b"hip", b"\x1a", b"(" * 500, b" " * 5000, b";",
)  # fmt: skip


def mutate(data: bytes, draw: random.Random) -> bytes:
    """Damage a file in one to three places."""
    changed = bytearray(data)
    for _ in range(draw.randint(1, 3)):
        at, size = draw.randrange(len(changed) + 1), draw.randint(1, 30)
        kind = draw.choice(["flip", "cut", "drop", "repeat", "insert", "insert", "swap"])
        if kind == "flip" and at < len(changed):
            changed[at] ^= 1 << draw.randrange(8)
        elif kind == "cut":
            del changed[at:]
        elif kind == "drop":
            del changed[at : at + size]
        elif kind == "repeat":
            changed[at:at] = changed[at : at + size]
        elif kind == "swap":
            lines = bytes(changed).split(b"\n")
            first, second = draw.randrange(len(lines)), draw.randrange(len(lines))
            lines[first], lines[second] = lines[second], lines[first]
            changed = bytearray(b"\n".join(lines))
        else:
            changed[at:at] = draw.choice(PIECES)
    return bytes(changed)


HOSTILE = (
    b"[" * 300_000,
    b'{"a":' * 50_000,
    b"9" * 100_000,
    b"\0" * 1000,
    b"\xff\xfe",
    b"{}",
    b"[]",
    b"null",
    b'"x"',
    b"\n",
)
"""Whole files."""
