"""Owns the shipped recipes, one YAML file each, and reading a recipe by name or from a file; never torch."""

import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, overload

import yaml

from mamp_schemas.base import parse_yaml, read_data
from mamp_schemas.errors import RecipeError, UsageError
from mamp_schemas.recipes import LinearRecipe, PretrainRecipe, Recipe

Kind = Literal["pretrain", "linear"]

_MODELS: dict[Kind, type[PretrainRecipe] | type[LinearRecipe]] = {
    "pretrain": PretrainRecipe,
    "linear": LinearRecipe,
}
_SUFFIXES = (".yaml", ".yml")
_SCIENTIFIC = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


@overload
def load_recipe(kind: Literal["pretrain"], name_or_file: str, overrides: Sequence[str] = ()) -> PretrainRecipe: ...
@overload
def load_recipe(kind: Literal["linear"], name_or_file: str, overrides: Sequence[str] = ()) -> LinearRecipe: ...
@overload
def load_recipe(kind: Kind, name_or_file: str, overrides: Sequence[str] = ()) -> Recipe: ...
def load_recipe(kind: Kind, name_or_file: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read and validate a recipe.

    Args:
        kind: what the recipe is for.
        name_or_file: the name of a shipped recipe, or a path that ends in `.yaml` or `.yml`.
        overrides: `dotted.key=value`, the value in YAML, put in before validation.

    Raises:
        UsageError: no such recipe, or an override that is not of that form.
        RecipeError: no such file.
        ConfigError: the recipe does not validate; names the keys.
    """
    data = parse_yaml(_text(kind, name_or_file), name_or_file)
    for override in overrides:
        _put(data, override)
    return read_data(_MODELS[kind], _numbers(data), f"recipe {name_or_file}")


def list_recipes(kind: Kind) -> list[Recipe]:
    """Return the shipped recipes of a kind, sorted by name."""
    return [load_recipe(kind, name) for name in _names(kind)]


def _names(kind: Kind) -> list[str]:
    folder = files(__name__) / kind
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def _text(kind: Kind, name_or_file: str) -> str:
    if name_or_file.endswith(_SUFFIXES):
        try:
            return Path(name_or_file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise RecipeError(
                f"recipe file {name_or_file} cannot be read: {problem}",
                remedy="Name a readable YAML file, or a shipped recipe without a suffix.",
            ) from None
    names = _names(kind)
    if name_or_file not in names:
        raise UsageError(
            f"no {kind} recipe is called '{name_or_file}'; the shipped ones are: {', '.join(names)}",
            remedy="Choose one of them, or name a file that ends in .yaml.",
        )
    return (files(__name__) / kind / f"{name_or_file}.yaml").read_text(encoding="utf-8")


def _put(data: dict[str, Any], override: str) -> None:
    """Put one `dotted.key=value` into nested mappings, making those that are missing."""
    key, equals, text = override.partition("=")
    *outer, last = key.strip().split(".")
    if not equals or not all((*outer, last)):
        raise UsageError(f"'{override}' is not of the form dotted.key=value", remedy="Write, say, schedule.epochs=100.")
    for depth, part in enumerate(outer, start=1):
        data = data.setdefault(part, {})
        if not isinstance(data, dict):
            raise UsageError(
                f"'{override}': {'.'.join(outer[:depth])} is a single value and holds no keys",
                remedy="`--recipe list --json` shows every key of a recipe.",
            )
    try:
        data[last] = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        raise UsageError(
            f"'{override}': the value is not YAML: {problem}", remedy="Write, say, schedule.epochs=100."
        ) from None


def _numbers(value: Any) -> Any:
    """Read `1e-3` as a number everywhere: YAML 1.1 takes it for text because it has no dot."""
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return float(value) if isinstance(value, str) and _SCIENTIFIC.fullmatch(value) else value
