import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from mamp_schemas.errors import ConfigError, MampctlError, RecipeError, UsageError
from mamp_schemas.io import named_files
from mamp_schemas.models.base import digest_dumped
from mamp_schemas.models.objectives import (
    JointTargetSpec,
    MAMPRecipe,
    MaskingSpec,
    SkeletonMAERecipe,
    TargetSpec,
    UniformMaskingSpec,
)
from mamp_schemas.models.published import TABLES
from mamp_schemas.models.recipe import SGD, AdamW, Recipe, parse_recipe, recipe_class, task_names
from mamp_schemas.models.splits import Subset
from mamp_trainer import recipes
from mamp_trainer.recipes import list_recipes, load_recipe
from tests.mutations import mutated

TASKS = task_names()
NTU = ("ntu120-xset", "ntu120-xsub", "ntu60-xsub", "ntu60-xview")
PKU = ("pku1-xsub", "pku2-xsub")
UCLA = ("nwucla-small", "nwucla-xview")
SEMI = tuple(f"ntu60-{side}-{percent}pct" for side in ("xsub", "xview") for percent in (1, 10))
SCRATCH = (*NTU, *UCLA)
SOURCES = ("ntu120", "ntu60", "pku1")
NAMES: dict[str, tuple[str, ...]] = {
    "pretrain": (*NTU, *PKU, *UCLA, *(f"{name}-skeletonmae" for name in (*NTU, *PKU, *UCLA)), "ntu60-demo"),
    "linear": (*NTU, *PKU, *UCLA, "ntu60-demo"),
    "finetune": (*NTU, *PKU, *UCLA, *(f"{name}-scratch" for name in SCRATCH), "ntu60-demo"),
    "semi": tuple(
        f"{name}{scratch}" for name in (*SEMI, *(f"{name}-10pct" for name in UCLA)) for scratch in ("", "-scratch")
    ),
    "transfer": tuple(f"pku2-xsub-from-{source}" for source in SOURCES),
}
ALL = [(task, name) for task in TASKS for name in NAMES[task]]
FULL_SIZE = [(task, name) for task, name in ALL if "small" not in name and "demo" not in name]


@pytest.mark.parametrize("task", TASKS)
def test_list_recipes__every_shipped_recipe_validates_under_its_own_name(task: str) -> None:
    shipped = list_recipes(task)
    assert sorted(recipe.name for recipe in shipped) == sorted(NAMES[task])
    assert {recipe.kind for recipe in shipped} == {task}
    assert all(recipe.summary for recipe in shipped)
    assert len({recipe.summary for recipe in shipped}) == len(shipped)


@pytest.mark.parametrize(("task", "name"), ALL)
def test_load_recipe__name_says_dataset_and_protocol(task: str, name: str) -> None:
    recipe = load_recipe(task, name)
    if "small" not in name and "demo" not in name:
        assert name.startswith(f"{recipe.dataset}-{recipe.protocol}")


