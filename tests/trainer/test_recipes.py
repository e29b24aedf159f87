import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from mamp_schemas.errors import ConfigError, RecipeError, UsageError
from mamp_schemas.recipes import SGD
from mamp_trainer.recipes import Kind, list_recipes, load_recipe

KINDS: tuple[Kind, ...] = get_args(Kind)
NAMES = (
    "ntu120-xset",
    "ntu120-xsub",
    "ntu60-demo",
    "ntu60-xsub",
    "ntu60-xview",
    "nwucla-small",
    "nwucla-xview",
)


@pytest.mark.parametrize("kind", KINDS)
def test_list_recipes__every_shipped_recipe_validates_under_its_own_name(kind: Kind) -> None:
    recipes = list_recipes(kind)
    assert tuple(recipe.name for recipe in recipes) == NAMES
    assert {recipe.kind for recipe in recipes} == {kind}
    assert all(recipe.summary for recipe in recipes)


@pytest.mark.parametrize("name", NAMES)
def test_list_recipes__linear_evaluation_fits_the_pretrained_encoder(name: str) -> None:
    shared = ("joints", "frames", "segment", "width", "depth", "heads", "mlp_ratio")
    shapes = [load_recipe(kind, name).model.model_dump(include=set(shared)) for kind in KINDS]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(("name", "temperature"), [("ntu60-xsub", 0.8), ("ntu120-xset", 0.75)])
def test_load_recipe__published_pretraining(name: str, temperature: float) -> None:
    recipe = load_recipe("pretrain", name)
    assert (recipe.masking.ratio, recipe.masking.temperature) == (0.9, temperature)
    assert (recipe.schedule.epochs, recipe.schedule.warmup_epochs) == (400, 20)
    assert (recipe.schedule.lr, recipe.schedule.final_lr, recipe.batch_size) == (1e-3, 5e-4, 128)
    assert (recipe.model.depth, recipe.model.decoder_depth, recipe.model.tokens) == (8, 5, 750)


def test_load_recipe__published_linear_evaluation() -> None:
    recipe = load_recipe("linear", "ntu60-xsub")
    assert recipe.optimiser == SGD(kind="sgd", momentum=0.9, weight_decay=0.0)
    assert (recipe.schedule.epochs, recipe.schedule.lr, recipe.schedule.final_lr) == (100, 0.1, 0.0)
    assert (recipe.batch_size, recipe.sampling.test_crop) == (256, 0.9)


def test_load_recipe__unknown_name_lists_the_known() -> None:
    with pytest.raises(UsageError, match=r"'ntu61'.*ntu60-xsub, ntu60-xview"):
        load_recipe("pretrain", "ntu61")


def test_load_recipe__overrides_reach_nested_and_missing_mappings() -> None:
    overrides = ("schedule.epochs=7", "sampling.test_crop=0.95", "optimiser.betas=[0.9, 0.999]", "seed = 3")
    recipe = load_recipe("pretrain", "ntu60-xsub", overrides)
    assert (recipe.schedule.epochs, recipe.sampling.test_crop, recipe.seed) == (7, 0.95, 3)
    assert recipe.optimiser.model_dump()["betas"] == (0.9, 0.999)


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "0.0001", "+1.0e-4"])
def test_load_recipe__scientific_notation_is_a_number(text: str) -> None:
    assert load_recipe("pretrain", "ntu60-xsub", [f"schedule.lr={text}"]).schedule.lr == 1e-4


def test_load_recipe__unknown_key_is_named_in_full() -> None:
    with pytest.raises(ConfigError, match=r"unknown key: schedule\.epoch\n"):
        load_recipe("linear", "ntu60-xsub", ["schedule.epoch=3"])


@pytest.mark.parametrize("override", ["schedule.epochs", "=3", "schedule.=3", "schedule..lr=3", "seed.x=1", "seed=["])
def test_load_recipe__malformed_override_is_refused(override: str) -> None:
    with pytest.raises(UsageError, match="'"):
        load_recipe("pretrain", "ntu60-xsub", [override])


def test_load_recipe__value_of_the_wrong_type_is_named() -> None:
    with pytest.raises(ConfigError, match=r"batch_size: .*got 'many'"):
        load_recipe("pretrain", "ntu60-xsub", ["batch_size=many"])


def test_load_recipe__reads_a_file(tmp_path: Path) -> None:
    shipped = Path(sys.modules[load_recipe.__module__].__file__ or "").parent / "linear" / "ntu60-demo.yaml"
    own = tmp_path / "own.yml"
    own.write_text(shipped.read_text().replace("name: ntu60-demo", "name: own"))
    recipe = load_recipe("linear", str(own), ["seed=5"])
    assert (recipe.name, recipe.seed) == ("own", 5)


def test_load_recipe__missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"absent\.yaml"):
        load_recipe("linear", str(tmp_path / "absent.yaml"))


def test_load_recipe__of_another_kind_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("kind: pretrain\n")
    with pytest.raises(ConfigError, match="kind"):
        load_recipe("linear", str(own))


def test_recipes__need_no_torch() -> None:
    script = "import sys; sys.modules['torch'] = None\nimport mamp_trainer.recipes as r; r.list_recipes('linear')"
    subprocess.run([sys.executable, "-c", script], check=True)
