"""Figures have a number only where a table has it."""

import pytest

from mamp_schemas.models.published import FIGURES, TABLES


@pytest.mark.parametrize(("name", "own"), [("fig-mask-ratio", 0.9), ("fig-schedule", 400)])
def test_figures__only_the_papers_own_settings_have_a_number_and_it_is_table_1s(name: str, own: float) -> None:
    table = {(number.dataset, number.protocol, number.method): number.value for number in TABLES["1"].numbers()}
    numbers = list(FIGURES[name].numbers())
    assert {value for number in numbers for value in number.recipe.values()} == {own}
    assert {number.method for number in numbers} == {row.method for row in FIGURES[name].rows}
    assert all(number.value == table[number.dataset, number.protocol, number.method] for number in numbers)


def test_figures__losses_have_no_number() -> None:
    assert not list(FIGURES["fig-loss"].numbers())
