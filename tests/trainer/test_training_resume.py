import json
import shutil
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

from mamp_schemas.errors import CheckpointError
from mamp_schemas.io.run_files import list_checkpoints, read_record
from mamp_schemas.models.recipe import PretrainRecipe, ScheduleSpec
from mamp_schemas.models.sealed import dump_sealed_json
from mamp_trainer.checkpoints.files import read_checkpoint, read_meta
from mamp_trainer.checkpoints.manager import find_checkpoint
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.protocols import classification
from mamp_trainer.training.runtime import RunContext
from tests.trainer.runs import (
    SignalAfter,
    assert_same_run,
    evaluate_encoder,
    last_checkpoint,
    linear_recipe,
    pretrain_recipe,
    write_toy_store,
)
from tests.trainer.stores import write_manifest

STEPS = 13
"""Of an epoch of the pre-training recipe: 26 clips in batches of 2."""


def interrupt(recipe: PretrainRecipe, store: Path, run: Path, steps: int) -> None:
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        pretrain(recipe, store, RunContext(run, device="cpu", progress=SignalAfter(steps)))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_store(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    pretrain(pretrain_recipe(), store, RunContext(run, device="cpu"))
    return run


@pytest.mark.parametrize("steps", [1, 10, STEPS, STEPS + 5, 3 * STEPS - 1])
def test_pretrain__resumed_equals_uninterrupted(store: Path, whole: Path, tmp_path: Path, steps: int) -> None:
    run = tmp_path / "run"
    interrupt(pretrain_recipe(), store, run, steps)
    assert last_checkpoint(run).step == steps
    pretrain(pretrain_recipe(), store, RunContext(run, resume=True, device="cpu"))
    assert_same_run(whole, run)


def test_pretrain__interrupted_again_and_again(store: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupt(pretrain_recipe(), store, run, 4)
    for steps in (4 + 6, 10 + 7, 17 + 15):
        with pytest.raises(KeyboardInterrupt):
            pretrain(pretrain_recipe(), store, RunContext(run, resume=True, device="cpu", progress=SignalAfter(steps)))
    pretrain(pretrain_recipe(), store, RunContext(run, resume=True, device="cpu"))
    assert_same_run(whole, run)
    assert read_record(run).sessions == 5


def test_pretrain__killed_after_a_checkpoint_repeats_the_lost_steps(store: Path, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupt(pretrain_recipe(), store, run, STEPS + 5)
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"event": "train", "epoch": 2, "step": STEPS + 10, "loss": 9.0, "lr": 9.0}) + "\n")
    pretrain(pretrain_recipe(), store, RunContext(run, resume=True, device="cpu"))
    assert_same_run(whole, run)


def test_pretrain__resume_of_a_complete_run_changes_nothing(store: Path, tmp_path: Path) -> None:
    recipe = pretrain_recipe(schedule=ScheduleSpec(epochs=1, lr=0.01))
    first = pretrain(recipe, store, RunContext(tmp_path / "run", device="cpu"))
    weights, record = last_checkpoint(tmp_path / "run").weights, tmp_path / "run" / "run.json"
    earlier = read_record(tmp_path / "run")
    record.write_bytes(
        dump_sealed_json(earlier.model_copy(update={"finished": earlier.finished - timedelta(days=365)}))
    )
    before = record.read_text()
    again = pretrain(recipe, store, RunContext(tmp_path / "run", resume=True, device="cpu"))
    assert (again.last_loss, again.steps) == (first.last_loss, first.steps)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in last_checkpoint(tmp_path / "run").weights.items())
    assert record.read_text() == before


def test_read_checkpoint__another_run_s_in_the_folder_of_a_run_is_refused(store: Path, tmp_path: Path) -> None:
    for name, seed in (("mine", 0), ("theirs", 1)):
        recipe = pretrain_recipe(schedule=ScheduleSpec(epochs=1, lr=0.01), seed=seed)
        pretrain(recipe, store, RunContext(tmp_path / name, device="cpu"))
    (folder,), (other,) = (list_checkpoints(tmp_path / name) for name in ("mine", "theirs"))
    assert read_checkpoint(folder).step == STEPS
    shutil.rmtree(folder)
    shutil.copytree(other, folder)
    with pytest.raises(CheckpointError, match=r"(?s)is of another run:.*seed: 1 then, 0 now"):
        read_checkpoint(folder)


