import json
from typing import Any

import pytest

from mamp_schemas.errors import ConfigError
from mamp_schemas.models.base import digest_dumped, parse_model_json
from mamp_schemas.models.results import RunRecord
from mamp_schemas.models.splits import Subset

FORMAT_1: dict[str, Any] = {
    "task": "linear",
    "dataset": "nwucla",
    "protocol": "xview",
    "recipe_hash": "ab" * 32,
    "store_hash": "cd" * 32,
    "manifest_hash": "ef" * 32,
    "encoder": "runs/mamp (weights 0123456789abcdef)",
    "seed": 0,
    "device": "cpu: x86_64, 1 threads",
    "versions": {"python": "3.11.7"},
    "result": {
        "kind": "linear",
        "epochs": 30,
        "clips": 464,
        "last_top1": 57.1,
        "last_top5": 95.0,
        "best_top1": 59.9,
        "best_epoch": 15,
        "seconds": 154.5,
    },
}


def read(**changes: Any) -> RunRecord:
    return parse_model_json(RunRecord, json.dumps({**FORMAT_1, **changes}), "run.json")


def test_run_record__of_format_1_stays_readable() -> None:
    record = read()
    assert record.format_version == 1
    assert (record.hardware, record.started, record.recipe) == (None, None, None)


def test_run_record__unknown_field_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown key: colour"):
        read(colour="blue")


def test_run_record__a_later_format_is_refused() -> None:
    with pytest.raises(ConfigError, match="format_version"):
        read(format_version=3)


def test_began_with__whole_digests_and_those_of_format_1() -> None:
    digest = "0123456789abcdef" + "0" * 48
    assert read().started_from_weights(digest)
    assert not read().started_from_weights("untrained")
    assert not read().started_from_weights("1" + digest[1:])
    assert read(encoder="untrained").started_from_weights("untrained")
    assert read(origin={"checkpoint": "c", "weights": "1" * 64}).started_from_weights("1" * 64)
    assert not read(origin={"checkpoint": "c", "weights": "1" * 64}).started_from_weights(digest)


def test_digest_data__is_that_of_the_model_it_was_dumped_from() -> None:
    subset = Subset(fraction=0.1, draw=2)
    assert digest_dumped(subset.model_dump(mode="json")) == subset.digest()
    assert digest_dumped({**subset.model_dump(mode="json"), "later": None}) == subset.digest()
