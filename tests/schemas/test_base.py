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
    with pytest.raises(ConfigError, match=r"unknown key: model\.wdith. Did you mean 'width'"):
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


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "../x",
        "a/b",
        "a\\b",
        "a\nb",
        "a\x1b[31m",
        "a\0b",
        "a.",
        "a ",
        " a",
        "-a",
        "a" * 101,
        "a*",
        "a:b",
    ],
)
def test_read_data__refuses_a_name_that_is_no_part_of_a_file_name(name: str) -> None:
    with pytest.raises(ConfigError, match=r"recipe r:\n  name: .*name"):
        parse_model_data(MAMPRecipe, recipe_data(name=name), "recipe r")


@pytest.mark.parametrize("name", ["ntu60-xsub", "Größe 3", "v1.2+x_1", "_x", "a" * 100])
def test_read_data__takes_a_name_that_is_part_of_a_file_name(name: str) -> None:
    assert parse_model_data(MAMPRecipe, recipe_data(name=name), "recipe r").name == name


@pytest.mark.parametrize("protocol", ["../x", "a/b", "", "x" * 65])
def test_read_data__refuses_a_protocol_that_is_no_part_of_a_file_name(protocol: str) -> None:
    with pytest.raises(ConfigError, match="protocol"):
        parse_model_data(MAMPRecipe, recipe_data(dataset="custom", protocol=protocol), "recipe r")


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": -1}, {"batch_size": 10**7}, {"model": {"width": 10**6}},
        {"model": {"joints": 10**4}, "dataset": "custom"}, {"model": {"frames": 10**6}}, {"model": {"depth": 10**4}},
        {"schedule": {"epochs": 10**9, "lr": 0.1}}, {"schedule": {"epochs": 1, "lr": 1e9}},
        {"optimiser": {"kind": "adamw", "betas": (0.9, 1.0)}}, {"shuffle_window": 2**40}, {"checkpoint_every": 10**12},
        {"summary": "a\nb"}, {"summary": "a\x1b[2J"},
    ],
)  # fmt: skip
def test_read_data__refuses_what_is_out_of_bounds(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(changes))}.*((less|greater) than|without control)"):
        parse_model_data(MAMPRecipe, recipe_data(**changes), "recipe r")


def test_read_data__says_the_bytes_of_a_network_that_no_memory_holds() -> None:
    with pytest.raises(ConfigError, match=r"618,\d{3},\d{3},\d{3} parameters; .* take 9,896 GB, at most 1,000 GB"):
        parse_model_data(MAMPRecipe, recipe_data(model={"width": 65_536, "depth": 12}), "recipe r")


def test_read_data__cuts_what_it_shows_of_long_values_and_lists() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_model_data(MAMPRecipe, recipe_data(batch_size="9" * 100_000, seed="x"), "recipe r")
    assert "(100,002 characters)" in caught.value.message
    assert len(caught.value.message) < 1000
    with pytest.raises(ConfigError, match="and 80 more"):
        parse_model_data(MAMPRecipe, recipe_data(**{f"key{number}": 1 for number in range(100)}), "recipe r")


def test_read_data__refuses_text_that_is_no_unicode() -> None:
    with pytest.raises(ConfigError, match=r"recipe r: .*surrogates"):
        parse_model_data(MAMPRecipe, recipe_data(name="a\udcff"), "recipe r")


def test_read_json__refuses_a_key_that_is_twice() -> None:
    with pytest.raises(ConfigError, match="the key 'stride' is given twice"):
        parse_model_json(MotionSpec, '{"stride": 1, "stride": 2}', "spec.json")


def test_read_data__refuses_an_integer_of_more_than_64_bits() -> None:
    with pytest.raises(ConfigError, match="the integer 18446744073709551616 has more than 64 bits"):
        parse_model_data(MAMPRecipe, recipe_data(seed=2**64), "recipe r")
