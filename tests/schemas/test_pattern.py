"""Expressions of users have Python's syntax; none takes long, whatever it is matched with."""

import pytest

from mamp_schemas.errors import ConfigError
from mamp_schemas.models.pattern import match_whole, pattern_groups


def test_match_whole__returns_the_groups() -> None:
    groups = match_whole(r"(?P<label>\w+?)_s(?P<subject>\d+)(_c(?P<camera>\d+))?", "über_s03")
    assert groups == {"label": "über", "subject": "03", "camera": None}


def test_match_whole__needs_the_whole_text() -> None:
    assert match_whole("a+", "aab") is None
    assert match_whole("a+", "aa\n") is None


def test_match_whole__an_expression_that_takes_long_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"\(a\|a\)\* takes more than 1 s on 'aaa") as caught:
        match_whole("(a|a)*", "a" * 250 + "!")
    assert "repeats inside of repeats" in caught.value.remedy


def test_match_whole__repeats_inside_of_repeats_end() -> None:
    assert match_whole("(a+)+", "a" * 250 + "!") is None


def test_pattern_groups__lists_the_names() -> None:
    assert pattern_groups(r"(?P<label>a)(?P<subject>\d{3})(x){2,3}") == {"label", "subject"}


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("(", "is not a regular expression: missing"),
        ("(?R)", "is not a regular expression"),
        ("(?P<l>a)(?P<l>b)", "is not a regular expression: redefinition"),
        ("(" * 900, "is not a regular expression"),
        ("a" * 1001, "at most 1,000 characters, this one 1,001"),
        ("a{1000000000}", "more than 100,000 characters"),
        ("((a{100}){100}){100}", "more than 100,000 characters"),
        (r"([^]\]]{1000}){1000}", "more than 100,000 characters"),
        ("a{99999999999999999999999999}", "written out"),
        ("(?#[)(((a{999}){999}){999})(?#])", "more than 100,000 characters"),
        (r"[\]](((a{999}){999}){999})[\]]", "more than 100,000 characters"),
        ("(?x)#[\n(((a{999}){999}){999})#]", "the flag x"),
        ("(?:a){e<=2}", "a brace that is no count"),
    ],
)
def test_pattern_groups__refuses(expression: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        pattern_groups(expression)


@pytest.mark.parametrize("expression", [r"\d{4}-\d{2}-\d{2}_.{0,200}", r"[]{5}]+", r"\{1000000\}", "x{,5}(y{2}){3}"])
def test_pattern_groups__takes_what_is_small(expression: str) -> None:
    assert pattern_groups(expression) == set()


def test_pattern_groups__a_set_in_a_set_is_no_warning() -> None:
    assert pattern_groups("[[a]") == set()
