from pathlib import Path

import pytest
import torch

from mamp_schemas.errors import CheckpointError, ManifestError, RecipeError
from mamp_schemas.io.run_files import latest_checkpoint, read_record
from mamp_schemas.models.recipe import ScheduleSpec
from mamp_trainer.checkpoints.files import read_checkpoint
from mamp_trainer.checkpoints.load import load_encoder, weights_digest
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.protocols.linear import LINEAR
from mamp_trainer.protocols.metrics import accuracy
from mamp_trainer.protocols.networks import make_classifier
from mamp_trainer.protocols.predictions import ClipPredictions, predict_logits
from mamp_trainer.training.runtime import RunContext
from tests.trainer.rank_threads import together
from tests.trainer.runs import (
    MODEL,
    evaluate_encoder,
    linear_recipe,
    open_source,
    pretrain_recipe,
    read_metrics,
    write_toy_store,
)
from tests.trainer.stores import make_clips, write_manifest, write_store


def nothing() -> None:
    pass


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_store(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def pretrained(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("pretrained") / "run"
    pretrain(pretrain_recipe(), store, RunContext(run, device="cpu"))
    return run


def test_linear__tells_apart_classes_that_differ(store: Path, tmp_path: Path) -> None:
    recipe = linear_recipe(schedule=ScheduleSpec(epochs=15, lr=1.0))
    result = evaluate_encoder(recipe, store, tmp_path / "run", device="cpu")
    assert result.last_top1 > 80
    assert result.last_top5 == 100


def test_linear__reports_last_and_best_epoch(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([20.0, 60.0, 60.0, 40.0])

    def scripted(_logits: torch.Tensor, _label: torch.Tensor) -> dict[str, float]:
        return {"test_top1": next(scores), "test_top5": 90.0}

    monkeypatch.setattr(LINEAR, "metrics", scripted)
    recipe = linear_recipe(schedule=ScheduleSpec(epochs=4, lr=0.1))
    result = evaluate_encoder(recipe, store, tmp_path / "run", device="cpu")
    assert (result.last_top1, result.last_top5, result.best_top1, result.best_epoch) == (40.0, 90.0, 60.0, 2)


def test_train_classifier__keeps_metrics_of_the_protocol(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = iter([3.0, 9.0, 5.0])
    monkeypatch.setattr(LINEAR, "metrics", lambda _logits, _label: {"margin": next(values)})
    monkeypatch.setattr(LINEAR, "monitor", "margin")
    result = evaluate_encoder(linear_recipe(), store, tmp_path / "run", device="cpu")
    assert (result.metrics, result.best_epoch) == ({"margin": 5.0}, 2)
    epochs = [line for line in read_metrics(tmp_path / "run") if line["event"] == "epoch"]
    assert [line["margin"] for line in epochs] == [3.0, 9.0, 5.0]
    assert result.best_top1 == epochs[1]["test_top1"]


def test_linear__leaves_the_encoder_as_it_was(store: Path, pretrained: Path, tmp_path: Path) -> None:
    evaluate_encoder(linear_recipe(), store, tmp_path / "run", encoder_from=pretrained, device="cpu")
    folders = [latest_checkpoint(pretrained), latest_checkpoint(tmp_path / "run")]
    before, after = (read_checkpoint(folder).weights for folder in folders if folder)
    encoder = [name for name in after if name.startswith("encoder.")]
    assert len(encoder) > 5
    assert all(torch.equal(before[name], after[name]) for name in encoder)


def test_linear__records_which_encoder_it_judged(store: Path, pretrained: Path, tmp_path: Path) -> None:
    evaluate_encoder(linear_recipe(), store, tmp_path / "run", encoder_from=pretrained, device="cpu")
    record = read_record(tmp_path / "run")
    assert record.encoder == str(pretrained)
    before = read_record(pretrained)
    assert record.origin is not None
    assert record.origin.checkpoint == str(latest_checkpoint(pretrained))
    assert record.origin.recipe_hash == before.recipe_hash
    assert record.started_from_weights(weights_digest(load_encoder(pretrained, MODEL)))


def test_linear__says_that_the_encoder_is_untrained(
    store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    evaluate_encoder(linear_recipe(), store, tmp_path / "run", device="cpu")
    assert any("an encoder that was never trained" in message for message in caplog.messages)
    record = read_record(tmp_path / "run")
    assert record.encoder == "untrained"


def test_linear__tests_after_every_epoch(store: Path, tmp_path: Path) -> None:
    result = evaluate_encoder(linear_recipe(), store, tmp_path / "run", device="cpu")
    tested = [line["test_top1"] for line in read_metrics(tmp_path / "run") if "test_top1" in line]
    assert len(tested) == result.epochs == 3
    assert tested[-1] == result.last_top1


def test_predict_logits__every_test_clip_once(store: Path) -> None:
    recipe = linear_recipe(batch_size=3)
    source = open_source(store, recipe)
    batches = source.test_batches(source.load_labelled("test"))
    model = make_classifier(recipe, 60, None)
    seen: list[int] = []
    model.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    assert predict_logits(model, batches, nothing).shape == (7, 60)
    assert seen == [3, 3, 1]


def test_predict_logits__do_not_depend_on_the_batch_size(store: Path) -> None:
    found = []
    for batch_size in (1, 4, 7):
        recipe = linear_recipe(batch_size=batch_size)
        source = open_source(store, recipe)
        batches = source.test_batches(source.load_labelled("test"))
        found.append(predict_logits(make_classifier(recipe, 60, None), batches, nothing))
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[0], found[2])


def test_predict_logits__among_more_ranks_than_clips_of_a_batch(store: Path) -> None:
    recipe = linear_recipe(batch_size=2)
    source = open_source(store, recipe)
    batches = source.test_batches(source.load_labelled("test"))
    model = make_classifier(recipe, 60, None)
    alone = predict_logits(model, batches, nothing)
    for found in together(3, lambda ranks: predict_logits(model, batches, nothing, ranks)):
        torch.testing.assert_close(found, alone)


def test_accuracy__in_percent_of_all_clips() -> None:
    logits = torch.eye(8)[[0, 1, 2, 3]]
    label = torch.tensor([0, 1, 7, 4])  # equal logits rank by class: the 4 is fifth, the 7 eighth
    assert accuracy(logits, label) == {"test_top1": 50.0, "test_top5": 75.0}


def test_linear__keeps_the_scores_of_the_last_epoch(store: Path, tmp_path: Path) -> None:
    result = evaluate_encoder(linear_recipe(), store, tmp_path / "run", device="cpu")
    scores = ClipPredictions.read(tmp_path / "run" / "scores.npz")
    assert scores.clip == [f"clip{number:03d}" for number in range(26, 33)]
    assert accuracy(scores.logits, scores.label)["test_top1"] == result.last_top1


@pytest.mark.parametrize("content", [b"", b"PK\3\4 and no more", b"\x93NUMPY\x01\x00"])
def test_read__damaged_scores_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "scores.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"scores\.npz.*cannot be read"):
        ClipPredictions.read(tmp_path / "scores.npz")


def test_make_classifier__the_same_head_with_and_without_an_encoder(pretrained: Path) -> None:
    one, two = (make_classifier(linear_recipe(), 60, source) for source in (None, pretrained))
    assert torch.equal(one.head.state_dict()["fc.weight"], two.head.state_dict()["fc.weight"])
    assert not torch.equal(one.encoder.pos_embed, two.encoder.pos_embed)


def test_linear__clips_without_a_label_are_refused(tmp_path: Path) -> None:
    clips = make_clips([(1, 20)] * 4)
    unknown = [type(clip)(clip.id, clip.joints, label=-1) for clip in clips]
    store = write_store(tmp_path / "s.zarr", unknown)
    write_manifest(store, ["clip000", "clip001"], ["clip002", "clip003"])
    with pytest.raises(ManifestError, match="2 of 2 train clips"):
        evaluate_encoder(linear_recipe(), store, tmp_path / "run", device="cpu")


def test_linear__a_batch_of_one_clip_is_refused(store: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="one clip"):
        evaluate_encoder(linear_recipe(batch_size=1), store, tmp_path / "run", device="cpu")


def test_linear__empty_test_side_is_refused(tmp_path: Path) -> None:
    store = write_store(tmp_path / "s.zarr", make_clips([(1, 20)] * 2))
    write_manifest(store, ["clip000", "clip001"], [])
    with pytest.raises(ManifestError, match="test"):
        evaluate_encoder(linear_recipe(), store, tmp_path / "run", device="cpu")
