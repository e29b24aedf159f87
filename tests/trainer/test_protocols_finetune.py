"""Fine-tuning, semi-supervised evaluation, transfer: each from a store to a record, in a blink."""

import logging
from pathlib import Path

import pytest
import torch

from mamp_schemas.errors import CheckpointError, ManifestError, RecipeError
from mamp_schemas.io.run_files import UNTRAINED, read_record
from mamp_schemas.models.protocols import PretrainingData
from mamp_schemas.models.recipe import EvaluationRecipe, ModelSpec, ScheduleSpec
from mamp_schemas.models.splits import Subset
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.protocols.networks import load_classifier, make_classifier, trained_recipe
from mamp_trainer.protocols.predictions import ClipPredictions
from mamp_trainer.training.runtime import RunContext
from tests.trainer.golden_model import to_released
from tests.trainer.runs import (
    MODEL,
    SignalAfter,
    assert_same_run,
    evaluate_encoder,
    finetune_recipe,
    last_checkpoint,
    linear_recipe,
    pretrain_recipe,
    semi_recipe,
    transfer_recipe,
    write_toy_store,
)
from tests.trainer.stores import write_subset

SHALLOW = finetune_recipe(model=MODEL, drop_path=0.0)
"""Fits the encoder of `pretrain_recipe`."""
SUBSET = Subset(fraction=0.5)
TRANSFER = PretrainingData(dataset="ntu120", protocol="xsub")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_store(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def pretrained(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("pretrained") / "run"
    pretrain(pretrain_recipe(), store, RunContext(run, device="cpu"))
    return run


def warnings_of(caplog: pytest.LogCaptureFixture, store: Path, run: Path, **options: object) -> list[str]:
    caplog.clear()
    evaluate_encoder(options.pop("recipe", SHALLOW), store, run, device="cpu", **options)  # type: ignore[arg-type]
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_finetune__tells_apart_classes_that_differ(store: Path, tmp_path: Path) -> None:
    schedule = ScheduleSpec(epochs=20, warmup_epochs=1, lr=0.01)
    recipe = finetune_recipe(schedule=schedule, head_width=32, layer_decay=1.0, dropout=0.0, drop_path=0.0)
    result = evaluate_encoder(recipe, store, tmp_path / "run", device="cpu")
    assert (result.kind, result.epochs, result.clips) == ("finetune", 20, 7)
    assert result.last_top1 > 80


def test_finetune__trains_the_encoder_that_it_began_with(store: Path, pretrained: Path, tmp_path: Path) -> None:
    evaluate_encoder(SHALLOW, store, tmp_path / "run", encoder_from=pretrained, device="cpu")
    before, after = last_checkpoint(pretrained).weights, last_checkpoint(tmp_path / "run").weights
    encoder = [name for name in after if name.startswith("encoder.") and after[name].ndim > 1]
    assert len(encoder) > 3
    assert not any(torch.equal(before[name], after[name]) for name in encoder)
    assert str(pretrained) in read_record(tmp_path / "run").encoder


def test_finetune__without_an_encoder_says_from_scratch(
    store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    evaluate_encoder(SHALLOW, store, tmp_path / "run", device="cpu")
    assert any("from scratch" in message for message in caplog.messages)
    assert read_record(tmp_path / "run").encoder == UNTRAINED


@pytest.mark.parametrize("steps", [3, 6, 13])
def test_finetune__resumed_equals_uninterrupted(store: Path, pretrained: Path, tmp_path: Path, steps: int) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    expected = evaluate_encoder(SHALLOW, store, one, encoder_from=pretrained, device="cpu")
    with pytest.raises(KeyboardInterrupt):
        evaluate_encoder(SHALLOW, store, other, encoder_from=pretrained, device="cpu", progress=SignalAfter(steps))
    resumed = evaluate_encoder(SHALLOW, store, other, encoder_from=pretrained, resume=True, device="cpu")
    assert_same_run(one, other)
    assert resumed.replaced(seconds=0.0) == expected.replaced(seconds=0.0)
    assert torch.equal(
        ClipPredictions.read(one / "scores.npz").logits, ClipPredictions.read(other / "scores.npz").logits
    )


def test_semi__trains_on_the_draw_alone(tmp_path: Path) -> None:
    store = write_toy_store(tmp_path)
    drawn = [f"clip{number:03d}" for number in range(0, 26, 2)]
    write_subset(store, drawn, SUBSET)
    recipe = semi_recipe(subset=SUBSET, model=MODEL, drop_path=0.0)
    evaluate_encoder(recipe, store, tmp_path / "run", device="cpu")
    batches = last_checkpoint(tmp_path / "run").step
    assert batches == 3 * (len(drawn) // recipe.batch_size)  # 3 epochs, of which a rest of a batch is left out
    assert read_record(tmp_path / "run").result.kind == "semi"


def test_semi__a_draw_that_was_not_made_is_named(store: Path, tmp_path: Path) -> None:
    recipe = semi_recipe(subset=SUBSET, model=MODEL, drop_path=0.0)
    with pytest.raises(ManifestError, match=r"0\.5-uniform-seed0-draw1\.json: there is no split manifest") as caught:
        evaluate_encoder(recipe, store, tmp_path / "run", device="cpu")
    assert "--fraction 0.5" in str(caught.value.remedy)


def test_transfer__without_an_encoder_is_refused(store: Path, tmp_path: Path) -> None:
    recipe = transfer_recipe(pretrained_on=TRANSFER, model=MODEL, drop_path=0.0)
    with pytest.raises(RecipeError, match="train transfer needs an encoder, none is named"):
        evaluate_encoder(recipe, store, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_transfer__from_another_dataset_than_the_recipes_warns(
    store: Path, pretrained: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = transfer_recipe(pretrained_on=TRANSFER, model=MODEL, drop_path=0.0)
    messages = warnings_of(caplog, store, tmp_path / "run", recipe=recipe, encoder_from=pretrained)
    assert any("pre-trained on ntu60 xsub; the recipe is about one of ntu120 xsub" in text for text in messages)


def test_finetune__from_an_encoder_that_has_seen_labels_warns(
    store: Path, pretrained: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert not warnings_of(caplog, store, tmp_path / "one", encoder_from=pretrained)
    messages = warnings_of(caplog, store, tmp_path / "other", encoder_from=tmp_path / "one")
    assert any("that of a run of train finetune, not of a pre-training" in text for text in messages)


@pytest.mark.parametrize("recipe", [linear_recipe(), SHALLOW])
def test_load_classifier__says_what_the_run_said(store: Path, tmp_path: Path, recipe: EvaluationRecipe) -> None:
    evaluate_encoder(recipe, store, tmp_path / "run", device="cpu")
    found = trained_recipe(tmp_path / "run")
    model = load_classifier(tmp_path / "run", found)
    assert found.kind == recipe.kind
    weights = last_checkpoint(tmp_path / "run").weights
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert not model.training


def test_load_classifier__released_file_of_another_length_warns(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = make_classifier(SHALLOW, 60, None)
    torch.save({"model": to_released(model.state_dict())}, tmp_path / "finetuned.pth")
    longer = SHALLOW.replaced(model=ModelSpec.model_validate({**MODEL.model_dump(), "frames": 32}))
    loaded = load_classifier(tmp_path / "finetuned.pth", longer)
    assert loaded.encoder.temp_embed.shape == (1, 8, 1, 16)
    assert torch.equal(loaded.head.state_dict()["fc2.weight"], model.head.state_dict()["fc2.weight"])
    assert any("interpolated" in message for message in caplog.messages)


def test_load_classifier__a_pretraining_has_none(pretrained: Path) -> None:
    with pytest.raises(CheckpointError, match="a pre-training, which has no classifier"):
        trained_recipe(pretrained)
    with pytest.raises(CheckpointError, match="it holds no classifier"):
        load_classifier(pretrained, SHALLOW)
