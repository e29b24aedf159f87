"""The registry of names: in-tree entries, those of other distributions, and what an unknown name is told."""

from pathlib import Path

import pytest

from mamp_schemas.errors import UsageError
from mamp_schemas.registry import DATASETS, Registry


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[object, object]:
    """A registry with an in-tree entry and one of the distribution `round-things`."""
    info = tmp_path / "round_things-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: round-things\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[test.shapes]\ncircle = round_things:CIRCLE\nring = round_things:RING\n")
    (tmp_path / "round_things.py").write_text(
        "class Circle:\n    options, summary = {'radius': 1}, 'a round thing'\nCIRCLE = Circle()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    registry: Registry[object, object] = Registry("shape", "test.shapes")
    registry.register("square", "builtins:list", options="builtins:dict", summary="four sides")
    return registry


def test_names__in_tree_ones_first(shapes: Registry[object, object]) -> None:
    assert shapes.names() == ("square", "circle", "ring")


def test_names__a_taken_one_is_left_out_with_a_warning(
    shapes: Registry[object, object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    info = tmp_path / "other_things-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-things\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[test.shapes]\nring = other_things:RING\nsquare = other_things:SQUARE\n")
    assert shapes.names() == ("square", "circle", "ring")
    assert (shapes.entry("square").target, shapes.entry("square").distribution) == ("builtins:list", None)
    ring, square = caplog.messages
    assert "the shape 'ring' of" in ring
    assert "round-things" in ring
    assert "other-things" in ring
    assert square == "the shape 'square' of other-things is left out: mampctl has one of that name"


def test_get__things_and_options(shapes: Registry[object, object]) -> None:
    assert (shapes.get("square"), shapes.options("square"), shapes.summary("square")) == (list, dict, "four sides")
    assert (shapes.options("circle"), shapes.summary("circle")) == ({"radius": 1}, "a round thing")


def test_register__a_name_twice(shapes: Registry[object, object]) -> None:
    with pytest.raises(ValueError, match="'square' is registered twice"):
        shapes.register("square", "builtins:set")


@pytest.mark.parametrize(
    ("name", "message", "remedy"),
    [
        ("sqare", "there is no shape 'sqare'. Did you mean 'square'?", "Choose one of: square, circle, ring."),
        ("ring", "the shape 'ring' of round-things cannot be loaded from round_things:RING", "Install what it needs"),
    ],
)
def test_get__a_name_that_leads_nowhere(shapes: Registry[object, object], name: str, message: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        shapes.get(name)
    assert caught.value.message.startswith(message)
    assert caught.value.remedy.startswith(remedy)


def test_check__is_a_value_error_for_models() -> None:
    assert DATASETS.check("ntu60") == "ntu60"
    with pytest.raises(ValueError, match="Did you mean 'nwucla'"):
        DATASETS.check("nwucal")
