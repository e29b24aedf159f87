"""Plans of tables: which runs they take, each once, and their reduction."""

from collections import Counter
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from mamp_schemas.errors import UsageError
from mamp_schemas.models.protocols import FinetuneRecipe, LinearRecipe
from mamp_schemas.models.recipe import PretrainRecipe, Recipe
from mamp_schemas.models.reproduction import PlannedRun, ReproductionPlan, Scale
from mamp_trainer.recipes import list_recipes, load_recipe
from mamp_trainer.reproduce.plan import NAMES, SEGMENTS, choose_runs, scaled_down
from mamp_trainer.reproduce.plan import make_plan as plan_anew

SCALES: tuple[Scale, ...] = ("full", "small")
make_plan = cache(plan_anew)
RUNS = {
    "1": {"pretrain": 12, "linear": 12},
    "2": {"pretrain": 4, "finetune": 6},
    "3": {"pretrain": 4, "finetune": 6},
    "4": {"pretrain": 4, "finetune": 4},
    "5": {"pretrain": 4, "semi": 60},
    "6": {"pretrain": 6, "transfer": 6},
    "7": {"pretrain": 8, "linear": 8},
    "8": {"pretrain": 4, "linear": 4},
    "9": {"pretrain": 8, "linear": 8},
    "10": {"pretrain": 14, "linear": 14},
    "fig-mask-ratio": {"pretrain": 6, "linear": 6},
    "fig-schedule": {"pretrain": 10, "linear": 10},
    "fig-loss": {"pretrain": 2},
}
"""Of MAMP, SkeletonMAE* and training from scratch; the default decoder is in 10a and in 10b, and trained once."""


def settings(recipe: Recipe) -> dict[str, Any]:
    """Return what a run's numbers depend on."""
    return {key: value for key, value in recipe.canonical_data().items() if key not in ("name", "summary")}


def pretrainings(plan: ReproductionPlan) -> dict[str, PretrainRecipe]:
    return {run.name: run.recipe for run in plan.runs if isinstance(run.recipe, PretrainRecipe)}


def evaluations(plan: ReproductionPlan) -> list[PlannedRun]:
    return [run for run in plan.runs if not isinstance(run.recipe, PretrainRecipe)]


def test_names__are_all_that_is_planned_here() -> None:
    assert set(NAMES) == set(RUNS)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("table", NAMES)
def test_make_plan__every_run_is_there_once_and_after_its_parent(table: str, scale: Scale) -> None:
    plan = make_plan(table, scale)
    assert Counter(run.recipe.kind for run in plan.runs) == RUNS[table]
    places = {run.name: place for place, run in enumerate(plan.runs)}
    assert len(places) == len(plan.runs)
    assert all(run.parent is None or places[run.parent] < places[run.name] for run in plan.runs)
    counted = {name for planned in plan.tables for cell in planned.cells for name in cell.runs}
    assert counted <= set(places)
    assert set(places) == counted | {run.parent for run in plan.runs if run.parent}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("table", NAMES)
def test_make_plan__survives_its_own_json(table: str, scale: Scale) -> None:
    plan = make_plan(table, scale)
    assert ReproductionPlan.model_validate_json(plan.model_dump_json()) == plan


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("table", NAMES)
def test_make_plan__evaluations_have_their_encoders_shape(table: str, scale: Scale) -> None:
    plan = make_plan(table, scale)
    parents = pretrainings(plan)
    for run in evaluations(plan):
        if run.parent is None:
            assert "-scratch" in run.name
            continue
        encoder = parents[run.parent].model
        run_model = run.recipe.model
        for field in ("input", "joints", "frames", "segment", "width", "depth", "heads", "mlp_ratio"):
            assert getattr(run_model, field) == getattr(encoder, field)


@pytest.mark.parametrize("scale", SCALES)
def test_make_plan__tables_share_pretrainings(scale: Scale) -> None:
    first = pretrainings(make_plan("1", scale))
    for table in ("2", "3", "4", "5", "6", "fig-loss"):
        assert pretrainings(make_plan(table, scale)).keys() <= first.keys()
    for table in ("7", "8", "9", "10", "fig-mask-ratio", "fig-schedule"):
        assert pretrainings(make_plan(table, scale)).keys() & first.keys()
    names = set().union(*(pretrainings(make_plan(table, scale)) for table in NAMES))
    assert len(names) == 12 + 4 + 2 + 6 + 12 + 5 + 8


@pytest.mark.parametrize("scale", SCALES)
def test_make_plan__no_two_names_stand_for_one_run(scale: Scale) -> None:
    runs = {run.name: run for table in NAMES for run in make_plan(table, scale).runs}
    counts = Counter(str((settings(run.recipe), run.parent)) for run in runs.values())
    assert max(counts.values()) == 1


