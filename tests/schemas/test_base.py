"""Models are strict and frozen, their errors name the keys, their digests depend on content only."""

import pytest
from pydantic import ValidationError

from mamp_schemas.errors import ConfigError, ManifestError
from mamp_schemas.models.base import canonical_json, parse_model_data, parse_model_json, parse_yaml
from mamp_schemas.models.objectives import MAMPRecipe
from mamp_schemas.models.store import MotionSpec


def recipe_data(**changes: object) -> dict[str, object]:
    data: dict[str, object] = {
        "kind": "pretrain", "name": "r", "summary": "s", "dataset": "ntu60", "protocol": "xsub", "model": {},
        "optimiser": {"kind": "adamw"}, "schedule": {"epochs": 2, "lr": 1e-3}, "batch_size": 4,
    }  # fmt: skip
    return {**data, **changes}


def test_model__is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        MotionSpec().stride = 2  # type: ignore[misc]


def test_read_data__names_a_nested_unknown_key() -> None:
    with pytest.raises(ConfigError, match=r"unknown key: model\.wdith; did you mean 'width'"):
        parse_model_data(MAMPRecipe, recipe_data(model={"wdith": 3}), "recipe r")


def test_read_data__names_an_unknown_key_inside_a_union() -> None:
    with pytest.raises(ConfigError, match=r"unknown key: optimiser\.momentum\n"):
        parse_model_data(MAMPRecipe, recipe_data(optimiser={"kind": "adamw", "momentum": 0.9}), "recipe r")


def test_read_data__names_a_missing_key() -> None:
    data = recipe_data()
    del data["batch_size"]
    with pytest.raises(ConfigError, match="missing key: batch_size"):
        parse_model_data(MAMPRecipe, data, "recipe r")


def test_read_data__refuses_text_for_a_number() -> None:
    with pytest.raises(ConfigError, match=r"batch_size.*'128'"):
        parse_model_data(MAMPRecipe, recipe_data(batch_size="128"), "recipe r")


def test_read_data__refuses_another_joint_count() -> None:
    with pytest.raises(ConfigError, match=r"model\.joints is 20, NTU RGB\+D 60 has 25 joints"):
        parse_model_data(MAMPRecipe, recipe_data(model={"joints": 20}), "recipe r")


def test_read_data__refuses_a_protocol_the_dataset_lacks() -> None:
    with pytest.raises(ConfigError, match="no protocol 'xset'"):
        parse_model_data(MAMPRecipe, recipe_data(protocol="xset"), "recipe r")


def test_read_data__refuses_frames_that_segments_do_not_fill() -> None:
    with pytest.raises(ConfigError, match=r"frames \(121\) must be a multiple of segment \(4\)"):
        parse_model_data(MAMPRecipe, recipe_data(model={"frames": 121}), "recipe r")


def test_read_data__refuses_a_ratio_that_keeps_nothing() -> None:
    with pytest.raises(ConfigError, match="keeps 0 of 750 tokens"):
        parse_model_data(MAMPRecipe, recipe_data(masking={"ratio": 0.9999}), "recipe r")


def test_read_json__raises_the_error_asked_for() -> None:
    with pytest.raises(ManifestError, match="not valid JSON"):
        parse_model_json(MotionSpec, "{", "splits.json", ManifestError)


def test_read_json__gives_back_what_was_dumped() -> None:
    recipe = parse_model_data(MAMPRecipe, recipe_data(), "recipe r")
    assert parse_model_json(MAMPRecipe, recipe.model_dump_json(), "again") == recipe


def test_parse_yaml__refuses_a_list() -> None:
    with pytest.raises(ConfigError, match="expected a mapping of keys, got list"):
        parse_yaml("- 1", "recipe.yaml")


def test_canonical_json__does_not_depend_on_key_order() -> None:
    assert canonical_json({"b": [1, {"d": 1, "c": 2}], "a": 0}) == canonical_json({"a": 0, "b": [1, {"c": 2, "d": 1}]})


def test_digest__changes_with_a_field() -> None:
    assert MotionSpec().digest() != MotionSpec(stride=2).digest()


def test_replaced__validates() -> None:
    assert MotionSpec().replaced(stride=2).stride == 2
    with pytest.raises(ValidationError):
        MotionSpec().replaced(stride=0)


def test_parse_yaml__aliases_are_refused() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{new}: &{new} [*{old}, *{old}]\n" for old, new in zip("abc", "bcd", strict=True)
    )
    with pytest.raises(ConfigError, match=r"aliases \(\*name\) are not taken"):
        parse_yaml(bomb, "layout.yaml")
