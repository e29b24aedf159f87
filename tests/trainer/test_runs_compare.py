from pathlib import Path
from typing import Any

import pytest

from mamp_schemas.io.run_files import read_run
from mamp_schemas.models.objectives import MaskingSpec
from mamp_schemas.models.recipe import ScheduleSpec
from mamp_schemas.models.results import EncoderProvenance
from mamp_schemas.models.splits import Subset
from mamp_trainer.runs.compare import Aspect, compare
from tests.trainer.run_folders import HARDWARE, encoder_of, write_recipe, write_run
from tests.trainer.runs import linear_recipe, pretrain_recipe, semi_recipe


def compare_two(one: Path, two: Path) -> dict[str, Aspect]:
    return {aspect.name: aspect for aspect in compare([read_run(one), read_run(two)]).aspects}


def told(aspects: dict[str, Aspect]) -> dict[str, list[str]]:
    """Return what differs, by aspect."""
    return {
        name: [str(difference) for difference in aspect.differences]
        for name, aspect in aspects.items()
        if aspect.differences
    }


def test_compare__names_the_field_of_the_recipe_that_differs(tmp_path: Path) -> None:
    write_run(tmp_path / "one", linear_recipe())
    write_run(tmp_path / "two", linear_recipe(name="other", schedule=ScheduleSpec(epochs=9, lr=0.1)))
    aspects = compare_two(tmp_path / "one", tmp_path / "two")
    assert told(aspects) == {"recipe": ["schedule.epochs: 3 / 9"]}
    assert {aspect.state for name, aspect in aspects.items() if name != "recipe"} == {"same"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"store_hash": "c" * 64}, {"store": ["content_hash: aaaaaaaaaaaa… / cccccccccccc…"]}),
        ({"manifest_hash": "c" * 64}, {"split manifest": ["digest: bbbbbbbbbbbb… / cccccccccccc…"]}),
        ({"versions": {"python": "3.11", "torch": "2.6"}}, {"versions": ["torch: 2.13 / 2.6"]}),
        ({"hardware": HARDWARE.replaced(gpus={"H100": 2})}, {"hardware": ["gpus.H100: None / 2"]}),
        ({"device": "cuda:0"}, {"placement": ["device: cpu / cuda:0"]}),
        (
            {"origin": EncoderProvenance(checkpoint="m.pth", weights="0123456789abcdef" * 4)},
            {"encoder": ["weights: untrained / 0123456789abcdef"]},
        ),
    ],
)
def test_compare__names_what_differs_beside_the_recipe(
    tmp_path: Path, changes: dict[str, Any], expected: dict[str, list[str]]
) -> None:
    write_run(tmp_path / "one", linear_recipe())
    write_run(tmp_path / "two", linear_recipe(), **changes)
    assert told(compare_two(tmp_path / "one", tmp_path / "two")) == expected


def test_compare__tells_placement_from_what_numbers_depend_on(tmp_path: Path) -> None:
    write_run(tmp_path / "one", linear_recipe())
    write_run(tmp_path / "two", linear_recipe(residency="stream"))
    assert told(compare_two(tmp_path / "one", tmp_path / "two")) == {"placement": ["residency: auto / stream"]}


def test_compare__leads_to_the_pre_training_of_another_encoder(tmp_path: Path) -> None:
    for name, strategy, weights in (("one", "motion", "1" * 64), ("two", "uniform", "2" * 64)):
        trained = pretrain_recipe(masking=MaskingSpec.model_validate({"strategy": strategy}))
        run = write_run(tmp_path / f"pre-{name}", trained, 0.5)
        write_run(tmp_path / name, linear_recipe(), **encoder_of(run, trained, weights))
    assert told(compare_two(tmp_path / "one", tmp_path / "two")) == {
        "encoder": ["weights: 1111111111111111 / 2222222222222222"],
        "pre-training": ["masking.strategy: motion / uniform"],
    }


