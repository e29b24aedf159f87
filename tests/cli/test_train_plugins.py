"""`mampctl train`: the commands of protocols of other distributions."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mamp_schemas.errors import UsageError
from mamp_schemas.models import recipe as recipes
from mamp_schemas.registry import Registry
from mampctl.commands import train

PROTOCOLS = """
from mamp_schemas.models.base import Model
from mamp_schemas.models.recipe import EvaluationRecipe

class Plain(EvaluationRecipe):
    pass

class Drawn(EvaluationRecipe):
    has_draws = True

class Distances(Model):
    pass

class Protocol:
    summary = "A protocol."
    def __init__(self, options):
        self.options = options

PLAIN, DRAWN, MEASURED = Protocol(Plain), Protocol(Drawn), Protocol(Distances)
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """The commands of a distribution with three protocols."""
    info = tmp_path / "train_plugins-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: train-plugins\nVersion: 1.0\n")
    entries = "\n".join(f"{name} = train_plugins:{name.upper()}" for name in ("plain", "drawn", "measured"))
    (info / "entry_points.txt").write_text(f"[test.protocols]\n{entries}\n")
    (tmp_path / "train_plugins.py").write_text(PROTOCOLS)
    monkeypatch.syspath_prepend(tmp_path)
    registry: Registry[object, object] = Registry("protocol", "test.protocols")
    monkeypatch.setattr(recipes, "PROTOCOLS", registry)
    monkeypatch.setattr(train, "PROTOCOLS", registry)
    app = typer.Typer()
    train.add_protocol_commands(app)
    return app


@pytest.mark.parametrize(("protocol", "has_draws"), [("plain", False), ("drawn", True)])
def test_add_protocol_commands__draws_as_the_recipe_class_says(
    app: typer.Typer, protocol: str, has_draws: bool
) -> None:
    help_text = CliRunner().invoke(app, [protocol, "--help"]).stdout
    assert "A protocol." in help_text
    assert ("--draws" in help_text) == has_draws
    refused = CliRunner().invoke(app, [protocol, "--draws", "2", "--recipe", "list"])
    assert ("No such option" in refused.output) != has_draws


def test_add_protocol_commands__a_protocol_that_does_not_train(app: typer.Typer) -> None:
    problem = CliRunner().invoke(app, ["measured", "--recipe", "list"]).exception
    assert isinstance(problem, UsageError)
    assert problem.message == (
        "the options of the protocol 'measured' of train-plugins are no recipe: "
        "a protocol of another distribution must train"
    )
    assert problem.remedy.startswith("Choose one of: pretrain, ")
