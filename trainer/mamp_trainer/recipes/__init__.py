"""The built-in recipes, one YAML file each, and reading a recipe by name or from a file; never imports torch.

A recipe may name a `base`, another built-in recipe (`NAME`, or `TASK/NAME` of another task): then it says only what
differs. Where it names another objective than its base, or `--set objective=NAME` does, the options that the new
objective does not have are left out.
"""

import logging
import math
import re
from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable
from shlex import quote
from typing import Any, Literal, get_args, get_origin, overload

from mamp_schemas.builtin import DEFAULT_OBJECTIVE, PROBE_PROTOCOL, SMALL_BASE_RECIPE
from mamp_schemas.errors import ConfigError, RecipeError, UsageError
from mamp_schemas.io.named_files import builtin_files, read_named_file
from mamp_schemas.models.base import Model, parse_yaml, shorten
from mamp_schemas.models.plain_data import MAX_DEPTH, PlainDataError, load_yaml
from mamp_schemas.models.recipe import (
    PRETRAIN,
    EvaluationRecipe,
    ModelSpec,
    PretrainRecipe,
    Recipe,
    parse_recipe,
    recipe_class,
    task_names,
)
from mamp_schemas.registry import OBJECTIVES, PROTOCOLS

logger = logging.getLogger(__name__)

_SCIENTIFIC = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