@pytest.mark.parametrize(("task", "name"), ALL)
def test_load_recipe__evaluation_fits_the_pretrained_encoder(task: str, name: str) -> None:
    shared = {"input", "joints", "frames", "segment", "width", "depth", "heads", "mlp_ratio"}
    pretrained = next(own for own in sorted(NAMES["pretrain"], key=len, reverse=True) if name.startswith(own))
    shapes = [
        load_recipe(kind, own).model.model_dump(include=shared)
        for kind, own in ((task, name), ("pretrain", pretrained))
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(("task", "name"), FULL_SIZE)
def test_load_recipe__published_network_and_samples(task: str, name: str) -> None:
    recipe = load_recipe(task, name)
    model, sampling = recipe.model, recipe.sampling
    assert (model.frames, model.segment, model.width, model.depth, model.heads, model.mlp_ratio) == (
        120,
        4,
        256,
        8,
        8,
        4,
    )
    assert (model.decoder_width, model.decoder_depth, model.decoder_heads) == (256, 5, 8)
    assert (sampling.crop_min, sampling.crop_max, sampling.test_crop, sampling.rotation) == (0.5, 1.0, 0.9, 0.3)
    assert sampling.min_frames == (16 if recipe.dataset == "nwucla" else 64)


@pytest.mark.parametrize("name", [name for task, name in FULL_SIZE if task == "pretrain"])
def test_load_recipe__published_pretraining(name: str) -> None:
    recipe = load_recipe("pretrain", name)
    assert recipe.optimiser == AdamW(kind="adamw", betas=(0.9, 0.95), weight_decay=0.05)
    assert schedule_of(recipe) == (400, 20, 1e-3, 5e-4, 128)
    if "skeletonmae" in name:
        expected = SkeletonMAERecipe
        assert recipe.masking == UniformMaskingSpec(ratio=0.9)
        assert recipe.target == JointTargetSpec(normalise=True)
    else:
        expected = MAMPRecipe
        temperature = 0.75 if recipe.dataset == "ntu120" else 0.8
        assert recipe.masking == MaskingSpec(ratio=0.9, strategy="motion", temperature=temperature)
        assert recipe.target == TargetSpec(kind="motion", stride=1, normalise=True)
    assert type(recipe) is expected


@pytest.mark.parametrize("name", [name for task, name in FULL_SIZE if task == "linear"])
def test_load_recipe__published_linear_evaluation(name: str) -> None:
    recipe = load_recipe("linear", name)
    assert recipe.optimiser == SGD(kind="sgd", momentum=0.9, weight_decay=0.0)
    batch, lr = {"pku1": (128, 0.1), "pku2": (32, 0.01), "nwucla": (32, 0.01)}.get(recipe.dataset, (256, 0.1))
    assert schedule_of(recipe) == (100, 0, lr, 0.0, batch)


@pytest.mark.parametrize(("task", "name"), [pair for pair in FULL_SIZE if pair[0] in ("finetune", "semi", "transfer")])
def test_load_recipe__published_fine_tuning(task: str, name: str) -> None:
    recipe = load_recipe(task, name)
    assert recipe.optimiser == AdamW(kind="adamw", betas=(0.9, 0.999), weight_decay=0.05)
    assert schedule_of(recipe) == (100, 5, 3e-4, 1e-5, 48)
    assert (recipe.dropout, recipe.label_smoothing, recipe.drop_path, recipe.head_width) == (0.3, 0.1, 0.3, 2048)
    assert recipe.layer_decay == (1.0 if "scratch" in name else 0.8)


@pytest.mark.parametrize("name", NAMES["semi"])
def test_load_recipe__semi_names_its_share_of_the_labels(name: str) -> None:
    fraction = 0.1 if "10pct" in name else 0.01
    assert load_recipe("semi", name).subset == Subset(fraction=fraction, sampling="uniform", seed=0, draw=1)


@pytest.mark.parametrize("source", SOURCES)
def test_load_recipe__transfer_names_its_source(source: str) -> None:
    pretrained_on = load_recipe("transfer", f"pku2-xsub-from-{source}").pretrained_on
    assert pretrained_on is not None
    assert (pretrained_on.dataset, pretrained_on.protocol) == (source, "xsub")


def schedule_of(recipe: Recipe) -> tuple[float, ...]:
    schedule = recipe.schedule
    return schedule.epochs, schedule.warmup_epochs, schedule.lr, schedule.final_lr, recipe.batch_size


@pytest.mark.parametrize("table", ["7", "8", "9", "10a", "10b"])
@pytest.mark.parametrize("dataset", ["ntu60", "ntu120"])
def test_load_recipe__every_row_of_an_ablation_is_a_recipe(table: str, dataset: str) -> None:
    own = load_recipe("pretrain", f"{dataset}-xsub")
    rows = [
        load_recipe("pretrain", f"{dataset}-xsub", [f"{field}={value}" for field, value in row.recipe.items()])
        for row in TABLES[table].rows
    ]
    assert rows.count(own) == 1
    assert len({recipe.digest() for recipe in rows}) == len(rows)
    assert {recipe.model.segments for recipe in rows} == {30}


@pytest.mark.parametrize(
    ("task", "name", "override", "message"),
    [
        ("finetune", "ntu60-xsub", "subset={fraction: 0.1}", "unknown key: subset"),
        ("semi", "ntu60-xsub-1pct", "subset=null", "subset: Input should be"),
        ("transfer", "pku2-xsub-from-ntu60", "pretrained_on=null", "pretrained_on: Input should be"),
        ("transfer", "pku2-xsub-from-ntu60", "pretrained_on.dataset=pku2", "must be another one than dataset"),
        ("semi", "ntu60-xsub-1pct", "subset.fraction=1.0", r"subset\.fraction"),
        ("finetune", "ntu60-xsub", "layer_decay=0", "layer_decay"),
        ("finetune", "ntu60-xsub", "drop_path=1", "drop_path"),
        ("finetune", "ntu60-xsub", "schedule.epochs=0", r"schedule\.epochs must be at least 1"),
        ("linear", "ntu60-xsub", "schedule.epochs=0", r"schedule\.epochs must be at least 1"),
        ("pretrain", "ntu60-xsub", "model.input=bones", r"model\.input"),
    ],
)
def test_load_recipe__what_does_not_go_together_is_refused(task: str, name: str, override: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_recipe(task, name, [override])


def test_recipe_class__a_protocol_that_trains_nothing_has_none() -> None:
    with pytest.raises(UsageError, match="the protocol 'knn' trains nothing and has no recipes"):
        recipe_class("knn")
    assert "knn" not in task_names()


def write(folder: Path, **lines: str) -> str:
    path = folder / "own.yaml"
    path.write_text("".join(f"{key}: {value}\n" for key, value in lines.items()))
    return str(path)


def test_load_recipe__a_base_gives_what_the_file_does_not_say(tmp_path: Path) -> None:
    own = write(tmp_path, base="ntu60-xsub", name="own", schedule="{epochs: 7}", model="{decoder_depth: 3}")
    recipe, base = load_recipe("pretrain", own), load_recipe("pretrain", "ntu60-xsub")
    changed = {
        "name": "own",
        "schedule": base.schedule.replaced(epochs=7),
        "model": base.model.replaced(decoder_depth=3),
    }
    assert recipe == base.replaced(**changed)


def test_load_recipe__a_base_may_be_of_another_task(tmp_path: Path) -> None:
    own = write(tmp_path, base="finetune/ntu60-xsub", kind="semi", subset="{fraction: 0.05}")
    assert load_recipe("semi", own).subset == Subset(fraction=0.05)


def test_load_recipe__fine_tuning_under_another_task_is_refused(tmp_path: Path) -> None:
    own = write(tmp_path, base="finetune/ntu60-xsub")
    with pytest.raises(RecipeError, match="kind is 'finetune', this is 'train semi'"):
        load_recipe("semi", own)


@pytest.mark.parametrize(
    "base", ["ntu61", "semi/ntu60-xsub", "odd/ntu60-xsub", "../pretrain/ntu60-xsub", "own.yaml", "3"]
)
def test_load_recipe__unknown_base_is_named(tmp_path: Path, base: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(f"own.yaml: its base '{base}' is unknown")):
        load_recipe("pretrain", write(tmp_path, base=base))


def test_load_recipe__its_own_base_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, base in (("a", "b"), ("b", "a")):
        path = tmp_path / "linear" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"base: {base}\n")
    monkeypatch.setattr(named_files, "files", lambda _: tmp_path)
    with pytest.raises(RecipeError, match="its base 'a' is its own"):
        load_recipe("linear", "a")


def test_load_recipe__unknown_name_lists_the_known() -> None:
    with pytest.raises(UsageError, match=r"'ntu61'.*ntu60-demo, ntu60-xsub, "):
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
    with pytest.raises(UsageError, match=r"unknown key: schedule\.epoch. Did you mean 'epochs'"):
        load_recipe("linear", "ntu60-xsub", ["schedule.epoch=3"])


@pytest.mark.parametrize("override", ["schedule.epochs", "=3", "schedule.=3", "schedule..lr=3", "seed.x=1", "seed=["])
def test_load_recipe__malformed_override_is_refused(override: str) -> None:
    with pytest.raises(UsageError, match="'"):
        load_recipe("pretrain", "ntu60-xsub", [override])


def test_load_recipe__value_of_the_wrong_type_is_named() -> None:
    with pytest.raises(UsageError, match=r"batch_size: .*got 'many'"):
        load_recipe("pretrain", "ntu60-xsub", ["batch_size=many"])


def test_load_recipe__reads_a_file(tmp_path: Path) -> None:
    shipped = Path(recipes.__file__).parent / "linear" / "ntu60-xsub.yaml"
    own = tmp_path / "own.yml"
    own.write_text(shipped.read_text().replace("name: ntu60-xsub", "name: own"))
    recipe = load_recipe("linear", str(own), ["seed=5"])
    assert (recipe.name, recipe.seed) == ("own", 5)


def test_load_recipe__missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"absent\.yaml"):
        load_recipe("linear", str(tmp_path / "absent.yaml"))


