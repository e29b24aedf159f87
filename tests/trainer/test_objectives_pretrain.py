import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from mamp_schemas.errors import ManifestError, OutputError, RecipeError, TrainingError, UsageError
from mamp_schemas.io.run_files import latest_checkpoint, read_record
from mamp_schemas.models.base import parse_model_data
from mamp_schemas.models.objectives import MAMPRecipe, MaskingSpec, TargetSpec
from mamp_schemas.models.recipe import ScheduleSpec
from mamp_trainer.checkpoints.files import read_checkpoint
from mamp_trainer.data.collate import Batch
from mamp_trainer.data.rng import Draws
from mamp_trainer.distributed.context import SINGLE_PROCESS
from mamp_trainer.objectives.mamp import MAMPObjective
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.training import run_dir as folder_module
from mamp_trainer.training.hooks import Loss
from mamp_trainer.training.run_dir import lock_run_dir
from mamp_trainer.training.runtime import RunContext
from tests.trainer.runs import SignalAfter, last_checkpoint, pretrain_recipe, read_metrics, write_toy_store
from tests.trainer.stores import Clip, make_clips, write_manifest, write_store

STEPS = 13
"""Of an epoch: 26 clips in batches of 2."""
SHORT = ScheduleSpec(epochs=1, lr=0.01)


def final_weights(run: Path) -> dict[str, torch.Tensor]:
    folder = latest_checkpoint(run)
    assert folder is not None
    return read_checkpoint(folder).weights


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_store(tmp_path_factory.mktemp("data"))


def test_pretrain__lowers_the_loss(store: Path, tmp_path: Path) -> None:
    recipe = pretrain_recipe(schedule=ScheduleSpec(epochs=6, warmup_epochs=1, lr=0.01))
    result = pretrain(recipe, store, RunContext(tmp_path / "run", device="cpu"))
    assert (result.epochs, result.steps) == (6, 6 * 13)
    assert result.first_loss is not None
    assert result.last_loss is not None
    assert result.last_loss < 0.9 * result.first_loss


def test_pretrain__leaves_recipe_record_and_metrics(store: Path, tmp_path: Path) -> None:
    run, recipe = tmp_path / "run", pretrain_recipe()
    result = pretrain(recipe, store, RunContext(run, device="cpu"))
    assert parse_model_data(MAMPRecipe, yaml.safe_load((run / "recipe.yaml").read_text()), "") == recipe
    record = read_record(run)
    assert (record.result, record.recipe_hash, record.store_hash) == (result, recipe.digest(), "c" * 64)
    assert (record.recipe, record.encoder, record.origin, record.sessions) == ("tiny", "untrained", None, 1)
    assert record.started is not None
    assert record.finished is not None
    assert record.started <= record.finished
    assert record.hardware is not None
    assert [line["loss"] for line in read_metrics(run) if line["event"] == "epoch"][-1] == result.last_loss
    assert list((run / "tensorboard").iterdir())


