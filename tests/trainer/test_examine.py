"""What a run has learned: scores kept or computed again, which classes are confused, features of clips."""

from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from mamp_schemas.errors import CheckpointError
from mamp_schemas.models.recipe import ScheduleSpec
from mamp_schemas.progress import NullProgress
from mamp_trainer.analysis.run_analysis import compute_predictions, confusion_report, embed_test_clips, read_predictions
from mamp_trainer.checkpoints.load import load_encoder
from mamp_trainer.models.mamp import Encoder
from mamp_trainer.objectives.pretrain import pretrain
from mamp_trainer.protocols.predictions import SCORES_FILE, ClipPredictions
from tests.trainer.runs import MODEL, evaluate_encoder, linear_recipe, open_source, pretrain_recipe, write_toy_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_store(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("linear") / "run"
    evaluate_encoder(linear_recipe(schedule=ScheduleSpec(epochs=4, lr=0.1)), store, folder, device="cpu")
    return folder


def test_examine__counts_by_the_highest_score() -> None:
    logits = torch.tensor([[1.0, 2, 0], [3, 2, 0], [0, 1, 2], [0, 0, 5]])
    found = confusion_report(ClipPredictions(["a", "b", "c", "d"], torch.tensor([0, 0, 1, 2]), logits))
    assert found.matrix.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert found.accuracy.tolist() == [50, 0, 100]
    assert [tuple(pair) for pair in found.pairs] == [(1, 2, 1, 100), (0, 1, 1, 50)]


def test_kept_scores__are_those_of_the_run(run: Path, tmp_path: Path) -> None:
    kept = read_predictions(run)
    assert kept is not None
    assert len(kept.clip) == 7
    assert read_predictions(tmp_path) is None


def test_kept_scores__damaged(tmp_path: Path) -> None:
    (tmp_path / SCORES_FILE).write_bytes(b"PK")
    with pytest.raises(CheckpointError, match=SCORES_FILE):
        read_predictions(tmp_path)


def test_compute_scores__are_those_that_the_run_has_left(store: Path, run: Path) -> None:
    kept, computed = read_predictions(run), compute_predictions(run, store, "cpu", NullProgress())
    assert kept is not None
    assert computed.clip == kept.clip
    assert torch.equal(computed.label, kept.label)
    torch.testing.assert_close(computed.logits, kept.logits)


def test_compute_scores__on_another_store(store: Path, run: Path, tmp_path: Path) -> None:
    other = write_toy_store(tmp_path)
    zarr.open_group(other).attrs["content_hash"] = "d" * 64
    manifest = other.with_name("toy.xsub.json")
    manifest.write_text(manifest.read_text().replace("c" * 64, "d" * 64))
    with pytest.raises(CheckpointError, match="another store"):
        compute_predictions(run, other, "cpu", NullProgress())


def test_place_clips__are_mean_features_of_the_encoder(store: Path, tmp_path: Path) -> None:
    recipe = pretrain_recipe()
    pretrain(recipe, store, tmp_path / "run", device="cpu")
    placed = embed_test_clips(tmp_path / "run", store, 100, "cpu", NullProgress())
    assert (len(placed.clip), placed.total) == (7, 7)
    source = open_source(store, linear_recipe())
    batch = source.test_batches(source.load("test")).batch(0)
    encoder = Encoder(MODEL)
    encoder.load_state_dict(load_encoder(tmp_path / "run", MODEL))
    with torch.no_grad():
        features = encoder.eval()(batch.x.flatten(0, 1)).view(len(batch.clip), 2, -1, MODEL.width)
    expected = features.mean(dim=(1, 2)).numpy()
    np.testing.assert_allclose(placed.values[batch.clip.numpy()], expected, atol=1e-5)
    assert placed.label[batch.clip.numpy()].tolist() == batch.label.tolist()
    assert placed.clip == source.ids["test"]


def test_place_clips__draws_some_by_the_seed(store: Path, run: Path) -> None:
    placed = embed_test_clips(run, store, 3, "cpu", NullProgress())
    assert placed.values.shape == (3, MODEL.width)
    assert (len(set(placed.clip)), placed.total) == (3, 7)
    assert embed_test_clips(run, store, 3, "cpu", NullProgress()).clip == placed.clip
