"""Which runs count as a plan's, on what data, and going on with those that have begun."""

from pathlib import Path

import numpy as np
import pytest

from mamp_schemas.io.run_files import read_record, read_runs
from mamp_schemas.io.store_reader import open_store
from mamp_schemas.models.reproduction import PlannedRun, ReproductionPlan
from mamp_trainer.data.residency import DEFAULT_SHUFFLE_WINDOW
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.reproduce.catalog import DataCatalog, SplitInfo, count_clips
from mamp_trainer.reproduce.execute import execute, match_run
from mamp_trainer.reproduce.plan import Outcome, make_plan
from mamp_trainer.reproduce.tables import collect
from mamp_trainer.training.runtime import RunContext
from tests.trainer.run_folders import write_run
from tests.trainer.runs import SignalAfter, pretrain_recipe, write_toy_store
from tests.trainer.stores import Clip, change_store, write_store

PLANNED = PlannedRun(name="pretrain-tiny", recipe=pretrain_recipe())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a data folder with a store of NTU-60 and its manifest."""
    write_toy_store(tmp_path).rename(tmp_path / "ntu60.zarr")
    (tmp_path / "toy.xsub.json").rename(tmp_path / "ntu60.xsub.json")
    return tmp_path


@pytest.mark.parametrize(
    ("window", "counts"), [(None, True), (DEFAULT_SHUFFLE_WINDOW, True), (DEFAULT_SHUFFLE_WINDOW + 1, False)]
)
def test_match_run__a_streamed_run_counts_and_one_of_another_order_does_not(
    data: Path, window: int | None, counts: bool
) -> None:
    catalog = DataCatalog(data)
    split = catalog.split(PLANNED.recipe)
    hashes = {"store_hash": split.store_hash, "manifest_hash": split.manifest_hash}
    write_run(data / "runs" / "mine", pretrain_recipe(shuffle_window=window), **hashes)
    matched = match_run(PLANNED, None, read_runs([data / "runs"]), data / "runs" / PLANNED.name, catalog)
    assert (matched is not None) is counts


def test_execute__goes_on_with_the_order_of_a_streamed_run(data: Path) -> None:
    run = data / "runs" / PLANNED.name
    streamed = pretrain_recipe(residency="stream", shuffle_window=1)
    with pytest.raises(KeyboardInterrupt):
        pretrain(streamed, data / "ntu60.zarr", RunContext(run, device="cpu", progress=SignalAfter(18)))
    plan = ReproductionPlan(table="8", scale="full", tables=(), runs=(PLANNED,))
    context = RunContext(data / "runs", device="cpu")
    outcome = execute(plan, frozenset({PLANNED.name}), DataCatalog(data), context, lambda _outcome: None)
    assert outcome.problems == {}
    assert read_record(run).recipe_hash == pretrain_recipe(shuffle_window=1).digest()


@pytest.mark.parametrize("policy", ["paper", "corrected"])
def test_collect__clips_of_another_policy_are_not_comparable(
    data: Path, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = data / "ntu60.zarr"
    change_store(store, policy=open_store(store).metadata.policy.replaced(name=policy))
    monkeypatch.setattr(SplitInfo, "official", True)
    (table,) = collect(make_plan("8"), Outcome(), DataCatalog(data), data / "tables")
    assert table.comparable is (policy == "paper")
    note_end = "so not comparable with the published numbers: ntu60 xsub: clips of the policy 'corrected'."
    assert any(note.endswith(note_end) for note in table.notes) is (policy == "corrected")


def test_count_clips__of_a_store_without_a_manifest_are_those_of_its_columns(tmp_path: Path) -> None:
    joints = np.ones((1, 4, 25, 3), np.float32)
    clips = [Clip(f"clip{at}", joints, label=0, subject=subject) for at, subject in enumerate((1, 2, 3, 3, 3))]
    write_store(tmp_path / "ntu60.zarr", clips)
    assert count_clips(PLANNED.recipe, DataCatalog(tmp_path)) == (2, 3)