def test_make_plan__published_settings_are_the_shipped_recipes() -> None:
    built_in = [settings(recipe) for recipe in list_recipes("pretrain")]
    assert all(settings(recipe) in built_in for recipe in pretrainings(make_plan("1")).values())


def test_make_plan__runs_of_the_training_commands_count() -> None:
    hashes = {run.recipe.digest() for table in ("1", "2", "5") for run in make_plan(table).runs}
    assert load_recipe("pretrain", "ntu60-xsub-skeletonmae").digest() in hashes
    assert load_recipe("linear", "pku2-xsub").digest() in hashes
    assert load_recipe("finetune", "ntu60-xview-scratch").digest() in hashes
    assert load_recipe("semi", "ntu60-xsub-1pct", ["subset.draw=3"]).digest() in hashes


@pytest.mark.parametrize("scale", SCALES)
def test_make_plan__table_9_has_as_many_segments_of_every_length(scale: Scale) -> None:
    models = [run.recipe.model for run in make_plan("9", scale).runs]
    assert {model.segments for model in models} == {30 if scale == "full" else SEGMENTS}
    assert {model.segment for model in models} == {2, 4, 6, 8}


def test_make_plan__table_5_averages_five_draws() -> None:
    plan = make_plan("5")
    assert {len(cell.runs) for planned in plan.tables for cell in planned.cells} == {5}
    recipes = [run.recipe for run in evaluations(plan) if isinstance(run.recipe, FinetuneRecipe)]
    assert {recipe.subset.draw for recipe in recipes if recipe.subset} == {1, 2, 3, 4, 5}


def test_make_plan__joints_from_joints_is_skeleton_mae() -> None:
    joints = [recipe for recipe in pretrainings(make_plan("7")).values() if recipe.target.kind == "joint"]
    masking = {recipe.model.input: recipe.masking.strategy for recipe in joints}
    assert masking == {"joint": "uniform", "motion": "motion"}


def test_make_plan__from_scratch_every_layer_learns_alike() -> None:
    recipes = {run.parent is None: run.recipe for run in evaluations(make_plan("2"))}
    assert isinstance(recipes[True], FinetuneRecipe)
    assert isinstance(recipes[False], FinetuneRecipe)
    assert (recipes[True].layer_decay, recipes[False].layer_decay) == (1.0, 0.8)


def test_make_plan__seeds_make_runs_and_parents_of_their_own() -> None:
    plan = make_plan("8", seeds=2)
    assert len(plan.runs) == 2 * len(make_plan("8").runs)
    parents = pretrainings(plan)
    assert all(run.recipe.seed == parents[run.parent or ""].seed for run in evaluations(plan))


def test_make_plan__unknown_table_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no table '11'") as caught:
        make_plan("11")
    assert "fig-loss" in caught.value.remedy


def test_make_plan__parts_of_table_10_can_be_named() -> None:
    assert [planned.published.name for planned in make_plan("10").tables] == ["10a", "10b"]
    assert {run.name for run in make_plan("10a").runs} < {run.name for run in make_plan("10").runs}


def test_small__keeps_what_tables_vary_in_proportion() -> None:
    epochs = [recipe.schedule.epochs for recipe in pretrainings(make_plan("fig-schedule", "small")).values()]
    widths = [recipe.model.decoder_width for recipe in pretrainings(make_plan("10b", "small")).values()]
    assert sorted(set(epochs)) == [2, 4, 6, 8, 10]
    assert all(later == 2 * earlier for earlier, later in pairwise(sorted(set(widths))))
    depths = {recipe.model.decoder_depth for recipe in pretrainings(make_plan("10a", "small")).values()}
    assert depths == {2, 3, 4, 5}


def test_small__leaves_method_and_learning_rates() -> None:
    recipe = load_recipe("linear", "pku2-xsub")
    reduced = scaled_down(recipe)
    assert isinstance(reduced, LinearRecipe)
    assert reduced.schedule.lr == recipe.schedule.lr
    assert reduced.optimiser == recipe.optimiser
    assert reduced.sampling.test_crop == recipe.sampling.test_crop


def test_choose_runs__columns_with_their_pretrainings() -> None:
    plan = make_plan("8")
    chosen = choose_runs(plan, ["ntu60/xsub"])
    assert {run.recipe.dataset for run in plan.runs if run.name in chosen} == {"ntu60"}
    assert len(chosen) == 4
    assert choose_runs(plan, []) == {run.name for run in plan.runs}


def test_choose_runs__transfer_brings_pretrainings_of_other_datasets() -> None:
    plan = make_plan("6")
    assert choose_runs(plan, ["pku2/xsub"]) == {run.name for run in plan.runs}


def test_choose_runs__unknown_column_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="ntu60/xset") as caught:
        choose_runs(make_plan("8"), ["ntu60/xset"])
    assert "ntu60/xsub, ntu120/xsub" in caught.value.remedy