def test_load_recipe__of_another_kind_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("kind: pretrain\n")
    with pytest.raises(RecipeError, match="kind is 'pretrain', this is 'train linear'"):
        load_recipe("linear", str(own))


def test_load_recipe__unknown_objective_is_named_with_the_nearest(tmp_path: Path) -> None:
    own = write(tmp_path, base="ntu60-xsub", batch_size="4")
    with pytest.raises(UsageError, match=r"there is no objective 'skeletonmea'\. Did you mean 'skeletonmae'"):
        load_recipe("pretrain", own, ["objective=skeletonmea"])


def test_load_recipe__another_objective_takes_from_a_base_what_it_has(tmp_path: Path) -> None:
    own = write(tmp_path, base="ntu60-xsub", objective="skeletonmae", masking="{ratio: 0.5}")
    recipe = load_recipe("pretrain", own)
    assert isinstance(recipe, SkeletonMAERecipe)
    assert recipe.masking == UniformMaskingSpec(ratio=0.5)
    assert recipe.schedule.epochs == 400


def test_load_recipe__another_objective_by_an_override_takes_what_it_has() -> None:
    recipe = load_recipe("pretrain", "ntu60-xsub", ["masking.ratio=0.5", "objective=skeletonmae"])
    assert isinstance(recipe, SkeletonMAERecipe)
    assert (recipe.masking, recipe.batch_size) == (UniformMaskingSpec(ratio=0.5), 128)


