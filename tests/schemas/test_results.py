import json
from typing import Any

import pytest

from mamp_schemas.errors import ConfigError
from mamp_schemas.models.base import digest_dumped, parse_model_json
from mamp_schemas.models.results import RunRecord
from mamp_schemas.models.splits import Subset

RECORD: dict[str, Any] = {
    "format_version": 3,
    "task": "linear",
    "recipe": "nwucla-small",
    "dataset": "nwucla",
    "protocol": "xview",
    "recipe_hash": "ab" * 32,
    "store_hash": "cd" * 32,
    "manifest_hash": "ef" * 32,
    "encoder": "untrained",
    "hardware": {"cpu": "x86_64", "cores": 1, "cores_present": 2, "memory_gb": 8.0, "gpus": {}, "ranks": 1},
    "started": "2026-01-01T00:00:00Z",
    "finished": "2026-01-01T00:01:00Z",
    "sessions": 1,
    "seed": 0,
    "device": "cpu: x86_64, 1 thread",
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
    return parse_model_json(RunRecord, json.dumps({**RECORD, **changes}), "run.json")


def test_run_record__unknown_field_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown key: colour"):
        read(colour="blue")


@pytest.mark.parametrize("version", [2, 4])
def test_run_record__another_format_is_refused(version: int) -> None:
    with pytest.raises(ConfigError, match="format_version"):
        read(format_version=version)


def test_started_from_weights__those_of_the_origin_or_untrained() -> None:
    assert read().started_from_weights("untrained")
    assert not read().started_from_weights("1" * 64)
    assert read(origin={"checkpoint": "c", "weights": "1" * 64}).started_from_weights("1" * 64)
    assert not read(origin={"checkpoint": "c", "weights": "1" * 64}).started_from_weights("2" * 64)


def test_digest_data__is_that_of_the_model_it_was_dumped_from() -> None:
    subset = Subset(fraction=0.1, draw=2)
    assert digest_dumped(subset.model_dump(mode="json")) == subset.digest()
    assert digest_dumped({**subset.model_dump(mode="json"), "later": None}) == subset.digest()
