"""The datasets' class names: as many as there are classes, each once, and in the order of the labels."""

import pytest

from mamp_schemas.errors import UsageError
from mamp_schemas.models.base import parse_model_data
from mamp_schemas.models.dataset import dataset_spec, fixed_specs
from mamp_schemas.models.layout import Layout
from tests.report_cases import LAYOUT


@pytest.mark.parametrize("dataset", fixed_specs())
def test_class_names__one_for_each_class(dataset: str) -> None:
    names = dataset_spec(dataset).class_names
    assert len(names) == len(set(names)) == dataset_spec(dataset).classes


@pytest.mark.parametrize(
    ("dataset", "action", "name"),
    [
        ("ntu60", 1, "drink water"),
        ("ntu60", 43, "falling"),
        ("ntu60", 60, "walking apart from each other"),
        ("ntu120", 50, "punching/slapping other person"),
        ("ntu120", 61, "put on headphone"),
        ("ntu120", 120, "finger-guessing game (playing rock-paper-scissors)"),
        ("pku1", 11, "falling"),
        ("pku2", 51, "writing"),
        ("nwucla", 7, "donning"),  # a08 in file names
    ],
)
def test_class_names__stand_at_their_actions(dataset: str, action: int, name: str) -> None:
    assert dataset_spec(dataset).class_names[action - 1] == name


def test_class_names__of_pku_are_in_alphabetical_order() -> None:
    assert list(dataset_spec("pku1").class_names) == sorted(dataset_spec("pku1").class_names)


def test_class_names__own_recordings_need_a_layout() -> None:
    with pytest.raises(UsageError, match="layout"):
        dataset_spec("custom")


def test_class_titles__are_numbers_and_names() -> None:
    assert dataset_spec("ntu60").class_titles[7:9] == ("A008 sitting down", "A009 standing up (from sitting position)")
    assert dataset_spec("nwucla").class_titles[0] == "1 pick up with one hand"


def test_class_titles__of_own_recordings_are_their_names() -> None:
    layout = parse_model_data(Layout, LAYOUT, "layout")
    assert dataset_spec("custom", layout).class_titles == layout.classes