def test_load_recipe__an_objective_refuses_options_of_another(tmp_path: Path) -> None:
    own = write(tmp_path, base="ntu60-xsub", objective="skeletonmae", masking="{temperature: 0.5}")
    with pytest.raises(ConfigError, match=r"unknown key: masking\.temperature"):
        load_recipe("pretrain", own)


def test_digest__does_not_count_the_default_objective() -> None:
    recipe = load_recipe("pretrain", "ntu60-xsub")
    assert "objective" not in recipe.model_dump(mode="json")
    assert recipe.digest() == digest_dumped(recipe.model_dump(mode="json"))
    assert load_recipe("pretrain", "ntu60-xsub", ["objective=mamp"]).digest() == recipe.digest()


def test_parse_recipe__gives_back_the_class_of_what_was_dumped() -> None:
    for task, name in (("pretrain", "ntu60-xsub"), ("pretrain", "ntu60-xsub-skeletonmae"), ("semi", "ntu60-xsub-1pct")):
        recipe = load_recipe(task, name)
        assert parse_recipe(recipe.model_dump(mode="json"), "again") == recipe
        assert type(parse_recipe(recipe.model_dump(mode="json"), "again")) is type(recipe)


def test_parse_recipe__unknown_task_is_named() -> None:
    with pytest.raises(ConfigError, match=r"there is no task 'linaer'\. Did you mean 'linear'"):
        parse_recipe({"kind": "linaer"}, "recipe r")


def test_recipes__need_no_torch() -> None:
    script = "import sys; sys.modules['torch'] = None\nimport mamp_trainer.recipes as r; r.list_recipes('linear')"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_load_recipe__an_objective_that_is_no_name_is_refused() -> None:
    with pytest.raises(UsageError, match="expected a name"):
        load_recipe("pretrain", "nwucla-small", ["objective.name=mamp"])


@pytest.mark.parametrize("name", ["pku1-xsub", "pku2-xsub", "pku1-xsub-skeletonmae", "pku2-xsub-skeletonmae"])
def test_load_recipe__pku_keeps_the_epoch_that_the_released_scripts_take(name: str) -> None:
    recipe = load_recipe("pretrain", name)
    assert [epoch for epoch in range(401) if recipe.keeps(epoch)] == [301]


def test_digest__of_a_recipe_that_keeps_no_epoch_says_nothing_of_it() -> None:
    recipe = load_recipe("pretrain", "ntu60-xsub")
    data = recipe.model_dump(mode="json")
    del data["keep_every"]
    assert recipe.digest() == digest_dumped(data)


OWN = """\
base: ntu60-demo
kind: pretrain
name: x
summary: s
model: {frames: 16, width: 16, heads: 2}
schedule: {epochs: 1, warmup_epochs: 0.5, lr: 1e-3}
optimiser: {kind: adamw, betas: [0.9, 0.95]}
keep_every: 2
masking: {ratio: 0.9, temperature: 0.8}
"""


@given(mutated(OWN))
@settings(deadline=5000, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_load_recipe__any_text_is_a_recipe_or_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    try:
        recipe = load_recipe("pretrain", str(path))
    except MampctlError:
        return
    assert recipe.model.state_bytes < 10**12
    assert "/" not in recipe.name
