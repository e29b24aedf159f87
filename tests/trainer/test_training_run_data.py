import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from mamp_schemas.errors import CheckpointError, DamagedStoreError
from mamp_schemas.io.manifests import read_manifest
from mamp_schemas.io.run_files import latest_checkpoint
from mamp_schemas.io.store_reader import open_store
from mamp_schemas.models.splits import Subset
from mamp_trainer.checkpoints.files import read_checkpoint
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.training.run_dir import run_identity
from mamp_trainer.training.runtime import RunContext
from tests.trainer.runs import (
    SignalAfter,
    evaluate_encoder,
    linear_recipe,
    open_source,
    pretrain_recipe,
    read_metrics,
    semi_recipe,
    write_toy_store,
)
from tests.trainer.stores import write_subset

TINY = 1e-6
"""A budget that no clip fits."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_store(tmp_path_factory.mktemp("data"))


@pytest.fixture
def store_copy(store: Path, tmp_path: Path) -> Path:
    """A store that a test may spoil."""
    shutil.copy(store.with_name("toy.xsub.json"), tmp_path)
    return Path(shutil.copytree(store, tmp_path / "toy.zarr"))


def final_weights(run: Path) -> dict[str, torch.Tensor]:
    folder = latest_checkpoint(run)
    assert folder is not None
    return read_checkpoint(folder).weights


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = final_weights(one), final_weights(other)
    assert all(torch.equal(first[name], second[name]) for name in first | second)


def messages(caplog: pytest.LogCaptureFixture, store: Path, run: Path, **changes: Any) -> list[str]:
    caplog.clear()
    pretrain(pretrain_recipe(**changes), store, RunContext(run, device="cpu"))
    return [message for message in caplog.messages if message.startswith("clips: ")]


@pytest.mark.parametrize("changes", [{"shuffle_window": 3}, {"shuffle_window": 3, "motion_source": "stored"}, {}])
def test_pretrain__is_the_same_wherever_clips_live(store: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    for residency in ("device", "host", "stream"):
        recipe = pretrain_recipe(residency=residency, **changes)
        pretrain(recipe, store, RunContext(tmp_path / residency, device="cpu"))
    assert_same_weights(tmp_path / "device", tmp_path / "host")
    assert_same_weights(tmp_path / "device", tmp_path / "stream")
    assert read_metrics(tmp_path / "device") == read_metrics(tmp_path / "stream")


def test_linear__is_the_same_wherever_clips_live(store: Path, tmp_path: Path) -> None:
    results = [
        evaluate_encoder(
            linear_recipe(residency=residency, shuffle_window=3), store, tmp_path / residency, device="cpu"
        )
        for residency in ("device", "host", "stream")
    ]
    assert all(result.replaced(seconds=0.0) == results[0].replaced(seconds=0.0) for result in results)
    assert_same_weights(tmp_path / "device", tmp_path / "stream")


def test_pretrain__goes_on_with_clips_that_live_elsewhere(store: Path, tmp_path: Path) -> None:
    there, elsewhere = (pretrain_recipe(residency=residency, shuffle_window=3) for residency in ("device", "stream"))
    pretrain(there, store, RunContext(tmp_path / "whole", device="cpu"))
    with pytest.raises(KeyboardInterrupt):
        pretrain(there, store, RunContext(tmp_path / "run", device="cpu", progress=SignalAfter(18)))
    pretrain(elsewhere, store, RunContext(tmp_path / "run", resume=True, device="cpu"))
    assert_same_weights(tmp_path / "whole", tmp_path / "run")


def test_pretrain__says_where_clips_live_and_why(store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (resident,) = messages(caplog, store, tmp_path / "resident")
    assert resident.startswith("clips: device, 0.00 GB of clips fit the budget of ")
    (streamed,) = messages(caplog, store, tmp_path / "streamed", residency_budget_gb=TINY)
    assert streamed.startswith("clips: stream, 0.00 GB of clips exceed the budget of 0.00 GB on cpu")
    assert "shuffled in windows of 1 of their " in streamed


def test_pretrain__the_window_that_a_stream_sets_is_kept_with_the_run(store: Path, tmp_path: Path) -> None:
    recipe = pretrain_recipe(residency_budget_gb=TINY)
    with pytest.raises(KeyboardInterrupt):
        pretrain(recipe, store, RunContext(tmp_path / "run", device="cpu", progress=SignalAfter(18)))
    assert yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())["shuffle_window"] == 1
    with pytest.raises(CheckpointError, match="shuffle_window: 1 then, None now"):
        pretrain(pretrain_recipe(), store, RunContext(tmp_path / "run", resume=True, device="cpu"))
    pretrain(recipe, store, RunContext(tmp_path / "run", resume=True, device="cpu"))


def test_pretrain__a_shard_that_vanishes_stops_it_and_is_named(store_copy: Path, tmp_path: Path) -> None:
    recipe = pretrain_recipe(residency="stream", shuffle_window=1, checkpoint_every=1)

    class Vandal(SignalAfter):
        def advance(self, count: int, **_values: float | int | str) -> None:
            self.left -= count
            if count and self.left == 0:
                shutil.rmtree(store_copy / "joints" / "c")

    with pytest.raises(DamagedStoreError, match=r"toy.zarr: .* joints/c/\d+/0/0 .* is gone"):
        pretrain(recipe, store_copy, RunContext(tmp_path / "run", device="cpu", progress=Vandal(18)))
    folder = latest_checkpoint(tmp_path / "run")
    assert folder is not None
    assert read_checkpoint(folder).step == 13


def test_run_data__measures_the_clips_of_all_sides_that_are_used(store: Path) -> None:
    rows = {
        side: int(table.shard_row_counts.sum()) for side, table in open_source(store, linear_recipe()).tables.items()
    }
    assert set(rows) == {"train", "test"}
    assert set(open_source(store, pretrain_recipe()).tables) == {"train"}
    budget = sum(rows.values()) * 25 * 3 * 4 / 10**9
    fitting, exceeding = (linear_recipe(residency_budget_gb=budget * share) for share in (1.001, 0.999))
    assert open_source(store, fitting).residency.location == "device"
    assert open_source(store, exceeding).residency.location == "stream"


def test_run_data__of_a_part_of_the_labels_has_these_clips_and_the_whole_test_split(store_copy: Path) -> None:
    parent = read_manifest(open_store(store_copy), "xsub")
    subset = Subset(fraction=0.25)
    drawn = write_subset(store_copy, parent.train[3:8], subset)
    source = open_source(store_copy, semi_recipe(subset=subset))
    assert source.ids == {"train": list(parent.train[3:8]), "test": list(parent.test)}
    assert run_identity(source, "untrained").manifest_hash == drawn.digest()