def test_compare__does_not_take_another_run_for_the_pre_training(tmp_path: Path) -> None:
    run = write_run(tmp_path / "pre", pretrain_recipe(seed=5), 0.5)
    for name in ("one", "two"):
        write_run(tmp_path / name, linear_recipe(), **encoder_of(run, pretrain_recipe(), "1" * 64))
    assert "pre-training" not in compare_two(tmp_path / "one", tmp_path / "two")


def test_compare__what_an_incomplete_run_does_not_say_is_unknown(tmp_path: Path) -> None:
    write_run(tmp_path / "one", linear_recipe())
    write_recipe(tmp_path / "two", linear_recipe())
    write_run(tmp_path / "three", linear_recipe(), store_hash="c" * 64)
    aspects = compare_two(tmp_path / "one", tmp_path / "two")
    assert (aspects["recipe"].state, aspects["store"].state) == ("same", "unknown")
    assert told(aspects) == {}
    three = compare([read_run(tmp_path / name) for name in ("one", "two", "three")])
    assert [aspect.differences[0].values for aspect in three.aspects if aspect.differences] == [
        ("a" * 64, "unknown", "c" * 64)
    ]


def test_compare__the_spread_of_runs_that_only_seeds_tell_apart(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / str(seed), linear_recipe(seed=seed), 50.0 + seed) for seed in range(3)]
    folders.append(write_run(tmp_path / "other", linear_recipe(batch_size=8), 90.0))
    (group,) = compare([read_run(folder) for folder in folders]).groups
    assert group.seeds == (0, 1, 2)
    assert str(group.last_top1) == "51.00 ± 1.00"
    assert str(group.best_top1) == "52.00 ± 1.00"
    assert group.last_loss is None


def test_compare__encoders_of_one_recipe_and_several_seeds_are_one_setting(tmp_path: Path) -> None:
    folders = []
    for seed in range(2):
        trained = pretrain_recipe(seed=seed)
        run = write_run(tmp_path / f"pre-{seed}", trained, 0.5)
        encoder = encoder_of(run, trained, f"{seed}" * 64)
        folders.append(write_run(tmp_path / f"linear-{seed}", linear_recipe(seed=seed), 50.0 + seed, **encoder))
    folders.append(write_run(tmp_path / "untrained", linear_recipe(seed=2), 20.0))
    (group,) = compare([read_run(folder) for folder in folders]).groups
    assert group.runs == tuple(str(folder) for folder in folders[:2])


def test_compare__two_checkpoints_of_a_pre_training_are_two_settings(tmp_path: Path) -> None:
    trained = pretrain_recipe()
    run = write_run(tmp_path / "pre", trained, 0.5)
    last = encoder_of(run, trained, "1" * 64)
    origin = last["origin"].replaced(checkpoint=str(run / "checkpoints" / "step-00000013"), weights="2" * 64)
    one = write_run(tmp_path / "one", linear_recipe(), **last)
    two = write_run(tmp_path / "two", linear_recipe(), **{**last, "origin": origin})
    found = compare([read_run(one), read_run(two)])
    assert found.groups == ()
    assert told({aspect.name: aspect for aspect in found.aspects})["pre-training"] == [
        "checkpoint: step-00000039 / step-00000013"
    ]


def test_compare__draws_of_the_training_clips_are_one_setting(tmp_path: Path) -> None:
    folders = []
    for draw in (1, 2):
        recipe = semi_recipe(subset=Subset(fraction=0.1, draw=draw))
        folders.append(write_run(tmp_path / str(draw), recipe, 40.0 + draw, manifest_hash=f"{draw}" * 64))
    (group,) = compare([read_run(folder) for folder in folders]).groups
    assert (group.seeds, group.draws) == ((0, 0), (1, 2))


def test_compare__another_split_is_another_setting(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", linear_recipe())
    two = write_run(tmp_path / "two", linear_recipe(seed=1), manifest_hash="c" * 64)
    assert compare([read_run(one), read_run(two)]).groups == ()