def test_pretrain__depends_on_nothing_but_its_arguments(store: Path, tmp_path: Path) -> None:
    for name, global_seed in (("one", 1), ("two", 2)):
        torch.manual_seed(global_seed)
        pretrain(pretrain_recipe(schedule=SHORT), store, RunContext(tmp_path / name, device="cpu"))
    one, two = final_weights(tmp_path / "one"), final_weights(tmp_path / "two")
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_pretrain__the_seed_changes_the_weights(store: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        pretrain(pretrain_recipe(schedule=SHORT, seed=seed), store, RunContext(tmp_path / str(seed), device="cpu"))
    one, two = (final_weights(tmp_path / name)["encoder.joints_embed.proj.weight"] for name in "01")
    assert not torch.equal(one, two)


def test_pretrain__stored_motion_trains_as_online(store: Path, tmp_path: Path) -> None:
    results = [
        pretrain(pretrain_recipe(schedule=SHORT, motion_source=name), store, RunContext(tmp_path / name, device="cpu"))
        for name in ("online", "stored")
    ]
    assert results[1].first_loss == pytest.approx(results[0].first_loss, rel=1e-4)
    online, stored = (final_weights(tmp_path / name) for name in ("online", "stored"))
    assert any(not torch.equal(online[name], stored[name]) for name in online)


@pytest.mark.parametrize(
    ("masking", "target"), [(MaskingSpec(strategy="uniform"), TargetSpec(kind="joint")), (MaskingSpec(), TargetSpec())]
)
def test_pretrain__each_objective_of_the_paper(
    store: Path, tmp_path: Path, masking: MaskingSpec, target: TargetSpec
) -> None:
    recipe = pretrain_recipe(schedule=SHORT, masking=masking, target=target)
    assert pretrain(recipe, store, RunContext(tmp_path / "run", device="cpu")).steps == 13


def test_pretrain__no_epoch_leaves_the_initial_weights(store: Path, tmp_path: Path) -> None:
    recipe = pretrain_recipe(schedule=ScheduleSpec(epochs=0, lr=0.01))
    result = pretrain(recipe, store, RunContext(tmp_path / "run", device="cpu"))
    assert (result.epochs, result.first_loss, result.last_loss) == (0, None, None)
    assert final_weights(tmp_path / "run")


def test_pretrain__fewer_clips_than_a_batch_still_train(store: Path, tmp_path: Path) -> None:
    recipe = pretrain_recipe(schedule=SHORT, batch_size=100)
    assert pretrain(recipe, store, RunContext(tmp_path / "run", device="cpu")).steps == 1


def test_pretrain__refuses_a_folder_that_holds_a_run(store: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.yaml").write_text("")
    with pytest.raises(OutputError, match="--resume"):
        pretrain(pretrain_recipe(), store, RunContext(tmp_path / "run", device="cpu"))


def test_pretrain__leaves_no_folder_when_the_recipe_does_not_fit(tmp_path: Path) -> None:
    store = write_store(tmp_path / "other.zarr", make_clips([(1, 20)], joints=20), dataset="nwucla")
    with pytest.raises(RecipeError):
        pretrain(pretrain_recipe(), store, RunContext(tmp_path / "run", device="cpu"))
    assert not (tmp_path / "run").exists()


def test_pretrain__empty_train_side_is_refused(tmp_path: Path) -> None:
    store = write_store(tmp_path / "s.zarr", make_clips([(1, 20)]))
    write_manifest(store, [], ["clip000"])
    with pytest.raises(ManifestError, match="train"):
        pretrain(pretrain_recipe(), store, RunContext(tmp_path / "run", device="cpu"))


def test_pretrain__a_loss_that_is_not_finite_stops_it_without_a_checkpoint(tmp_path: Path) -> None:
    huge = np.full((1, 20, 25, 3), 1e38, dtype=np.float32)
    huge[:, ::2] *= -1
    store = write_store(tmp_path / "s.zarr", [Clip("clip000", huge), Clip("clip001", huge)])
    write_manifest(store, ["clip000", "clip001"], [])
    with pytest.raises(TrainingError, match="step 1 "):
        pretrain(pretrain_recipe(), store, RunContext(tmp_path / "run", device="cpu"))
    assert latest_checkpoint(tmp_path / "run") is None
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize("stop_at", [-1, STEPS + 1])
def test_pretrain__no_checkpoint_follows_a_step_that_is_not_finite(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    loss_of = MAMPObjective.loss

    def spoilt(self: MAMPObjective, module: nn.Module, batch: Batch, draws: Draws) -> Loss:
        return Loss(loss_of(self, module, batch, draws).total * (1.0 if draws.epoch == 0 else float("nan")))

    monkeypatch.setattr(MAMPObjective, "loss", spoilt)
    run, progress = tmp_path / "run", SignalAfter(stop_at)
    with pytest.raises(TrainingError, match=r"(?s)step 1 of epoch 2: the loss is nan.*clip0\d\d clip0\d\d"):
        pretrain(pretrain_recipe(checkpoint_every=1), store, RunContext(run, device="cpu", progress=progress))
    left = last_checkpoint(run)
    assert left.step == STEPS
    assert all(torch.isfinite(tensor).all() for tensor in left.weights.values())
    moments = left.state["optimiser"]["state"].values()
    assert all(torch.isfinite(state[name]).all() for state in moments for name in ("exp_avg", "exp_avg_sq"))


def test_pretrain__unknown_device_is_refused(store: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'tpu'"):
        pretrain(pretrain_recipe(), store, RunContext(tmp_path / "run", device="tpu"))


def test_pretrain__two_in_one_folder_are_refused(store: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with lock_run_dir(run, resume=False, dist_context=SINGLE_PROCESS):
        for resume in (False, True):
            with pytest.raises(OutputError, match="another training is writing there"):
                pretrain(pretrain_recipe(schedule=SHORT), store, RunContext(run, resume=resume, device="cpu"))
    assert not run.exists()
    pretrain(pretrain_recipe(schedule=SHORT), store, RunContext(run, device="cpu"))


def test_pretrain__a_used_folder_is_refused_with_one_that_is_free(store: Path, tmp_path: Path) -> None:
    run, free = tmp_path / "my run", tmp_path / "my run-2"
    recipe = pretrain_recipe(schedule=SHORT)
    pretrain(recipe, store, RunContext(run, device="cpu"))
    with pytest.raises(OutputError, match="already holds a run") as refused:
        pretrain(recipe, store, RunContext(run, device="cpu"))
    assert refused.value.remedy.endswith(f"such as --out '{free}'")
    free.mkdir()
    (free / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds no run") as refused:
        pretrain(recipe, store, RunContext(free, device="cpu"))
    assert "--resume" not in refused.value.remedy


def test_pretrain__a_folder_that_is_removed_meanwhile_is_an_error(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, write = tmp_path / "run", folder_module.write_file

    def removing(path: Path, content: bytes) -> None:
        shutil.rmtree(run)
        write(path, content)

    monkeypatch.setattr(folder_module, "write_file", removing)
    with pytest.raises(OutputError, match="cannot be written"):
        pretrain(pretrain_recipe(schedule=SHORT), store, RunContext(run, device="cpu"))
