"""Measuring what is trained: every clip once, whoever computes, and the same as a plain loop says."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, top_k_accuracy_score
from sklearn.neighbors import KNeighborsClassifier

from mamp_schemas.models.protocols import KnnOptions
from mamp_schemas.models.recipe import ModelSpec
from mamp_schemas.models.results import RetrievalEvaluation
from mamp_trainer.checkpoints.load import load_encoder
from mamp_trainer.distributed.context import SINGLE_PROCESS, DistContext
from mamp_trainer.models.mamp import Encoder
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.protocols.evaluate import embed_clips, evaluate, measure_encoder
from mamp_trainer.protocols.networks import trained_recipe
from mamp_trainer.protocols.predictions import ClipPredictions
from mamp_trainer.training.runtime import ComputeContext, RunContext
from tests.trainer.golden_model import to_released
from tests.trainer.rank_threads import together
from tests.trainer.runs import (
    MODEL,
    evaluate_encoder,
    linear_recipe,
    open_source,
    pretrain_recipe,
    write_toy_store,
)

CPU = ComputeContext(device="cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_store(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("trained") / "run"
    evaluate_encoder(linear_recipe(), store, run, device="cpu")
    return run


@pytest.fixture(scope="module")
def pretrained(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("pretrained") / "run"
    pretrain(pretrain_recipe(), store, RunContext(run, device="cpu"))
    return run


def test_evaluate__says_what_the_run_said(store: Path, trained: Path) -> None:
    found, scores = evaluate(trained, trained_recipe(trained), store, CPU)
    kept = ClipPredictions.read(trained / "scores.npz")
    assert scores.clip == kept.clip
    torch.testing.assert_close(scores.logits, kept.logits)
    assert (found.clips, found.dataset, found.protocol, found.test_crop) == (7, "ntu60", "xsub", 0.9)


def test_evaluate__counts_as_scikit_learn_does(store: Path, trained: Path) -> None:
    found, scores = evaluate(trained, trained_recipe(trained), store, CPU)
    label, logits = scores.label.numpy(), scores.logits.numpy()
    assert np.array_equal(found.matrix, confusion_matrix(label, logits.argmax(axis=1), labels=range(60)))
    assert found.top5 == pytest.approx(100 * top_k_accuracy_score(label, logits, k=5, labels=range(60)))
    with_clips = [of_class for of_class in found.classes if of_class.clips]
    assert [of_class.label for of_class in with_clips] == [0, 1, 2]
    assert sum((of_class.top1 or 0) * of_class.clips for of_class in with_clips) == pytest.approx(
        found.top1 * found.clips
    )
    assert with_clips[0].name == "drink water"


def test_evaluate__on_two_ranks_equals_one(store: Path, trained: Path) -> None:
    expected = measured_on(SINGLE_PROCESS, store, trained)
    assert together(2, lambda ranks: measured_on(ranks, store, trained)) == [expected, expected]


def measured_on(ranks: DistContext, store: Path, trained: Path) -> tuple[float, float, tuple[tuple[int, ...], ...]]:
    recipe = trained_recipe(trained).replaced(batch_size=3)  # 7 clips: the second rank is without one at last
    found, _ = evaluate(trained, recipe, store, ComputeContext(device="cpu", dist_context=ranks))
    assert sum(map(sum, found.matrix)) == found.clips == 7
    return found.top1, found.top5, found.matrix


def test_embed_clips__is_the_mean_of_what_the_encoder_makes_of_each_body(store: Path, pretrained: Path) -> None:
    recipe = pretrain_recipe()
    found, made_by = embed_clips(pretrained, recipe, store, CPU, ("train", "test"))
    assert list(found.split) == ["train"] * 26 + ["test"] * 7
    assert made_by["network"] == str(pretrained)

    encoder = Encoder(recipe.model).eval()
    encoder.load_state_dict(load_encoder(pretrained, recipe.model))
    source = open_source(store, linear_recipe(batch_size=1))
    batches = source.test_batches(source.load("test"))
    with torch.no_grad():
        plain = [encoder(batches.batch(step).x[0]).mean(dim=(0, 1)) for step in range(batches.steps)]
    np.testing.assert_allclose(found.features[26:], torch.stack(plain).numpy(), rtol=1e-4, atol=1e-5)


def test_embed_clips__initial_weights_are_those_of_an_untrained_linear_evaluation(store: Path, trained: Path) -> None:
    """The run's encoder was fixed and untrained: its features are those of the same seed."""
    from_run, _ = embed_clips(trained, linear_recipe(), store, CPU, ("test",))
    from_seed, made_by = embed_clips(None, linear_recipe(), store, CPU, ("test",))
    assert np.array_equal(from_run.features, from_seed.features)
    assert made_by["network"] == "untrained"


def test_measure_encoder__votes_as_scikit_learn_does(store: Path, pretrained: Path) -> None:
    recipe = pretrain_recipe()
    found = measure_encoder("knn", pretrained, recipe, KnnOptions(k=(5, 1)), store, CPU)
    features, _ = embed_clips(pretrained, recipe, store, CPU, ("train", "test"))
    is_train = np.array(features.split) == "train"
    oracle = KNeighborsClassifier(n_neighbors=1, metric="cosine")
    oracle.fit(features.features[is_train], features.label[is_train])
    expected = oracle.score(features.features[~is_train], features.label[~is_train])
    assert isinstance(found, RetrievalEvaluation)
    assert found.knn[1] == found.recall[1] == pytest.approx(100 * expected)
    assert (found.clips, found.gallery, set(found.knn)) == (7, 26, {1, 5})


def test_measure_encoder__more_neighbours_than_clips_warns(
    store: Path, pretrained: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for k in (26, 27):
        measure_encoder("knn", pretrained, pretrain_recipe(), KnnOptions(k=(k,)), store, CPU)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "k = 27, but all 26 training clips are fewer"
    ]


def test_embed_clips__released_file_of_another_length_warns(
    store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    released = tmp_path / "released.pth"
    torch.save({"model": to_released({f"encoder.{k}": v for k, v in Encoder(MODEL).state_dict().items()})}, released)
    longer = linear_recipe(model=ModelSpec.model_validate({**MODEL.model_dump(), "frames": 32}))
    found, _ = embed_clips(released, longer, store, CPU, ("test",))
    assert found.features.shape == (7, 16)
    assert any("interpolated" in message for message in caplog.messages)