@overload
def load_recipe(task: Literal["pretrain"], name_or_file: str, overrides: Sequence[str] = ()) -> PretrainRecipe: ...
@overload
def load_recipe(task: str, name_or_file: str, overrides: Sequence[str] = ()) -> Recipe: ...
def load_recipe(task: str, name_or_file: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read and validate a recipe.

    Args:
        task: what the recipe is for: `pretrain`, or the name of an evaluation protocol.
        name_or_file: the name of a built-in recipe, or a path that ends in `.yaml` or `.yml`.
        overrides: `dotted.key=value`, the value in YAML, applied before validation.

    Raises:
        UsageError: no such recipe, an override that is not of that form, or a recipe that does not validate with
            its overrides: a command line that cannot be carried out.
        RecipeError: no such file, no such base, or a recipe that is its own base.
        ConfigError: the recipe does not validate; names the keys.
    """
    data = _read_with_bases(task, name_or_file, ())
    changes: dict[str, Any] = {}
    for override in overrides:
        _apply_override(changes, override)
    data = _inherited(task, data, changes)
    for override in overrides:
        _apply_override(data, override)
    kind = data.get("kind", task)
    if kind != task:
        another = f"Use it with: mampctl train {kind} --recipe {quote(name_or_file)}"
        raise RecipeError(
            f"recipe {shorten(name_or_file)}: kind is '{shorten(str(kind))}', this is 'train {task}'",
            remedy=another if kind in task_names() else f"Write kind: {task} into it, or choose another recipe.",
        )
    try:
        return parse_recipe(_parse_scientific({"kind": task} | data), f"recipe {name_or_file}")
    except ConfigError as problem:
        if overrides:
            raise UsageError(problem.message, remedy=problem.remedy) from None
        raise


def load_evaluation_recipe(task: str, name_or_file: str, overrides: Sequence[str] = ()) -> EvaluationRecipe:
    """Read and validate the recipe of an evaluation protocol; arguments and errors are those of `load_recipe`."""
    recipe = load_recipe(task, name_or_file, overrides)
    if not isinstance(recipe, EvaluationRecipe):
        raise UsageError(f"{task} is no evaluation protocol", remedy="Use mampctl train pretrain.")
    return recipe


def list_recipes(task: str) -> list[Recipe]:
    """Return the recipes of a task, built-in and of other distributions, sorted by name."""
    return [load_recipe(task, name) for name in recipe_names(task)]


def builtin_recipe(task: str, name: str) -> Recipe | None:
    """Return the built-in recipe of a name, None if there is none."""
    return load_recipe(task, name) if name in recipe_names(task) else None


def probe_options(pretrained: PretrainRecipe) -> list[str]:
    """Return the options of `train linear` that fit a pre-trained encoder: a built-in recipe, and fields to change.

    The recipe is the one of the pre-training's name, else that of its dataset and protocol, else a small one.
    """
    recipes = {recipe.name: recipe for recipe in list_recipes(PROBE_PROTOCOL)}
    names = (pretrained.name, f"{pretrained.dataset}-{pretrained.protocol}", SMALL_BASE_RECIPE)
    linear = next(recipes[name] for name in names if name in recipes)
    fields = {"dataset": (linear.dataset, pretrained.dataset), "protocol": (linear.protocol, pretrained.protocol)}
    for name in ModelSpec.model_fields:
        if not name.startswith("decoder_"):
            fields[f"model.{name}"] = getattr(linear.model, name), getattr(pretrained.model, name)
    return ["--recipe", linear.name, *_set_options(fields)]


def data_options(recipe: Recipe, *, dataset: str, protocol: str, joints: int, epochs: int) -> list[str]:
    """Return the `--set` options that make a recipe one for other data.

    Args:
        recipe: a built-in one.
        dataset: the data's.
        protocol: of its split.
        joints: V.
        epochs: how long to train, at least 2; the warm-up takes a quarter of them at most.
    """
    schedule, epochs = recipe.schedule, max(epochs, 2)
    return _set_options(
        {
            "dataset": (recipe.dataset, dataset),
            "protocol": (recipe.protocol, protocol),
            "model.joints": (recipe.model.joints, joints),
            "schedule.epochs": (schedule.epochs, epochs),
            "schedule.warmup_epochs": (schedule.warmup_epochs, min(schedule.warmup_epochs, epochs // 4)),
        }
    )


def _set_options(fields: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Return the options that change fields from (first) to (second)."""
    changes = [f"{field}={value}" for field, (default, value) in fields.items() if default != value]
    return [word for change in changes for word in ("--set", change)]


def with_changes(recipe: Recipe, overrides: Sequence[str], source: str) -> Recipe:
    """Return a resolved recipe with some fields changed.

    Args:
        recipe: of any task.
        overrides: `dotted.key=value`, the value in YAML.
        source: where it comes from, named in errors.

    Raises:
        UsageError: an override is not of that form.
        ConfigError: the changed recipe does not validate; names the keys.
    """
    data = recipe.model_dump(mode="json")
    for override in overrides:
        _apply_override(data, override)
    return parse_recipe(_parse_scientific(data), source)


def _read_with_bases(task: str, name_or_file: str, chain: tuple[str, ...]) -> dict[str, Any]:
    """Return a recipe's data, completed by its bases; `chain` holds the recipes that it is a base of."""
    data = parse_yaml(_read_text(task, name_or_file), name_or_file)
    if "base" not in data:
        return data
    base, chain = shorten(str(data.pop("base"))), (*chain, f"{task}/{name_or_file}")
    base_task, _, name = base.rpartition("/")
    base_task = base_task or task
    known = name in recipe_names(base_task)
    if not known or f"{base_task}/{name}" in chain:
        raise RecipeError(
            f"recipe {name_or_file}: its base '{base}' is {'its own' if known else 'unknown'}",
            remedy="A base is another built-in recipe: NAME, or TASK/NAME of another task.",
        )
    return _merged(_inherited(task, _read_with_bases(base_task, name, chain), data), data)


def _inherited(task: str, base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a recipe takes from a base: all of it, or what another objective accepts if `changes` name one."""
    objective = changes.get("objective")
    if task != PRETRAIN or objective in (None, base.get("objective", DEFAULT_OBJECTIVE)):
        return base
    return _accepted_by(recipe_class(task, objective), base)


def _accepted_by(model: type[Model], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of `data` whose keys the model has, without values that a fixed field of it excludes."""
    accepted = {}
    for key, value in data.items():
        annotation = model.model_fields[key].annotation if key in model.model_fields else None
        if isinstance(annotation, type) and issubclass(annotation, Model) and isinstance(value, dict):
            accepted[key] = _accepted_by(annotation, value)
        elif annotation is not None and (get_origin(annotation) is not Literal or value in get_args(annotation)):
            accepted[key] = value
    return accepted


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes` put in, mapping by mapping."""
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def recipe_names(task: str) -> list[str]:
    """Return the names of a task's recipes, built-in and of other distributions, sorted; none for another task."""
    return sorted({*_files(task), *_plugin_recipes(task)})


def _files(task: str) -> dict[str, Traversable]:
    """Return the built-in recipe files of a task, by name."""
    return builtin_files(__name__, task) if task in task_names() else {}


def _plugin_recipes(task: str) -> dict[str, str]:
    """Return the YAML text of the recipes that other distributions bring for a task, by name."""
    registry = OBJECTIVES if task == PRETRAIN else PROTOCOLS
    recipes: dict[str, str] = {}
    for name in registry.names() if task == PRETRAIN else {task} & {*registry.names()}:
        if registry.entry(name).distribution is not None:
            try:
                recipes |= registry.options(name).recipes
            except UsageError as problem:
                logger.warning("%s", problem)
    return recipes


def _read_text(task: str, name_or_file: str) -> str:
    return read_named_file(
        name_or_file,
        _files(task),
        noun="recipe",
        group=task,
        others=lambda: _plugin_recipes(task),
        file_error=RecipeError,
        name_error=UsageError,
    )


def _apply_override(data: dict[str, Any], override: str) -> None:
    """Put one `dotted.key=value` into nested mappings, making those that are missing."""
    key, equals, text = override.partition("=")
    *outer, last = key.strip().split(".")
    if not equals or not all((*outer, last)) or len(outer) >= MAX_DEPTH:
        raise UsageError(
            f"'{shorten(override)}' is not of the form dotted.key=value", remedy="Write, say, schedule.epochs=100."
        )
    for depth, part in enumerate(outer, start=1):
        data = data.setdefault(part, {})
        if not isinstance(data, dict):
            raise UsageError(
                f"'{shorten(override)}': {'.'.join(outer[:depth])} is a single value and holds no keys",
                remedy="`--recipe list --json` shows every key of a recipe.",
            )
    try:
        data[last] = load_yaml(text)
    except PlainDataError as problem:
        raise UsageError(
            f"'{shorten(override)}': the value is not YAML: {problem}", remedy="Write, say, schedule.epochs=100."
        ) from None


def _parse_scientific(value: Any) -> Any:
    """Read `1e-3` as a number everywhere: YAML 1.1 takes it for text because it has no dot."""
    if isinstance(value, dict):
        return {key: _parse_scientific(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_parse_scientific(item) for item in value]
    if not isinstance(value, str) or not _SCIENTIFIC.fullmatch(value):
        return value
    number = float(value)
    return number if math.isfinite(number) else value