def test_pretrain__resume_without_a_checkpoint_begins(store: Path, whole: Path, tmp_path: Path) -> None:
    pretrain(pretrain_recipe(), store, RunContext(tmp_path / "run", device="cpu"))
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    pretrain(pretrain_recipe(), store, RunContext(tmp_path / "run", resume=True, device="cpu"))
    assert_same_run(whole, tmp_path / "run")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_pretrain__tells_how_to_go_on(
    store: Path, tmp_path: Path, number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    progress = SignalAfter(2, number)
    with pytest.raises(KeyboardInterrupt, match=number.name):
        pretrain(pretrain_recipe(), store, RunContext(tmp_path / "run", device="cpu", progress=progress))
    assert "--resume" in caplog.messages[-1]
    assert "step 2" in caplog.messages[-1]


@pytest.mark.parametrize("steps", [3, 6, 9])
def test_linear__resumed_equals_uninterrupted(store: Path, whole: Path, tmp_path: Path, steps: int) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    expected = evaluate_encoder(linear_recipe(), store, one, encoder_from=whole, device="cpu")
    with pytest.raises(KeyboardInterrupt):
        evaluate_encoder(linear_recipe(), store, other, encoder_from=whole, device="cpu", progress=SignalAfter(steps))
    resumed = evaluate_encoder(linear_recipe(), store, other, encoder_from=whole, resume=True, device="cpu")
    assert_same_run(one, other)
    assert resumed.replaced(seconds=0.0) == expected.replaced(seconds=0.0)


def test_linear__interrupted_while_testing(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    evaluate_encoder(linear_recipe(), store, one, device="cpu")
    with monkeypatch.context() as patched:
        patched.setattr(classification, "predict_logits", interrupting(classification.predict_logits))
        with pytest.raises(KeyboardInterrupt):
            evaluate_encoder(linear_recipe(), store, other, device="cpu")
    evaluate_encoder(linear_recipe(), store, other, resume=True, device="cpu")
    assert_same_run(one, other)


def interrupting(class_scores: Any) -> Any:
    def interrupted(model: Any, batches: Any, pause: Any, ranks: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return class_scores(model, batches, pause, ranks)

    return interrupted


def test_pretrain__another_recipe_is_refused_and_its_keys_named(store: Path, whole: Path) -> None:
    other = pretrain_recipe(schedule=ScheduleSpec(epochs=4, warmup_epochs=1, lr=0.01, final_lr=0.001), seed=1)
    with pytest.raises(CheckpointError, match=r"(?s)schedule\.epochs: 3 then, 4 now.*seed: 0 then, 1 now") as caught:
        pretrain(other, store, RunContext(whole, resume=True, device="cpu"))
    assert "schedule.lr" not in str(caught.value)


def test_pretrain__another_split_is_refused(whole: Path, tmp_path: Path) -> None:
    store = write_toy_store(tmp_path)
    ids = [f"clip{number:03d}" for number in range(33)]
    write_manifest(store, ids[:25], ids[25:])
    with pytest.raises(CheckpointError, match="manifest_hash"):
        pretrain(pretrain_recipe(), store, RunContext(whole, resume=True, device="cpu"))


def test_pretrain__another_encoder_is_refused(store: Path, whole: Path, tmp_path: Path) -> None:
    evaluate_encoder(linear_recipe(), store, tmp_path / "run", device="cpu")
    with pytest.raises(CheckpointError, match="encoder: untrained then"):
        evaluate_encoder(linear_recipe(), store, tmp_path / "run", encoder_from=whole, resume=True, device="cpu")


def test_pretrain__another_store_is_refused(store: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupt(pretrain_recipe(), store, run, 1)
    folder = run / "checkpoints" / "step-00000001"
    meta = read_meta(folder)
    other = meta.model_copy(update={"identity": meta.identity.model_copy(update={"store_hash": "d" * 64})})
    (folder / "meta.json").write_bytes(dump_sealed_json(other))
    with pytest.raises(CheckpointError, match="store_hash: dddddddddddd… then, cccccccccccc… now"):
        pretrain(pretrain_recipe(), store, RunContext(run, resume=True, device="cpu"))


def test_pretrain__a_damaged_checkpoint_is_named(store: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupt(pretrain_recipe(), store, run, 1)
    weights = run / "checkpoints" / "step-00000001" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"step-00000001.model\.safetensors"):
        pretrain(pretrain_recipe(), store, RunContext(run, resume=True, device="cpu"))


def test_pretrain__a_recipe_that_was_cut_off_while_it_was_written_is_no_other_run(store: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / ".recipe.yaml.partial").write_text("kind: pre")
    pretrain(pretrain_recipe(), store, RunContext(run, resume=True, device="cpu"))
    assert last_checkpoint(run).step


def test_pretrain__keeps_epochs_for_good_across_a_resume(store: Path, whole: Path, tmp_path: Path) -> None:
    run, recipe = tmp_path / "run", pretrain_recipe(keep_every=1)
    interrupt(recipe, store, run, STEPS + 5)
    pretrain(recipe.replaced(keep_every=3), store, RunContext(run, resume=True, device="cpu"))
    assert_same_run(whole, run)
    assert [folder.name for folder in list_checkpoints(run)] == ["step-00000013", "step-00000026", "step-00000039"]
    assert find_checkpoint(run, "1").name == "step-00000013"
