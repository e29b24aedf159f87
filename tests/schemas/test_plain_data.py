"""YAML and JSON come out as plain data within bounds, or are refused with the line; no text is a crash or a hang."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mamp_schemas.errors import ConfigError, DamagedStoreError
from mamp_schemas.io.store_root import decode_root
from mamp_schemas.models.plain_data import MAX_YAML_CHARACTERS, PlainDataError, load_json, load_yaml
from mamp_schemas.models.sealed import open_sealed_json
from mamp_schemas.models.splits import SplitManifest


def is_plain(value: object, depth: int = 0) -> bool:
    if isinstance(value, dict):
        return all(type(key) is str and is_plain(item, depth + 1) for key, item in value.items())
    if isinstance(value, list):
        return all(is_plain(item, depth + 1) for item in value)
    if isinstance(value, str):
        return value.encode() is not None
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool) or (type(value) is int and abs(value) < 2**63)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' is given twice, first in line 1"),
        ("a: {b: 1, b: 2}", "line 1: the key 'b' is given twice"),
        ("1: a\n'1': b", "line 2: the key '1' is given twice"),
        ("a: " + "[" * 1500 + "]" * 1500, "line 1: more than 32 levels of nesting"),
        ("a: " + "{b: " * 1500, "line 1: more than 32 levels of nesting"),
        ("- " * 1500, "line 1: more than 32 levels of nesting"),
        ("a: " + "9" * 6000, r"line 1: 9{20}… \(6,000 characters\) is not a finite number of 64 bits"),
        ("seed: 18446744073709551616", "line 1: 18446744073709551616 is not a finite number of 64 bits"),
        ("seed: 0x" + "f" * 6000, "is not a finite number of 64 bits"),
        ("lr: .inf", "line 1: .inf is not a finite number"),
        ("lr: .nan", "line 1: .nan is not a finite number"),
        ("lr: 1.0e+999", "line 1: 1.0e\\+999 is not a finite number"),
        ("train: [1, 010]", "line 1: '010' would be read in another base"),
        ("train: [-00]", "line 1: '-00' would be read in another base"),
        ("fps: 1:30", "line 1: '1:30' would be read in another base"),
        ("fps: 190:20:30.15", "line 1: '190:20:30.15' would be read in another base"),
        ("a: !!int x", "line 1: x is not a finite number"),
        ("a: !!bool x", "line 1: 'x' is not true or false"),
        ('a: "\\ud800"', "line 1: half of a UTF-16 pair"),
        ('"\\udc00": 1', "line 1: half of a UTF-16 pair"),
        ("a: &x 1\nb: *x", "line 2: aliases"),
        ("a: !!binary AAAA", "line 1: the tag tag:yaml.org,2002:binary is not taken"),
        ("a: !!set {x, y}", "line 1: the tag tag:yaml.org,2002:set is not taken"),
        ("a: !!python/object/apply:os.system [ls]", "line 1: the tag .*os.system is not taken"),
        ("no: 1", "line 1: 'no' is read as no text and cannot be a key: quote it"),
        ("017: 1", "line 1: '017' would be read in another base"),
        ("1.50: 1", "line 1: '1.50' is read as no text"),
        ("? [a, b]\n: 1", "line 1: a list or mapping is read as no text"),
        ("a: b: c", "line 1: mapping values are not allowed here"),
        ("a: 1\n--- \nb: 1", "line 2"),
        ("a: \x00", "special characters are not allowed"),
        ('a: "\\U7fffffff"', "ValueError|OverflowError"),
        ("%YAML " + "9" * 6000 + ".1\n--- a", "ValueError: Exceeds the limit"),
        ("x" * (MAX_YAML_CHARACTERS + 1), "1,048,577 characters, at most 1,048,576 are read"),
    ],
)
def test_load_yaml__refuses(text: str, reason: str) -> None:
    with pytest.raises(PlainDataError, match=reason):
        load_yaml(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: {b: [1, 2.5, yes, null, x]}", {"a": {"b": [1, 2.5, True, None, "x"]}}),
        ("day: 2026-01-31", {"day": "2026-01-31"}),
        ("sign: =", {"sign": "="}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("0: Hip\n1: Chest", {"0": "Hip", "1": "Chest"}),
        ("seed: 9223372036854775807", {"seed": 2**63 - 1}),
        ('face: "\\ud83d\\ude00"', {"face": "😀"}),
        ("a: [0, 0.5, 00.5, 0x1f, 1_000, -1.5e-3]", {"a": [0, 0.5, 0.5, 31, 1000, -0.0015]}),
        ("a: ['010', 1:3x, 08]", {"a": ["010", "1:3x", "08"]}),
        ("", None),
    ],
)
def test_load_yaml__takes(text: str, value: object) -> None:
    assert load_yaml(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' is given twice in one object"),
        ('{"a": NaN}', "NaN is not a number"),
        ("[-Infinity]", "-Infinity is not a number"),
        ("[1e999]", "1e999 is not a finite number"),
        ("9" * 6000, r"the integer 9{20}… \(6,000 digits\) has more than 64 bits"),
        ("-9223372036854775809", "has more than 64 bits"),
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 100_000, "nested too deep"),
        (b"\xff", "decode"),
        ("", "Expecting value"),
        ("{} x", "Extra data"),
        ("[" + "[]," * 20_000_000 + "[]]", "would take 1.9 GB of memory, more than 1.5"),
    ],
)
def test_load_json__refuses(text: str | bytes, reason: str) -> None:
    with pytest.raises(PlainDataError, match=reason):
        load_json(text)


def test_load_json__names_the_key_that_is_twice_only() -> None:
    assert load_json('{"a": {"b": 1}, "b": [{"a": 1}, {"a": 2}]}') == {"a": {"b": 1}, "b": [{"a": 1}, {"a": 2}]}


FRAGMENTS = st.sampled_from(
    [*"{}[]:,-?!&*|>'\"%@`#\n\t \\", "a", "a: ", "- ", "1e999", "0x", "0b_", "1:60", "!!int ", "!!float ", "!!str ",
     "!!null ", "!!map ", "!!seq ", "\\u", "\\x", "\\U", "d800", "~", "yes", "<<", "=", "2026-01-01", "---", "...",
     "%YAML 1.1", "%TAG ! x", "\ufeff", "\x85", "\x00", "é", "9" * 30, "|-", ">+", "? "]
)  # fmt: skip


@given(st.lists(FRAGMENTS, max_size=40).map("".join) | st.text(max_size=80))
@example("? ? ? a")
@settings(deadline=2000)
def test_load_yaml__any_text_is_plain_data_or_refused(text: str) -> None:
    try:
        value = load_yaml(text)
    except PlainDataError:
        return
    assert is_plain(value)


JSON_FRAGMENTS = st.sampled_from(
    [*'{}[]:,"\\ -.', "1", "e9", "1e999", "true", "null", "NaN", '"a"', "\\ud800", "9" * 30]
)


@given(st.lists(JSON_FRAGMENTS, max_size=40).map("".join) | st.binary(max_size=40))
@settings(deadline=2000)
def test_load_json__any_text_is_data_or_refused(text: str | bytes) -> None:
    try:
        value = load_json(text)
    except PlainDataError:
        return
    assert json.dumps(value, allow_nan=False)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


@given(PLAIN)
def test_load_json__gives_back_what_was_dumped(value: object) -> None:
    assert load_json(json.dumps(value)) == value


def test_readers_of_json__values_that_would_take_the_memory() -> None:
    text = b"[" + b"[]," * 20_000_000 + b"[]]"
    with pytest.raises(ConfigError, match=r"f\.json: not valid JSON \(JSON whose values would take 1\.9 GB"):
        open_sealed_json(SplitManifest, text, "f.json")
    with pytest.raises(DamagedStoreError, match=r"values would take 1\.9 GB"):
        decode_root(text, Path("a.zarr"))
